//! The record, indexed once for all judges.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::meant::Rejecting;
use crate::{
    journal::{
        Cell, Event, RunRecord,
        event::{BreakerState, Evidence, FaultStep, RolloutPhase, RunEnd, Signal, ToolVerdict},
    },
    plan::{
        Plan,
        model::{PlannedAct, PlannedAction},
    },
    units::{FaultId, PhaseName, PodName, RolloutName, RunTime, Seen, Version},
};

/// What is known about a run, by subject.
#[derive(Clone)]
pub(super) struct Facts<'a> {
    pub(super) plan: &'a Plan,
    pub(super) record: &'a RunRecord,
    /// When the run ended, or the record stops.
    pub(super) end: RunTime,
    pub(super) run_end: Option<&'a RunEnd>,
    pub(super) faults: IndexMap<&'a FaultId, FaultHistory<'a>>,
    /// All signals in the order in which they were seen.
    pub(super) signals: Vec<(Seen, &'a Signal)>,
    /// Changes of state by breaker, in order.
    pub(super) breakers: IndexMap<&'a str, Vec<(Seen, BreakerState)>>,
    /// Whose rejections on the wire count.
    pub(super) rejecting: Rejecting,
    /// Changes of the rollout, in order.
    pub(super) rollouts: Vec<RolloutSeen<'a>>,
    /// Whether alerts fire, by their names and who says so.
    pub(super) alerts: BTreeMap<(&'a str, &'a str), Vec<(Seen, bool)>>,
    /// Samples by source, in order.
    pub(super) samples: IndexMap<&'a str, Vec<Sample<'a>>>,
    /// Records that could not be written.
    pub(super) dropped: u64,
}

/// Counters and gauges as they were at one instant.
pub(super) type Sample<'a> = (Seen, &'a IndexMap<String, f64>);

/// The life of a fault or a rollout, as journalled.
#[derive(Debug, Clone, Default)]
pub(super) struct FaultHistory<'a> {
    pub(super) requested: Option<RunTime>,
    pub(super) targets: &'a [PodName],
    pub(super) skipped: Option<&'a str>,
    pub(super) injected: Option<RunTime>,
    /// When its effect was first seen, if it was proven.
    pub(super) effect: Option<Seen>,
    pub(super) proof: &'a [Evidence],
    pub(super) unproven: Option<&'a str>,
    /// When the run began to take back what it had deployed.
    pub(super) withdrawing: Option<RunTime>,
    pub(super) recovered: Option<RunTime>,
    /// Why it could not be taken back, if that is the last word.
    pub(super) stuck: Option<&'a str>,
    /// What the tool that did it says of it: who, what, in which words.
    pub(super) judged: Option<(&'a str, ToolVerdict, &'a str)>,
}

impl FaultHistory<'_> {
    /// How far it came, in one word.
    pub(super) fn state(&self) -> &'static str {
        if self.stuck.is_some() {
            "recovery-failed"
        } else if self.effect.is_some() {
            "proven"
        } else if self.unproven.is_some() {
            "unproven"
        } else if self.skipped.is_some() {
            "skipped"
        } else if self.injected.is_some() {
            "injected"
        } else if self.requested.is_some() {
            "requested"
        } else {
            "not-requested"
        }
    }
}

/// A rollout as it was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct RolloutSeen<'a> {
    pub(super) seen: Seen,
    pub(super) of: Option<&'a RolloutName>,
    pub(super) phase: RolloutPhase,
    pub(super) stable: &'a Version,
    pub(super) candidate: Option<&'a Version>,
    pub(super) weight: f64,
    pub(super) reason: &'a str,
}

impl<'a> Facts<'a> {
    /// Indexes a record.
    pub(super) fn new(plan: &'a Plan, record: &'a RunRecord) -> Self {
        let mut facts = Self {
            plan,
            record,
            end: record.end(),
            run_end: record.run_end(),
            faults: IndexMap::new(),
            signals: Vec::new(),
            breakers: IndexMap::new(),
            rejecting: Rejecting::Any,
            rollouts: Vec::new(),
            samples: IndexMap::new(),
            alerts: BTreeMap::new(),
            dropped: 0,
        };
        for line in &record.events {
            match &line.event {
                Event::Fault { id, step } => facts.faults.entry(id).or_default().add(line.at, step),
                Event::Signal { seen, signal } => facts.signals.push((seen.in_order(), signal)),
                Event::Dropped { records } => facts.dropped = facts.dropped.saturating_add(*records),
                Event::RunStarted { .. }
                | Event::PhaseStarted { .. }
                | Event::PhaseEnded { .. }
                | Event::SteadyState { .. }
                | Event::Exemplar(_)
                | Event::Step { .. }
                | Event::StopCondition { .. }
                | Event::Interrupted
                | Event::RunEnded { .. } => {}
            }
        }
        // Sources are polled on their own: the journal's order is not theirs.
        facts.signals.sort_by_key(|(seen, _)| seen.by);
        facts.index_signals();
        facts
    }

