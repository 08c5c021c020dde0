//! One request ahead of a run, to see whether the endpoint answers as expected.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderName, HeaderValue};
use tokio_util::sync::CancellationToken;

use super::{
    LoadError,
    client::Client,
    connection::{Base, Connections, Destination},
    feed::Feed,
    protocol::Protocol,
};
use crate::{
    journal::interval::{Outcome, Served},
    scenario::model::Workload,
};

/// Tells the target that a request is no part of the load.
const PROBE: HeaderName = HeaderName::from_static("x-firedrill-probe");

/// How the probe ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeAnswer {
    /// How it ended.
    pub outcome: Outcome,
    /// What was wrong, in words; empty where nothing was.
    pub detail: String,
    /// HTTP status.
    pub status: Option<u16>,
    /// Who answered.
    pub served: Served,
    /// Sent → first token.
    pub ttft: Option<Duration>,
    /// Sent → the end.
    pub took: Duration,
    /// Output tokens.
    pub tokens: u64,
    /// Whether the server counted them itself.
    pub usage: bool,
}

/// Sends one request of `workload`, with the header `x-firedrill-probe: 1` and
/// a prompt that no load sends.
///
/// # Errors
/// [`LoadError`] where the workload or the URL can't be used. A request that
/// fails is no error: its outcome says how.
pub async fn probe(to: &Destination, workload: &Workload) -> Result<ProbeAnswer, LoadError> {
    let base = Base::of(&to.of(workload)?)?;
    let protocol = Protocol::new(&base, workload)?;
    let feed = Feed::new("probe", workload, protocol.dialect.clone(), &base, 0)?;
    // New each time, so that no cache answers for the endpoint.
    let nonce = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64;
    let limit = workload.transport.connect_timeout.0;
    let connections = Connections::to(base, &workload.connection(), limit, false)?;
    let mut client = Client::new(connections.seat(), &CancellationToken::new());
    let marks = [(PROBE, HeaderValue::from_static("1"))];
    let ended = client.ask(&protocol, &feed, &*feed.probe(nonce)?, &marks).await;
    Ok(ProbeAnswer {
        outcome: ended.outcome,
        detail: ended.detail,
        status: ended.status,
        served: ended.labels.served,
        ttft: ended.answer.first.map(|first| first.saturating_duration_since(ended.sent)),
        took: ended.ended.saturating_duration_since(ended.sent),
        tokens: ended.answer.tokens(),
        usage: ended.answer.usage.is_some(),
    })
}
