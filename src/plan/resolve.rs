//! A scenario becomes a plan: everything on one clock, decided.

use std::time::Duration;

use super::{
    arrivals::expected,
    capacity,
    checks::checks,
    model::{GoodLimits, Plan, PlannedLoad, PlannedPhase, PlannedWorkload},
    timeline::timeline,
    users::users,
};
use crate::{
    scenario::{
        self, Scenario,
        model::{Executor, Load, Objective, Slo},
    },
    units::{FaultId, LatencyThreshold, PhaseName, RunTime, Span, WorkloadName},
};

/// A run that lasts longer is a mistake.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);
/// Name of the phase of a capacity search.
const SEARCH: &str = "search";
/// How long a run without phases may take whose load is a number of requests.
const BOUND: Duration = Duration::from_secs(600);

/// What can't be planned, though it can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Neither phases nor the load say when it ends.
    #[error("nothing says when this run ends: add `phases:`")]
    Endless,
    /// More than a week.
    #[error("this run would last {0}, more than a week")]
    TooLong(Span),
    /// A phase that isn't there.
    #[error("there is no phase `{0}`")]
    UnknownPhase(PhaseName),
    /// A workload that isn't there.
    #[error("there is no workload `{0}`")]
    UnknownWorkload(WorkloadName),
    /// An entry of `chaos:` that isn't there.
    #[error("there is no entry `{0}` in `chaos:`")]
    UnknownAct(FaultId),
    /// An act whose time lies behind the end.
    #[error("`{act}` is due at {at} of the run, which ends at {end}")]
    TooLate {
        /// Which.
        act: FaultId,
        /// When it is due.
        at: RunTime,
        /// When the run ends.
        end: RunTime,
    },
    /// A schedule that has no occasion.
    #[error("the schedule of `{0}` never acts before the run ends")]
    NeverActs(FaultId),
    /// A schedule with too many.
    #[error("the schedule of `{0}` acts more than {max} times", max = super::timeline::MOST)]
    TooOften(FaultId),
    /// An expectation that reacts to nothing.
    #[error("`{0}` has nothing to react to in `chaos:`")]
    NothingToReactTo(&'static str),
    /// An expectation that may mean several acts.
    #[error("`{expectation}` needs an `after:`, since it may mean any of {acts}")]
    Ambiguous {
        /// Which expectation.
        expectation: &'static str,
        /// What it may mean.
        acts: String,
    },
}

/// Resolves a scenario, with `seed` in force.
///
/// # Errors
/// All that can't be planned.
pub fn resolve(scenario: &Scenario, seed: u64) -> Result<Plan, Vec<PlanError>> {
    let mut errors = Vec::new();
    let phases = phases(scenario).map_err(|error| vec![error])?;
    let (start, end) = (phases[0].start, phases[phases.len() - 1].end);
    for slo in &scenario.slos {
        let known = |name: &PhaseName| phases.iter().any(|phase| &phase.name == name);
        errors.extend(slo.phase.iter().filter(|name| !known(name)).cloned().map(PlanError::UnknownPhase));
    }
    for load in &scenario.load {
        if !scenario.workloads.contains_key(&load.workload) {
            errors.push(PlanError::UnknownWorkload(load.workload.clone()));
        }
    }
    let timeline = timeline(scenario, &phases, &mut errors);
    let checks = checks(scenario, &phases, &timeline, &mut errors);
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Plan {
        name: scenario.name.clone(),
        description: scenario.description.clone(),
        seed,
        target: scenario.target.clone(),
        warm_up: scenario.warm_up.unwrap_or_default(),
        phases,
        workloads: scenario
            .workloads
            .iter()
            .map(|(name, workload)| PlannedWorkload { name: name.clone(), workload: workload.clone() })
            .collect(),
        load: scenario.load.iter().map(|load| planned(scenario, load, start, end)).collect(),
        timeline,
        observe: scenario.observe.clone(),
        stop_when: scenario.stop_when.clone(),
        unless_steady: scenario.unless_steady,
        checks,
    })
}

