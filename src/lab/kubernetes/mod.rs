//! The lab on a Kubernetes cluster: the same replicas and gateway, each in
//! pods of a Deployment (`deploy/` has the manifests).
//!
//! In a pod there is no parent and no pipe: `environment` reads the
//! configuration, and `ending` ends the process at SIGTERM, once it has
//! finished what it was asked. `manifests` are the files of `deploy/`, which
//! `deploy` applies and `delete` takes away again.

mod delete;
mod deploy;
pub(super) mod ending;
pub mod environment;
mod manifests;
mod progress;

use std::time::Duration;

pub(super) use self::manifests::selector;
pub use self::{delete::delete, deploy::deploy, manifests::Wanted};
use crate::cluster::ClusterError;

/// Why a process in a pod does not run.
#[derive(Debug, thiserror::Error)]
pub enum PodError {
    /// Its configuration is wrong.
    #[error("the environment: {}", .0.join("; "))]
    Environment(Vec<String>),
    /// It can't listen, or its server failed.
    #[error("serve on port {port}: {source}")]
    Serve {
        /// The port.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// It is not in a pod with a ServiceAccount.
    #[error("the API server: {0}")]
    Cluster(String),
}

/// Why the lab is not on the cluster, or still is.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// The cluster did not do what it was asked.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// A manifest of this program is wrong.
    #[error("deploy/{file}: {why}")]
    Manifest {
        /// The file.
        file: &'static str,
        /// Why.
        why: String,
    },
    /// Objects of these names are somebody else's.
    #[error("{} there already, and not the lab's: choose another --namespace", are(.0))]
    Foreign(Vec<String>),
    /// Containers don't start.
    #[error("pods can't start: {0}; `kubectl describe pods` tells more")]
    Stuck(String),
    /// It took too long.
    #[error("not done within {} s: {state}", .within.as_secs())]
    NotReady {
        /// How long was waited.
        within: Duration,
        /// How far it is.
        state: String,
    },
}

impl DeployError {
    /// Whether it was asked for in the wrong way, and nothing was changed.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Foreign(_) | Self::Cluster(ClusterError::Config(_)) => true,
            Self::Cluster(
                ClusterError::Unreachable { .. } | ClusterError::Refused { .. } | ClusterError::Unfit(_),
            )
            | Self::Manifest { .. }
            | Self::Stuck(_)
            | Self::NotReady { .. } => false,
        }
    }
}

fn are(names: &[String]) -> String {
    format!("{} {}", names.join(", "), if names.len() == 1 { "is" } else { "are" })
}
