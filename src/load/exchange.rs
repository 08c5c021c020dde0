//! One request: sent, its answer read, its end classified.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tokio_util::sync::CancellationToken;

use super::{
    answer::{Answer, snippet},
    classify::{Asked, End, Head, classify},
    connection::{Connection, Connections, ended},
    dialect::Dialect,
    feed::{Ask, Feed, Wanted},
    grpc,
    protocol::Protocol,
    served::Labels,
    sse,
};
use crate::journal::interval::Outcome;

/// No connection within this is a `connect-timeout`, if the workload's
/// timeout is not shorter.
pub(crate) const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// A body that is not a stream may have this many bytes.
const MAX_BODY: usize = 16 << 20;
/// So much of a refusal's body is read, to quote it.
const MAX_REFUSAL: usize = 64 << 10;
/// After `[DONE]`, the body's end is waited for this long, to keep the
/// connection.
const DRAIN: Duration = Duration::from_millis(100);

/// A request that has ended.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// When the user began to send it.
    pub(crate) sent: Instant,
    /// When the answer's head came.
    pub(crate) first_byte: Option<Instant>,
    /// When it ended.
    pub(crate) ended: Instant,
    /// How.
    pub(crate) outcome: Outcome,
    /// What was wrong, in words; empty if nothing was.
    pub(crate) detail: String,
    /// HTTP status.
    pub(crate) status: Option<u16>,
    /// What the answer's head said.
    pub(crate) labels: Labels,
    /// What the answer said.
    pub(crate) answer: Answer,
}

/// What is known of an exchange while it goes on.
pub(crate) struct Seen {
    /// When the answer's head came.
    pub(crate) first_byte: Option<Instant>,
    /// HTTP status.
    pub(crate) status: Option<u16>,
    /// What the answer's head said.
    pub(crate) labels: Labels,
    /// What the answer said.
    pub(crate) answer: Answer,
    refusal: String,
    /// When the answer was complete, where that is before the body's end.
    pub(crate) complete: Option<Instant>,
    /// A connection is being opened.
    pub(crate) connecting: bool,
}

/// Sends one request and reads its answer to an end of any kind. Never takes
/// longer than the workload's timeout.
pub(crate) async fn exchange(
    connections: &Connections,
    protocol: &Protocol,
    feed: &Feed,
    ask: &Ask,
    extra: &[(HeaderName, HeaderValue)],
    cancel: &CancellationToken,
) -> Exchange {
    let golden = ask.prompt.golden.and_then(|index| feed.golden(index));
    let mut seen = Seen {
        first_byte: None,
        status: None,
        labels: Labels::default(),
        answer: if golden.is_some() { Answer::keeping_text() } else { Answer::default() },
        refusal: String::new(),
        complete: None,
        connecting: false,
    };
    let request = protocol.request(ask, extra);
    let sent = Instant::now();
    let pulse = Pulse::new(sent);
    let end = tokio::select! {
        biased;
        end = async {
            if protocol.grpc {
                grpc::converse(connections, protocol, request, &ask.wanted, &mut seen, &pulse).await
            } else {
                converse(connections, protocol, request, &ask.wanted, &mut seen, &pulse).await
            }
        } => end,
        () = cancel.cancelled() => End::Cancelled,
        end = pulse.watch(protocol) => end,
    };
    let ended = seen.complete.unwrap_or_else(Instant::now);
    seen.labels.fingerprint(seen.answer.fingerprint.as_deref());
    let asked = Asked { tokens: ask.prompt.tokens, contains: golden.map(|golden| golden.contains.as_str()) };
    let head = Head {
        status: seen.status,
        retry_after: seen.labels.retry_after,
        breaker_open: seen.labels.served.breaker_open,
        refusal: &seen.refusal,
        accepted: seen.status.map(|status| protocol.dialect.accepts(status)),
    };
    // What is complete stays so, whatever came while the connection was drained.
    let end = match end {
        _ if seen.complete.is_some() => End::Complete,
        End::Timeout if seen.connecting => End::ConnectTimeout,
        end => end,
    };
    let (outcome, detail) = classify(asked, head, &seen.answer, &end);
    Exchange {
        sent,
        first_byte: seen.first_byte,
        ended,
        outcome,
        detail,
        status: seen.status,
        labels: seen.labels,
        answer: seen.answer,
    }
}

/// The signs of life of an answer, for the watch over it.
pub(crate) struct Pulse {
    sent: Instant,
    /// Microseconds from `sent` to the stream's last event; 0: none began.
    last: AtomicU64,
}

impl Pulse {
    fn new(sent: Instant) -> Self {
        Self { sent, last: AtomicU64::new(0) }
    }

