//! A Kubernetes cluster as the target: which one, where the load goes, and
//! what must never be touched there.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Ratio;

/// Namespaces that no fault may touch, whatever a scenario says.
pub const ALWAYS_PROTECTED: [&str; 3] = ["kube-system", "kube-public", "kube-node-lease"];

/// A service on a cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct KubernetesTarget {
    /// The namespace that is drilled; also of manifests that name none.
    pub namespace: String,
    /// The Service that gets the load.
    pub service: String,
    /// Which of the Service's ports. None: its only one, or the one named `http`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Where the Service is reached, where that can't be found out by its node
    /// port or its load balancer (an Ingress, a Gateway).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A context of the kubeconfig. None: its current one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The kubeconfig. None: `KUBECONFIG`, or `~/.kube/config`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// The image that a `pod-failure` puts in the place of each container's.
    /// None: Kubernetes' own pause image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_image: Option<String>,
    /// Further namespaces that no fault may touch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub protect: Vec<String>,
    /// So many of the Service's pods must stay ready beside those that a fault
    /// takes. Default: 1.
    #[serde(default = "default_healthy_floor")]
    pub healthy_floor: u32,
    /// At most so many pods may be hit by faults at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub faulted_ceiling: Option<PodLimit>,
    /// An image whose program is Firedrill, for what must run on the cluster: a
    /// fault proxy, stress.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// A fault proxy between a Service and its pods, for faults of the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<ServiceProxy>,
}

/// A fault proxy that a Service's selector is switched to while a drill runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ServiceProxy {
    /// The Service. None: the one that gets the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
}

/// Default of [`KubernetesTarget::healthy_floor`].
pub fn default_healthy_floor() -> u32 {
    1
}

impl KubernetesTarget {
    /// A service, and defaults.
    pub fn new(namespace: impl Into<String>, service: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            service: service.into(),
            port: None,
            url: None,
            context: None,
            kubeconfig: None,
            pause_image: None,
            protect: Vec::new(),
            healthy_floor: default_healthy_floor(),
            faulted_ceiling: None,
            image: None,
            proxy: None,
        }
    }

    /// The Service that gets a fault proxy, if one does.
    pub fn proxied(&self) -> Option<&str> {
        let proxy = self.proxy.as_ref()?;
        Some(proxy.service.as_deref().unwrap_or(&self.service))
    }

    /// With a proxy before the Service that gets the load, its pods are those
    /// of another one.
    pub fn lead_to(&mut self, upstream: &str) {
        if self.proxied() == Some(self.service.as_str()) {
            upstream.clone_into(&mut self.service);
        }
    }

    /// The image that does nothing.
    pub fn pause_image(&self) -> &str {
        self.pause_image.as_deref().unwrap_or("registry.k8s.io/pause:3.10")
    }

    /// Whether no fault may touch this namespace.
    pub fn protects(&self, namespace: &str) -> bool {
        ALWAYS_PROTECTED.contains(&namespace) || self.protect.iter().any(|name| name == namespace)
    }
}

/// A number of pods: `2`, or a share of those that there are: `50%`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PodLimit {
    /// So many.
    Pods(u32),
    /// This share, rounded down.
    Share(Ratio),
}

impl PodLimit {
    /// In pods, of `all`.
    pub fn of(self, all: usize) -> usize {
        match self {
            Self::Pods(pods) => pods as usize,
            Self::Share(share) => (all as f64 * share.0).floor() as usize,
        }
    }
}

impl std::fmt::Display for PodLimit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pods(pods) => write!(f, "{pods}"),
            Self::Share(share) => f.write_str(&share.percent()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clusters_own_namespaces_are_protected_without_being_listed() {
        let target = KubernetesTarget { protect: vec!["payments".into()], ..KubernetesTarget::new("a", "b") };
        for (namespace, protected) in
            [("kube-system", true), ("kube-node-lease", true), ("payments", true), ("a", false)]
        {
            assert_eq!(target.protects(namespace), protected, "{namespace}");
        }
    }

    #[test]
    fn a_share_of_pods_is_rounded_down() {
        assert_eq!(PodLimit::Share(Ratio(0.5)).of(3), 1);
        assert_eq!(PodLimit::Pods(2).of(3), 2);
    }
}
