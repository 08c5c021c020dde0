//! One request: sent, its answer read, its end classified.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{
    answer::{Answer, snippet},
    classify::{self, Asked, End, classify},
    client::Client,
    connection::{Head, Outgoing, Part, Reply, Seat},
    content::Content,
    feed::{Ask, Feed, Wanted},
    grpc,
    origin::Words,
    protocol::Protocol,
    served::Labels,
    sse,
    watch::{Limits, Pulse},
};
use crate::journal::interval::Outcome;

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
    /// When the user began to send it, the first time.
    pub(crate) sent: Instant,
    /// How often it was sent.
    pub(crate) attempts: u32,
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
    connecting: bool,
}

impl Seen {
    /// The head of the answer came.
    pub(crate) fn head(&mut self, head: &Head, pulse: &Pulse) {
        let now = Instant::now();
        pulse.beat(now);
        self.first_byte = Some(now);
        self.status = Some(head.status);
        self.labels = Labels::of(&head.headers);
    }
}

/// Sends one request once and reads its answer to an end of any kind, by
/// `deadline` at the latest.
pub(crate) async fn exchange(
    client: &mut Client,
    protocol: &Protocol,
    feed: &Feed,
    ask: &Ask,
    extra: &[(HeaderName, HeaderValue)],
    deadline: Instant,
) -> Exchange {
    let prompt = &ask.prompt;
    let golden = prompt.golden.and_then(|index| feed.golden(index));
    let keeps_text = golden.is_some() || prompt.keeps_text;
    let mut answer = if keeps_text { Answer::keeping_text() } else { Answer::default() };
    answer.words = prompt.may_come_again().then(Words::default);
    let mut seen = Seen {
        first_byte: None,
        status: None,
        labels: Labels::default(),
        answer,
        refusal: String::new(),
        complete: None,
        connecting: false,
    };
    let request = protocol.request(ask, extra);
    let sent = Instant::now();
    let idle = protocol.stream.then_some(protocol.idle);
    let pulse = Pulse::new(sent, Limits { deadline, first_token: protocol.first_token, idle });
    let Client { seat, timer, stop } = client;
    let end = tokio::select! {
        biased;
        end = converse(seat, protocol, &request, &ask.wanted, &mut seen, &pulse) => end,
        () = stop.as_mut() => End::Cancelled,
        end = timer.watch(&pulse) => end,
    };
    let ended = seen.complete.unwrap_or_else(Instant::now);
    seen.labels.fingerprint(seen.answer.fingerprint.as_deref());
    seen.labels.model(seen.answer.model.as_deref());
    let asked = Asked { tokens: prompt.tokens, right: golden };
    let head = classify::Head {
        status: seen.status,
        retry_after: seen.labels.retry_after,
        breaker_open: seen.labels.served.breaker_open,
        refusal: &seen.refusal,
        accepted: seen.status.map(|status| protocol.dialect.accepts(status)),
    };
    // What is complete stays so, whatever came while the connection was drained.
    let end = match end {
        _ if seen.complete.is_some() => End::Complete,
        End::Timeout | End::NoToken if seen.connecting => End::ConnectTimeout,
        end => end,
    };
    let (outcome, detail) = classify(asked, head, &seen.answer, &end);
    let detail = protocol.without_secret(detail);
    Exchange {
        sent,
        attempts: 1,
        first_byte: seen.first_byte,
        ended,
        outcome,
        detail,
        status: seen.status,
        labels: seen.labels,
        answer: seen.answer,
    }
}

