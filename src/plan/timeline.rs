//! Acts on the clock: when each is due, when it is taken back, and what a
//! schedule comes to.

use std::time::Duration;

use super::{
    model::{PlannedAct, PlannedAction, PlannedPhase},
    resolve::PlanError,
};
use crate::{
    scenario::{
        Scenario,
        chaos::{Cadence, Chaos, ConcurrencyPolicy, Manifest, Schedule},
        cron::Cron,
        model::{Act, Action, Target},
    },
    units::{FaultId, RunTime, Span},
};

/// As often as this one entry may act in a run.
pub(super) const MOST: usize = 1000;

/// All acts, in order of time.
pub(super) fn timeline(
    scenario: &Scenario,
    phases: &[PlannedPhase],
    errors: &mut Vec<PlanError>,
) -> Vec<PlannedAct> {
    let end = phases.last().map_or(RunTime::ZERO, |phase| phase.end);
    // A manifest without a namespace acts where the service is.
    let home = match &scenario.target {
        Target::Kubernetes(target) => Some(target.namespace.as_str()),
        Target::Lab(_) | Target::Url(_) => None,
    };
    let mut planned = Vec::new();
    for act in &scenario.chaos {
        let Some(phase) = phases.iter().find(|phase| phase.name == act.at.phase) else {
            errors.push(PlanError::UnknownPhase(act.at.phase.clone()));
            continue;
        };
        let at = phase.start + act.at.offset.0;
        if at >= end {
            errors.push(PlanError::TooLate { act: act.id.clone(), at, end });
            continue;
        }
        match acts(act, home, at, end) {
            Ok(acts) => planned.extend(acts),
            Err(error) => errors.push(error),
        }
    }
    planned.sort_by_key(|act| act.at);
    planned
}

fn acts(act: &Act, home: Option<&str>, at: RunTime, end: RunTime) -> Result<Vec<PlannedAct>, PlanError> {
    let manifest = match &act.action {
        Action::Deploy(deploy) => {
            let action = PlannedAction::Deploy(deploy.clone());
            return Ok(vec![PlannedAct { id: act.id.clone(), at, until: None, action }]);
        }
        Action::Command(command) => {
            let action = PlannedAction::Command(command.clone());
            let until =
                command.undo.is_some().then(|| act.duration.map_or(end, |length| (at + length.0).min(end)));
            return Ok(vec![PlannedAct { id: act.id.clone(), at, until, action }]);
        }
        Action::Apply(applied) => {
            let home = applied.manifest.namespace.as_deref().or(home);
            &Manifest { namespace: home.map(str::to_owned), ..applied.manifest.clone() }
        }
    };
    let Chaos::Schedule(schedule) = &manifest.chaos else {
        return Ok(vec![fault(act.id.clone(), manifest.clone(), act.duration, at, end)]);
    };
    let times = occasions(schedule, act, at, end)?;
    if times.is_empty() {
        return Err(PlanError::NeverActs(act.id.clone()));
    }
    let each = times.into_iter().enumerate().map(|(n, at)| {
        let manifest = Manifest { chaos: schedule.template.clone(), ..manifest.clone() };
        fault(FaultId(format!("{}#{}", act.id, n + 1)), manifest, act.duration, at, end)
    });
    Ok(each.collect())
}

/// One fault. One that lasts without a duration lasts to the end.
fn fault(id: FaultId, manifest: Manifest, over: Option<Span>, at: RunTime, end: RunTime) -> PlannedAct {
    let until = until(&manifest.chaos, over, at, end);
    PlannedAct { id, at, until, action: PlannedAction::Fault(manifest) }
}

fn until(chaos: &Chaos, over: Option<Span>, at: RunTime, end: RunTime) -> Option<RunTime> {
    if chaos.is_one_shot() {
        return None;
    }
    Some(over.or(chaos.duration()).map_or(end, |length| (at + length.0).min(end)))
}

/// When a schedule acts: first after one interval, and, if it forbids it,
/// not while its last act still lasts.
fn occasions(schedule: &Schedule, act: &Act, at: RunTime, end: RunTime) -> Result<Vec<RunTime>, PlanError> {
    let due: Box<dyn Iterator<Item = RunTime>> = match &schedule.schedule {
        Cadence::Every(interval) if interval.0 > Duration::ZERO => {
            let interval = interval.0;
            Box::new(std::iter::successors(Some(at + interval), move |last| Some(*last + interval)))
        }
        Cadence::Every(_) => Box::new(std::iter::empty()),
        // The line was read before, so that it can be read again.
        Cadence::Cron(line) => match line.parse::<Cron>() {
            Ok(cron) => {
                let minutes = (1..24 * 60).filter(move |minute| cron.acts_at(*minute));
                Box::new(minutes.map(move |minute| at + Duration::from_secs(60 * u64::from(minute))))
            }
            Err(_) => Box::new(std::iter::empty()),
        },
    };
    let mut times: Vec<RunTime> = Vec::new();
    for time in due.take_while(|time| *time < end) {
        let active = times.last().and_then(|last| until(&schedule.template, act.duration, *last, end));
        if schedule.concurrency_policy == ConcurrencyPolicy::Forbid
            && active.is_some_and(|until| time < until)
        {
            continue;
        }
        times.push(time);
        if times.len() > MOST {
            return Err(PlanError::TooOften(act.id.clone()));
        }
    }
    Ok(times)
}
