//! Which circuit breaker is meant, and how many probes it may send.

use super::{Context, Fields};
use crate::{
    scenario::{breaker::BreakerKind, model::BreakerExpectation, yaml::Node},
    units::FigureThreshold,
};

/// A field that was given, was not, or can't be read.
type Read<T> = Option<Option<T>>;

/// `kind`, `name` and `probes`.
pub(super) fn fields(
    cx: &mut Context<'_>,
    fields: &mut Fields<'_>,
) -> (Read<BreakerKind>, Read<String>, Read<FigureThreshold>) {
    let kind = fields
        .optional(cx, "kind", |cx, node| cx.choice(node, "a kind of circuit breaker", &BreakerKind::ALL));
    let name = fields.optional(cx, "name", name);
    (kind, name, fields.optional(cx, "probes", probes))
}

/// Whether there is anything that a breaker must do.
pub(super) fn demands(e: &BreakerExpectation) -> bool {
    let bare = BreakerExpectation { after: None, kind: None, name: None, ..e.clone() };
    bare != BreakerExpectation::default()
}

/// A breaker's name is what its source makes of it: `llm`, `back/s1`, `llm@file`,
/// `llm capacity`.
fn name(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let text = cx.text(node, "a breaker's name, as its source has it")?;
    if text.trim().is_empty() {
        return cx.fail(&node.place, "a breaker has a name such as `llm` or `back/s1`", "");
    }
    Some(text)
}

/// A ceiling on a whole number of requests, of one at least: without any probe
/// no breaker closes again.
fn probes(cx: &mut Context<'_>, node: &Node) -> Option<FigureThreshold> {
    let threshold: FigureThreshold = cx.unit(node)?;
    if !threshold.op.is_ceiling() {
        let help = "write `<= 5`: it is a limit on what a half-open breaker lets through";
        return cx.fail(&node.place, "this demands that many requests are let through", help);
    }
    if threshold.limit.fract() != 0.0 {
        return cx.fail(&node.place, format!("{} is not a whole number of requests", threshold.limit), "");
    }
    if !threshold.holds(1.0) {
        let help = "a breaker needs one probe at least to close again: write `<= 1` or more";
        return cx.fail(&node.place, format!("`{threshold}` allows no probe at all"), help);
    }
    Some(threshold)
}
