//! The resolved plan: everything that a run will do, decided before it
//! starts. Written to `plan.json`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    scenario::{
        chaos::Manifest,
        metric::MetricExpectation,
        model::{Capacity, Deploy, Executor, Expectation, Slo, StopCondition, Target, Unsteady, Workload},
        observe::Observed,
        outside::Command,
    },
    units::{CheckId, FaultId, PhaseName, PodName, RunTime, Span, WorkloadName},
};

/// A scenario, resolved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// The scenario's name.
    pub name: String,
    /// The scenario's description.
    pub description: Option<String>,
    /// The seed in force (the file's, or `--seed`).
    pub seed: u64,
    /// What is drilled.
    pub target: Target,
    /// The warm-up, from the clock's zero to the first phase's start.
    pub warm_up: Span,
    /// The phases, gapless, in order; never empty.
    pub phases: Vec<PlannedPhase>,
    /// The workloads.
    pub workloads: Vec<PlannedWorkload>,
    /// The load streams.
    pub load: Vec<PlannedLoad>,
    /// The timeline, in order of time. A `Schedule` is already unrolled.
    pub timeline: Vec<PlannedAct>,
    /// Sources of signals beside those that the target brings with it.
    #[serde(default)]
    pub observe: Vec<Observed>,
    /// When to stop.
    pub stop_when: Vec<StopCondition>,
    /// What to do when the first phase breaks its SLOs.
    pub unless_steady: Unsteady,
    /// What is judged, in the order of the report.
    pub checks: Vec<Check>,
}

impl Plan {
    /// The capacity search, if the load is one.
    pub fn search(&self) -> Option<(&PlannedLoad, &Capacity)> {
        self.load.iter().find_map(|load| match &load.executor {
            Executor::Capacity(search) => Some((load, search)),
            Executor::Arrivals(_) | Executor::Closed(_) => None,
        })
    }

    /// The names of the alerts that are judged, each once.
    pub fn alerts(&self) -> Vec<String> {
        let named = self.checks.iter().filter_map(|check| match &check.subject {
            Subject::Expectation(Expectation::Alert(e)) => Some(e.name.clone()),
            _ => None,
        });
        let mut names: Vec<String> = named.collect();
        names.sort();
        names.dedup();
        names
    }

    /// The demands on figures.
    pub fn metrics(&self) -> Vec<&MetricExpectation> {
        let demands = self.checks.iter().filter_map(|check| match &check.subject {
            Subject::Expectation(Expectation::Metric(e)) => Some(e),
            _ => None,
        });
        demands.collect()
    }

    /// When the last phase ends.
    pub fn end(&self) -> RunTime {
        self.phases.last().map_or(RunTime::ZERO, |phase| phase.end)
    }
}

/// A phase on the run's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedPhase {
    /// Its name.
    pub name: PhaseName,
    /// When it starts.
    pub start: RunTime,
    /// When it ends. A closed load with a number of requests may end the last
    /// phase earlier; then the journal says when.
    pub end: RunTime,
    /// Limits of a good request whose scheduled time is in this phase.
    pub good: GoodLimits,
}

/// Limits that a single request must keep to count as good, beside being
/// `ok`. They are the limits of the latency SLOs that apply to the phase, or
/// else of those of the first phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GoodLimits {
    /// On the scheduled TTFT.
    pub ttft: Option<Span>,
    /// On the TPOT.
    pub tpot: Option<Span>,
    /// On the scheduled E2E latency.
    pub e2e: Option<Span>,
}

/// A workload by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedWorkload {
    /// Its name.
    pub name: WorkloadName,
    /// What it is.
    pub workload: Workload,
}

/// A load stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedLoad {
    /// Its name; also names its streams of randomness.
    pub name: String,
    /// What it sends.
    pub workload: WorkloadName,
    /// When it starts.
    pub start: RunTime,
    /// Nothing of it is due from here on.
    pub end: RunTime,
    /// Requests that can be under way at once.
    pub users: u32,
    /// When it sends, in the clock of its start.
    pub executor: Executor,
    /// Arrivals that are planned, for an open loop (an expectation for
    /// display; the schedule itself is drawn from the seed).
    pub planned_arrivals: Option<u64>,
}

/// One act on the timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PlannedAct {
    /// Its id; those of a schedule end in `#1`, `#2`…
    pub id: FaultId,
    /// When it is due.
    pub at: RunTime,
    /// When it is to be recovered. None: one-shot.
    pub until: Option<RunTime>,
    /// What it does.
    pub action: PlannedAction,
}

/// What an act does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PlannedAction {
    /// Injects a fault. The manifest is never a `Schedule`.
    Fault(Manifest),
    /// Rolls out a version.
    Deploy(Deploy),
    /// Breaks something by a program.
    Command(Command),
}

/// Something that will be judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// Unique, stable: `slo.ttft.baseline`, `circuit-breaker.slow.opens-within`.
    pub id: CheckId,
    /// What is judged.
    pub subject: Subject,
}

/// What a check judges.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// An SLO in one phase.
    Slo {
        /// The objective, as the scenario has it.
        slo: Slo,
        /// The phase, always resolved.
        phase: PhaseName,
    },
    /// An expectation, with exactly one of its demands set: an expectation
    /// with three demands becomes three checks. `after` is always resolved
    /// where a demand needs it.
    Expectation(Expectation),
    /// The fault must have been proven. One for each act of the timeline.
    Fault(FaultId),
    /// The generator must have kept up.
    Generator,
    /// The highest rate at which the SLOs hold must be found.
    Capacity {
        /// The load stream that searches.
        load: String,
        /// What each step is judged by.
        slos: Vec<Slo>,
    },
}

/// A pod as a target sees it, to select from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pod {
    /// Its name.
    pub name: PodName,
    /// Its namespace.
    pub namespace: String,
    /// Its labels.
    pub labels: indexmap::IndexMap<String, String>,
    /// Its annotations.
    pub annotations: indexmap::IndexMap<String, String>,
    /// The node it is on.
    pub node: String,
    /// `Pending`, `Running`, `Failed`…
    pub phase: String,
    /// Whether it says that it is ready.
    pub ready: bool,
    /// Its UID, where the target has such: another pod may get its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// What keeps it there: `Deployment/llm`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Labels of its node, as far as they are known.
    #[serde(default, skip_serializing_if = "indexmap::IndexMap::is_empty")]
    pub node_labels: indexmap::IndexMap<String, String>,
}

impl Pod {
    /// A pod that runs and is ready, on no node that is known.
    pub fn running(namespace: &str, name: PodName, labels: indexmap::IndexMap<String, String>) -> Self {
        Self {
            name,
            namespace: namespace.to_owned(),
            labels,
            annotations: indexmap::IndexMap::new(),
            node: String::new(),
            phase: "Running".to_owned(),
            ready: true,
            uid: None,
            owner: None,
            node_labels: indexmap::IndexMap::new(),
        }
    }
}
