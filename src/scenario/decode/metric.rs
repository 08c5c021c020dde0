//! `metric:`: figures that must hold, or hold again.

use super::{
    ActKind, Context, Fields,
    judge::{after, demands, phase},
    listed,
    scalars::unit,
};
use crate::{
    scenario::{
        metric::{MetricExpectation, Series},
        source::Place,
        yaml::Node,
    },
    units::{FigureThreshold, ParseUnitError, Span},
};

pub(super) fn metric(cx: &mut Context<'_>, node: &Node, place: &Place) -> Option<MetricExpectation> {
    let mut fields = Fields::of(cx, node, "MetricExpectation", "what a figure must do")?;
    let source = fields.required(cx, "source", "business", source);
    let series = fields.optional(cx, "series", series);
    let must = fields.required(cx, "must", "\">= 10\"", unit::<FigureThreshold>);
    let timed = node.get("recovers-within").is_some();
    let after = after(cx, &mut fields, ActKind::Fault, timed, place);
    let phase = fields.optional(cx, "in", phase);
    let recovers_within = fields.optional(cx, "recovers-within", unit::<Span>);
    let known = fields.finish(cx);
    let any = timed || phase.as_ref().is_none_or(Option::is_some);
    let demanded = demands(cx, place, any || !known, "in: baseline");
    let expectation = MetricExpectation {
        source: source?,
        series: series?,
        must: must?,
        phase: phase?,
        after: after?,
        recovers_within: recovers_within?,
    };
    demanded.map(|()| expectation)
}

/// No guess is made of what else it may have been.
fn series(cx: &mut Context<'_>, node: &Node) -> Option<Series> {
    let text = cx.text(node, "a series such as `orders_total`")?;
    match text.parse() {
        Ok(series) => Some(series),
        Err(error) => {
            let error: ParseUnitError = error;
            cx.fail(&node.place, error.to_string(), "as a source shows it, each label in quotes")
        }
    }
}

/// One that leaves samples.
fn source(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let known = cx.names.sources.clone();
    let name = cx.reference(node, "source in `observe:` with the name", &known)?;
    let without = &cx.names.without_figures;
    if !without.contains(&name) {
        return Some(name);
    }
    let others = listed(known.iter().filter(|one| !without.contains(one)).map(String::as_str));
    let help = if others.is_empty() {
        "add one, such as `{ name: business, prometheus-query: \"http://127.0.0.1:9090\", query: up }`"
            .to_owned()
    } else {
        format!("one of {others}")
    };
    cx.fail(&node.place, format!("`{name}` tells of alerts, not of figures"), help)
}
