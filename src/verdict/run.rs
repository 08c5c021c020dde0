//! Checks → the run's verdict, in one sentence.

use super::{
    facts::Facts,
    model::{CheckKind, CheckVerdict, Verdict},
};
use crate::{journal::Event, journal::event::RunEnd, plan::model::Subject};

/// Exit code of a run that left chaos behind.
const CHAOS_LEFT: u8 = 5;

/// The run's verdict and why.
pub(super) fn judge(facts: &Facts<'_>, checks: &[CheckVerdict]) -> (Verdict, String) {
    let failed: Vec<&CheckVerdict> = checks.iter().filter(|check| check.verdict == Verdict::Fail).collect();
    let open: Vec<&CheckVerdict> =
        checks.iter().filter(|check| check.verdict == Verdict::Inconclusive).collect();
    match facts.run_end {
        Some(RunEnd::Aborted) => (Verdict::Aborted, format!("aborted: {}", abort_reason(facts))),
        Some(RunEnd::NotSteady) => (Verdict::Inconclusive, not_steady(facts)),
        Some(RunEnd::Broken { why }) => (Verdict::Inconclusive, format!("the run broke off: {why}")),
        None => (Verdict::Inconclusive, "the journal stops before the run's end".to_owned()),
        Some(RunEnd::Completed) if !failed.is_empty() => (Verdict::Fail, in_words(&failed)),
        Some(RunEnd::Completed) if !open.is_empty() => (Verdict::Inconclusive, in_words(&open)),
        Some(RunEnd::Completed) if !facts.record.warnings.is_empty() => (
            Verdict::Inconclusive,
            format!("the journal does not read as a whole: {}", facts.record.warnings.join("; ")),
        ),
        Some(RunEnd::Completed) if !asks(facts) => (
            Verdict::Inconclusive,
            "nothing was asked: there is neither an SLO nor an expectation".to_owned(),
        ),
        Some(RunEnd::Completed) => (Verdict::Pass, held(checks)),
    }
}

/// What a run that holds says: of a search, what it found.
fn held(checks: &[CheckVerdict]) -> String {
    match checks.iter().find(|check| check.kind == CheckKind::Capacity) {
        Some(found) => format!("capacity: {}", found.why),
        None => format!("all {} checks hold", checks.len()),
    }
}

/// The exit code: the verdict's, unless a fault could not be taken back.
pub(super) fn exit_code(facts: &Facts<'_>, verdict: Verdict) -> u8 {
    let stuck = facts.faults.values().any(|history| history.stuck.is_some());
    if stuck { CHAOS_LEFT } else { verdict.exit_code() }
}

/// Whether anything was to hold besides the harness's own checks.
fn asks(facts: &Facts<'_>) -> bool {
    facts.plan.checks.iter().any(|check| match check.subject {
        Subject::Slo { .. } | Subject::Expectation(_) | Subject::Capacity { .. } => true,
        Subject::Fault(_) | Subject::Generator => false,
    })
}

fn abort_reason(facts: &Facts<'_>) -> String {
    let reason = facts.record.events.iter().find_map(|line| match &line.event {
        Event::StopCondition { condition } => Some(format!("`{condition}` was met at {}", line.at)),
        Event::Interrupted => Some(format!("interrupted at {}", line.at)),
        _ => None,
    });
    reason.unwrap_or_else(|| "before its time".to_owned())
}

fn not_steady(facts: &Facts<'_>) -> String {
    let broken = facts.record.events.iter().find_map(|line| match &line.event {
        Event::SteadyState { holds: false, broken } => Some(broken.join("; ")),
        _ => None,
    });
    format!(
        "not steady, so nothing was broken: {}",
        broken.unwrap_or_else(|| "the baseline's SLOs".to_owned())
    )
}

/// Checks by what they judge: the mechanisms first, which say where to look;
/// then what users saw of it.
fn in_words(checks: &[&CheckVerdict]) -> String {
    let mut kinds: Vec<CheckKind> = checks.iter().map(|check| check.kind).collect();
    kinds.sort_by_key(|kind| (rank(*kind), *kind));
    kinds.dedup();
    let parts = kinds.into_iter().map(|kind| {
        let of_kind: Vec<&&CheckVerdict> = checks.iter().filter(|check| check.kind == kind).collect();
        let first = of_kind.first().map_or(String::new(), |check| format!("{}: {}", check.id, check.why));
        match of_kind.len() {
            0 | 1 => format!("{}: {first}", name(kind)),
            n => format!("{}: {first} (and {} more)", name(kind), n - 1),
        }
    });
    parts.collect::<Vec<_>>().join(" · ")
}

/// Order of naming: causes before consequences.
fn rank(kind: CheckKind) -> u8 {
    match kind {
        CheckKind::CircuitBreaker
        | CheckKind::Cache
        | CheckKind::Rollback
        | CheckKind::Fallback
        | CheckKind::Shedding
        | CheckKind::Retries
        | CheckKind::Pods
        | CheckKind::Alert
        | CheckKind::Probes
        | CheckKind::Autoscaling
        | CheckKind::Failover
        | CheckKind::Drift => 0,
        CheckKind::Fault => 1,
        CheckKind::Recovery => 2,
        CheckKind::Slo | CheckKind::Capacity | CheckKind::Metric => 3,
        CheckKind::Generator => 4,
    }
}

/// What a kind of check is called.
pub(super) fn name(kind: CheckKind) -> &'static str {
    match kind {
        CheckKind::Slo => "SLO",
        CheckKind::Fault => "fault",
        CheckKind::Generator => "load generator",
        CheckKind::CircuitBreaker => "circuit breaker",
        CheckKind::Cache => "cache",
        CheckKind::Rollback => "rollback",
        CheckKind::Fallback => "fallback",
        CheckKind::Shedding => "shedding",
        CheckKind::Retries => "retries",
        CheckKind::Pods => "pods",
        CheckKind::Recovery => "recovery",
        CheckKind::Alert => "alert",
        CheckKind::Probes => "probes",
        CheckKind::Autoscaling => "autoscaling",
        CheckKind::Failover => "failover",
        CheckKind::Drift => "drift",
        CheckKind::Metric => "metric",
        CheckKind::Capacity => "capacity",
    }
}
