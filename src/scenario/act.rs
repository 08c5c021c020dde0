//! The timeline's entries: what is done to the target, and when.

use std::{fmt, path::PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    chaos::Manifest,
    outside::{Command, DeployCommand, MlflowAlias},
    workload_patch::WorkloadPatch,
};
use crate::{
    lab::config::VersionDefect,
    units::{FaultId, PhaseName, RolloutName, Span, Version},
};

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

impl Deploy {
    /// What those call its rollout who tell of it; `home` is the namespace of
    /// objects that name none. None: of the lab, or nobody tells of it.
    pub fn rollout(&self, home: &str) -> Option<RolloutName> {
        match self.of.as_ref()? {
            Deployed::Command(_) => None,
            Deployed::Mlflow(alias) => Some(RolloutName::new(alias.to_string())),
            object => {
                let namespace = self.namespace.as_deref().unwrap_or(home);
                Some(RolloutName::new(format!("{object} in {namespace}")))
            }
        }
    }
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
