//! Faults that a tool with a controller of its own on the cluster does: what
//! is handed to it, as it was given.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chaos::Scope;
use crate::units::Span;

/// A tool with a controller of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tool {
    /// Chaos Mesh
    ChaosMesh,
    /// LitmusChaos
    Litmus,
}

impl Tool {
    /// Its name, as its makers write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ChaosMesh => "Chaos Mesh",
            Self::Litmus => "LitmusChaos",
        }
    }

    /// The group of its kinds. Both have the version `v1alpha1`.
    pub fn group(self) -> &'static str {
        match self {
            Self::ChaosMesh => "chaos-mesh.org",
            Self::Litmus => "litmuschaos.io",
        }
    }
}

/// A kind that such a tool's controller acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CustomKind {
    /// Kills and failures of pods.
    PodChaos,
    /// What happens to packets.
    NetworkChaos,
    /// What happens to HTTP requests and answers.
    HTTPChaos,
    /// CPU and memory that are used up.
    StressChaos,
    /// What happens to files.
    IOChaos,
    /// What happens to name resolution.
    DNSChaos,
    /// Clocks that are wrong.
    TimeChaos,
    /// A LitmusChaos experiment.
    ChaosEngine,
}

impl CustomKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::PodChaos,
        Self::NetworkChaos,
        Self::HTTPChaos,
        Self::StressChaos,
        Self::IOChaos,
        Self::DNSChaos,
        Self::TimeChaos,
        Self::ChaosEngine,
    ];

    /// The `kind`.
    pub fn name(self) -> &'static str {
        match self {
            Self::PodChaos => "PodChaos",
            Self::NetworkChaos => "NetworkChaos",
            Self::HTTPChaos => "HTTPChaos",
            Self::StressChaos => "StressChaos",
            Self::IOChaos => "IOChaos",
            Self::DNSChaos => "DNSChaos",
            Self::TimeChaos => "TimeChaos",
            Self::ChaosEngine => "ChaosEngine",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The name in URLs and in roles; in these CRDs it follows no rule.
    pub fn resource(self) -> &'static str {
        match self {
            Self::PodChaos => "podchaos",
            Self::NetworkChaos => "networkchaos",
            Self::HTTPChaos => "httpchaos",
            Self::StressChaos => "stresschaos",
            Self::IOChaos => "iochaos",
            Self::DNSChaos => "dnschaos",
            Self::TimeChaos => "timechaos",
            Self::ChaosEngine => "chaosengines",
        }
    }

    /// Whose it is.
    pub fn tool(self) -> Tool {
        match self {
            Self::ChaosEngine => Tool::Litmus,
            Self::PodChaos
            | Self::NetworkChaos
            | Self::HTTPChaos
            | Self::StressChaos
            | Self::IOChaos
            | Self::DNSChaos
            | Self::TimeChaos => Tool::ChaosMesh,
        }
    }

    /// Whether only the tool can do it, so that a scenario need not say so.
    pub fn needs_its_tool(self) -> bool {
        !matches!(self, Self::PodChaos | Self::NetworkChaos | Self::StressChaos)
    }

    /// How a cluster without the tool is broken in a like way.
    pub fn instead(self) -> &'static str {
        match self {
            Self::PodChaos => "`driver: native` kills and fails pods with nothing but the API server",
            Self::NetworkChaos => {
                "a KubernetesChaos `endpoints` is a partition between a Service and its pods, and `firedrill \
                 proxy` in front of the Service delays and cuts"
            }
            Self::HTTPChaos => "`firedrill proxy` in front of the Service delays and cuts answers",
            Self::StressChaos => "`driver: native` uses up CPU and memory by an ephemeral container",
            Self::IOChaos | Self::DNSChaos | Self::TimeChaos => {
                "the nearest that the API server alone can do is a PodChaos `pod-failure` with `driver: native`"
            }
            Self::ChaosEngine => {
                "a PodChaos `pod-kill` with `driver: native` deletes pods without LitmusChaos"
            }
        }
    }
}

/// An object for a tool's controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CustomChaos {
    /// Its kind.
    pub object: CustomKind,
    /// What it does, in a word.
    pub action: String,
    /// Which pods it may hit, read from the spec.
    pub scope: Scope,
    /// For how long, read from the spec.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
    /// `metadata.labels` and `metadata.annotations` as given.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub metadata: Value,
    /// The spec as given.
    pub spec: Value,
}

impl CustomChaos {
    /// Whether it happens at an instant.
    pub fn is_one_shot(&self) -> bool {
        match self.object {
            CustomKind::PodChaos => self.action != "pod-failure",
            CustomKind::NetworkChaos
            | CustomKind::HTTPChaos
            | CustomKind::StressChaos
            | CustomKind::IOChaos
            | CustomKind::DNSChaos
            | CustomKind::TimeChaos
            | CustomKind::ChaosEngine => false,
        }
    }

    /// Why no other target can do it.
    pub fn only_on_a_cluster(&self) -> String {
        format!("{} does it, on a cluster only: it needs `target: kubernetes`", self.object.tool().name())
    }

    /// Whether it takes pods away.
    pub fn takes_pods(&self) -> bool {
        matches!(self.object, CustomKind::PodChaos | CustomKind::ChaosEngine)
    }
}
