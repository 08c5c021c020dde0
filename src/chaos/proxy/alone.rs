//! `firedrill proxy`: the fault proxy alone, before anything that speaks TCP.

use std::{net::SocketAddr, str::FromStr};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::{
    admin,
    api::NewLink,
    link::Link,
    own::{OwnProxyError, resolve},
};
use crate::process::ProcessError;

/// What it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alone {
    /// Its links.
    pub links: Vec<AloneLink>,
    /// Where its admin API listens.
    pub admin: SocketAddr,
    /// What requests to it must carry in the header `x-firedrill-token`,
    /// if anything.
    pub token: Option<String>,
}

/// A link from an address to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AloneLink {
    /// Its name, to select it by.
    pub name: String,
    /// Where clients connect to.
    pub listen: SocketAddr,
    /// `host:port` of the service.
    pub upstream: String,
}

/// `NAME=ADDRESS:PORT=HOST:PORT`
impl FromStr for AloneLink {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, '=');
        let (Some(name), Some(listen), Some(upstream)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("it is not NAME=ADDRESS:PORT=HOST:PORT".to_owned());
        };
        let listen = listen.parse().map_err(|_| format!("`{listen}` is not ADDRESS:PORT"))?;
        Ok(Self { name: name.to_owned(), listen, upstream: upstream.to_owned() })
    }
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
    let Alone { links, admin, token } = wanted;
    let listener =
        TcpListener::bind(admin).await.map_err(|source| AloneError::Listen { at: *admin, source })?;
    let io = |source| ProcessError::Io { command: "proxy".to_owned(), source };
    let api = listener.local_addr().map_err(io)?;
    let mut all = Vec::with_capacity(links.len());
    for AloneLink { name, listen, upstream } in links {
        let apart = upstream.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        let (host, port) = apart.ok_or_else(|| AloneError::Upstream(upstream.clone()))?;
        let to = resolve(host.trim_matches(['[', ']']), port).await?;
        let new = NewLink { name: name.clone(), listen: Some(*listen), upstream: to };
        let link = Link::open(new).await.map_err(|source| AloneError::Listen { at: *listen, source })?;
        println!("{} -> {upstream} ({to})", link.status().listen);
        all.push(link);
    }
    println!("admin API: http://{api}/links");
    if let Some(first) = all.first() {
        println!("target:\n  url: {{ at: \"http://{}\", proxy: \"{api}\" }}", first.status().listen);
    }
    let server = axum::serve(listener, admin::with_links(all, token.clone()));
    let mut ended = signal(SignalKind::terminate()).map_err(io)?;
    tokio::select! {
        served = async { server.await } => served.map_err(io)?,
        interrupted = tokio::signal::ctrl_c() => interrupted.map_err(io)?,
        _ = ended.recv() => {}
    }
    Ok(())
}
