//! `observe:`: sources of signals.

use super::{Context, Fields, lab::url, scalars::unit};
use crate::{
    scenario::{
        observe::{Observed, System, default_every},
        yaml::Node,
    },
    units::Span,
};

/// More often is a load of its own.
const LEAST: Span = Span::millis(50);

pub(super) fn sources(cx: &mut Context<'_>, node: &Node) -> Option<Vec<Observed>> {
    let mut names: Vec<String> = Vec::new();
    cx.list(node, "sources of signals", |cx, node| {
        let source = source(cx, node)?;
        if names.contains(&source.name) {
            let help = "each source needs a name of its own";
            return cx.fail(&node.place, format!("there is another source `{}`", source.name), help);
        }
        names.push(source.name.clone());
        cx.names.tells_of_alerts |= source.system.has_alerts();
        Some(source)
    })
}

fn source(cx: &mut Context<'_>, node: &Node) -> Option<Observed> {
    let mut fields =
        Fields::of(cx, node, "Observed", "a source: `{ name: front, haproxy: \"http://…/metrics\" }`")?;
    let name = fields.required(cx, "name", "front", |cx, node| cx.identifier(node, "a source's name"));
    let system = fields.one_of(
        cx,
        &["prometheus", "envoy", "haproxy", "resilience4j", "traefik", "prometheus-alerts", "alertmanager"],
    );
    let every = fields.or(cx, "every", default_every(), |cx, node| {
        let every = unit::<Span>(cx, node)?;
        if every >= LEAST {
            return Some(every);
        }
        cx.fail(&node.place, format!("no source is looked at more often than every {LEAST}"), "")
    });
    fields.finish(cx);
    let (kind, node) = system?;
    let url = url(cx, node)?;
    let system = match kind {
        "prometheus" => System::Prometheus(url),
        "envoy" => System::Envoy(url),
        "haproxy" => System::Haproxy(url),
        "traefik" => System::Traefik(url),
        "prometheus-alerts" => System::PrometheusAlerts(url),
        "alertmanager" => System::Alertmanager(url),
        _ => System::Resilience4j(url),
    };
    Some(Observed { name: name?, system, every: every? })
}
