//! `metric:`: figures that must hold, or hold again, and counters that must grow.

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
    let must = fields.optional(cx, "must", unit::<FigureThreshold>);
    let grows = fields.optional(cx, "grows", growth);
    let timed = node.get("recovers-within").is_some();
    let after = after(cx, &mut fields, ActKind::Fault, timed, place);
    let phase = fields.optional(cx, "in", phase);
    let recovers_within = fields.optional(cx, "recovers-within", unit::<Span>);
    let known = fields.finish(cx);
    let any = timed || phase.as_ref().is_none_or(Option::is_some);
    let demanded = demands(cx, place, any || !known, "in: baseline");
    let limited = limits(cx, node, place);
    let expectation = MetricExpectation {
        source: source?,
        series: series?,
        must: must?,
        grows: grows?,
        phase: phase?,
        after: after?,
        recovers_within: recovers_within?,
    };
    demanded.and(limited).map(|()| expectation)
}

/// There is a limit for what is demanded, and no limit for nothing.
fn limits(cx: &mut Context<'_>, node: &Node, place: &Place) -> Option<()> {
    let has = |key: &str| node.get(key).is_some();
    if !has("must") && !has("grows") {
        let help = "`must: \">= 10\"` of the figure itself, or `grows: \">= 1\"` of a counter";
        return cx.fail(place, "a metric needs a limit: `must` or `grows`", help);
    }
    if has("recovers-within") && !has("must") {
        return cx.fail(place, "`recovers-within` needs `must`", "what has to hold again");
    }
    if has("grows") && !has("in") {
        return cx.fail(place, "`grows` needs the phase in which it has to", "add `in: fault`");
    }
    Some(())
}

/// A limit that some counter may break, and some may keep to.
fn growth(cx: &mut Context<'_>, node: &Node) -> Option<FigureThreshold> {
    let limit: FigureThreshold = cx.unit(node)?;
    if limit.holds(0.0) == limit.holds(f64::INFINITY) {
        let help = "a counter never falls: `>= 1` that it grew at all, `<= 0` that it did not";
        return cx.fail(&node.place, format!("`{limit}` is so of every counter, or of none"), help);
    }
    Some(limit)
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
