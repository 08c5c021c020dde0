//! The first sign of a mechanism: TTD. It is the one that its judge sees, which
//! measures the same, whatever its limit.

use super::{Measured, cause::Clock, measured, mechanism::Mechanism, missing};
use crate::{
    journal::{
        Cell,
        event::Signal,
        interval::{CacheUse, Outcome},
    },
    scenario::{metric::MetricExpectation, serving::AutoscalingExpectation},
    units::{FaultId, RunTime, Seen, Span},
    verdict::{
        alert, autoscaling, breaker,
        facts::Facts,
        failover, fallback,
        finding::Finding,
        meant, metric,
        model::Absence,
        probes,
        rollback::Rollout,
        states,
        times::{first_end, within},
    },
};

/// No limit of a judge's matters to what it measures.
const ANY: Span = Span(std::time::Duration::ZERO);

impl Mechanism<'_> {
    /// How long after its cause it first showed itself.
    pub(super) fn noticed(self, facts: &Facts<'_>, clock: &Clock) -> Measured {
        let t0 = clock.t0;
        let first = |wanted: &dyn Fn(&Cell) -> bool| {
            let those = facts.cells_in(None).filter(|cell| wanted(cell));
            measured(Ok(shown(t0, first_end(those, t0.not_before), facts.end)))
        };
        let mute = |tells: &dyn Fn(&Cell) -> bool| !facts.cells_in(None).any(tells);
        match self {
            Self::Breaker(e) => measured(
                meant::only(facts, e)
                    .and_then(|only| breaker::opens(only.as_ref().unwrap_or(facts), e.after.as_ref(), ANY)),
            ),
            Self::Fallback(id) => measured(fallback::engages(facts, Some(id), ANY)),
            Self::Alert(e) => measured(alert::fires(facts, e, ANY)),
            Self::Autoscaling(e) => {
                let more = AutoscalingExpectation { to: None, ..e.clone() };
                measured(autoscaling::scales_out(facts, &more, ANY))
            }
            Self::Cache(_) if mute(&|cell| cell.key.served.cache != CacheUse::Unknown) => {
                missing(Absence::Unsignalled)
            }
            Self::Cache(_) => first(&|cell| {
                let answered = matches!(cell.key.outcome, Outcome::Ok | Outcome::Mismatch);
                answered && cell.key.served.cache == CacheUse::Hit
            }),
            Self::Shedding(phase) => first(&|cell| {
                let shed = cell.key.outcome == Outcome::Shed && !cell.key.served.breaker_open;
                shed && cell.key.phase.as_ref() == Some(phase)
            }),
            Self::Retries(_) if mute(&|cell| cell.attempts > 0) => missing(Absence::Unsignalled),
            Self::Retries(_) => first(&|cell| cell.attempts > cell.attempts_stated),
            Self::Failover(e) => match failover::Roles::of(facts, e) {
                Ok(roles) => first(&|cell| {
                    let served = &cell.key.served;
                    let stands_in = served.pod.as_ref().is_some_and(|pod| roles.stands_in(pod));
                    let mine = e.workload.as_ref().is_none_or(|of| *of == cell.key.workload);
                    cell.key.outcome == Outcome::Ok && served.is_own() && stands_in && mine
                }),
                Err(finding) => measured(Err(finding)),
            },
            Self::Rollback(id) => measured(rolls_back(facts, id, t0)),
            Self::Promotion(id) => measured(promotes(facts, id, t0)),
            Self::Probes(id) | Self::Pods(id) => match lists_pods(facts) {
                true => measured(Ok(shown(t0, lost(facts, id, t0), facts.end))),
                false => missing(Absence::Unsignalled),
            },
            Self::Metric(e) => measured(leaves(facts, e, t0)),
            Self::Recovery(_) => missing(Absence::Unsignalled),
        }
    }
}

/// From its cause to its first sign.
fn shown(t0: Seen, first: Option<Seen>, until: RunTime) -> Finding {
    within(t0, first, until, ANY, "it")
}

fn rolls_back(facts: &Facts<'_>, id: &FaultId, t0: Seen) -> Result<Finding, Finding> {
    let rollout = Rollout::of(facts, Some(id))?;
    if let Some(promoted) = rollout.promoted() {
        return Err(promoted);
    }
    Ok(shown(t0, rollout.began(), rollout.until))
}

fn promotes(facts: &Facts<'_>, id: &FaultId, t0: Seen) -> Result<Finding, Finding> {
    let rollout = Rollout::of(facts, Some(id))?;
    let seen = rollout.settled().or_else(|| rollout.promotion().map(|signal| signal.seen));
    Ok(shown(t0, seen, rollout.until))
}

fn lists_pods(facts: &Facts<'_>) -> bool {
    facts.signals.iter().any(|(_, signal)| matches!(signal, Signal::Pod { .. }))
}

/// When a pod was first listed as lost, of those that the act hit, if it names
/// any. It may be listed before the act is proven.
fn lost(facts: &Facts<'_>, id: &FaultId, t0: Seen) -> Option<Seen> {
    let history = facts.faults.get(id)?;
    let since = history.requested.unwrap_or(t0.not_before).min(t0.not_before);
    let losses = probes::losses(facts, since).into_iter();
    let mine = losses.filter(|loss| history.targets.is_empty() || history.targets.contains(loss.pod));
    mine.map(|loss| loss.lost).min_by_key(|lost| lost.by)
}

/// When a figure first did not hold any more.
fn leaves(facts: &Facts<'_>, e: &MetricExpectation, t0: Seen) -> Result<Finding, Finding> {
    let Some(must) = e.must else {
        return Err(Finding::inconclusive("nothing is demanded of the figure itself"));
    };
    let changes = metric::Watched::of(facts, e)?.changes(must);
    if states::at(&changes, t0.not_before) == Some(false) {
        let why = format!("it was not {must} already when the fault acted");
        return Err(Finding::inconclusive(why));
    }
    let left = changes.iter().find(|(seen, holds)| !holds && seen.by > t0.not_before);
    Ok(shown(t0, left.map(|(seen, _)| *seen), facts.end))
}
