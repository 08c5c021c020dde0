//! JSON over HTTP to the admin APIs of this program's own processes.

use std::{net::SocketAddr, time::Duration};

use reqwest::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

/// How long one request may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// Why one of our own processes did not do what it was asked.
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

/// A client of HTTP servers that users name. The error is in words.
pub(crate) fn http(patience: Duration) -> Result<reqwest::Client, String> {
    let client = reqwest::Client::builder().no_proxy().timeout(patience).build();
    client.map_err(|error| error.to_string())
}

/// Asks, and reads the answers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct ApiClient {
    http: reqwest::Client,
}

impl ApiClient {
    /// The error is the TLS library's.
    pub(crate) fn new() -> Result<Self, ClientError> {
        let http = reqwest::Client::builder().no_proxy().build();
        let http = http
            .map_err(|error| ClientError::Exchange { url: "http client".to_owned(), why: chain(&error) })?;
        Ok(Self { http })
    }

    pub(crate) async fn send<B: Serialize>(
        &self,
        method: Method,
        at: SocketAddr,
        path: &str,
        body: Option<&B>,
    ) -> Result<String, ClientError> {
        self.send_patiently(method, at, path, body, PATIENCE).await
    }

    pub(crate) async fn send_patiently<B: Serialize>(
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

    pub(crate) async fn get<T: DeserializeOwned>(
        &self,
        at: SocketAddr,
        path: &str,
    ) -> Result<T, ClientError> {
        let body = self.send(Method::GET, at, path, None::<&()>).await?;
        read(at, path, &body)
    }
}

pub(crate) fn read<T: DeserializeOwned>(at: SocketAddr, path: &str, body: &str) -> Result<T, ClientError> {
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
