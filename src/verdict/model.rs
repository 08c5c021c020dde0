//! `verdict.json`: stable and documented. Times on the run's clock are
//! seconds, latencies milliseconds.

mod reaction;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    journal::{event::Evidence, interval::Outcome},
    plan::capacity::StepResult,
    units::{CheckId, FaultId, PhaseName, PodName},
};

pub use self::reaction::{Absence, Cause, ReactionFigures, Timing};

/// The format's version.
pub const FORMAT: u32 = 1;

/// What came out of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunVerdict {
    /// [`FORMAT`].
    pub version: u32,
    /// The run's id.
    pub run: String,
    /// The scenario's name.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// The run's verdict.
    pub verdict: Verdict,
    /// The exit code that goes with it.
    pub exit_code: u8,
    /// Why, in one sentence.
    pub why: String,
    /// Every check.
    pub checks: Vec<CheckVerdict>,
    /// Requests by class, of all judged phases.
    pub outcomes: IndexMap<Outcome, u64>,
    /// Figures by phase, and under `all` of all phases.
    pub latency: IndexMap<String, PhaseFigures>,
    /// How the generator did.
    pub generator: GeneratorFigures,
    /// Every act of the timeline.
    pub faults: Vec<FaultFigures>,
    /// The capacity search, if the load was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<CapacityFigures>,
    /// What each phase spent of the error budgets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budget: Vec<BudgetFigures>,
    /// How each mechanism reacted, and what users felt of it. No check and no
    /// exit code depends on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reactions: Vec<ReactionFigures>,
    /// What else was noticed, the most telling first. No check and no exit
    /// code depends on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Anomaly>,
}

/// The verdict of a check or a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It holds, and there is evidence.
    Pass,
    /// It does not hold.
    Fail,
    /// It can't be said.
    Inconclusive,
    /// The run was ended before its time (of a run, never of a check).
    Aborted,
}

impl Verdict {
    /// The run's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Inconclusive => 3,
            Self::Aborted => 4,
        }
    }

    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Aborted => "aborted",
        }
    }
}

/// What kind of thing a check judges: the mechanism that a failure names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckKind {
    /// A service level objective.
    Slo,
    /// A fault's proof.
    Fault,
    /// The load generator itself.
    Generator,
    /// A circuit breaker.
    CircuitBreaker,
    /// A cache.
    Cache,
    /// A rollback.
    Rollback,
    /// A fallback.
    Fallback,
    /// Load shedding.
    Shedding,
    /// Retries.
    Retries,
    /// Replacement of pods.
    Pods,
    /// Recovery.
    Recovery,
    /// An alert.
    Alert,
    /// Traffic to pods that are not ready.
    Probes,
    /// Autoscaling.
    Autoscaling,
    /// Failover.
    Failover,
    /// Drift of outputs.
    Drift,
    /// A figure of a source.
    Metric,
    /// The capacity that a search found.
    Capacity,
}

/// One check, judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckVerdict {
    /// As in the plan.
    pub id: CheckId,
    /// What is judged.
    pub kind: CheckKind,
    /// What is judged, for people: `TTFT p95`, `breaker opens`.
    pub title: String,
    /// The phase, where it has one.
    pub phase: Option<PhaseName>,
    /// Pass, fail or inconclusive.
    pub verdict: Verdict,
    /// What was to hold, as the scenario has it: `p95 < 500ms`, `within 5s`.
    pub expected: String,
    /// The figure that was observed, in `unit`. None: not observed.
    pub observed: Option<f64>,
    /// Unit of `observed` and `error`: `ms`, `s`, `ratio`, `x`, `count`, `/s`.
    pub unit: String,
    /// What is known of `observed`: [lowest, highest] it may be; a highest of
    /// None has no bound (a quantile that may lie among the failures, a time
    /// that was not over when the record ends).
    pub error: Option<(f64, Option<f64>)>,
    /// What the verdict stands on.
    pub evidence: Vec<Evidence>,
    /// Why, in one sentence.
    pub why: String,
}

/// Figures of a phase.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PhaseFigures {
    /// Requests that were due in it.
    pub requests: u64,
    /// Share that ended `ok`.
    pub availability: Option<f64>,
    /// Share that was good.
    pub goodput: Option<f64>,
    /// Right answers among the answers to golden prompts. None: no golden
    /// prompt was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Answers to golden prompts.
    #[serde(default)]
    pub golden_answers: u64,
    /// Quantiles by measure: `ttft`, `service_ttft`, `itl`, `tpot`, `e2e`,
    /// `service_e2e`.
    pub quantiles: IndexMap<String, Quantiles>,
    /// Output tokens a second, of `ok` answers.
    pub tokens_per_second: f64,
}

/// Quantiles of successes, and with failures as +∞ (None: among the
/// failures), in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// Samples.
    pub n: u64,
    /// p50, p90, p95, p99 of successes; empty without samples.
    pub successes: IndexMap<String, f64>,
    /// The same with failures as +∞.
    pub attempts: IndexMap<String, Option<f64>>,
    /// The longest.
    pub max: Option<f64>,
}

/// How the generator did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorFigures {
    /// Arrivals that were due.
    pub due: u64,
    /// Requests sent.
    pub sent: u64,
    /// Arrivals that had to wait for a free user.
    pub starved: u64,
    /// p50, p99 and longest lag, ms.
    pub lag_ms: IndexMap<String, f64>,
    /// Records dropped.
    pub dropped: u64,
}

