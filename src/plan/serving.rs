//! The demands of expectations of who serves, and how many, one at a time.

use super::{
    checks::{Acts, Demands, set},
    resolve::PlanError,
};
use crate::scenario::{
    ActKind,
    model::Expectation,
    serving::{AutoscalingExpectation, DriftExpectation, FailoverExpectation, ProbesExpectation},
};

pub(super) fn probes(acts: &Acts<'_>, e: &ProbesExpectation) -> Result<Demands, PlanError> {
    let (name, after) = acts.named(e.after.as_ref())?;
    let none = ProbesExpectation { after, ..Default::default() };
    let all = [
        ("early", e.early.map(|d| ProbesExpectation { early: Some(d), ..none.clone() })),
        (
            "removed-within",
            e.removed_within.map(|d| ProbesExpectation { removed_within: Some(d), ..none.clone() }),
        ),
    ];
    Ok(set(&format!("probes{name}"), all, Expectation::Probes))
}

pub(super) fn autoscaling(e: &AutoscalingExpectation) -> Demands {
    let none = AutoscalingExpectation::of(e.phase.clone(), e.to);
    let all = [
        (
            "scales-out-within",
            e.scales_out_within
                .map(|d| AutoscalingExpectation { scales_out_within: Some(d), ..none.clone() }),
        ),
        (
            "in-slo-within",
            e.in_slo_within.map(|d| AutoscalingExpectation { in_slo_within: Some(d), ..none.clone() }),
        ),
        (
            "scales-in-within",
            e.scales_in_within.map(|d| AutoscalingExpectation { scales_in_within: Some(d), ..none.clone() }),
        ),
    ];
    set(&format!("autoscaling.{}", e.phase), all, Expectation::Autoscaling)
}

pub(super) fn failover(acts: &Acts<'_>, e: &FailoverExpectation) -> Result<Demands, PlanError> {
    let (entry, after) = acts.resolved(e.after.as_ref(), ActKind::Fault, "failover")?;
    let none =
        FailoverExpectation { after, workload: e.workload.clone(), to: e.to.clone(), ..Default::default() };
    let all = [
        ("within", e.within.map(|d| FailoverExpectation { within: Some(d), ..none.clone() })),
        ("back-within", e.back_within.map(|d| FailoverExpectation { back_within: Some(d), ..none.clone() })),
    ];
    let whose = e.workload.as_ref().map(|workload| format!(".{workload}")).unwrap_or_default();
    Ok(set(&format!("failover.{entry}{whose}"), all, Expectation::Failover))
}

pub(super) fn drift(acts: &Acts<'_>, e: &DriftExpectation) -> Result<Demands, PlanError> {
    let (entry, after) = acts.resolved(e.after.as_ref(), ActKind::Rollout, "drift")?;
    let none = DriftExpectation { after, ..Default::default() };
    let all = [
        ("psi", e.psi.map(|d| DriftExpectation { psi: Some(d), ..none.clone() })),
        ("ks", e.ks.map(|d| DriftExpectation { ks: Some(d), ..none.clone() })),
    ];
    Ok(set(&format!("drift.{entry}"), all, Expectation::Drift))
}
