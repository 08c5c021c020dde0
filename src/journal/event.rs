//! What happened in a run, in order (`events.jsonl`).

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::interval::Outcome;
pub use crate::scenario::breaker::BreakerKind;
use crate::{
    plan::capacity::StepResult,
    units::{FaultId, PhaseName, PodName, Rate, RolloutName, RunTime, Seen, Version, WorkloadName},
};

/// The journal's format version.
pub const FORMAT: u32 = 1;

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// When it was written.
    pub at: RunTime,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// Everything that can happen. Closed: whoever reads it matches on all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The clock was started.
    RunStarted {
        /// [`FORMAT`].
        format: u32,
        /// The run's id, the name of its folder.
        run: String,
        /// The wall clock at the run's zero, RFC 3339 UTC.
        wall_clock: String,
    },
    /// A phase started.
    PhaseStarted {
        /// Which.
        phase: PhaseName,
    },
    /// A phase ended (its scheduled requests may still be open).
    PhaseEnded {
        /// Which.
        phase: PhaseName,
    },
    /// The first phase's SLOs were looked at before anything was broken.
    SteadyState {
        /// Whether they held.
        holds: bool,
        /// Those that did not, in words.
        broken: Vec<String>,
    },
    /// A step in the life of a fault or a rollout.
    Fault {
        /// Which.
        id: FaultId,
        /// The step.
        #[serde(flatten)]
        step: FaultStep,
    },
    /// Something was noticed about the target.
    Signal {
        /// When: the sampling interval.
        seen: Seen,
        /// What.
        #[serde(flatten)]
        signal: Signal,
    },
    /// A request that did not end `ok`, as an example (the first few of each
    /// class in each phase).
    Exemplar(Exemplar),
    /// A step of a capacity search began or was judged.
    Step {
        /// Its number, from 1.
        number: u32,
        /// Its rate.
        rate: Rate,
        /// What happened.
        #[serde(flatten)]
        change: StepChange,
    },
    /// A stop condition was met.
    StopCondition {
        /// In words, as the scenario has it.
        condition: String,
    },
    /// A person asked for the end.
    Interrupted,
    /// Records that could not be written in time.
    Dropped {
        /// How many.
        records: u64,
    },
    /// The run is over; nothing follows.
    RunEnded {
        /// How.
        end: RunEnd,
    },
}

/// What happens to a step of a capacity search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum StepChange {
    /// Its requests are set.
    Started {
        /// What is due from here on is judged (a whole second).
        judged_from: RunTime,
        /// What is due from here on is not (a whole second).
        judged_until: RunTime,
        /// Requests that are due between the two.
        due: u64,
    },
    /// All of them have ended, and it was judged.
    Judged {
        /// How it came out; of a repeated step, both together.
        result: StepResult,
        /// Why, in words.
        why: String,
    },
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunEnd {
    /// All phases were run.
    Completed,
    /// The baseline was not steady: nothing was injected.
    NotSteady,
    /// A stop condition or a person ended it, and the faults are recovered.
    Aborted,
    /// The target went away as a whole, or the harness failed.
    Broken {
        /// What happened.
        why: String,
    },
}

/// A step in the life of a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum FaultStep {
    /// Its time has come; these are its targets.
    Requested {
        /// The pods it will hit.
        targets: Vec<PodName>,
    },
    /// It was not injected.
    Skipped {
        /// Why.
        why: String,
    },
    /// The driver says that it is in place.
    Injected,
    /// It was seen to act.
    Proven {
        /// The instant (interval) at which its effect was first seen.
        effect: Seen,
        /// On what that stands.
        proof: Vec<Evidence>,
    },
    /// Its time is over and it was never seen to act.
    Unproven {
        /// What was looked for and not found.
        why: String,
        /// On what that stands.
        proof: Vec<Evidence>,
    },
    /// The tool that did it gave its own verdict.
    Judged {
        /// Who: `LitmusChaos`.
        by: String,
        /// What.
        verdict: ToolVerdict,
        /// What it says, in words.
        why: String,
    },
    /// The run is about to take back what it deployed: what happens to that
    /// from now on is not the service's own doing.
    Withdrawing,
    /// It is gone, and was seen to be gone.
    Recovered {
        /// On what that stands.
        proof: Vec<Evidence>,
    },
    /// It could not be taken back.
    RecoveryFailed {
        /// Why, and what to do by hand.
        why: String,
    },
}