    /// Something came at `at`.
    pub(crate) fn beat(&self, at: Instant) {
        let micros = at.saturating_duration_since(self.sent).as_micros().max(1);
        self.last.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Resolves at the deadline or when a stream is idle for too long. Sets
    /// its timer again only when it fires, not on each event.
    async fn watch(&self, protocol: &Protocol) -> End {
        let deadline = self.sent + protocol.timeout;
        loop {
            let last = self.last.load(Ordering::Relaxed);
            let quiet = if protocol.stream && last > 0 {
                self.sent + Duration::from_micros(last) + protocol.idle
            } else {
                // Nothing began yet: look again after the shortest idle time.
                Instant::now() + protocol.idle
            };
            let now = Instant::now();
            if now >= deadline {
                return End::Timeout;
            }
            if now >= quiet {
                return End::Stalled;
            }
            tokio::time::sleep_until(deadline.min(quiet).into()).await;
        }
    }
}

async fn converse(
    connections: &Connections,
    protocol: &Protocol,
    request: Request<Full<Bytes>>,
    wanted: &Wanted,
    seen: &mut Seen,
    pulse: &Pulse,
) -> End {
    let limit = protocol.timeout.min(CONNECT_LIMIT);
    let sent = connections.send(request, limit, |opening| seen.connecting = opening).await;
    let (connection, response) = match sent {
        Ok(sent) => sent,
        Err(end) => return end,
    };
    let now = Instant::now();
    pulse.beat(now);
    seen.first_byte = Some(now);
    let (head, body) = response.into_parts();
    seen.status = Some(head.status.as_u16());
    seen.labels = Labels::of(&head.headers);
    if !protocol.dialect.accepts(head.status.as_u16()) {
        if let Ok((body, _)) = whole(body, MAX_REFUSAL).await {
            seen.refusal = snippet(&String::from_utf8_lossy(&body));
            connections.keep(connection);
        }
        return End::Complete;
    }
    let is_events = head
        .headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| text.trim_start().to_ascii_lowercase().starts_with("text/event-stream"));
    if protocol.stream && is_events {
        return events(connections, connection, &protocol.dialect, body, seen, pulse).await;
    }
    let read =
        if protocol.dialect.ignores_body() { skipped(body).await } else { whole(body, MAX_BODY).await };
    match read {
        Err(end) => end,
        Ok((body, at)) => {
            protocol.dialect.body(&mut seen.answer, &head.headers, &body, wanted, at);
            if protocol.stream && seen.answer.error.is_none() {
                seen.answer.malformed = Some("a stream was asked for, and the answer is none".to_owned());
            }
            seen.complete = Some(at);
            connections.keep(connection);
            End::Complete
        }
    }
}

/// Reads a stream until `[DONE]`, its end, or worse.
async fn events(
    connections: &Connections,
    connection: Connection,
    dialect: &Dialect,
    mut body: Incoming,
    seen: &mut Seen,
    pulse: &Pulse,
) -> End {
    let mut parser = sse::Parser::default();
    let answer = &mut seen.answer;
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => return ended(&error),
        };
        let Ok(bytes) = frame.into_data() else { continue };
        let at = Instant::now();
        let fed = parser.feed(&bytes, |name, data| {
            // What follows `[DONE]` is no part of the answer.
            if !answer.done {
                pulse.beat(at);
                dialect.event(answer, name, data, at);
            }
        });
        if let Err(error) = fed {
            answer.malformed = Some(error.to_string());
        }
        if answer.done || answer.error.is_some() || answer.malformed.is_some() {
            seen.complete = Some(at);
            if let Ok(true) = tokio::time::timeout(DRAIN, drained(&mut body)).await {
                connections.keep(connection);
            }
            return End::Complete;
        }
    }
    let at = Instant::now();
    parser.finish(|name, data| dialect.event(answer, name, data, at));
    seen.complete = Some(at);
    connections.keep(connection);
    End::Complete
}

/// Whether the rest of a body came to its end.
async fn drained(body: &mut Incoming) -> bool {
    while let Some(frame) = body.frame().await {
        if frame.is_err() {
            return false;
        }
    }
    true
}

/// When a body's last byte came; nobody asks what it says.
async fn skipped(mut body: Incoming) -> Result<(Vec<u8>, Instant), End> {
    while let Some(frame) = body.frame().await {
        frame.map_err(|error| ended(&error))?;
    }
    Ok((Vec::new(), Instant::now()))
}

/// A whole body and when its last byte came.
async fn whole(mut body: Incoming, limit: usize) -> Result<(Vec<u8>, Instant), End> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ended(&error))?;
        if let Ok(data) = frame.into_data() {
            if bytes.len() + data.len() > limit {
                return Err(End::Malformed(format!("the body is longer than {limit} bytes")));
            }
            bytes.extend_from_slice(&data);
        }
    }
    Ok((bytes, Instant::now()))
}
