//! Goose users, executors, protocols, outcome classification.
//!
//! Each load stream is a schedule that its users share. A user claims the next
//! request, sleeps until it is due, sends it on a connection that it owns while
//! it lasts, and records how it ended. Latencies count from the scheduled time,
//! so an answer that keeps a user busy makes nobody's wait invisible.
//! `classify` decides the outcome, once; nothing downstream sees a status code.

mod answer;
mod attack;
mod classify;
mod client;
mod connection;
mod content;
mod crew;
mod dialect;
mod drive;
mod exchange;
mod feed;
mod freshness;
mod golden;
mod grpc;
mod lengths;
mod misses;
mod origin;
mod probe;
mod progress;
mod prompts;
mod protocol;
mod record;
mod request;
mod request_log;
mod schedule;
#[cfg(test)]
mod schedules;
mod search;
mod secret;
mod served;
mod shard;
mod sse;
mod upstreams;
mod watch;

pub use connection::Destination;
pub use drive::{LoadJob, LoadSummary, drive};
pub use probe::{ProbeAnswer, probe};
pub use progress::{Progress, Second};
pub use request_log::{LoggedRequest, RequestLog, RequestLogWriter};
pub use search::Search;

/// Why load can't be sent. Requests that fail are no errors: they are outcomes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The target's URL can't be used.
    #[error("`{url}` can't be loaded: {why}")]
    Url {
        /// The URL.
        url: String,
        /// Why not.
        why: &'static str,
    },
    /// A workload can't be sent as it is described.
    #[error("workload: {0}")]
    Workload(String),
    /// The files of TLS can't be used.
    #[error("TLS: {0}")]
    Tls(String),
    /// A secret can't be read.
    #[error("auth: {0}")]
    Secret(String),
    /// A load stream names a workload that the plan does not have.
    #[error("load `{load}` names the workload `{workload}`, which the plan does not have")]
    NoWorkload {
        /// The load stream.
        load: String,
        /// What it names.
        workload: String,
    },
    /// What was measured could not be put together.
    #[error("the load's report: {0}")]
    Report(String),
    /// Goose failed.
    #[error("goose: {0}")]
    Goose(String),
}
