//! What the lab's processes say to each other and to the harness, as JSON
//! over HTTP on loopback. README-like facts stand in `lab/README.md`.

use std::net::SocketAddr;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use super::config::{GatewayConfig, LabConfig, ModelPreset, VersionDefect};
use crate::{
    journal::event::{BreakerState, RolloutPhase},
    units::{PodName, Version},
};

/// Sub-commands of this program that are the lab's processes.
pub mod command {
    /// A replica.
    pub const REPLICA: &str = "lab-replica";
    /// The gateway.
    pub const GATEWAY: &str = "lab-gateway";
    /// The controller.
    pub const CONTROLLER: &str = "lab-controller";
}

/// Where the lab's parts listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The gateway: the service under test, and `/metrics`.
    pub gateway: SocketAddr,
    /// The controller: pods and rollouts.
    pub controller: SocketAddr,
    /// The admin API of the fault proxy that carries every gateway–replica link.
    pub proxy: SocketAddr,
}

/// What a process says when it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listening {
    /// Where it listens.
    pub listening: SocketAddr,
}

/// Configuration of a replica process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplicaConfig {
    /// Its pod's name.
    pub pod: PodName,
    /// The version it serves.
    pub version: Version,
    /// What is wrong with that version.
    pub defect: VersionDefect,
    /// The simulated model.
    pub model: ModelPreset,
    /// The seed of its randomness.
    pub seed: u64,
    /// Time until it is warm, in ms.
    pub cold_start_ms: u64,
    /// Defect: says ready at once, and is slow and failing until warm.
    pub ready_before_warm: bool,
    /// Answers nonsense (a fallback's defect).
    pub garbage: bool,
    /// The model that its answers name. None: the one that was asked for.
    #[serde(default)]
    pub named: Option<String>,
    /// Takes this much longer for the first token, in ms (a fallback's defect).
    pub extra_delay_ms: u64,
    /// Share of requests (0–1) answered with 500.
    pub error_rate: f64,
    /// Where it writes one JSON line a request ([`ReplicaLogLine`]), if at all.
    pub request_log: Option<std::path::PathBuf>,
    /// The port to listen on, so that a container started again is found
    /// where its pod was; none takes a free one.
    #[serde(default)]
    pub port: Option<u16>,
}

/// One line of a replica's request log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplicaLogLine {
    /// The request's `x-request-id`, if it had one.
    pub id: Option<String>,
    /// Microseconds from the request's arrival to its first token being
    /// written. None: it got none.
    pub ttft_us: Option<u64>,
    /// HTTP status.
    pub status: u16,
    /// Tokens written.
    pub tokens: u32,
    /// Whether the client stayed to the end.
    pub complete: bool,
}

/// Configuration of the gateway process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GatewayProcessConfig {
    /// Mitigations and limits.
    pub gateway: GatewayConfig,
    /// The seed of its randomness.
    pub seed: u64,
    /// The port to listen on; none takes a free one.
    pub port: Option<u16>,
}

/// Configuration of the controller process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControllerProcessConfig {
    /// The lab's configuration.
    pub lab: LabConfig,
    /// The seed of everything it starts.
    pub seed: u64,
    /// The gateway's address.
    pub gateway: SocketAddr,
    /// The fault proxy's admin address.
    pub proxy: SocketAddr,
    /// Where the replicas' logs go.
    pub logs: std::path::PathBuf,
}

/// A pod, as the controller lists it: `GET /pods`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PodStatus {
    /// Its name: `replica-0`, `replica-1`…; a replacement has a new one.
    pub name: PodName,
    /// `default` for replicas, `fallback` for the fallback model's.
    pub namespace: String,
    /// `app: llm` (or `app: fallback`), `version: v1`, `track: stable|canary`.
    pub labels: IndexMap<String, String>,
    /// Always empty so far.
    pub annotations: IndexMap<String, String>,
    /// `node-0`, `node-1`… round robin.
    pub node: String,
    /// `Pending` (cold), `Running`, `Failed`, `Terminating`.
    pub phase: String,
    /// Whether it says that it is ready (its `/ready`).
    pub ready: bool,
    /// The version it serves.
    pub version: Version,
    /// How often its container was started again.
    pub restarts: u32,
    /// Its process.
    pub pid: Option<u32>,
    /// Where it listens itself.
    pub address: Option<SocketAddr>,
    /// Where the fault proxy listens for it; the gateway uses this one. The
    /// link's name is the pod's.
    pub link: Option<SocketAddr>,
    /// How its last process ended: `signal 9`, `exit 1`.
    pub last_exit: Option<String>,
}

/// The rollout: `GET /rollout`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutStatus {
    /// Its phase.
    pub phase: RolloutPhase,
    /// The stable version.
    pub stable: Version,
    /// The version under trial.
    pub candidate: Option<Version>,
    /// Share of the traffic for the candidate, 0–1.
    pub weight: f64,
    /// Why it is in this phase.
    pub reason: String,
}

/// `POST /deploy`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DeployRequest {
    /// The new version.
    pub version: Version,
    /// What is wrong with it.
    pub defect: VersionDefect,
}

/// `PUT /pods/{name}/slowdown` on the controller, `PUT /admin/slowdown` on a
/// replica: steps take this many times as long (1: none).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slowdown {
    /// The factor.
    pub factor: f64,
}

/// A replica that the gateway may use: `PUT /admin/upstreams` takes the whole
/// list, replacing the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upstream {
    /// The pod.
    pub pod: PodName,
    /// Where to reach it (the proxy's link).
    pub address: SocketAddr,
    /// Its version.
    pub version: Version,
    /// What it is there for.
    pub role: Role,
}

/// What an upstream is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The stable version.
    Stable,
    /// The version under trial.
    Canary,
    /// The stable version in the second zone.
    Standby,
    /// The smaller model.
    Fallback,
}

/// `PUT /admin/routing` on the gateway.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Routing {
    /// The version whose cached answers are valid (and what a stable request
    /// is keyed by).
    pub stable: Version,
    /// Share of the traffic for canaries, 0–1.
    pub canary_weight: f64,
    /// Drop cached answers of these versions.
    pub purge: Vec<Version>,
}

/// `GET /admin/upstreams` on the gateway: an upstream as it stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpstreamStatus {
    /// The upstream as the controller named it.
    #[serde(flatten)]
    pub upstream: Upstream,
    /// Its breaker's state; none where there are no breakers.
    pub breaker: Option<BreakerState>,
    /// Attempts on it that are open.
    pub outstanding: u32,
}
