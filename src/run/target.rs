//! What is drilled, once it is up: the lab's processes, or a URL.

use std::path::Path;

use http::Uri;

use super::RunError;
use crate::{
    chaos::LabDriver,
    lab::{Lab, LabError, api::Addresses},
    scenario::model::Target,
};

/// A target that is up.
#[derive(Debug)]
pub(super) enum Running {
    /// The lab, ours to start and stop.
    Lab(Lab),
    /// Somebody else's service.
    Url(String),
}

impl Running {
    /// Starts what is ours to start.
    pub(super) async fn start(target: &Target, seed: u64, exe: &Path, logs: &Path) -> Result<Self, LabError> {
        Ok(match target {
            Target::Lab(config) => Self::Lab(Lab::start(config, seed, exe, logs).await?),
            Target::Url(url) => Self::Url(url.clone()),
        })
    }

    /// Where the load goes.
    pub(super) fn base_uri(&self) -> Result<Uri, RunError> {
        let url = match self {
            Self::Lab(lab) => format!("http://{}", lab.addresses().gateway),
            Self::Url(url) => url.trim_end_matches('/').to_owned(),
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
            Self::Url(_) => None,
        }
    }

    /// Stops what is ours.
    pub(super) async fn stop(self) {
        match self {
            Self::Lab(lab) => lab.stop().await,
            Self::Url(_) => {}
        }
    }
}