/// The phases on the clock. Never empty.
fn phases(scenario: &Scenario) -> Result<Vec<PlannedPhase>, PlanError> {
    let lengths: Vec<(PhaseName, Span)> = if let Some(longest) = longest_search(scenario) {
        vec![(PhaseName::from(SEARCH), longest)]
    } else if scenario.phases.is_empty() {
        vec![(PhaseName::from(scenario::ONLY_PHASE), only_phase(&scenario.load)?)]
    } else {
        scenario.phases.iter().map(|(name, length)| (name.clone(), *length)).collect()
    };
    let warm_up = scenario.warm_up.unwrap_or_default();
    let total = lengths.iter().fold(warm_up.0, |sum, (_, length)| sum.saturating_add(length.0));
    if total > LONGEST {
        return Err(PlanError::TooLong(Span(total)));
    }
    let first = good_limits(&scenario.slos, &lengths[0].0);
    let mut start = RunTime::after(warm_up.0);
    Ok(lengths
        .into_iter()
        .map(|(name, length)| {
            let own = good_limits(&scenario.slos, &name);
            let good = GoodLimits {
                ttft: own.ttft.or(first.ttft),
                tpot: own.tpot.or(first.tpot),
                e2e: own.e2e.or(first.e2e),
            };
            let phase = PlannedPhase { name, start, end: start + length.0, good };
            start = phase.end;
            phase
        })
        .collect())
}

/// How long the scenario's capacity search takes at most, if it is one.
fn longest_search(scenario: &Scenario) -> Option<Span> {
    scenario.load.iter().find_map(|load| match &load.executor {
        Executor::Capacity(search) => Some(Span(capacity::longest(search, longest(scenario, load)))),
        Executor::Arrivals(_) | Executor::Closed(_) => None,
    })
}

/// The length of the only phase: as long as the load.
fn only_phase(load: &[Load]) -> Result<Span, PlanError> {
    let counted =
        load.iter().any(|load| matches!(&load.executor, Executor::Closed(c) if c.requests.is_some()));
    let longest = load.iter().filter_map(scenario::load_length).map(|length| length.0).max();
    match longest {
        Some(length) if counted => Ok(Span(length.max(BOUND))),
        Some(length) if length > Duration::ZERO => Ok(Span(length)),
        Some(_) | None => Err(PlanError::Endless),
    }
}

/// The limits that the latency SLOs of a phase set for each single request:
/// those of the highest quantile, and of the same quantile the tightest.
fn good_limits(slos: &[Slo], phase: &PhaseName) -> GoodLimits {
    let limit = |of: fn(&Objective) -> Option<&LatencyThreshold>| {
        let mine = slos.iter().filter(|slo| slo.phase.as_ref().is_none_or(|name| name == phase));
        mine.filter_map(|slo| of(&slo.objective))
            .filter(|threshold| threshold.op.is_ceiling())
            .max_by(|a, b| (a.quantile.0).total_cmp(&b.quantile.0).then(b.limit.cmp(&a.limit)))
            .map(|threshold| threshold.limit)
    };
    GoodLimits {
        ttft: limit(|objective| match objective {
            Objective::Ttft(threshold) => Some(threshold),
            _ => None,
        }),
        tpot: limit(|objective| match objective {
            Objective::Tpot(threshold) => Some(threshold),
            _ => None,
        }),
        e2e: limit(|objective| match objective {
            Objective::E2e(threshold) => Some(threshold),
            _ => None,
        }),
    }
}

/// How long an arrival can keep its user at worst: until its timeout, or, as
/// a session or an episode, until each turn's and all the thinking between
/// them.
fn longest(scenario: &Scenario, load: &Load) -> Span {
    let Some(workload) = scenario.workloads.get(&load.workload) else { return Span::default() };
    let (turns, think) = workload.turns();
    Span(workload.timeout.0.saturating_mul(turns).saturating_add(think.0.saturating_mul(turns - 1)))
}

fn planned(scenario: &Scenario, load: &Load, first: RunTime, last: RunTime) -> PlannedLoad {
    let start = (first + load.start.0).min(last);
    let end = load.lasting.map_or(last, |lasting| (start + lasting.0).min(last));
    let planned_arrivals = match &load.executor {
        Executor::Arrivals(kind) => Some(expected(kind, Span(end.since(start))).round() as u64),
        Executor::Closed(_) | Executor::Capacity(_) => None,
    };
    PlannedLoad {
        name: load.name.clone(),
        workload: load.workload.clone(),
        start,
        end,
        users: users(load, longest(scenario, load)),
        executor: load.executor.clone(),
        planned_arrivals,
    }
}
