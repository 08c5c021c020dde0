//! What is drilled, once it is up: the lab's processes, a URL, or a service on
//! a cluster.

use std::path::Path;

use http::Uri;

use super::RunError;
use crate::{
    chaos::LabDriver,
    cluster::{Cluster, ClusterError, address, offset},
    lab::{Lab, LabError, api::Addresses},
    scenario::{kubernetes::KubernetesTarget, model::Target},
};

/// A target that is up.
#[derive(Debug)]
pub(super) enum Running {
    /// The lab, ours to start and stop.
    Lab(Lab),
    /// Somebody else's service.
    Url(String),
    /// A service on a cluster.
    Kubernetes(Box<OnCluster>),
}

/// A service on a cluster, and how it is reached.
#[derive(Debug)]
pub(super) struct OnCluster {
    pub(super) cluster: Cluster,
    pub(super) target: KubernetesTarget,
    pub(super) url: String,
}

/// Why a target is not up.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    #[error(transparent)]
    Lab(#[from] LabError),
    #[error("target: {0}")]
    Cluster(#[from] ClusterError),
}

impl Running {
    /// Starts what is ours to start.
    pub(super) async fn start(
        target: &Target,
        seed: u64,
        exe: &Path,
        logs: &Path,
    ) -> Result<Self, StartError> {
        Ok(match target {
            Target::Lab(config) => Self::Lab(Lab::start(config, seed, exe, logs).await?),
            Target::Url(url) => Self::Url(url.clone()),
            Target::Kubernetes(target) => {
                let cluster = Cluster::connect(target).await?;
                let url = address::address(&cluster, target).await?;
                Self::Kubernetes(Box::new(OnCluster { cluster, target: target.clone(), url }))
            }
        })
    }

    /// Where the load goes.
    pub(super) fn base_uri(&self) -> Result<Uri, RunError> {
        let url = match self {
            Self::Lab(lab) => format!("http://{}", lab.addresses().gateway),
            Self::Url(url) => url.trim_end_matches('/').to_owned(),
            Self::Kubernetes(on) => on.url.clone(),
        };
        url.parse().map_err(|source| RunError::Url { url, source })
    }

    /// What injects faults there. None: nothing can.
    pub(super) fn driver(&self) -> Result<Option<LabDriver>, RunError> {
        Ok(self.lab().map(LabDriver::new).transpose()?)
    }

    /// The lab's parts, if it is the lab.
    pub(super) fn lab(&self) -> Option<Addresses> {
        match self {
            Self::Lab(lab) => Some(*lab.addresses()),
            Self::Url(_) | Self::Kubernetes(_) => None,
        }
    }

    /// What a run on a cluster has to say of it, for `environment.json`.
    pub(super) async fn facts(&self) -> Option<serde_json::Value> {
        let Self::Kubernetes(on) = self else { return None };
        let at = on.cluster.at();
        // What can't be found out is not there: these are no conditions.
        let version = on.cluster.version().await.ok();
        let offset = offset::estimate(&on.cluster).await.ok().flatten();
        Some(serde_json::json!({
            "context": at.context, "server": at.server, "uid": at.uid, "version": version, "url": on.url,
            "clock-offset": offset.map(|offset| offset.to_string()),
        }))
    }

    /// Stops what is ours.
    pub(super) async fn stop(self) {
        match self {
            Self::Lab(lab) => lab.stop().await,
            Self::Url(_) | Self::Kubernetes(_) => {}
        }
    }
}