    fn index_signals(&mut self) {
        for &(seen, signal) in &self.signals {
            match signal {
                Signal::Breaker { name, state, .. } => {
                    self.breakers.entry(name).or_default().push((seen, *state));
                }
                Signal::Rollout { of, phase, stable, candidate, weight, reason } => {
                    self.rollouts.push(RolloutSeen {
                        seen,
                        of: of.as_ref(),
                        phase: *phase,
                        stable,
                        candidate: candidate.as_ref(),
                        weight: *weight,
                        reason,
                    });
                }
                Signal::Alert { source, name, firing } => {
                    self.alerts.entry((name, source)).or_default().push((seen, *firing));
                }
                Signal::Sample { source, values } => {
                    self.samples.entry(source).or_default().push((seen, values));
                }
                Signal::Pod { .. } | Signal::PodGone { .. } | Signal::Note { .. } | Signal::Source { .. } => {
                }
            }
        }
    }

    /// When a phase was run: None where it was not reached.
    pub(super) fn phase(&self, name: &PhaseName) -> Option<(RunTime, RunTime)> {
        let phase = self.plan.phases.iter().find(|phase| &phase.name == name)?;
        let ended = self.record.events.iter().find_map(|line| match &line.event {
            Event::PhaseEnded { phase } if phase == name => Some(line.at),
            _ => None,
        });
        let end = ended.unwrap_or(phase.end).min(phase.end).min(self.end);
        (phase.start < end).then_some((phase.start, end))
    }

    /// The judged part of the run: from the first phase's start to the last
    /// one's end.
    pub(super) fn judged(&self) -> (RunTime, RunTime) {
        let start = self.plan.phases.first().map_or(RunTime::ZERO, |phase| phase.start);
        let last = self.plan.phases.iter().rev().find_map(|phase| self.phase(&phase.name));
        (start, last.map_or(start, |(_, end)| end))
    }

    /// Cells of requests that were due in this phase, or (None) in any.
    pub(super) fn cells_in<'p>(
        &self,
        phase: Option<&'p PhaseName>,
    ) -> impl Iterator<Item = &'a Cell> + use<'a, 'p> {
        self.record.cells().filter(move |cell| match phase {
            Some(_) => cell.key.phase.as_ref() == phase,
            None => cell.key.phase.is_some(),
        })
    }

    /// The act with this id.
    pub(super) fn act(&self, id: &FaultId) -> Option<&'a PlannedAct> {
        self.plan.timeline.iter().find(|act| &act.id == id)
    }

    /// When a pod was no longer listed, if it never came back.
    pub(super) fn gone(&self, name: &str) -> Option<Seen> {
        self.signals.iter().rev().find_map(|(seen, signal)| match signal {
            Signal::PodGone { name: gone } if gone.as_str() == name => Some(Some(*seen)),
            Signal::Pod { name: listed, .. } if listed.as_str() == name => Some(None),
            _ => None,
        })?
    }
}

impl<'a> FaultHistory<'a> {
    fn add(&mut self, at: RunTime, step: &'a FaultStep) {
        match step {
            FaultStep::Requested { targets } => {
                self.requested.get_or_insert(at);
                self.targets = targets;
            }
            FaultStep::Skipped { why } => self.skipped = Some(why),
            FaultStep::Injected => drop(self.injected.get_or_insert(at)),
            FaultStep::Proven { effect, proof } if self.effect.is_none() => {
                self.effect = Some(*effect);
                self.proof = proof;
            }
            FaultStep::Proven { .. } => {}
            FaultStep::Unproven { why, proof } => {
                self.unproven = Some(why);
                if self.effect.is_none() {
                    self.proof = proof;
                }
            }
            FaultStep::Withdrawing => drop(self.withdrawing.get_or_insert(at)),
            FaultStep::Recovered { .. } => {
                self.recovered = Some(at);
                self.stuck = None;
            }
            FaultStep::Judged { by, verdict, why } => self.judged = Some((by, *verdict, why)),
            FaultStep::RecoveryFailed { why } => self.stuck = Some(why),
        }
    }
}

/// An act in a few words: `PodChaos/pod-kill`, `deploy v2`.
pub(super) fn describe(action: &PlannedAction) -> String {
    match action {
        PlannedAction::Fault(manifest) => format!("{}/{}", manifest.chaos.kind(), manifest.chaos.action()),
        PlannedAction::Deploy(deploy) => format!("deploy {}", deploy.version),
        PlannedAction::Command(command) => format!("command/{}", command.run.name()),
    }
}
