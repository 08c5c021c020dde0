//! A fault proxy of a run's own: a child process that can't outlive it.

use std::{net::SocketAddr, path::Path, time::Duration};

use super::{
    ProxyClient, ProxyConfig,
    api::{self, NewLink},
};
use crate::{
    api_client::ClientError,
    lab::api::Listening,
    process::{self, Child, ProcessError},
};

/// The name of its link.
pub const LINK: &str = "target";
/// How long it may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum OwnProxyError {
    /// Its process does not start.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It does not do what it is asked.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Nobody knows where the service is.
    #[error("{host}: {why}")]
    Unknown {
        /// The name.
        host: String,
        /// Why not.
        why: String,
    },
}

/// A running proxy with one link. Dropping it kills it.
#[derive(Debug)]
pub struct OwnProxy {
    child: Child,
    client: ProxyClient,
    listen: SocketAddr,
}

impl OwnProxy {
    /// Starts one from the program `exe`, with its log in the folder `logs`;
    /// its link leads to a host (by the address that its name has now).
    pub async fn start(exe: &Path, logs: &Path, host: &str, port: u16) -> Result<Self, OwnProxyError> {
        let upstream = resolve(host, port).await?;
        // Where there is no folder, there is no log, and the process says so.
        let _ = std::fs::create_dir_all(logs);
        let log = logs.join("proxy.log");
        let (child, Listening { listening }) =
            process::spawn(exe, api::COMMAND, &ProxyConfig {}, Some(&log)).await?;
        let client = ProxyClient::new(listening)?;
        let link = client.open(&NewLink { name: LINK.to_owned(), listen: None, upstream }).await?;
        Ok(Self { child, client, listen: link.listen })
    }

    /// A client of its admin API.
    pub fn client(&self) -> ProxyClient {
        self.client.clone()
    }

    /// Where its link listens.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Stops it.
    pub async fn stop(self) {
        // What it is asked for last can't fail the run.
        let _ = self.child.stop(PATIENCE).await;
    }
}

/// The first address of a name.
pub(super) async fn resolve(host: &str, port: u16) -> Result<SocketAddr, OwnProxyError> {
    let unknown = |why: String| OwnProxyError::Unknown { host: host.to_owned(), why };
    let mut found =
        tokio::net::lookup_host((host, port)).await.map_err(|error| unknown(error.to_string()))?;
    found.next().ok_or_else(|| unknown("it has no address".to_owned()))
}
