//! The built-in target: simulated GPU replicas, a gateway, a rollout
//! controller, each its own process on loopback; or replicas and gateway as pods
//! of a cluster. README.md tells how they fit together.

pub mod api;
pub mod client;
pub mod config;
pub mod controller;
pub mod gateway;
pub mod golden;
pub mod kubernetes;
pub mod replica;
pub mod standalone;

use std::{
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::ExitStatus,
    time::Duration,
};

use serde::Serialize;

use crate::{
    chaos::proxy,
    process::{self, Child, ProcessError},
};
use api::{Addresses, ControllerProcessConfig, GatewayProcessConfig, Listening, command};
use config::LabConfig;

/// How long a part may take to end; the controller lets its replicas finish
/// what they began.
const STOP_WITHIN: Duration = Duration::from_secs(6);

/// Why there is no lab.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The gateway's port is another program's.
    #[error("port {port} is taken: {source}; choose another `port` for the lab, or none for a free one")]
    PortTaken {
        /// The port.
        port: u16,
        /// Why.
        source: std::io::Error,
    },
    /// There is no place for the logs of its parts.
    #[error("create {}: {source}", .folder.display())]
    Logs {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A part did not start.
    #[error("start the lab's {part}: {source}{}", said(.log))]
    Part {
        /// Which one.
        part: &'static str,
        /// Its log.
        log: PathBuf,
        /// Why.
        source: ProcessError,
    },
    /// A part died while it was needed.
    #[error("the lab is incomplete: {what}")]
    Died {
        /// Which part, and how.
        what: String,
    },
    /// A signal handler could not be set up.
    #[error("wait for an interrupt: {0}")]
    Interrupt(std::io::Error),
}

/// The last line of a part's log, as the end of a sentence.
fn said(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    match text.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!(" (it said: {})", line.trim()),
        None => String::new(),
    }
}

/// What a process of the lab has to say goes to its log.
fn log_to_stderr() {
    let log = tracing_subscriber::fmt().with_ansi(false).with_writer(std::io::stderr);
    // An error: somebody set one up already.
    let _ = log.with_max_level(tracing::Level::INFO).try_init();
}

/// A process of the lab.
#[derive(Debug)]
struct Part {
    name: &'static str,
    child: Child,
}

impl Part {
    async fn start<C: Serialize>(
        name: &'static str,
        exe: &Path,
        command: &str,
        config: &C,
        logs: &Path,
    ) -> Result<(Self, std::net::SocketAddr), LabError> {
        let log = logs.join(format!("{name}.log"));
        match process::spawn(exe, command, config, Some(&log)).await {
            Ok((child, Listening { listening })) => Ok((Self { name, child }, listening)),
            Err(source) => Err(LabError::Part { part: name, log, source }),
        }
    }

    async fn died(&mut self) -> String {
        let how = self.child.wait().await.map_or_else(|error| error.to_string(), |status| describe(&status));
        format!("the {} died ({how})", self.name)
    }
}

/// `signal 9`, `exit 1`.
pub(crate) fn describe(status: &ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.signal(), status.code()) {
        (Some(signal), _) => format!("signal {signal}"),
        (None, Some(code)) => format!("exit {code}"),
        (None, None) => status.to_string(),
    }
}

/// A running lab. Dropping it kills it; [`Lab::stop`] lets it finish.
#[derive(Debug)]
pub struct Lab {
    addresses: Addresses,
    proxy: Part,
    gateway: Part,
    controller: Part,
}

impl Lab {
    /// Starts all processes from the program `exe`, with their logs (and one
    /// `<pod>.requests.jsonl` a replica) in the folder `logs`. Returns when
    /// all replicas are ready and the gateway knows them.
    pub async fn start(config: &LabConfig, seed: u64, exe: &Path, logs: &Path) -> Result<Self, LabError> {
        std::fs::create_dir_all(logs).map_err(|source| LabError::Logs { folder: logs.to_owned(), source })?;
        if let Some(port) = config.port {
            // Found out here, it is told better than by a process that ends.
            TcpListener::bind((Ipv4Addr::LOCALHOST, port))
                .map_err(|source| LabError::PortTaken { port, source })?;
        }
        let nothing = proxy::ProxyConfig {};
        let (proxy, proxy_at) = Part::start("proxy", exe, proxy::api::COMMAND, &nothing, logs).await?;
        let of_gateway = GatewayProcessConfig { gateway: config.gateway.clone(), seed, port: config.port };
        let (gateway, gateway_at) = Part::start("gateway", exe, command::GATEWAY, &of_gateway, logs).await?;
        let of_controller = ControllerProcessConfig {
            lab: config.clone(),
            seed,
            gateway: gateway_at,
            proxy: proxy_at,
            logs: logs.to_owned(),
        };
        let (controller, controller_at) =
            Part::start("controller", exe, command::CONTROLLER, &of_controller, logs).await?;
        let addresses = Addresses { gateway: gateway_at, controller: controller_at, proxy: proxy_at };
        Ok(Self { addresses, proxy, gateway, controller })
    }

    /// Where its parts listen.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Process ids of proxy, gateway and controller.
    pub fn pids(&self) -> [u32; 3] {
        [self.proxy.child.pid(), self.gateway.child.pid(), self.controller.child.pid()]
    }

    /// Resolves when a part that nobody may miss died, and says which and
    /// how. Replicas are the controller's concern. Cancel safe.
    pub async fn died(&mut self) -> String {
        tokio::select! {
            what = self.gateway.died() => what,
            what = self.controller.died() => what,
            what = self.proxy.died() => what,
        }
    }

    /// Ends everything and waits for it: the controller with its replicas
    /// first, so that what is open can still be answered and logged.
    pub async fn stop(self) {
        for Part { name, child } in [self.controller, self.gateway, self.proxy] {
            if let Err(error) = child.stop(STOP_WITHIN).await {
                tracing::warn!(%error, part = name, "stop");
            }
        }
    }
}
