//! What the live view knows: folded from the journal's events.

use indexmap::IndexMap;

use crate::{
    journal::{
        Event, Record,
        event::{BreakerState, FaultStep, RolloutPhase, Signal, StepChange},
    },
    plan::capacity::StepResult,
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
            | FaultStep::RecoveryFailed { .. } => {}
            FaultStep::Skipped { .. } | FaultStep::Recovered { .. } => {
                self.faults.shift_remove(id);
            }
        }
    }

    fn signal(&mut self, signal: &Signal) {
        match signal {
            Signal::Breaker { name, state } => {
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
            Signal::Sample { .. } | Signal::Note { .. } | Signal::Source { .. } => {}
        }
    }
}

/// An event in words, where people would want to read it as it happens.
pub(super) fn in_words(event: &Event) -> Option<String> {
    let text = match event {
        Event::PhaseStarted { phase } => format!("phase {phase}"),
        Event::SteadyState { holds: true, .. } => "steady: the baseline keeps its SLOs".to_owned(),
        Event::SteadyState { holds: false, broken } => format!("not steady: {}", broken.join("; ")),
        Event::Fault { id, step } => format!("{id}: {}", step_in_words(step)?),
        Event::Signal { signal, .. } => signal_in_words(signal)?,
        Event::Step { number, rate, change } => match change {
            StepChange::Started { due, .. } => format!("step {number}: {rate}, {due} requests judged"),
            StepChange::Judged { result: StepResult::Holds, .. } => format!("step {number}: {rate} holds"),
            StepChange::Judged { result: StepResult::Breaks, why } => {
                format!("step {number}: {rate} breaks: {why}")
            }
            StepChange::Judged { result: StepResult::Undecided, why } => {
                format!("step {number}: {rate} is undecided: {why}")
            }
            StepChange::Judged { result: StepResult::Invalid, why } => {
                format!("step {number}: {rate} does not count: {why}")
            }
        },
        Event::StopCondition { condition } => format!("stop condition met: {condition}"),
        Event::Interrupted => "interrupted: recovering (once more to leave at once)".to_owned(),
        Event::RunStarted { .. }
        | Event::PhaseEnded { .. }
        | Event::Exemplar(_)
        | Event::Dropped { .. }
        | Event::RunEnded { .. } => return None,
    };
    Some(text)
}

fn step_in_words(step: &FaultStep) -> Option<String> {
    Some(match step {
        FaultStep::Requested { targets } if targets.is_empty() => "requested".to_owned(),
        FaultStep::Requested { targets } => format!("requested on {}", names(targets)),
        FaultStep::Skipped { why } => format!("skipped: {why}"),
        FaultStep::Injected => return None,
        FaultStep::Proven { proof, .. } => {
            let first = proof.first().map_or(String::new(), |e| format!(" ({}: {})", e.source, e.what));
            format!("took effect{first}")
        }
        FaultStep::Unproven { why, .. } => format!("not proven: {why}"),
        FaultStep::Judged { by, why, .. } => format!("{by} says: {why}"),
        FaultStep::Recovered { .. } => "recovered".to_owned(),
        FaultStep::RecoveryFailed { why } => format!("NOT RECOVERED: {why}"),
    })
}

fn signal_in_words(signal: &Signal) -> Option<String> {
    Some(match signal {
        Signal::Breaker { name, state } => format!("breaker {name} is {}", breaker(*state)),
        Signal::Rollout { phase, stable, candidate, weight, reason } => {
            let candidate =
                candidate.as_ref().map_or(String::new(), |v| format!(", {v} at {:.0} %", weight * 100.0));
            let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            format!("rollout {}: stable {stable}{candidate}{reason}", rollout(*phase))
        }
        Signal::Source { source, up: false, why } => format!("{source} does not answer: {why}"),
        Signal::Source { source, up: true, .. } => format!("{source} answers"),
        Signal::PodGone { name } => format!("pod {name} is gone"),
        Signal::Pod { name, ready: true, .. } => format!("pod {name} is ready"),
        Signal::Pod { name, phase, ready: false, .. } => format!("pod {name} is not ready ({phase})"),
        Signal::Note { about, reason, text, warning: true } => format!("{about}: {reason}: {text}"),
        Signal::Note { .. } | Signal::Sample { .. } => return None,
    })
}

/// Names, comma-separated.
pub(super) fn names(pods: &[PodName]) -> String {
    pods.iter().map(PodName::as_str).collect::<Vec<_>>().join(", ")
}

/// A breaker's state in words.
pub(super) fn breaker(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half-open",
    }
}

/// A rollout's phase in words.
pub(super) fn rollout(phase: RolloutPhase) -> &'static str {
    match phase {
        RolloutPhase::Stable => "stable",
        RolloutPhase::Progressing => "progressing",
        RolloutPhase::RollingBack => "rolling back",
        RolloutPhase::RolledBack => "rolled back",
        RolloutPhase::Promoted => "promoted",
    }
}
