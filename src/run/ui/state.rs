//! What the live view knows: folded from the journal's events.

use indexmap::IndexMap;

use crate::{
    journal::{
        Event, Record,
        event::{BreakerState, FaultStep, RolloutPhase, Signal},
    },
    units::{FaultId, PhaseName, PodName, RunTime, Version},
};

/// The present state of a run, as far as its events tell.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct State {
    /// The phase. None: preflight or warm-up.
    pub(super) phase: Option<PhaseName>,
    /// Acts that were requested and are not over.
    pub(super) faults: IndexMap<FaultId, ActiveFault>,
    /// Breakers by name.
    pub(super) breakers: IndexMap<String, BreakerState>,
    /// The rollout, once one was seen.
    pub(super) rollout: Option<Rollout>,
    /// Pods by name, with their readiness.
    pub(super) pods: IndexMap<PodName, bool>,
    /// Acts that happen at an instant: over once they were seen to act.
    one_shot: Vec<FaultId>,
}

/// A fault in place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ActiveFault {
    /// Where it acts.
    pub(super) targets: Vec<PodName>,
    /// Whether it was seen to act.
    pub(super) proven: bool,
    /// When it was requested.
    pub(super) since: RunTime,
}

/// A rollout.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rollout {
    pub(super) phase: RolloutPhase,
    pub(super) stable: Version,
    pub(super) candidate: Option<Version>,
    pub(super) weight: f64,
}

impl State {
    /// Nothing known yet, but which acts happen at an instant.
    pub(super) fn new(one_shot: Vec<FaultId>) -> Self {
        Self { one_shot, ..Self::default() }
    }

    /// Takes one more event.
    pub(super) fn take(&mut self, record: &Record) {
        match &record.event {
            Event::PhaseStarted { phase } => self.phase = Some(phase.clone()),
            Event::Fault { id, step } => self.fault(id, step, record.at),
            Event::Signal { signal, .. } => self.signal(signal),
            Event::RunStarted { .. }
            | Event::PhaseEnded { .. }
            | Event::SteadyState { .. }
            | Event::Exemplar(_)
            | Event::Step { .. }
            | Event::StopCondition { .. }
            | Event::Interrupted
            | Event::Dropped { .. }
            | Event::RunEnded { .. } => {}
        }
    }

    fn fault(&mut self, id: &FaultId, step: &FaultStep, at: RunTime) {
        match step {
            FaultStep::Requested { targets } => {
                let fault = ActiveFault { targets: targets.clone(), proven: false, since: at };
                self.faults.insert(id.clone(), fault);
            }
            FaultStep::Proven { .. } if self.one_shot.contains(id) => {
                self.faults.shift_remove(id);
            }
            FaultStep::Proven { .. } => {
                if let Some(fault) = self.faults.get_mut(id) {
                    fault.proven = true;
                }
            }
            FaultStep::Injected
            | FaultStep::Unproven { .. }
            | FaultStep::Judged { .. }
            | FaultStep::Withdrawing
            | FaultStep::RecoveryFailed { .. } => {}
            FaultStep::Skipped { .. } | FaultStep::Recovered { .. } => {
                self.faults.shift_remove(id);
            }
        }
    }

    fn signal(&mut self, signal: &Signal) {
        match signal {
            Signal::Breaker { name, state, .. } => {
                self.breakers.insert(name.clone(), *state);
            }
            Signal::Rollout { phase, stable, candidate, weight, .. } => {
                self.rollout = Some(Rollout {
                    phase: *phase,
                    stable: stable.clone(),
                    candidate: candidate.clone(),
                    weight: *weight,
                });
            }
            Signal::Pod { name, ready, .. } => {
                self.pods.insert(name.clone(), *ready);
            }
            Signal::PodGone { name } => {
                self.pods.shift_remove(name);
                self.breakers.shift_remove(name.as_str());
            }
            Signal::Sample { .. } | Signal::Alert { .. } | Signal::Note { .. } | Signal::Source { .. } => {}
        }
    }
}
