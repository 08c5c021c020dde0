//! The harness's side of the fault proxy's admin API.

use std::net::SocketAddr;

use reqwest::Method;

use super::api::{LinkStatus, NewLink, NewToxic, ToxicStatus};
use crate::api_client::{ApiClient, ClientError, read};

/// A client of one fault proxy. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ProxyClient {
    api: ApiClient,
    at: SocketAddr,
}

impl ProxyClient {
    /// A client of the proxy whose admin API is at this address. The error is
    /// the TLS library's.
    pub fn new(at: SocketAddr) -> Result<Self, ClientError> {
        Ok(Self { api: ApiClient::new()?, at })
    }

    pub(crate) fn with(api: ApiClient, at: SocketAddr) -> Self {
        Self { api, at }
    }

    /// Where its admin API is.
    pub fn at(&self) -> SocketAddr {
        self.at
    }

    /// Opens a link.
    pub async fn open(&self, new: &NewLink) -> Result<LinkStatus, ClientError> {
        let body = self.api.send(Method::POST, self.at, "/links", Some(new)).await?;
        read(self.at, "/links", &body)
    }

    /// All links.
    pub async fn links(&self) -> Result<Vec<LinkStatus>, ClientError> {
        self.api.get(self.at, "/links").await
    }

    /// One link.
    pub async fn link(&self, name: &str) -> Result<LinkStatus, ClientError> {
        self.api.get(self.at, &format!("/links/{name}")).await
    }

    /// Puts a toxic on a link.
    pub async fn put_toxic(&self, link: &str, id: &str, toxic: &NewToxic) -> Result<(), ClientError> {
        let path = format!("/links/{link}/toxics/{id}");
        self.api.send(Method::PUT, self.at, &path, Some(toxic)).await.map(drop)
    }

    /// Takes a toxic off a link. Says what it did.
    pub async fn take_toxic(&self, link: &str, id: &str) -> Result<ToxicStatus, ClientError> {
        let path = format!("/links/{link}/toxics/{id}");
        let body = self.api.send(Method::DELETE, self.at, &path, None::<&()>).await?;
        read(self.at, &path, &body)
    }
}
