//! A new version of a workload on a cluster, as a patch of it.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a rollout changes of a Deployment or a StatefulSet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", default)]
pub struct WorkloadPatch {
    /// Which container gets image and variables. None: its only one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The new image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Variables of the environment, new or changed.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub env: IndexMap<String, String>,
    /// The new number of replicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u32>,
}

impl WorkloadPatch {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.image.is_none() && self.env.is_empty() && self.replicas.is_none()
    }
}
