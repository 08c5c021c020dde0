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
    cx.list(node, "sources of signals", |cx, node| {
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
    })
}

fn source(cx: &mut Context<'_>, node: &Node) -> Option<Observed> {
    let mut fields =
        Fields::of(cx, node, "Observed", "a source: `{ name: front, haproxy: \"http://…/metrics\" }`")?;
    let name = fields.required(cx, "name", "front", |cx, node| cx.identifier(node, "a source's name"));
    let system = fields.one_of(cx, &SYSTEMS);
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
            let (at, query) = (url(cx, node), query.flatten());
            System::PrometheusQuery(PromQuery { at: at?, query: query? })
        }
        "envoy" => System::Envoy(url(cx, node)?),
        "haproxy" => System::Haproxy(url(cx, node)?),
        "traefik" => System::Traefik(url(cx, node)?),
        "litellm" => System::Litellm(url(cx, node)?),
        "redis" => System::Redis(store(cx, node)?),
        "nginx" => System::Nginx(url(cx, node)?),
        "varnish" => System::Varnish(instance(cx, node)?),
        "prometheus-alerts" => System::PrometheusAlerts(url(cx, node)?),
        "alertmanager" => System::Alertmanager(url(cx, node)?),
        "alert-webhook" => System::AlertWebhook(listened(cx, node)?),
        _ => System::Resilience4j(url(cx, node)?),
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

/// Nobody is told what was written where a password may stand.
fn store(cx: &mut Context<'_>, node: &Node) -> Option<HostPort> {
    match node.text() {
        Some(text) if text.contains('@') => {
            cx.fail(&node.place, "no user and no password is sent to Redis", "write its host and port alone")
        }
        Some(_) | None => unit::<HostPort>(cx, node),
    }
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
