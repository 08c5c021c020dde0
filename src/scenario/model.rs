//! The scenario as types: what a file means once it has been read without an
//! error. The YAML keys are these names in kebab-case.

use std::{path::PathBuf, time::Duration};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chaos::Manifest;
pub use super::endpoint::{Http, KserveGrpc, KserveV2};
use crate::{
    lab::config::{LabConfig, VersionDefect},
    units::{FaultId, LatencyThreshold, PhaseName, Rate, Ratio, RatioThreshold, Span, Version, WorkloadName},
};

/// One drill: what to send, what to break and when, what must hold, what must
/// react and how fast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Scenario {
    /// The format's version: 1.
    pub version: u32,
    /// A short name; it becomes part of the run folder's name.
    pub name: String,
    /// What the drill is to show, for the report.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Seed of every random choice.
    #[serde(default)]
    pub seed: u64,
    /// What is drilled.
    pub target: Target,
    /// What a request is, by name.
    pub workloads: IndexMap<WorkloadName, Workload>,
    /// Who sends how much.
    pub load: Vec<Load>,
    /// Load before the first phase that is not judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<Span>,
    /// The phases in order. Empty: one phase `load`, as long as the load.
    #[serde(default)]
    pub phases: IndexMap<PhaseName, Span>,
    /// What happens to the target, and when.
    #[serde(default)]
    pub chaos: Vec<Act>,
    /// When to stop and recover at once.
    #[serde(default)]
    pub stop_when: Vec<StopCondition>,
    /// What to do when the first phase breaks its SLOs.
    #[serde(default)]
    pub unless_steady: Unsteady,
    /// What must hold.
    #[serde(default)]
    pub slos: Vec<Slo>,
    /// What must react, and how fast.
    #[serde(default)]
    pub expect: Vec<Expectation>,
}

/// What is drilled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// The built-in lab, started and stopped by the run.
    Lab(LabConfig),
    /// Any endpoint: `http://host:port`.
    Url(String),
}

/// What one request of a workload is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Workload {
    /// The protocol and its settings.
    pub endpoint: Endpoint,
    /// Where prompts come from. None: the endpoint says itself what is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompts: Option<Prompts>,
    /// A request still open after this long is a `timeout`.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// A stream without a chunk for this long is `stalled`.
    #[serde(default = "default_idle")]
    pub idle_timeout: Span,
}

/// Default of [`Workload::timeout`].
pub fn default_timeout() -> Span {
    Span::secs(30)
}

/// Default of [`Workload::idle_timeout`].
pub fn default_idle() -> Span {
    Span::secs(10)
}

/// The protocol that a workload speaks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    /// OpenAI's chat completions.
    OpenaiChat(OpenAiChat),
    /// KServe's v2 inference protocol over HTTP (Triton, MLServer, …).
    KserveV2(KserveV2),
    /// The same over gRPC.
    KserveGrpc(KserveGrpc),
    /// Any HTTP API.
    Http(Http),
}

/// OpenAI's chat completions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct OpenAiChat {
    /// The body's `model`.
    pub model: String,
    /// Server-sent events, or one JSON body.
    #[serde(default)]
    pub stream: bool,
    /// Path below the target's URL.
    #[serde(default = "default_path")]
    pub path: String,
    /// Further request headers.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
}

/// Default of [`OpenAiChat::path`].
pub fn default_path() -> String {
    "/v1/chat/completions".to_owned()
}

/// Where prompts come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Prompts {
    /// Generated prompts of given sizes.
    pub synthetic: Synthetic,
    /// Prompts whose right answer is known, mixed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<Golden>,
}

/// Generated prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Synthetic {
    /// Length of a prompt, in tokens (about one word each).
    pub input_tokens: Tokens,
    /// `max_tokens` of a request.
    pub output_tokens: Tokens,
    /// How often prompts repeat. None: every prompt is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub popularity: Option<Popularity>,
    /// Tokens that all prompts begin with (a system prompt).
    #[serde(default)]
    pub shared_prefix: u32,
}

/// A number of tokens: fixed, or drawn for each prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tokens {
    /// Always this many. In YAML just the number.
    Fixed(u32),
    /// `{uniform: {min, max}}`
    Uniform {
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
    /// `{lognormal: {median, p99}}`
    Lognormal {
        /// Half of the prompts are shorter.
        median: u32,
        /// One in a hundred is longer.
        p99: u32,
    },
}

/// Prompts drawn from a fixed set, some more often than others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Popularity {
    /// Exponent of Zipf's law (> 0).
    pub zipf: f64,
    /// How many prompts there are.
    #[serde(default = "default_prompts")]
    pub prompts: u32,
}

/// Default of [`Popularity::prompts`].
pub fn default_prompts() -> u32 {
    1000
}

/// Prompts whose right answer is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Golden {
    /// Share of the workload's requests.
    pub share: Ratio,
    /// The prompts and what their answers must contain.
    pub prompts: Vec<GoldenPrompt>,
}

