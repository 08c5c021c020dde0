//! What must react, and how fast.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    alert::AlertExpectation,
    breaker::BreakerKind,
    metric::MetricExpectation,
    serving::{AutoscalingExpectation, DriftExpectation, FailoverExpectation, ProbesExpectation},
};
use crate::units::{FaultId, FigureThreshold, LatencyThreshold, PhaseName, RatioThreshold, Span, Version};

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
