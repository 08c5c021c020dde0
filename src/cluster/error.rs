//! What can go wrong between here and an API server.

use kube::core::Status;

/// Why a cluster did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// No way to a cluster is known.
    #[error("the kubeconfig: {0}")]
    Config(String),
    /// The API server was not reached, or did not answer in time: whether it
    /// did what it was asked is not known.
    #[error("{what}: the API server does not answer: {why}")]
    Unreachable {
        /// What was asked for.
        what: String,
        /// Why.
        why: String,
    },
    /// The API server refused.
    #[error("{what}: {code} {reason}: {message}")]
    Refused {
        /// What was asked for.
        what: String,
        /// The HTTP status.
        code: u16,
        /// The machine's reason: `NotFound`, `Conflict`, `Forbidden`…
        reason: String,
        /// In words.
        message: String,
    },
    /// An object is not as it has to be.
    #[error("{0}")]
    Unfit(String),
}

impl ClusterError {
    /// What a call for `what` came to.
    pub(crate) fn of(what: impl Into<String>, error: kube::Error) -> Self {
        let what = what.into();
        match error {
            kube::Error::Api(status) => {
                let Status { code, reason, message, .. } = *status;
                // Proxies and overloaded servers answer without Kubernetes' words.
                match code {
                    0 | 502..=504 => Self::Unreachable { what, why: format!("{code} {message}") },
                    _ => Self::Refused { what, code, reason, message },
                }
            }
            other => Self::Unreachable { what, why: chain(&other) },
        }
    }

    /// Whether the thing that was asked for is surely not there.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Refused { code: 404 | 410, .. })
    }

    /// Whether somebody else changed the object in between.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { code: 409, .. })
    }

    /// Whether asking again may help: nothing was heard, or not now.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => *code == 429 || *code >= 500,
            Self::Config(_) | Self::Unfit(_) => false,
        }
    }
}

/// An error with all that caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}