/// One golden prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct GoldenPrompt {
    /// The user's message.
    pub ask: String,
    /// What a right answer contains.
    pub contains: String,
}

/// One stream of load. Exactly one of `arrivals` and `closed` in YAML.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Load {
    /// Its name.
    pub name: String,
    /// What it sends.
    pub workload: WorkloadName,
    /// When it sends. In YAML the variant's keys stand beside `name`.
    #[serde(flatten)]
    pub executor: Executor,
}

/// The load profile.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Executor {
    /// Open loop: requests are due by a schedule, whether or not earlier ones
    /// have ended.
    Arrivals(Arrivals),
    /// Closed loop: users who send again when their answer has come.
    Closed(Closed),
}

/// An open-loop schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// Evenly spaced.
    Constant(Profile),
    /// Exponential gaps (memoryless, as independent people arrive).
    Poisson(Profile),
}

/// The rate over time, from the start of the first phase (during a warm-up:
/// the first rate).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Profile {
    /// One rate throughout.
    Rate(Rate),
    /// Piecewise linear, starting from `0/s`, or from the first stage's rate
    /// if that is a `hold`-free `{to: R, over: 0s}`. The last rate is held.
    Stages(Vec<Stage>),
    /// From one rate to another, linearly.
    Ramp {
        /// The rate at the start.
        from: Rate,
        /// The rate at the end.
        to: Rate,
        /// How long it takes.
        over: Span,
    },
    /// A base rate with one spike.
    Spike {
        /// The rate before and after.
        base: Rate,
        /// The rate at the top.
        peak: Rate,
        /// When the rise starts, from the start of the first phase.
        at: Span,
        /// How long the rise takes, and the fall.
        rise: Span,
        /// How long the top lasts.
        hold: Span,
    },
}

impl Profile {
    /// How long it takes until the rate no longer changes.
    pub fn length(&self) -> Span {
        match self {
            Self::Rate(_) => Span::default(),
            Self::Stages(stages) => Span(
                stages
                    .iter()
                    .map(|stage| match stage {
                        Stage::To { over: length, .. } | Stage::Hold { hold: length } => length.0,
                    })
                    .fold(Duration::ZERO, Duration::saturating_add),
            ),
            Self::Ramp { over, .. } => *over,
            Self::Spike { at, rise, hold, .. } => Span(
                [at.0, rise.0, hold.0, rise.0].into_iter().fold(Duration::ZERO, Duration::saturating_add),
            ),
        }
    }

    /// Whether its rate is always zero.
    pub fn is_nothing(&self) -> bool {
        let rates: Vec<Rate> = match self {
            Self::Rate(rate) => vec![*rate],
            Self::Stages(stages) => stages
                .iter()
                .filter_map(|stage| match stage {
                    Stage::To { to, .. } => Some(*to),
                    Stage::Hold { .. } => None,
                })
                .collect(),
            Self::Ramp { from, to, .. } => vec![*from, *to],
            Self::Spike { base, peak, .. } => vec![*base, *peak],
        };
        rates.iter().all(|rate| rate.0 <= 0.0)
    }
}

/// One stage of a profile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", untagged)]
pub enum Stage {
    /// Linearly to a rate.
    To {
        /// The rate at the end of the stage.
        to: Rate,
        /// How long it takes.
        over: Span,
    },
    /// Stay.
    Hold {
        /// For how long.
        hold: Span,
    },
}

/// A closed loop.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Closed {
    /// Users at the same time.
    pub users: u32,
    /// Requests in all. None: until the last phase ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Pause of a user between an answer and the next request.
    #[serde(default)]
    pub think: Span,
}

/// An entry of the timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Act {
    /// Unique name, for `after:`.
    pub id: FaultId,
    /// When.
    pub at: At,
    /// What. In YAML the variant's key stands beside `id`.
    #[serde(flatten)]
    pub action: Action,
    /// How long it lasts, over the manifest's own `duration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// An instant relative to a phase: `fault + 10s`, `recovery`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct At {
    /// The phase.
    pub phase: PhaseName,
    /// Time since its start.
    pub offset: Span,
}

/// What an entry of the timeline does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Applies a Chaos Mesh manifest. In YAML a path, or the manifest inline.
    Apply(Applied),
    /// Rolls out a model version.
    Deploy(Deploy),
}

/// A manifest and where it came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Applied {
    /// The file, if it was not inline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The manifest.
    pub manifest: Manifest,
}

/// A rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Deploy {
    /// The new version.
    pub version: Version,
    /// What is wrong with it (lab only).
    #[serde(default)]
    pub defect: VersionDefect,
}

/// `error-rate > 50% for 10s`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct StopCondition {
    /// Share of requests that end other than `ok`, over each second.
    pub error_rate: RatioThreshold,
    /// Only when it holds for this long without a break.
    pub lasting: Span,
}

/// What to do when the first phase breaks its SLOs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unsteady {
    /// Inject nothing; the run is inconclusive.
    #[default]
    Stop,
    /// Go on all the same.
    Continue,
}

