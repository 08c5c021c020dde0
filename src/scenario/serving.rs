//! What a drill demands of who serves, and how many: probes, autoscaling,
//! failover, and answers that stay alike from version to version.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{FaultId, PhaseName, RatioThreshold, Span, WorkloadName};

/// A pod must get traffic while it is ready, and at no other time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ProbesExpectation {
    /// What made new pods start, or took ready ones away. None: all of the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FaultId>,
    /// Share of a new pod's requests that it may get before it was ready, of
    /// those until 5 s after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub early: Option<RatioThreshold>,
    /// A pod is not ready any more → it gets nothing more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_within: Option<Span>,
}

/// Replicas must follow the load, and latency the replicas.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct AutoscalingExpectation {
    /// The phase that has the higher load.
    #[serde(rename = "in")]
    pub phase: PhaseName,
    /// Replicas that are enough for it. None: more than before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u16>,
    /// Phase's start → so many are ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scales_out_within: Option<Span>,
    /// Phase's start → within the SLOs of that phase, to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_slo_within: Option<Span>,
    /// Phase's end → no more replicas than before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scales_in_within: Option<Span>,
}

impl AutoscalingExpectation {
    /// One that demands nothing yet.
    pub fn of(phase: PhaseName, to: Option<u16>) -> Self {
        Self { phase, to, scales_out_within: None, in_slo_within: None, scales_in_within: None }
    }
}

/// While something is down, something else must serve in its place.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FailoverExpectation {
    /// The fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FaultId>,
    /// Whose users are meant: those of this workload. None: of all together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload: Option<WorkloadName>,
    /// Who serves in its place: a name, or its beginning, as answers have it
    /// (`x-served-by`). None: anybody whom the fault does not hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Fault's effect → in the baseline's SLOs, served in its place, until the
    /// fault's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Span>,
    /// Fault's end → those serve again that did before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub back_within: Option<Span>,
}

/// A new version's answers must look like the old one's.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct DriftExpectation {
    /// The rollout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<FaultId>,
    /// Population stability index of the answers' lengths or features, the old
    /// version's deciles or its classes as bins: under 0.1 is stable, over 0.25
    /// has shifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub psi: Option<RatioThreshold>,
    /// Kolmogorov–Smirnov distance of the same distributions, 0–1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ks: Option<RatioThreshold>,
}
