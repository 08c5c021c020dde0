//! Expectations of who serves, and how many.

use super::{
    ActKind, Context, Fields, fit,
    judge::{after, demands, phase, share_threshold},
    scalars::unit,
};
use crate::{
    scenario::{
        diagnostic::Diagnostic,
        serving::{AutoscalingExpectation, DriftExpectation, FailoverExpectation, ProbesExpectation},
        source::Place,
        yaml::Node,
    },
    units::{FaultId, RatioThreshold, Span, WorkloadName},
};

pub(super) fn probes(cx: &mut Context<'_>, node: &Node, place: &Place) -> Option<ProbesExpectation> {
    let mut fields = Fields::of(cx, node, "ProbesExpectation", "what probes must keep from pods")?;
    let acts = cx.names.acts.clone();
    let after = fields.optional(cx, "after", |cx, node| cx.reference(node, super::judge::ENTRY, &acts));
    let early = fields.optional(cx, "early", share_threshold);
    let removed_within = fields.optional(cx, "removed-within", unit::<Span>);
    let known = fields.finish(cx);
    let expectation =
        ProbesExpectation { after: after?.map(FaultId), early: early?, removed_within: removed_within? };
    let any = expectation.early.is_some() || expectation.removed_within.is_some();
    demands(cx, place, any || !known, "early: \"<= 0%\"")?;
    fit::pods(cx, place).map(|()| expectation)
}

pub(super) fn autoscaling(
    cx: &mut Context<'_>,
    node: &Node,
    place: &Place,
) -> Option<AutoscalingExpectation> {
    let mut fields = Fields::of(cx, node, "AutoscalingExpectation", "how replicas must follow the load")?;
    let phase = fields.required(cx, "in", "peak", phase);
    let to = fields.optional(cx, "to", |cx, node| cx.number(node, "a number of replicas from 1", 1..));
    let scales_out_within = fields.optional(cx, "scales-out-within", unit::<Span>);
    let in_slo_within = fields.optional(cx, "in-slo-within", unit::<Span>);
    let scales_in_within = fields.optional(cx, "scales-in-within", unit::<Span>);
    let known = fields.finish(cx);
    let expectation = AutoscalingExpectation {
        phase: phase?,
        to: to?,
        scales_out_within: scales_out_within?,
        in_slo_within: in_slo_within?,
        scales_in_within: scales_in_within?,
    };
    let any = expectation.scales_out_within.is_some()
        || expectation.in_slo_within.is_some()
        || expectation.scales_in_within.is_some();
    demands(cx, place, any || !known, "scales-out-within: 60s")?;
    // Whether latency is as it should be, users tell.
    if expectation.scales_out_within.is_some() || expectation.scales_in_within.is_some() {
        fit::pods(cx, place)?;
    }
    let names = &cx.names.phases;
    let is = |at: Option<&(String, Option<Span>)>| at.is_some_and(|(name, _)| *name == expectation.phase.0);
    if is(names.first()) {
        let help = "the first phase is the baseline: name a later one, with more load";
        return cx.fail(place, "nothing comes before this phase that replicas could grow from", help);
    }
    if expectation.scales_in_within.is_some() && is(names.last()) {
        let help = "add a phase with less load after it";
        return cx.fail(place, "nothing comes after this phase in which replicas could go away", help);
    }
    Some(expectation)
}

pub(super) fn failover(cx: &mut Context<'_>, node: &Node, place: &Place) -> Option<FailoverExpectation> {
    let mut fields = Fields::of(cx, node, "FailoverExpectation", "who must serve in whose place")?;
    let after = after(cx, &mut fields, ActKind::Fault, true, place);
    let known_workloads = cx.names.workloads.clone();
    let workload =
        fields.optional(cx, "workload", |cx, node| cx.reference(node, "workload", &known_workloads));
    let to = fields.optional(cx, "to", |cx, node| cx.word(node, "who serves, such as `zone-b`"));
    let within = fields.optional(cx, "within", unit::<Span>);
    let back_within = fields.optional(cx, "back-within", unit::<Span>);
    let known = fields.finish(cx);
    let expectation = FailoverExpectation {
        after: after?,
        workload: workload?.map(WorkloadName),
        to: to?,
        within: within?,
        back_within: back_within?,
    };
    let any = expectation.within.is_some() || expectation.back_within.is_some();
    fit::notices(cx, "failover", place);
    demands(cx, place, any || !known, "within: 5s").map(|()| expectation)
}

pub(super) fn drift(cx: &mut Context<'_>, node: &Node, place: &Place) -> Option<DriftExpectation> {
    let mut fields = Fields::of(cx, node, "DriftExpectation", "how alike the versions' answers must be")?;
    let after = after(cx, &mut fields, ActKind::Rollout, true, place);
    let psi = fields.optional(cx, "psi", |cx, node| {
        let limit = unit::<RatioThreshold>(cx, node)?;
        alike(cx, node, limit)
    });
    let ks = fields.optional(cx, "ks", |cx, node| {
        let limit = share_threshold(cx, node)?;
        alike(cx, node, limit)
    });
    let known = fields.finish(cx);
    let expectation = DriftExpectation { after: after?, psi: psi?, ks: ks? };
    let any = expectation.psi.is_some() || expectation.ks.is_some();
    demands(cx, place, any || !known, "psi: \"< 0.25\"").map(|()| expectation)
}

/// A limit on how unlike they are.
fn alike(cx: &mut Context<'_>, node: &Node, limit: RatioThreshold) -> Option<RatioThreshold> {
    if !limit.op.is_ceiling() {
        cx.report(
            Diagnostic::warning(&node.place, "this demands that answers are not alike").help("write `<`"),
        );
    }
    if limit.limit.0 > 0.0 { Some(limit) } else { cx.fail(&node.place, "no distance is below 0", "") }
}