/// An act of the timeline. Times in seconds on the run's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FaultFigures {
    /// Its id.
    pub id: FaultId,
    /// `PodChaos/pod-kill`, `deploy v2`.
    pub what: String,
    /// The manifest, or the rollout.
    pub manifest: serde_json::Value,
    /// The pods it hit.
    pub targets: Vec<PodName>,
    /// When it was due and asked for.
    pub requested_at: Option<f64>,
    /// When the driver said that it was in place.
    pub injected_at: Option<f64>,
    /// When it was first seen to act.
    pub proven_at: Option<f64>,
    /// When it was seen to be gone.
    pub recovered_at: Option<f64>,
    /// What its proof stands on.
    pub proof: Vec<Evidence>,
}

/// A capacity search. Rates in requests per second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityFigures {
    /// The load stream that searched.
    pub load: String,
    /// The highest rate at which every SLO held, below any that broke one.
    pub holds: Option<f64>,
    /// The lowest rate that broke an SLO.
    pub breaks: Option<f64>,
    /// The rate at which the generator did not keep up.
    pub invalid: Option<f64>,
    /// The capacity that was demanded.
    pub at_least: Option<f64>,
    /// The first SLO that broke at `breaks`.
    pub broke: Option<String>,
    /// Which latency the steps show: `TTFT p95`.
    pub measure: String,
    /// Its limit, ms.
    pub limit_ms: Option<f64>,
    /// Every step, in the order done.
    pub steps: Vec<StepFigures>,
}

/// A step of a capacity search; a repeated one with the requests of both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepFigures {
    /// From 1.
    pub number: u32,
    /// Requests per second.
    pub rate: f64,
    /// Start of what is judged, in seconds on the run's clock.
    pub start: f64,
    /// Its end.
    pub end: f64,
    /// Requests that were judged.
    pub requests: u64,
    /// The latency, with failures as +∞ (None: among the failures).
    pub latency_ms: Option<f64>,
    /// Share that was good.
    pub goodput: Option<f64>,
    /// Share that ended `ok`.
    pub availability: Option<f64>,
    /// How it came out.
    pub result: StepResult,
    /// Why.
    pub why: String,
}

/// An objective's error budget: the share of all requests that may be bad.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BudgetFigures {
    /// `availability`, `goodput of chat`.
    pub slo: String,
    /// Its limit, as the scenario has it: `>= 99.5%`. Where phases have
    /// limits of their own, the strictest.
    pub limit: String,
    /// 1 − limit. None: the limit is 100 %, so there is no budget.
    pub allowed: Option<f64>,
    /// Each phase that had requests, and under `all` the phases together.
    /// Empty without a budget.
    pub phases: Vec<Burn>,
}

/// What a phase spent of a budget.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Burn {
    /// The phase, or `all`.
    pub phase: String,
    /// Requests that were due in it.
    pub requests: u64,
    /// Those of them that were bad.
    pub bad: u64,
    /// How long it lasted, in seconds.
    pub seconds: f64,
    /// Share of bad requests over the share that is allowed: at 1 the budget
    /// is spent exactly when its 30 days are over.
    pub rate: f64,
    /// Share of the budget of 30 days that the phase spent.
    pub spent: f64,
    /// After how many seconds at this rate the budget of 30 days is gone.
    /// None: never.
    pub gone_after: Option<f64>,
    /// The page that this rate would raise if it lasted. None: none.
    pub page: Option<Page>,
    /// In one sentence.
    pub text: String,
}

/// An alert that pages somebody (Google's SRE workbook, chapter 5).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Page {
    /// The burn rate from which it fires.
    pub rate: f64,
    /// The window over which that is measured, in seconds.
    pub window: f64,
    /// After how many seconds at the phase's rate, all being well before, it
    /// fires.
    pub after: f64,
}

/// Something that stands out against the baseline. Times are seconds on the
/// run's clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Anomaly {
    /// What kind of thing it is.
    pub kind: AnomalyKind,
    /// Of what: `TTFT p95`, `tokens/s`, `requests waiting`.
    pub series: String,
    /// Who said so, where that was a source of signals: `replica-0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// From when.
    pub start: f64,
    /// To when.
    pub end: f64,
    /// The baseline's median, in `unit`.
    pub baseline: f64,
    /// The most extreme figure of a spike, the median of a shift, in `unit`.
    pub observed: f64,
    /// `ms`, `ratio`, `/s`, `count`.
    pub unit: String,
    /// How many of the baseline's robust standard deviations it is away.
    pub deviations: f64,
    /// What was going on.
    pub circumstance: Circumstance,
    /// Load over the baseline's, where it was much higher.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load: Option<f64>,
    /// Other series that show the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<String>,
    /// In one sentence.
    pub text: String,
}

/// What kind of thing stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AnomalyKind {
    /// It was away from the baseline for a while.
    Spike,
    /// It settled elsewhere, and stayed.
    Shift,
}

/// What was going on while something stood out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "when", rename_all = "kebab-case")]
pub enum Circumstance {
    /// Nothing was broken, nor had been.
    Quiet,
    /// Nothing was broken any more.
    After {
        /// What had been over last.
        act: FaultId,
        /// For how many seconds when it began.
        seconds: f64,
    },
    /// These were acting, or just about to.
    During {
        /// Which.
        acts: Vec<FaultId>,
    },
}
