//! The fault proxy's admin API, as JSON over HTTP on loopback. Toxics are
//! named as Toxiproxy names them.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The header with the word that an admin API may want to hear. Not
/// `authorization`, which an API server on the way keeps for itself.
pub const TOKEN_HEADER: &str = "x-firedrill-token";

/// The sub-command that is the proxy's process.
pub const COMMAND: &str = "proxy-process";

/// `POST /links`: a new link; the answer is its [`LinkStatus`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewLink {
    /// Its name, unique.
    pub name: String,
    /// Where it listens. None: on a free port of loopback.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// Where its bytes go.
    pub upstream: SocketAddr,
}

/// A link: `GET /links` (a list), `GET /links/{name}`. `DELETE /links/{name}`
/// closes it and its connections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinkStatus {
    /// Its name.
    pub name: String,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where its bytes go.
    pub upstream: SocketAddr,
    /// Connections accepted since its start.
    pub connections: u64,
    /// Bytes from the client to the upstream, delivered.
    pub bytes_up: u64,
    /// Bytes from the upstream to the client, delivered.
    pub bytes_down: u64,
    /// What is done to its bytes.
    pub toxics: Vec<ToxicStatus>,
}

/// `PUT /links/{name}/toxics/{id}`; `DELETE` the same path takes it back. Both
/// answer with its [`ToxicStatus`] (the last, when it is taken back).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NewToxic {
    /// Which bytes.
    pub stream: Stream,
    /// What is done to them.
    pub toxic: Toxic,
    /// It ends by itself after this long, in ms (a dead man's switch).
    pub ttl_ms: Option<u64>,
    /// Seed of its randomness.
    pub seed: u64,
}

/// Which bytes of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Those that the client sends.
    Upstream,
    /// Those that the client receives.
    Downstream,
}

/// What is done to bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Toxic {
    /// Later by `latency_ms` ± up to `jitter_ms`, each draw resembling the
    /// last by `correlation` (0–1). Order is kept.
    Latency {
        /// ms
        latency_ms: u64,
        /// ms
        jitter_ms: u64,
        /// 0–1
        correlation: f64,
    },
    /// Each chunk is lost with this probability, and comes after a TCP
    /// retransmission time-out (200 ms, doubled for each further loss). At 1
    /// nothing passes.
    Loss {
        /// 0–1
        probability: f64,
        /// 0–1
        correlation: f64,
    },
    /// No faster than this, in bytes per second.
    Bandwidth {
        /// bytes/s
        bytes_per_second: u64,
    },
    /// Nothing passes; connections stay open, new ones hang.
    Partition,
    /// TCP reset, this long after the first byte.
    ResetPeer {
        /// ms
        after_ms: u64,
    },
    /// The connection is closed, cleanly, after so many bytes.
    LimitData {
        /// bytes
        bytes: u64,
    },
    /// Pieces of this size with pauses between.
    Slicer {
        /// bytes
        average_size: u32,
        /// ms
        delay_ms: u64,
    },
}

/// A toxic and what it did so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToxicStatus {
    /// Its id.
    pub id: String,
    /// Which bytes.
    pub stream: Stream,
    /// What is done to them.
    pub toxic: Toxic,
    /// Chunks and connection attempts that it delayed, held, cut or dropped.
    pub affected: u64,
    /// Chunks and connection attempts that it let pass untouched.
    pub untouched: u64,
    /// Sum of the delays that it added, measured, in µs.
    pub added_delay_us: u64,
    /// Chunks that it holds now, not counted in `affected` yet.
    #[serde(default)]
    pub held: u64,
    /// Sum of what those have waited so far, in µs.
    #[serde(default)]
    pub held_us: u64,
    /// ms since it was put in place.
    pub age_ms: u64,
    /// ms from its start to the first chunk that it affected.
    pub first_affected_ms: Option<u64>,
}