/// A service level objective.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Slo {
    /// What must hold. In YAML the indicator is the key: `ttft: "p95 < 500ms"`.
    #[serde(flatten)]
    pub objective: Objective,
    /// Only in this phase. None: in each.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseName>,
    /// Only for this workload. None: all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadName>,
    /// Demand that the whole confidence interval holds, at this level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Ratio>,
}

/// An indicator with its limit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Objective {
    /// Time to the first token, from the scheduled time.
    Ttft(LatencyThreshold),
    /// Gaps between content chunks, pooled.
    Itl(LatencyThreshold),
    /// Mean time per output token after the first, per request.
    Tpot(LatencyThreshold),
    /// Time to the last content, from the scheduled time.
    E2e(LatencyThreshold),
    /// Share of requests that ended `ok`.
    Availability(RatioThreshold),
    /// Share of attempted requests that were `ok` within every latency limit.
    Goodput(RatioThreshold),
}

/// Something that must react. `after:` names an entry of `chaos:`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expectation {
    /// A circuit breaker.
    CircuitBreaker(BreakerExpectation),
    /// A response cache.
    Cache(CacheExpectation),
    /// A rollback.
    Rollback(RollbackExpectation),
    /// A fallback.
    Fallback(FallbackExpectation),
    /// Load shedding.
    Shedding(SheddingExpectation),
    /// Retries.
    Retries(RetryExpectation),
    /// Replacement of pods.
    Pods(PodExpectation),
    /// The way back into the baseline's SLOs.
    Recovery(RecoveryExpectation),
}

/// A circuit breaker must open, protect, and close again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BreakerExpectation {
    /// The fault it must react to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FaultId>,
    /// Fault's effect → open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_within: Option<Span>,
    /// Latency of requests that an open breaker rejects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails_fast: Option<LatencyThreshold>,
    /// Share of its usual traffic that an open breaker may let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaks: Option<RatioThreshold>,
    /// Fault's end → closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_within: Option<Span>,
    /// It must not open in this phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_in: Option<PhaseName>,
}

/// A cache must serve, fast, and the right thing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CacheExpectation {
    /// Hits among the requests that a cache answered or forwarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit_ratio: Option<RatioThreshold>,
    /// Latency (E2E, from sent) of hits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hit: Option<LatencyThreshold>,
    /// There must be hits in this phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serves_during: Option<PhaseName>,
    /// Share of golden prompts that hits may answer wrongly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong: Option<RatioThreshold>,
    /// After this rollout was rolled back, no hit may carry its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fresh_after: Option<FaultId>,
    /// Share of misses that went upstream while one for the same prompt was
    /// under way (a stampede).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlapping_misses: Option<RatioThreshold>,
}

/// A rollback must be noticed, finished, and true on the wire.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RollbackExpectation {
    /// The rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FaultId>,
    /// Rollout's first request on the wire → the rollback starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detects_within: Option<Span>,
    /// Rollout's start → the bad version serves no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completes_within: Option<Span>,
    /// The version that must serve afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Version>,
}

/// A fallback must step in, fast, with sense.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FallbackExpectation {
    /// The fault it must react to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FaultId>,
    /// Fault's effect → first answer from the fallback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engages_within: Option<Span>,
    /// TTFT (from sent) of answers from the fallback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttft: Option<LatencyThreshold>,
    /// Share of golden prompts that it may answer wrongly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong: Option<RatioThreshold>,
    /// Fault's end → last answer from the fallback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disengages_within: Option<Span>,
}

/// Shedding must be marked and fast, and protect what is admitted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct SheddingExpectation {
    /// The phase in which there must be shedding.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseName>,
    /// Share of the phase's requests that are shed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ratio: Option<RatioThreshold>,
    /// Latency (from sent) of rejections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rejects: Option<LatencyThreshold>,
    /// TTFT (scheduled) of what is admitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub admitted: Option<LatencyThreshold>,
}

/// Retries must absorb faults, and not multiply the load.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RetryExpectation {
    /// The fault that they must absorb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FaultId>,
    /// Share of requests that end `ok` among those due while the fault acts
    /// (one-shot: in the 5 s after its effect).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absorbs: Option<RatioThreshold>,
    /// Upstream attempts per request that went upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amplification: Option<RatioThreshold>,
    /// Only in this phase. None: over the whole run.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseName>,
}

/// Pods that died must be replaced by warm ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PodExpectation {
    /// The fault that took them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FaultId>,
    /// Fault's effect → as many ready pods as before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaced_within: Option<Span>,
    /// Share of upstream requests that a new pod may fail in its first 5 s of
    /// readiness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cold_failures: Option<RatioThreshold>,
}

/// The service must be back in the baseline's SLOs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RecoveryExpectation {
    /// The fault it must recover from. None: the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FaultId>,
    /// Fault's end (one-shot: its effect) → back in SLO for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
}
