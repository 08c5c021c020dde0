//! `observe:`: sources of signals.

use std::net::SocketAddr;

use super::{Context, Fields, lab::url, scalars::unit};
use crate::{
    scenario::{
        observe::{HostPort, Observed, PromQuery, System, Tells},
        yaml::Node,
    },
    units::Span,
};

/// More often is a load of its own.
const LEAST: Span = Span::millis(50);

const SYSTEMS: [&str; 13] = [
    "prometheus",
    "prometheus-query",
    "envoy",
    "haproxy",
    "resilience4j",
    "traefik",
    "litellm",
    "redis",
    "nginx",
    "varnish",
    "prometheus-alerts",
    "alertmanager",
    "alert-webhook",
];

pub(super) fn sources(cx: &mut Context<'_>, node: &Node) -> Option<Vec<Observed>> {
    let mut names: Vec<String> = Vec::new();
    let all = cx.list(node, "sources of signals", |cx, node| {
        let source = source(cx, node)?;
        if names.contains(&source.name) {
            let help = "each source needs a name of its own";
            return cx.fail(&node.place, format!("there is another source `{}`", source.name), help);
        }
        names.push(source.name.clone());
        match source.system.tells() {
            Tells::Alerts => {
                cx.names.tells_of_alerts = true;
                cx.names.without_figures.push(source.name.clone());
            }
            Tells::Breakers | Tells::Figures => {}
        }
        Some(source)
    });
    // One that can't be read may be the one that does.
    cx.names.tells_of_alerts |= all.is_none();
    all
}

fn source(cx: &mut Context<'_>, node: &Node) -> Option<Observed> {
    let mut fields =
        Fields::of(cx, node, "Observed", "a source: `{ name: front, haproxy: \"http://…/metrics\" }`")?;
    let name = fields.required(cx, "name", "front", |cx, node| cx.identifier(node, "a source's name"));
    let system = fields.one_of(cx, &SYSTEMS);
    for key in ["auth", "headers"] {
        let help = "sources are asked without a key or a password: let it answer this machine without";
        fields.elsewhere(cx, key, help);
    }
    for key in ["vllm", "triton", "llama-cpp"] {
        let help = "write `prometheus: \"http://…/metrics\"`, and judge its figures by `metric:`";
        fields.elsewhere(cx, key, help);
    }
    let query = query(cx, &mut fields, system.map(|(kind, _)| kind));
    let every = fields.optional(cx, "every", |cx, node| {
        let every = unit::<Span>(cx, node)?;
        if every >= LEAST {
            return Some(every);
        }
        cx.fail(&node.place, format!("no source is looked at more often than every {LEAST}"), "")
    });
    fields.finish(cx);
    let (kind, node) = system?;
    let system = match kind {
        "prometheus" => System::Prometheus(url(cx, node)?),
        "prometheus-query" => {
            let (at, query) = (address(cx, kind, node), query.flatten());
            System::PrometheusQuery(PromQuery { at: at?, query: query? })
        }
        "envoy" => System::Envoy(address(cx, kind, node)?),
        "haproxy" => System::Haproxy(url(cx, node)?),
        "traefik" => System::Traefik(url(cx, node)?),
        "litellm" => System::Litellm(url(cx, node)?),
        "redis" => System::Redis(store(cx, node)?),
        "nginx" => System::Nginx(url(cx, node)?),
        "varnish" => System::Varnish(instance(cx, node)?),
        "prometheus-alerts" => System::PrometheusAlerts(address(cx, kind, node)?),
        "alertmanager" => System::Alertmanager(address(cx, kind, node)?),
        "alert-webhook" => System::AlertWebhook(listened(cx, node)?),
        _ => System::Resilience4j(exposed(cx, node)?),
    };
    let every = every?.unwrap_or_else(|| system.usual_period());
    Some(Observed { name: name?, system, every })
}

/// What a Prometheus server is asked. Others are asked nothing in words.
fn query(cx: &mut Context<'_>, fields: &mut Fields<'_>, kind: Option<&str>) -> Option<Option<String>> {
    let read = |cx: &mut Context<'_>, node: &Node| cx.text(node, "a query in PromQL");
    if kind == Some("prometheus-query") {
        return fields.required(cx, "query", "'sum(rate(orders_total[5s]))'", read).map(Some);
    }
    let place = fields.key("query").map(|key| key.place.clone());
    let given = fields.optional(cx, "query", read)?;
    match (given, place, kind) {
        (Some(_), Some(place), Some(kind)) => {
            cx.fail(&place, format!("`{kind}` is asked no query"), "a query is for `prometheus-query:`")
        }
        (given, ..) => Some(given),
    }
}

/// The address of a system of whose paths it is known which are asked: they
/// are added to it, and must not stand there as well.
fn address(cx: &mut Context<'_>, kind: &str, node: &Node) -> Option<String> {
    let at = url(cx, node)?;
    let added: &[&str] = match kind {
        "envoy" => &["/stats/prometheus", "/stats", "/clusters"],
        "alertmanager" => &["/api/v2/alerts", "/api/v2"],
        "prometheus-alerts" => &["/api/v1/alerts", "/api/v1"],
        _ => &["/api/v1/query", "/api/v1"],
    };
    let path = at.split('?').next().unwrap_or_default();
    match added.iter().find_map(|added| Some((added, path.strip_suffix(added)?))) {
        Some((added, right)) => {
            let message = format!("`{added}` is added to this address by itself");
            cx.fail(&node.place, message, format!("write `{right}`"))
        }
        None => Some(at),
    }
}

/// Spring's list of what it shows is taken for the exposition.
fn exposed(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let at = url(cx, node)?;
    if at.ends_with("/actuator") {
        let help = format!("write `{at}/prometheus`");
        return cx.fail(&node.place, "this is the list of what the application shows, without figures", help);
    }
    Some(at)
}

/// Nobody is told what was written where a password may stand.
fn store(cx: &mut Context<'_>, node: &Node) -> Option<HostPort> {
    let text = node.text().unwrap_or_default();
    if text.contains('@') {
        return cx.fail(
            &node.place,
            "no user and no password is sent to Redis",
            "write its host and port alone",
        );
    }
    if let Some(right) = without_database(text) {
        let message = "what Redis tells is of the whole server, not of a database";
        return cx.fail(&node.place, message, format!("write `{right}`"));
    }
    unit::<HostPort>(cx, node)
}

/// `redis://HOST/0`, without the 0.
fn without_database(text: &str) -> Option<HostPort> {
    let (at, database) = text.strip_prefix("redis://")?.split_once('/')?;
    let is_one = !database.is_empty() && database.chars().all(|c| c.is_ascii_digit());
    format!("redis://{at}").parse().ok().filter(|_| is_one)
}

/// It is handed to a program as an argument.
fn instance(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let text = cx.text(node, "the name of a Varnish instance, or its working directory")?;
    if text.starts_with('-') || text.contains('\0') {
        let message = format!("`{text}` can't be a Varnish instance");
        return cx.fail(&node.place, message, "write the `-n` of its `varnishd`");
    }
    Some(text)
}

/// Where the run is to listen.
fn listened(cx: &mut Context<'_>, node: &Node) -> Option<SocketAddr> {
    let text = cx.text(node, "an address such as `127.0.0.1:9099`")?;
    match text.parse::<SocketAddr>() {
        Ok(at) if at.port() > 0 => Some(at),
        Ok(_) | Err(_) => {
            let help = "the run listens there: an IP address of this machine and a port";
            cx.fail(&node.place, format!("`{text}` is not an address such as `127.0.0.1:9099`"), help)
        }
    }
}
