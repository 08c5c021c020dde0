//! The fault proxy: TCP links whose bytes can be delayed, lost, cut. A
//! process of its own that ends with its parent; `api` is how it is talked to.

pub mod api;

mod admin;
pub mod alone;
mod client;
mod driver;
pub(super) mod fault;
mod line;
mod link;
pub(super) mod network;
pub mod own;
pub(super) mod proof;
mod pump;
mod toxic;

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

pub(super) use self::driver::can;
pub use self::{
    client::ProxyClient,
    driver::{ProxyDriver, ProxyFault, own_link},
};
use crate::{
    lab::api::Listening,
    process::{self, ProcessError},
};

/// The proxy's configuration: nothing yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyConfig {}

/// Runs the proxy until its parent is gone. Says where its admin API listens.
pub async fn serve() -> Result<(), ProcessError> {
    let (ProxyConfig {}, parent_gone) = process::lifeline()?;
    let io = |source| ProcessError::Io { command: api::COMMAND.to_owned(), source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(io)?;
    let listening = listener.local_addr().map_err(io)?;
    let server = axum::serve(listener, admin::router());
    process::ready(&Listening { listening })?;
    tokio::select! {
        served = async { server.await } => served.map_err(io),
        _ = parent_gone => Ok(()),
    }
}
