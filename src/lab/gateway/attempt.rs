//! One attempt on one upstream: sent, its first byte waited for, its body
//! watched to its end. However it ends, it is counted once.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{StatusCode, header, response::Parts};
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use tokio::time::Sleep;

use super::{
    asked::Asked,
    breaker::CallEnd,
    fleet::Ticket,
    metrics::{AttemptEnd, Metrics},
};
use crate::lab::api::Upstream;

/// The longest pause between two chunks.
const IDLE: Duration = Duration::from_secs(5);

/// What attempts are made with.
pub(super) type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// The account of an attempt.
#[derive(Debug)]
struct Attempt {
    // Taken when it ends.
    ticket: Option<Ticket>,
    upstream: Arc<Upstream>,
    metrics: Arc<Metrics>,
}

impl Attempt {
    fn end(&mut self, end: AttemptEnd, call: CallEnd) {
        if let Some(ticket) = self.ticket.take() {
            ticket.end(call);
            self.metrics.attempt(&self.upstream.pod, &self.upstream.version, end);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.end(AttemptEnd::Cancelled, CallEnd::Neither);
    }
}

/// Why an attempt gave no answer that a client could get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// No connection.
    #[error("no connection to a replica")]
    Connect,
    /// No first byte in time.
    #[error("no first byte from a replica in time")]
    Timeout,
    /// The connection broke before the first byte.
    #[error("a replica broke the connection")]
    Broken,
    /// An error's status.
    #[error("a replica answered {0}")]
    Status(StatusCode),
}

impl Failure {
    fn end(self) -> AttemptEnd {
        match self {
            Self::Connect => AttemptEnd::Connect,
            Self::Timeout => AttemptEnd::Timeout,
            Self::Broken => AttemptEnd::Broken,
            Self::Status(_) => AttemptEnd::Error,
        }
    }
}

/// An answer that has begun.
#[derive(Debug)]
pub(super) struct Begun {
    /// Its head.
    pub(super) head: Parts,
    /// Who gives it.
    pub(super) upstream: Arc<Upstream>,
    /// Its body.
    pub(super) body: Pull,
}

/// Sends `asked` to the ticket's upstream and waits, at most `limit`, for the
/// first byte of the answer's body.
pub(super) async fn begin(
    client: &HttpClient,
    metrics: &Arc<Metrics>,
    ticket: Ticket,
    asked: &Asked,
    limit: Duration,
) -> Result<Begun, Failure> {
    let started = Instant::now();
    let upstream = Arc::clone(ticket.upstream());
    let mut attempt =
        Attempt { ticket: Some(ticket), upstream: Arc::clone(&upstream), metrics: Arc::clone(metrics) };
    let begun = async {
        let request = asked.to(&upstream).map_err(|_| Failure::Connect)?;
        let response = client
            .request(request)
            .await
            .map_err(|error| if error.is_connect() { Failure::Connect } else { Failure::Broken })?;
        if response.status().is_server_error() {
            return Err(Failure::Status(response.status()));
        }
        let (head, mut body) = response.into_parts();
        let first = loop {
            match body.frame().await {
                None => break None,
                Some(Err(_)) => return Err(Failure::Broken),
                Some(Ok(frame)) => {
                    // Trailers and empty frames are no first byte.
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        break Some(data);
                    }
                }
            }
        };
        Ok((head, first, body))
    };
    let begun = tokio::time::timeout(limit, begun).await.unwrap_or(Err(Failure::Timeout));
    match begun {
        Err(failure) => {
            attempt.end(failure.end(), CallEnd::Failure);
            Err(failure)
        }
        Ok((head, first, body)) => {
            let sse = is_sse(&head);
            if first.is_none() && sse {
                attempt.end(AttemptEnd::Broken, CallEnd::Failure);
                return Err(Failure::Broken);
            }
            if head.status.is_success() {
                metrics.first_byte(&upstream.version, started.elapsed());
            }
            let refused = head.status == StatusCode::TOO_MANY_REQUESTS;
            let body = Pull { attempt, body, first, refused, end: End::of(sse), idle: None };
            Ok(Begun { head, upstream, body })
        }
    }
}

/// Whether an answer is a stream of events.
fn is_sse(head: &Parts) -> bool {
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().starts_with("text/event-stream"))
}

/// An answer did not come to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Cut {
    /// The connection broke.
    #[error("the replica's connection broke")]
    Broken,
    /// Too long a pause.
    #[error("the replica's stream stalled")]
    Stalled,
    /// A clean end without `[DONE]`.
    #[error("the replica's stream ended before its end")]
    Unfinished,
}

/// What shows that an answer is whole.
#[derive(Debug)]
enum End {
    /// The end of the body.
    Body,
    /// The last event of a stream.
    Event {
        /// The line so far.
        line: Vec<u8>,
        /// Its first line was seen: the next empty one ends it.
        last: bool,
    },
    /// It was seen.
    Seen,
}

const DONE: &[u8] = b"data: [DONE]";
/// How the last event of a response begins.
const LAST: [&[u8]; 3] =
    [b"event: response.completed", b"event: response.incomplete", b"event: response.failed"];
/// A longer line can be none of them.
const LONGEST: usize = 64;

impl End {
    fn of(sse: bool) -> Self {
        if sse { Self::Event { line: Vec::new(), last: false } } else { Self::Body }
    }

