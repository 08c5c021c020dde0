//! gRPC over HTTP/2, as much as a load needs of it: framing, trailers, and
//! what each way of ending means. Written on the load's own connections, not on
//! a gRPC client, so that times are taken where the bytes come in and no status
//! is made up for a connection that broke.

mod frame;
mod status;

use std::time::{Duration, Instant};

use http::{HeaderValue, header};

use self::{
    frame::Frames,
    status::{Said, outcome},
};
use super::{
    classify::End,
    connection::{Head, Part, Reply},
    exchange::Seen,
    feed::Wanted,
    protocol::Protocol,
    watch::Pulse,
};

/// Reads the answer to a call, after its head, to an end of any kind.
pub(crate) async fn read(
    protocol: &Protocol,
    head: &Head,
    mut body: Reply,
    wanted: &Wanted,
    seen: &mut Seen,
    pulse: &Pulse,
) -> End {
    // Trailers only: the call failed before there was an answer.
    if let Some(said) = Said::of(&head.headers) {
        return said.end(&head.headers, seen);
    }
    let kind = head.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !kind.starts_with("application/grpc") {
        return End::Malformed(format!("the content type is `{kind}`, not gRPC's"));
    }
    let mut frames = Frames::default();
    let mut messages = 0_u64;
    loop {
        let part = match body.next().await {
            Ok(Some(part)) => part,
            Ok(None) => break,
            Err(end) => return end,
        };
        let at = Instant::now();
        let bytes = match part {
            Part::Data(bytes) => bytes,
            Part::Trailers(trailers) => {
                let Some(said) = Said::of(&trailers) else {
                    return End::Cut("the answer's trailers have no grpc-status".to_owned());
                };
                let end = said.end(&trailers, seen);
                if end != End::Complete {
                    return end;
                }
                return finished(protocol, &frames, messages, seen, at);
            }
        };
        pulse.beat(at);
        let fed = frames.feed(bytes, |message| {
            messages += 1;
            if !protocol.generates {
                seen.answer.says(message);
            }
            protocol.dialect.message(&mut seen.answer, message, protocol.stream, wanted, at);
        });
        if let Some(first) = seen.answer.first {
            pulse.token(first);
        }
        if let Err(why) = fed {
            seen.answer.bad(why);
        }
        if seen.answer.error.is_some() || seen.answer.malformed.is_some() {
            seen.complete = Some(at);
            return End::Complete;
        }
    }
    End::Cut("the stream ended without grpc-status".to_owned())
}

/// An answer that the server says is whole.
fn finished(protocol: &Protocol, frames: &Frames, messages: u64, seen: &mut Seen, at: Instant) -> End {
    if !frames.is_empty() {
        return End::Cut("the answer ended within a message".to_owned());
    }
    if messages == 0 {
        seen.answer.bad("an answer without a message".to_owned());
    } else if messages > 1 && !protocol.stream {
        seen.answer.bad(format!("{messages} messages in answer to a unary call"));
    }
    seen.answer.done = true;
    // Latencies end with the content.
    seen.complete = Some(if protocol.stream { at } else { seen.answer.last.unwrap_or(at) });
    End::Complete
}

/// `grpc-timeout`: at most eight digits.
pub(super) fn deadline(timeout: Duration) -> HeaderValue {
    let millis = timeout.as_millis().clamp(1, 99_999_999);
    HeaderValue::try_from(format!("{millis}m")).unwrap_or(HeaderValue::from_static("30S"))
}

impl Said {
    /// What the server's word means. A status is remembered as HTTP's, where
    /// there is a counterpart: people know those.
    fn end(self, headers: &http::HeaderMap, seen: &mut Seen) -> End {
        if self.code == 0 {
            return End::Complete;
        }
        let pushback = headers.contains_key("grpc-retry-pushback-ms") || seen.labels.retry_after;
        let marked = pushback || seen.labels.served.breaker_open;
        End::Status(outcome(self.code, marked), self.to_string())
    }
}
