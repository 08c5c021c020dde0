//! The scenario as types: what a file means once it has been read without an
//! error. The YAML keys are these names in kebab-case.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::observe::Observed;
pub use super::{
    act::{Act, Action, Applied, At, Deploy, Deployed, FaultDriver},
    endpoint::{Http, KserveGrpc, KserveV2},
    executor::{
        Arrivals, Capacity, CapacityArrivals, Closed, Executor, Gamma, Load, Profile, Stage, Think, Trace,
        TraceFormat, TraceLengths, default_refine, default_scale, default_step_hold, default_step_warm_up,
    },
    expectation::*,
    kubernetes::KubernetesTarget,
    openai::{OpenAi, OpenAiEmbeddings},
    prompts::{
        Conversation, Conversations, Expected, FilePopularity, Golden, GoldenPrompt, Jsonl, Near, PathEquals,
        Popularity, PromptFile, PromptSource, Prompts, Session, ShareGpt, Synthetic, Tokens, Turns,
        default_output_tokens, default_prompts,
    },
    transport::*,
    url::UrlTarget,
};
use crate::{
    lab::config::LabConfig,
    units::{LatencyThreshold, PhaseName, Ratio, RatioThreshold, Span, WorkloadName},
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
    /// Sources of signals beside those that the target brings with it.
    #[serde(default)]
    pub observe: Vec<Observed>,
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
    /// Any endpoint: `http://host:port` or `https://host`.
    Url(UrlTarget),
    /// A service on a Kubernetes cluster.
    Kubernetes(KubernetesTarget),
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
    /// How its requests get to the target. In YAML its keys stand here.
    #[serde(flatten)]
    pub transport: Transport,
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
    OpenaiChat(OpenAi),
    /// OpenAI's completions, the older API without messages.
    OpenaiCompletions(OpenAi),
    /// OpenAI's responses.
    OpenaiResponses(OpenAi),
    /// OpenAI's embeddings.
    OpenaiEmbeddings(OpenAiEmbeddings),
    /// KServe's v2 inference protocol over HTTP (Triton, MLServer, …).
    KserveV2(KserveV2),
    /// The same over gRPC.
    KserveGrpc(KserveGrpc),
    /// Any HTTP API.
    Http(Http),
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
    /// Right answers among the answers to golden prompts. A request without
    /// an answer is no wrong answer: it is left to `availability`.
    Accuracy(RatioThreshold),
}