    /// More bytes; true if they made the answer whole.
    fn see(&mut self, chunk: &[u8]) -> bool {
        let Self::Event { line, last } = self else { return false };
        // Inside JSON there are no bare line ends.
        for piece in chunk.split_inclusive(|byte| *byte == b'\n') {
            let room = LONGEST.saturating_sub(line.len());
            line.extend_from_slice(&piece[..piece.len().min(room)]);
            let ended = piece.ends_with(b"\n");
            let text = line.trim_ascii_end();
            // Its line end may be missing.
            if text == DONE || (*last && ended && text.is_empty()) {
                *self = Self::Seen;
                return true;
            }
            if ended {
                *last |= LAST.contains(&text);
                line.clear();
            }
        }
        false
    }
}

/// The body of an answer, chunk by chunk as they come.
#[derive(Debug)]
pub(super) struct Pull {
    attempt: Attempt,
    body: Incoming,
    first: Option<Bytes>,
    // An upstream that is full is not broken.
    refused: bool,
    end: End,
    idle: Option<Pin<Box<Sleep>>>,
}

impl Pull {
    /// Whether all of the answer was handed out.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.end, End::Seen)
    }

    fn whole(&mut self) {
        self.end = End::Seen;
        if self.refused {
            self.attempt.end(AttemptEnd::Error, CallEnd::Neither);
        } else {
            self.attempt.end(AttemptEnd::Ok, CallEnd::Success);
        }
    }

    fn cut(&mut self, cut: Cut) -> Poll<Option<Result<Bytes, Cut>>> {
        let end = match cut {
            Cut::Broken | Cut::Unfinished => AttemptEnd::Broken,
            Cut::Stalled => AttemptEnd::Timeout,
        };
        self.attempt.end(end, CallEnd::Failure);
        Poll::Ready(Some(Err(cut)))
    }

    fn hand_out(&mut self, chunk: Bytes) -> Poll<Option<Result<Bytes, Cut>>> {
        // A body of known length isn't polled again after its last byte.
        if self.end.see(&chunk) || (matches!(self.end, End::Body) && self.body.is_end_stream()) {
            self.whole();
        }
        Poll::Ready(Some(Ok(chunk)))
    }

    /// The next chunk; nothing after the end.
    pub(super) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        if let Some(first) = self.first.take() {
            return self.hand_out(first);
        }
        loop {
            match Pin::new(&mut self.body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.idle = None;
                    if let Ok(chunk) = frame.into_data() {
                        return self.hand_out(chunk);
                    }
                }
                // What comes after the end does not matter.
                Poll::Ready(_) if self.is_whole() => return Poll::Ready(None),
                Poll::Ready(Some(Err(_))) => return self.cut(Cut::Broken),
                Poll::Ready(None) if matches!(self.end, End::Body) => {
                    self.whole();
                    return Poll::Ready(None);
                }
                Poll::Ready(None) => return self.cut(Cut::Unfinished),
                Poll::Pending => {
                    let idle = self.idle.get_or_insert_with(|| Box::pin(tokio::time::sleep(IDLE)));
                    ready!(idle.as_mut().poll(cx));
                    if self.is_whole() {
                        return Poll::Ready(None);
                    }
                    return self.cut(Cut::Stalled);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(chunks: &[&[u8]]) -> bool {
        let mut end = End::of(true);
        for chunk in chunks {
            end.see(chunk);
        }
        matches!(end, End::Seen)
    }

    #[test]
    fn a_response_ends_with_all_of_its_last_event() {
        let last: &[u8] = b"event: response.completed\ndata: {\"a\":1}\n\n";
        assert!(whole(&[b"event: response.created\ndata: {}\n\n", last]));
        assert!(whole(&[&last[..30], &last[30..]]) && !whole(&[&last[..40]]));
        assert!(!whole(&[b"event: response.created\ndata: {}\n\n"]));
        assert!(!whole(&[b"data: event: response.completed\n\n"]));
    }

    #[test]
    fn only_the_done_event_ends_a_stream() {
        assert!(whole(&[b"data: {}\n\n", b"data: [DONE]\n\n"]));
        assert!(whole(&[b"data: [DONE]"]));
        assert!(whole(&[b"data: {}\r\n\r\ndata: [DONE]\r\n\r\n"]));
        assert!(!whole(&[b"data: {}\n\n"]));
        assert!(!whole(&[br#"data: {"content":"data: [DONE]"#]));
        assert!(!whole(&[b"data: [DONE\n\n"]));
        assert!(!whole(&[b"xdata: [DONE]\n\n"]));
    }

    proptest! {
        /// However the bytes are cut into chunks.
        #[test]
        fn chunks_may_be_cut_anywhere(cuts in proptest::collection::vec(0_usize..60, 0..8)) {
            let stream = b"data: {\"a\":\"b\"}\n\ndata: {\"c\":1}\n\ndata: [DONE]\n\n";
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(stream.len())).collect();
            cuts.sort_unstable();
            let mut end = End::of(true);
            let mut from = 0;
            for cut in cuts.into_iter().chain([stream.len()]) {
                end.see(&stream[from..cut]);
                from = cut;
            }
            prop_assert!(matches!(end, End::Seen));
        }
    }
}
