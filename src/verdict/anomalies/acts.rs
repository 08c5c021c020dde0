//! What the timeline's acts explain.

use super::{
    super::{
        facts::Facts,
        model::Circumstance,
        series::{PodStep, pod_steps},
    },
    LINGER,
};
use crate::{
    journal::{Distribution, event::RolloutPhase},
    plan::model::{PlannedAct, PlannedAction},
    units::{FaultId, RunTime},
};

/// The acts on the run's clock, in seconds.
pub(super) struct Acts<'a> {
    acts: Vec<Act<'a>>,
    /// How long before an act those requests were due that it still caught.
    reach: f64,
}

struct Act<'a> {
    id: &'a FaultId,
    from: f64,
    until: f64,
}

impl<'a> Acts<'a> {
    pub(super) fn of(facts: &Facts<'a>) -> Self {
        let pods = pod_steps(facts);
        let acts = facts.plan.timeline.iter().filter_map(|act| {
            let (from, until) = span(facts, &pods, act)?;
            Some(Act { id: &act.id, from: from.as_secs_f64(), until: until.max(from).as_secs_f64() })
        });
        let mut usual = Distribution::default();
        let first = facts.plan.phases.first().map(|phase| &phase.name);
        facts.cells_in(first).for_each(|cell| usual.merge(&cell.e2e));
        let reach = usual.quantile(0.99, 0).map_or(0.0, |micros| micros as f64 / 1e6);
        Self { acts: acts.collect(), reach: reach.min(LINGER) }
    }

    /// When the first of them began. None: none did.
    pub(super) fn first(&self) -> Option<f64> {
        self.acts.iter().map(|act| act.from - self.reach).min_by(f64::total_cmp)
    }

    /// Whether any acted.
    pub(super) fn acting(&self, start: f64, end: f64) -> bool {
        self.during(start, end).next().is_some()
    }

    /// Whether none acted, or had until shortly before.
    pub(super) fn is_calm(&self, start: f64, end: f64) -> bool {
        !self.acting(start - LINGER, end)
    }

    /// What was going on from `start` to `end`.
    pub(super) fn around(&self, start: f64, end: f64) -> Circumstance {
        let acts: Vec<FaultId> = self.during(start, end).map(|act| act.id.clone()).collect();
        if !acts.is_empty() {
            return Circumstance::During { acts };
        }
        let over = self.acts.iter().filter(|act| act.until <= start);
        match over.max_by(|a, b| a.until.total_cmp(&b.until)) {
            Some(act) => Circumstance::After { act: act.id.clone(), seconds: start - act.until },
            None => Circumstance::Quiet,
        }
    }

    fn during(&self, start: f64, end: f64) -> impl Iterator<Item = &Act<'a>> {
        let reach = self.reach;
        self.acts.iter().filter(move |act| act.from - reach < end && act.until > start)
    }
}

/// From when to when an act can explain anything: from when it was asked for
/// until it was seen to be gone, and what it broke to be whole. None: it was
/// never done.
fn span(facts: &Facts<'_>, pods: &[PodStep], act: &PlannedAct) -> Option<(RunTime, RunTime)> {
    let history = facts.faults.get(&act.id)?;
    if history.skipped.is_some() {
        return None;
    }
    let effect = history.effect.map(|seen| seen.by);
    let from = history.requested.or(history.injected).or(history.effect.map(|seen| seen.not_before))?;
    let acted = effect.or(history.injected).unwrap_or(from);
    let over = match &act.action {
        _ if history.stuck.is_some() => facts.end,
        PlannedAction::Deploy(_) => rolled_out(facts, acted).or(history.recovered).unwrap_or(facts.end),
        PlannedAction::Fault(_) | PlannedAction::Command(_) if act.until.is_some() => {
            history.recovered.unwrap_or(facts.end)
        }
        PlannedAction::Fault(_) | PlannedAction::Command(_) => acted,
    };
    Some((from, over.max(pods_back(facts, pods, from)).max(acted)))
}

/// When the rollout that was under way then had come to its end.
fn rolled_out(facts: &Facts<'_>, since: RunTime) -> Option<RunTime> {
    let over =
        |phase| matches!(phase, RolloutPhase::Stable | RolloutPhase::RolledBack | RolloutPhase::Promoted);
    facts.rollouts.iter().find(|seen| seen.seen.by > since && over(seen.phase)).map(|seen| seen.seen.by)
}

/// When there were as many ready pods again as at `from`, if they got fewer
/// before anything else was asked for.
fn pods_back(facts: &Facts<'_>, steps: &[PodStep], from: RunTime) -> RunTime {
    let start = from.as_secs_f64();
    let next = facts.faults.values().filter_map(|history| history.requested).filter(|at| *at > from).min();
    let until = next.unwrap_or(facts.end).as_secs_f64();
    let Some(before) = steps.iter().rev().find(|step| step.at <= start).map(|step| step.ready) else {
        return RunTime::ZERO;
    };
    let mut later = steps.iter().filter(|step| step.at > start);
    if !later.any(|step| step.ready < before && step.at < until) {
        return RunTime::ZERO;
    }
    let back = later.find(|step| step.ready >= before);
    back.map_or(facts.end, |step| RunTime((step.at * 1e6).round() as u64))
}