async fn converse(
    seat: &Seat,
    protocol: &Protocol,
    request: &Outgoing<'_>,
    wanted: &Wanted,
    seen: &mut Seen,
    pulse: &Pulse,
) -> End {
    let (head, mut body) = match seat.send(request, |opening| seen.connecting = opening).await {
        Ok(answer) => answer,
        Err(end) => return end,
    };
    seen.head(&head, pulse);
    let content = Content::of(&head.headers);
    if !protocol.dialect.accepts(head.status) {
        if let Ok((body, _)) = whole(&mut body, MAX_REFUSAL).await {
            seen.refusal = match (head.headers.get(header::LOCATION), content.coding) {
                (Some(to), _) => format!(
                    "redirected to {}, which is not followed",
                    snippet(&String::from_utf8_lossy(to.as_bytes()))
                ),
                (None, Some(coding)) => format!("a body in {}", snippet(coding)),
                (None, None) => snippet(&String::from_utf8_lossy(&body)),
            };
        }
        return End::Complete;
    }
    if protocol.grpc {
        return grpc::read(protocol, &head, body, wanted, seen, pulse).await;
    }
    let ignores = protocol.dialect.ignores_body();
    if let (Some(coding), false) = (content.coding, ignores) {
        return End::Malformed(format!("the body is in `{}`, which was not asked for", snippet(coding)));
    }
    if protocol.stream && content.is_events() {
        return events(protocol, &head.headers, body, wanted, seen, pulse).await;
    }
    match if ignores { skipped(&mut body).await } else { whole(&mut body, MAX_BODY).await } {
        Err(end) => end,
        Ok((body, at)) => {
            let answer = &mut seen.answer;
            if body.is_empty() && !protocol.dialect.may_be_empty() {
                answer.malformed = Some(format!("HTTP {} with an empty body", head.status));
            } else {
                protocol.dialect.body(answer, &head.headers, &body, wanted, at);
                if !protocol.generates {
                    answer.says(&body);
                }
            }
            if protocol.stream && answer.error.is_none() && !body.is_empty() {
                answer.malformed =
                    Some(format!("a stream was asked for, and the answer is {}", content.named()));
            } else if let (Some(why), true) = (&mut answer.malformed, content.is_events()) {
                *why = format!("the answer is {}: {why}", content.named());
            }
            seen.complete = Some(at);
            End::Complete
        }
    }
}

/// Reads a stream until `[DONE]`, its end, or worse.
async fn events(
    protocol: &Protocol,
    headers: &HeaderMap,
    mut body: Reply,
    wanted: &Wanted,
    seen: &mut Seen,
    pulse: &Pulse,
) -> End {
    let dialect = &protocol.dialect;
    let mut parser = sse::Parser::default();
    let answer = &mut seen.answer;
    loop {
        let bytes = match body.next().await {
            Ok(Some(Part::Data(bytes))) => bytes,
            Ok(Some(Part::Trailers(_))) => continue,
            Ok(None) => break,
            Err(end) => return end,
        };
        let at = Instant::now();
        let fed = parser.feed(bytes, |name, data| {
            // What follows `[DONE]` is no part of the answer.
            if !answer.done {
                pulse.beat(at);
                dialect.event(answer, name, data, at);
            }
        });
        if let Some(first) = answer.first {
            pulse.token(first);
        }
        if let (Err(error), false) = (fed, answer.done) {
            answer.malformed = Some(error.to_string());
        }
        if answer.done || answer.error.is_some() || answer.malformed.is_some() {
            seen.complete = Some(at);
            // Read to its end, the body gives its connection back.
            let _ = tokio::time::timeout(DRAIN, drained(&mut body)).await;
            return End::Complete;
        }
    }
    let at = Instant::now();
    if let Err(error) = parser.finish(|name, data| dialect.event(answer, name, data, at)) {
        answer.malformed = Some(error.to_string());
    }
    // Not an event in it: then what is in it?
    if let Some(text) = parser.foreign() {
        dialect.body(answer, headers, text, wanted, at);
        if answer.error.is_none() {
            let text = snippet(&String::from_utf8_lossy(text));
            answer.malformed = Some(format!("an event stream with no event in it, but `{text}`"));
        }
    }
    seen.complete = Some(at);
    End::Complete
}

/// Reads the rest of a body.
async fn drained(body: &mut Reply) {
    while let Ok(Some(_)) = body.next().await {}
}

/// When a body's last byte came; nobody asks what it says.
async fn skipped(body: &mut Reply) -> Result<(Vec<u8>, Instant), End> {
    while body.next().await?.is_some() {}
    Ok((Vec::new(), Instant::now()))
}

/// A whole body and when its last byte came.
async fn whole(body: &mut Reply, limit: usize) -> Result<(Vec<u8>, Instant), End> {
    let mut bytes = Vec::new();
    while let Some(part) = body.next().await? {
        if let Part::Data(data) = part {
            if bytes.len() + data.len() > limit {
                return Err(End::Malformed(format!("the body is longer than {limit} bytes")));
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok((bytes, Instant::now()))
}
