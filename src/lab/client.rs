//! The harness's side of the lab's APIs.

use std::{net::SocketAddr, time::Duration};

use reqwest::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

use super::api::{Addresses, DeployRequest, PodStatus, RolloutStatus, Slowdown};
use crate::{
    chaos::proxy::api::{LinkStatus, NewToxic, ToxicStatus},
    observe::prometheus::Exposition,
    units::PodName,
};

/// How long one request may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why a part of the lab did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens there: its process is gone.
    #[error("{url}: nobody listens")]
    Gone {
        /// What was asked for.
        url: String,
    },
    /// There is no such thing.
    #[error("{url}: not found")]
    NotFound {
        /// What was asked for.
        url: String,
    },
    /// It refused.
    #[error("{url}: {status}: {body}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: StatusCode,
        /// What it said.
        body: String,
    },
    /// The exchange failed, or took too long.
    #[error("{url}: {why}")]
    Exchange {
        /// What was asked for.
        url: String,
        /// Why.
        why: String,
    },
}

impl ClientError {
    /// Whether the thing that was asked for is surely not there (any more).
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Gone { .. } | Self::NotFound { .. })
    }
}

/// A client of a lab's controller, proxy and replicas. Cheap to clone.
#[derive(Debug, Clone)]
pub struct LabClient {
    http: reqwest::Client,
    at: Addresses,
}

impl LabClient {
    /// A client of the lab at these addresses. The error is the TLS library's.
    pub fn new(at: Addresses) -> Result<Self, ClientError> {
        let http = reqwest::Client::builder().no_proxy().build();
        let http = http
            .map_err(|error| ClientError::Exchange { url: "http client".to_owned(), why: chain(&error) })?;
        Ok(Self { http, at })
    }

    /// Where the lab's parts are.
    pub fn addresses(&self) -> Addresses {
        self.at
    }

    async fn send<B: Serialize>(
        &self,
        method: Method,
        at: SocketAddr,
        path: &str,
        body: Option<&B>,
    ) -> Result<String, ClientError> {
        self.send_patiently(method, at, path, body, PATIENCE).await
    }

    async fn send_patiently<B: Serialize>(
        &self,
        method: Method,
        at: SocketAddr,
        path: &str,
        body: Option<&B>,
        patience: Duration,
    ) -> Result<String, ClientError> {
        let url = format!("http://{at}{path}");
        let mut request = self.http.request(method, &url).timeout(patience);
        if let Some(body) = body {
            request = request.json(body);
        }
        let exchange = |error: reqwest::Error| {
            let why = chain(&error);
            match error.is_connect() {
                true if why.contains("refused") => ClientError::Gone { url: url.clone() },
                _ => ClientError::Exchange { url: url.clone(), why },
            }
        };
        let answer = request.send().await.map_err(exchange)?;
        let status = answer.status();
        let body = answer.text().await.map_err(exchange)?;
        match status {
            StatusCode::NOT_FOUND | StatusCode::GONE => Err(ClientError::NotFound { url }),
            status if !status.is_success() => Err(ClientError::Refused { url, status, body }),
            _ => Ok(body),
        }
    }

    async fn get<T: DeserializeOwned>(&self, at: SocketAddr, path: &str) -> Result<T, ClientError> {
        let body = self.send(Method::GET, at, path, None::<&()>).await?;
        read(at, path, &body)
    }

    /// All pods.
    pub async fn pods(&self) -> Result<Vec<PodStatus>, ClientError> {
        self.get(self.at.controller, "/pods").await
    }

    /// One pod.
    pub async fn pod(&self, name: &PodName) -> Result<PodStatus, ClientError> {
        self.get(self.at.controller, &format!("/pods/{name}")).await
    }

    /// Deletes a pod: SIGTERM, and SIGKILL after the grace period (0: at once).
    pub async fn delete_pod(&self, name: &PodName, grace_seconds: u64) -> Result<(), ClientError> {
        let path = format!("/pods/{name}?grace_period_seconds={grace_seconds}");
        // It answers when the pod is gone.
        let patience = PATIENCE + Duration::from_secs(grace_seconds);
        self.send_patiently(Method::DELETE, self.at.controller, &path, None::<&()>, patience).await.map(drop)
    }

    /// SIGKILL to a pod's container, which is started again.
    pub async fn kill_container(&self, name: &PodName) -> Result<(), ClientError> {
        let path = format!("/pods/{name}/kill-container");
        self.send(Method::POST, self.at.controller, &path, None::<&()>).await.map(drop)
    }

    /// The pod stays, and serves nothing.
    pub async fn fail_pod(&self, name: &PodName) -> Result<(), ClientError> {
        let path = format!("/pods/{name}/failure");
        self.send(Method::PUT, self.at.controller, &path, None::<&()>).await.map(drop)
    }

    /// It serves again.
    pub async fn unfail_pod(&self, name: &PodName) -> Result<(), ClientError> {
        let path = format!("/pods/{name}/failure");
        self.send(Method::DELETE, self.at.controller, &path, None::<&()>).await.map(drop)
    }

    /// Steps take this many times as long.
    pub async fn slow_down(&self, name: &PodName, factor: f64) -> Result<(), ClientError> {
        let path = format!("/pods/{name}/slowdown");
        self.send(Method::PUT, self.at.controller, &path, Some(&Slowdown { factor })).await.map(drop)
    }

    /// The rollout.
    pub async fn rollout(&self) -> Result<RolloutStatus, ClientError> {
        self.get(self.at.controller, "/rollout").await
    }

    /// Rolls out a version.
    pub async fn deploy(&self, request: &DeployRequest) -> Result<(), ClientError> {
        self.send(Method::POST, self.at.controller, "/deploy", Some(request)).await.map(drop)
    }

    /// All links.
    pub async fn links(&self) -> Result<Vec<LinkStatus>, ClientError> {
        self.get(self.at.proxy, "/links").await
    }

    /// One link.
    pub async fn link(&self, name: &str) -> Result<LinkStatus, ClientError> {
        self.get(self.at.proxy, &format!("/links/{name}")).await
    }

    /// Puts a toxic on a link.
    pub async fn put_toxic(&self, link: &str, id: &str, toxic: &NewToxic) -> Result<(), ClientError> {
        let path = format!("/links/{link}/toxics/{id}");
        self.send(Method::PUT, self.at.proxy, &path, Some(toxic)).await.map(drop)
    }

    /// Takes a toxic off a link. Says what it did.
    pub async fn take_toxic(&self, link: &str, id: &str) -> Result<ToxicStatus, ClientError> {
        let path = format!("/links/{link}/toxics/{id}");
        let body = self.send(Method::DELETE, self.at.proxy, &path, None::<&()>).await?;
        read(self.at.proxy, &path, &body)
    }

    /// The figures of a part of the lab.
    pub async fn metrics(&self, at: SocketAddr) -> Result<Exposition, ClientError> {
        let text = self.send(Method::GET, at, "/metrics", None::<&()>).await?;
        Ok(Exposition::parse(&text))
    }
}

fn read<T: DeserializeOwned>(at: SocketAddr, path: &str, body: &str) -> Result<T, ClientError> {
    serde_json::from_str(body)
        .map_err(|error| ClientError::Exchange { url: format!("http://{at}{path}"), why: error.to_string() })
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
