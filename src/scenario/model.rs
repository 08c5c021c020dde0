//! The scenario as types: what a file means once it has been read without an
//! error. The YAML keys are these names in kebab-case.

use std::{fmt, path::PathBuf};

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    alert::AlertExpectation,
    breaker::BreakerKind,
    chaos::Manifest,
    metric::MetricExpectation,
    observe::Observed,
    outside::{Command, DeployCommand, MlflowAlias},
    serving::{AutoscalingExpectation, DriftExpectation, FailoverExpectation, ProbesExpectation},
    workload_patch::WorkloadPatch,
};
pub use super::{
    endpoint::{Http, KserveGrpc, KserveV2},
    executor::{
        Arrivals, Capacity, CapacityArrivals, Closed, Executor, Gamma, Load, Profile, Stage, Think, Trace,
        TraceFormat, TraceLengths, default_refine, default_scale, default_step_hold, default_step_warm_up,
    },
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
    lab::config::{LabConfig, VersionDefect},
    units::{
        FaultId, FigureThreshold, LatencyThreshold, PhaseName, Ratio, RatioThreshold, Span, Version,
        WorkloadName,
    },
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
    /// Who does it on a cluster. None: Firedrill itself, and a tool where only
    /// that can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<FaultDriver>,
}

/// Who does a fault on a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultDriver {
    /// Firedrill, with nothing but the API server.
    Native,
    /// Chaos Mesh's controller, by its custom resource.
    ChaosMesh,
    /// LitmusChaos' operator, by its ChaosEngine.
    Litmus,
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
    /// Breaks something by a program of the user's.
    Command(Command),
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
    /// Of what. None: of the lab, or on a cluster of what is behind the
    /// target's Service. In YAML the variant's key stands here.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Deployed>,
    /// The namespace of an object that is deployed. None: the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// What an object's spec becomes: a JSON merge patch (RFC 7396) of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub spec: Option<serde_json::Value>,
    /// On a cluster: what makes it that version. In YAML its keys stand here.
    #[serde(flatten)]
    pub patch: WorkloadPatch,
}

/// What is deployed. Objects of a cluster by their name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Deployed {
    /// A Deployment, which Flagger may look after.
    Deployment(String),
    /// A Rollout of Argo Rollouts.
    Rollout(String),
    /// An Application of Argo CD, by its spec.
    Application(String),
    /// A HelmRelease of Flux, by its spec.
    HelmRelease(String),
    /// An InferenceService of KServe, by its spec.
    InferenceService(String),
    /// A Service that is switched to other pods, by its selector.
    Service(String),
    /// A version that an alias of MLflow's registry is turned to.
    Mlflow(MlflowAlias),
    /// Whatever a program deploys.
    Command(DeployCommand),
}

impl fmt::Display for Deployed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deployment(name) => write!(f, "Deployment {name}"),
            Self::Rollout(name) => write!(f, "Rollout {name}"),
            Self::Application(name) => write!(f, "Application {name}"),
            Self::HelmRelease(name) => write!(f, "HelmRelease {name}"),
            Self::InferenceService(name) => write!(f, "InferenceService {name}"),
            Self::Service(name) => write!(f, "Service {name}"),
            Self::Mlflow(alias) => alias.fmt(f),
            Self::Command(command) => command.run.fmt(f),
        }
    }
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
    /// Alerts.
    Alert(AlertExpectation),
    /// Readiness probes and what goes by them.
    Probes(ProbesExpectation),
    /// Autoscaling.
    Autoscaling(AutoscalingExpectation),
    /// Failover.
    Failover(FailoverExpectation),
    /// Drift of outputs between versions.
    Drift(DriftExpectation),
    /// Figures of a source.
    Metric(MetricExpectation),
}

/// A circuit breaker must open, protect, and close again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct BreakerExpectation {
    /// The fault it must react to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FaultId>,
    /// Only breakers of this kind are meant. None: of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<BreakerKind>,
    /// Only this breaker is meant, by the name that its source gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Fault's effect → open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opens_within: Option<Span>,
    /// Latency of requests that an open breaker rejects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fails_fast: Option<LatencyThreshold>,
    /// Share of its usual traffic that an open breaker may let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaks: Option<RatioThreshold>,
    /// Requests that it may let through in one half-open period.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probes: Option<FigureThreshold>,
    /// Fault's end → closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_within: Option<Span>,
    /// It must not open in this phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_in: Option<PhaseName>,
}

impl BreakerExpectation {
    /// Which breaker is meant, in words. None: any.
    pub(crate) fn which(&self) -> Option<String> {
        let said = [self.kind.map(BreakerKind::in_words), self.name.as_deref()];
        let said: Vec<&str> = said.into_iter().flatten().collect();
        (!said.is_empty()).then(|| said.join(" "))
    }
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
    /// How many times as long as a hit a miss of the same workload takes, the
    /// median of each (E2E, from sent).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_up: Option<RatioThreshold>,
    /// Share of the hits that are stale (RFC 9111), by the cache's own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<RatioThreshold>,
    /// The phase in which `stale` is demanded. None: over the whole run.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseName>,
    /// There must be hits in this phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serves_during: Option<PhaseName>,
    /// Share of golden prompts that hits may answer wrongly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong: Option<RatioThreshold>,
    /// Share of the hits that are not what the origin answers to the same request,
    /// of those that can be compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<RatioThreshold>,
    /// How old a hit may be, stale or not (`Age`, RFC 9111).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age: Option<Span>,
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
    /// Rollout's start → the new version is the stable one: a good one must not
    /// be rolled back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promotes_within: Option<Span>,
    /// Share of the answers that the new version may give while it is tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<RatioThreshold>,
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
    /// The model that answers, by the name that its answers have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
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
    /// Fault's end → requests cost as few upstream attempts as before it, for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settles_within: Option<Span>,
    /// Upstream attempts per request that went upstream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amplification: Option<RatioThreshold>,
    /// Only in this phase. None: over the whole run.
    #[serde(default, rename = "in", skip_serializing_if = "Option::is_none")]
    pub phase: Option<PhaseName>,
    /// The cluster whose attempts count, as Envoy calls it. None: any, if all
    /// come to the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
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
    /// Fault's effect → the Service sends them nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_within: Option<Span>,
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
