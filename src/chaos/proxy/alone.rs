//! `firedrill proxy`: the fault proxy alone, before anything that speaks TCP.

use std::net::SocketAddr;

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::{
    admin,
    api::NewLink,
    own::{OwnProxyError, resolve},
};
use crate::process::ProcessError;

/// What it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alone {
    /// Where clients connect to.
    pub listen: SocketAddr,
    /// `host:port` of the service.
    pub upstream: String,
    /// Where its admin API listens.
    pub admin: SocketAddr,
    /// The name of its link, to select it by.
    pub name: String,
}

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum AloneError {
    /// The service's address can't be read.
    #[error("`{0}` is not HOST:PORT")]
    Upstream(String),
    /// Nobody knows where the service is.
    #[error(transparent)]
    Unknown(#[from] OwnProxyError),
    /// It can't listen there.
    #[error("listen on {at}: {source}")]
    Listen {
        /// Where.
        at: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// Its server failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// Runs until SIGINT or SIGTERM. Says on standard output what leads where.
pub async fn run(wanted: &Alone) -> Result<(), AloneError> {
    let Alone { listen, upstream, admin, name } = wanted;
    let apart = upstream.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let (host, port) = apart.ok_or_else(|| AloneError::Upstream(upstream.clone()))?;
    let to = resolve(host.trim_matches(['[', ']']), port).await?;
    let listener =
        TcpListener::bind(admin).await.map_err(|source| AloneError::Listen { at: *admin, source })?;
    let new = NewLink { name: name.clone(), listen: Some(*listen), upstream: to };
    let (router, link) =
        admin::with_link(new).await.map_err(|source| AloneError::Listen { at: *listen, source })?;
    let io = |source| ProcessError::Io { command: "proxy".to_owned(), source };
    let api = listener.local_addr().map_err(io)?;
    println!("{} -> {upstream} ({to})\nadmin API: http://{api}/links", link.listen);
    println!("target:\n  url: {{ at: \"http://{}\", proxy: \"{api}\" }}", link.listen);
    let server = axum::serve(listener, router);
    let mut ended = signal(SignalKind::terminate()).map_err(io)?;
    tokio::select! {
        served = async { server.await } => served.map_err(io)?,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(io)?,
        _ = ended.recv() => {}
    }
    Ok(())
}
