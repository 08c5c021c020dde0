//! The harness's side of the lab's APIs.

use std::{net::SocketAddr, time::Duration};

use reqwest::Method;

use super::api::{Addresses, DeployRequest, PodStatus, RolloutStatus, Slowdown};
pub use crate::api_client::ClientError;
use crate::{
    api_client::{ApiClient, PATIENCE},
    chaos::proxy::ProxyClient,
    observe::prometheus::Exposition,
    units::PodName,
};

/// A client of a lab's controller, proxy and replicas. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LabClient {
    api: ApiClient,
    at: Addresses,
}

impl LabClient {
    /// A client of the lab at these addresses. The error is the TLS library's.
    pub fn new(at: Addresses) -> Result<Self, ClientError> {
        Ok(Self { api: ApiClient::new()?, at })
    }

    /// Where the lab's parts are.
    pub fn addresses(&self) -> Addresses {
        self.at
    }

    /// A client of its fault proxy.
    pub fn proxy(&self) -> ProxyClient {
        ProxyClient::with(self.api.clone(), self.at.proxy)
    }

    /// All pods.
    pub async fn pods(&self) -> Result<Vec<PodStatus>, ClientError> {
        self.api.get(self.at.controller, "/pods").await
    }

    /// One pod.
    pub async fn pod(&self, name: &PodName) -> Result<PodStatus, ClientError> {
        self.api.get(self.at.controller, &format!("/pods/{name}")).await
    }

    /// Deletes a pod: SIGTERM, and SIGKILL after the grace period (0: at once).
    pub async fn delete_pod(&self, name: &PodName, grace_seconds: u64) -> Result<(), ClientError> {
        let path = format!("/pods/{name}?grace_period_seconds={grace_seconds}");
        // It answers when the pod is gone.
        let patience = PATIENCE + Duration::from_secs(grace_seconds);
        self.api
            .send_patiently(Method::DELETE, self.at.controller, &path, None::<&()>, patience)
            .await
            .map(drop)
    }

    /// SIGKILL to a pod's container, which is started again.
    pub async fn kill_container(&self, name: &PodName) -> Result<(), ClientError> {
        let path = format!("/pods/{name}/kill-container");
        self.api.send(Method::POST, self.at.controller, &path, None::<&()>).await.map(drop)
    }

    /// The pod stays, and serves nothing.
    pub async fn fail_pod(&self, name: &PodName) -> Result<(), ClientError> {
        let path = format!("/pods/{name}/failure");
        self.api.send(Method::PUT, self.at.controller, &path, None::<&()>).await.map(drop)
    }

    /// It serves again.
    pub async fn unfail_pod(&self, name: &PodName) -> Result<(), ClientError> {
        let path = format!("/pods/{name}/failure");
        self.api.send(Method::DELETE, self.at.controller, &path, None::<&()>).await.map(drop)
    }

    /// Steps take this many times as long.
    pub async fn slow_down(&self, name: &PodName, factor: f64) -> Result<(), ClientError> {
        let path = format!("/pods/{name}/slowdown");
        self.api.send(Method::PUT, self.at.controller, &path, Some(&Slowdown { factor })).await.map(drop)
    }

    /// The rollout.
    pub async fn rollout(&self) -> Result<RolloutStatus, ClientError> {
        self.api.get(self.at.controller, "/rollout").await
    }

    /// Rolls out a version.
    pub async fn deploy(&self, request: &DeployRequest) -> Result<(), ClientError> {
        self.api.send(Method::POST, self.at.controller, "/deploy", Some(request)).await.map(drop)
    }

    /// The figures of a part of the lab.
    pub async fn metrics(&self, at: SocketAddr) -> Result<Exposition, ClientError> {
        let text = self.api.send(Method::GET, at, "/metrics", None::<&()>).await?;
        Ok(Exposition::parse(&text))
    }
}