/// What a chaos tool says of the fault that it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ToolVerdict {
    /// It and its probes are content.
    Pass,
    /// They are not.
    Fail,
    /// It came to none.
    Unknown,
}

/// A figure that a verdict or a proof stands on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Who said it: `proxy link replica-1`, `kill(2)`, `gateway /metrics`,
    /// `wire`.
    pub source: String,
    /// What, in words with the figures.
    pub what: String,
}

/// `proxy link replica-1: taken off`
impl std::fmt::Display for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.source, self.what)
    }
}

/// The reason of a note that a source has no rule for an alert, whose name is the
/// text: its silence says nothing.
pub const NO_RULE: &str = "NoSuchRule";

/// What observers notice, in the terms of the mechanisms.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "signal", rename_all = "kebab-case")]
pub enum Signal {
    /// A breaker changed its state (or was first seen).
    Breaker {
        /// Its name: in the lab, the pod that it guards.
        name: String,
        /// The state it is in now.
        state: BreakerState,
        /// What it is. None in journals that did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        kind: Option<BreakerKind>,
    },
    /// A rollout changed (or was first seen).
    Rollout {
        /// What it is of. None in the lab, and in journals that did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<RolloutName>,
        /// Its phase.
        phase: RolloutPhase,
        /// The version that is stable now.
        stable: Version,
        /// The version under trial.
        candidate: Option<Version>,
        /// Share of the traffic for the candidate, 0–1.
        weight: f64,
        /// Why, in the system's own words.
        reason: String,
    },
    /// A pod changed (or was first seen).
    Pod {
        /// Its name.
        name: PodName,
        /// Its phase.
        phase: String,
        /// Whether it says that it is ready.
        ready: bool,
        /// The version it serves.
        version: Option<Version>,
        /// How often its container was started again.
        restarts: u32,
    },
    /// A pod is no longer listed.
    PodGone {
        /// Its name.
        name: PodName,
    },
    /// An alert fires, or does not (any more).
    Alert {
        /// Who says so.
        source: String,
        /// Its name.
        name: String,
        /// Whether it fires.
        firing: bool,
    },
    /// A sample of counters and gauges.
    Sample {
        /// Where from: `gateway`, `replica-0`.
        source: String,
        /// Name with labels, as in Prometheus → value.
        values: IndexMap<String, f64>,
    },
    /// A cluster noted something of one of its objects (an Event), or a source
    /// shows that its system was restarted.
    Note {
        /// Of which: `pod llm-1`, a source's name.
        about: String,
        /// In one word: `Unhealthy`, `BackOff`, `FailedScheduling`, `Restarted`.
        reason: String,
        /// In its words.
        text: String,
        /// Whether it is a warning.
        warning: bool,
    },
    /// A source stopped answering, or answers again.
    Source {
        /// Which.
        source: String,
        /// Whether it answers.
        up: bool,
        /// Its error, if not.
        why: String,
    },
}

/// States of a circuit breaker: closed admits, open rejects, half-open probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum BreakerState {
    /// Admits.
    Closed,
    /// Rejects.
    Open,
    /// Probes.
    HalfOpen,
}

/// Phases of a rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RolloutPhase {
    /// Nothing is being rolled out.
    Stable,
    /// A candidate gets traffic.
    Progressing,
    /// The candidate failed; traffic goes back.
    RollingBack,
    /// It is back at the stable version.
    RolledBack,
    /// The candidate became the stable version.
    Promoted,
}

/// A request that did not end `ok`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exemplar {
    /// Its workload.
    pub workload: WorkloadName,
    /// The phase in which it was due. None: warm-up.
    pub phase: Option<PhaseName>,
    /// When it was due.
    pub scheduled: RunTime,
    /// When it ended.
    pub ended: RunTime,
    /// How.
    pub outcome: Outcome,
    /// HTTP status, if there was one.
    pub status: Option<u16>,
    /// The pod that answered, if it said so.
    pub pod: Option<PodName>,
    /// The version that answered, if it said so.
    pub version: Option<Version>,
    /// What was wrong, in words.
    pub detail: String,
}
