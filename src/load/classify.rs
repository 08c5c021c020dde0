//! How a request ended. Decided here, once, and nowhere else.

use super::{
    answer::{Answer, Finish},
    golden::RightAnswer,
};
use crate::journal::interval::Outcome;

/// How the exchange with the server came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// No connection: refused, unreachable, unknown name.
    ConnectRefused(String),
    /// No connection in time.
    ConnectTimeout,
    /// The body was read to its end, or the stream's last event came.
    Complete,
    /// The connection was closed in an orderly way before the body's end.
    Cut(String),
    /// The connection broke, or was closed before any answer.
    Reset(String),
    /// Not HTTP, or an answer that can't be read.
    Malformed(String),
    /// The deadline passed.
    Timeout,
    /// No token came within the limit for the first one.
    NoToken,
    /// A stream gave no event for the idle limit.
    Stalled,
    /// The harness gave up.
    Cancelled,
    /// The protocol's own status says how it ended (gRPC).
    Status(Outcome, String),
}

/// What was asked for, as far as it decides what is right.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Asked<'a> {
    /// Exactly so many tokens (`ignore_eos`).
    pub(crate) tokens: Option<u64>,
    /// What a right answer is.
    pub(crate) right: Option<&'a RightAnswer>,
}

/// What came before and beside the body.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Head<'a> {
    /// The status, if an answer began.
    pub(crate) status: Option<u16>,
    /// `Retry-After` was there.
    pub(crate) retry_after: bool,
    /// A breaker's mark was there.
    pub(crate) breaker_open: bool,
    /// The start of the body of a refusal.
    pub(crate) refusal: &'a str,
    /// Whether an answer with this status is one. None: 2xx is.
    pub(crate) accepted: Option<bool>,
}

/// The outcome of a request, and what was wrong, in words (empty where
/// nothing was).
pub(crate) fn classify(asked: Asked<'_>, head: Head<'_>, answer: &Answer, end: &End) -> (Outcome, String) {
    match head.status {
        None => unanswered(end),
        Some(status) if head.accepted.unwrap_or((200..=299).contains(&status)) => {
            answered(asked, answer, end)
        }
        Some(status) => refused(status, head),
    }
}

/// An answer with a status other than 2xx: the status says it all.
fn refused(status: u16, head: Head<'_>) -> (Outcome, String) {
    let outcome = match status {
        429 => Outcome::Shed,
        503 if head.retry_after || head.breaker_open => Outcome::Shed,
        400..=499 => Outcome::Http4xx,
        500..=599 => Outcome::Http5xx,
        _ => Outcome::Malformed,
    };
    let detail = match head.refusal {
        "" => format!("HTTP {status}"),
        body => format!("HTTP {status}: {body}"),
    };
    (outcome, detail)
}

/// An exchange that ended before a status came.
fn unanswered(end: &End) -> (Outcome, String) {
    match end {
        End::ConnectRefused(why) => (Outcome::ConnectRefused, why.clone()),
        End::ConnectTimeout => {
            (Outcome::ConnectTimeout, "no connection within the connect timeout".to_owned())
        }
        // Without a status there is no body that could be cut.
        End::Cut(why) | End::Reset(why) => (Outcome::Reset, why.clone()),
        End::Malformed(why) => (Outcome::Malformed, why.clone()),
        End::Complete => (Outcome::Malformed, "an answer without a status".to_owned()),
        End::Timeout | End::Stalled => (Outcome::Timeout, "no answer within the timeout".to_owned()),
        End::NoToken => (Outcome::Timeout, "no answer within the first-token timeout".to_owned()),
        End::Cancelled => (Outcome::Cancelled, "the run was stopped".to_owned()),
        End::Status(outcome, why) => (*outcome, why.clone()),
    }
}

/// An answer under 2xx: what it says counts, in the order in which a client
/// would notice.
fn answered(asked: Asked<'_>, answer: &Answer, end: &End) -> (Outcome, String) {
    if let Some(error) = &answer.error {
        return (Outcome::InBandError, error.clone());
    }
    if let Some(why) = &answer.malformed {
        return (Outcome::Malformed, why.clone());
    }
    let got = answer.tokens();
    match end {
        End::Complete => complete(asked, answer),
        End::Cut(why) => (Outcome::Truncated, format!("{why}, after {got} tokens")),
        End::Timeout => (Outcome::Timeout, format!("still open at the deadline, after {got} tokens")),
        End::NoToken => (Outcome::Timeout, "no token within the first-token timeout".to_owned()),
        End::Stalled => (Outcome::Stalled, format!("no chunk within the idle limit, after {got} tokens")),
        End::Reset(why) => (Outcome::Reset, format!("{why}, after {got} tokens")),
        End::Malformed(why) => (Outcome::Malformed, why.clone()),
        End::Cancelled => (Outcome::Cancelled, "the run was stopped".to_owned()),
        End::Status(outcome, why) => (*outcome, why.clone()),
        // Not possible: it had a status.
        End::ConnectRefused(_) | End::ConnectTimeout => unanswered(end),
    }
}

/// A body that was read to its end.
fn complete(asked: Asked<'_>, answer: &Answer) -> (Outcome, String) {
    let got = answer.tokens();
    if !answer.is_finished() {
        return (Outcome::Truncated, format!("ended without saying that it is complete, after {got} tokens"));
    }
    if let Some(why) = &answer.discontinuity {
        return (Outcome::Discontinuous, why.clone());
    }
    if let Some(why) = &answer.mismatch {
        return (Outcome::Mismatch, why.clone());
    }
    if let Some(right) = asked.right
        && let Some(text) = &answer.text
        && let Err(why) = right.check(text)
    {
        return (Outcome::Mismatch, why);
    }
    if let Some(wanted) = asked.tokens
        && got < wanted
        && !says_whole(answer)
    {
        return (Outcome::Short, format!("{got} of {wanted} tokens"));
    }
    (Outcome::Ok, String::new())
}

/// A server that counts no tokens may put several into a chunk: then its word
/// that it reached the limit stands against the number of chunks.
fn says_whole(answer: &Answer) -> bool {
    answer.usage.is_none() && answer.chunks > 0 && answer.finish == Some(Finish::Length)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::load::dialect::Dialect;

    const ASKED: Asked<'static> = Asked { tokens: Some(2), right: None };

    fn answer(events: &[&str]) -> Answer {
        let (mut answer, dialect) = (Answer::keeping_text(), Dialect::chat());
        for event in events {
            dialect.event(&mut answer, "", event, Instant::now());
        }
        answer
    }

    fn of(status: u16, events: &[&str], end: &End) -> Outcome {
        classify(ASKED, Head { status: Some(status), ..Head::default() }, &answer(events), end).0
    }

    const TOKEN: &str = r#"{"choices":[{"delta":{"content":"word "}}]}"#;
    const STOP: &str = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    const LENGTH: &str = r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#;
    const ERROR: &str = r#"{"error":{"message":"x"}}"#;

    #[test]
    fn either_end_mark_will_do() {
        assert_eq!(of(200, &[TOKEN, TOKEN, STOP, "[DONE]"], &End::Complete), Outcome::Ok);
        assert_eq!(of(200, &[TOKEN, TOKEN, STOP], &End::Complete), Outcome::Ok);
        assert_eq!(of(200, &[TOKEN, TOKEN, "[DONE]"], &End::Complete), Outcome::Ok);
        assert_eq!(of(200, &[TOKEN, TOKEN], &End::Complete), Outcome::Truncated);
        assert_eq!(of(200, &[], &End::Complete), Outcome::Truncated);
    }

    #[test]
    fn an_unclean_end_is_never_ok() {
        let ends = [
            (End::Cut("x".into()), Outcome::Truncated),
            (End::Reset("x".into()), Outcome::Reset),
            (End::Timeout, Outcome::Timeout),
            (End::Stalled, Outcome::Stalled),
            (End::Malformed("x".into()), Outcome::Malformed),
            (End::Cancelled, Outcome::Cancelled),
        ];
        for (end, outcome) in ends {
            assert_eq!(of(200, &[TOKEN, TOKEN, STOP], &end), outcome, "{end:?}");
            assert_eq!(of(200, &[TOKEN, ERROR], &end), Outcome::InBandError, "{end:?}");
        }
    }

    #[test]
    fn a_response_ends_with_its_own_events() {
        let settings = crate::scenario::model::OpenAi { stream: true, ..Default::default() };
        let dialect =
            Dialect::of(&crate::scenario::model::Endpoint::OpenaiResponses(settings)).expect("a dialect");
        let of = |last: &str| {
            let mut answer = Answer::default();
            let delta = r#"{"type":"response.output_text.delta","delta":"a"}"#;
            for event in [delta, last].into_iter().filter(|event| !event.is_empty()) {
                dialect.event(&mut answer, "", event, Instant::now());
            }
            let head = Head { status: Some(200), ..Head::default() };
            classify(Asked::default(), head, &answer, &End::Complete).0
        };
        assert_eq!(of(""), Outcome::Truncated);
        assert_eq!(of("[DONE]"), Outcome::Truncated, "it does not say how it ended");
        assert_eq!(of(r#"{"type":"response.completed","response":{"status":"completed"}}"#), Outcome::Ok);
        let full = r#"{"type":"response.incomplete","response":{"status":"incomplete","incomplete_details":{"reason":"max_output_tokens"}}}"#;
        assert_eq!(of(full), Outcome::Ok);
        let failed = r#"{"type":"response.failed","response":{"status":"failed","error":{"message":"x"}}}"#;
        assert_eq!(of(failed), Outcome::InBandError);
        assert_eq!(of(r#"{"type":"error","message":"x"}"#), Outcome::InBandError);
    }

    #[test]
    fn shedding_must_be_marked() {
        let of = |status, retry_after, breaker_open| {
            let head = Head { status: Some(status), retry_after, breaker_open, ..Head::default() };
            classify(ASKED, head, &Answer::default(), &End::Complete).0
        };
        assert_eq!(of(429, false, false), Outcome::Shed);
        assert_eq!(of(503, true, false), Outcome::Shed);
        assert_eq!(of(503, false, true), Outcome::Shed);
        assert_eq!(of(503, false, false), Outcome::Http5xx);
        assert_eq!(of(500, true, true), Outcome::Http5xx);
        assert_eq!(of(404, false, false), Outcome::Http4xx);
        assert_eq!(of(302, false, false), Outcome::Malformed);
    }

    #[test]
    fn without_a_status_the_connection_decides() {
        let of = |end| classify(ASKED, Head::default(), &Answer::default(), &end).0;
        assert_eq!(of(End::ConnectRefused(String::new())), Outcome::ConnectRefused);
        assert_eq!(of(End::ConnectTimeout), Outcome::ConnectTimeout);
        assert_eq!(of(End::Reset(String::new())), Outcome::Reset);
        assert_eq!(of(End::Cut(String::new())), Outcome::Reset);
        assert_eq!(of(End::Timeout), Outcome::Timeout);
        assert_eq!(of(End::Cancelled), Outcome::Cancelled);
    }

    #[test]
    fn short_is_judged_by_the_better_count() {
        let usage = r#"{"choices":[],"usage":{"completion_tokens":1}}"#;
        assert_eq!(of(200, &[TOKEN, STOP], &End::Complete), Outcome::Short);
        assert_eq!(of(200, &[TOKEN, LENGTH, usage], &End::Complete), Outcome::Short);
        // Two tokens in one chunk, no count: its word is all there is.
        assert_eq!(of(200, &[TOKEN, LENGTH], &End::Complete), Outcome::Ok);
        let asked = Asked { tokens: None, ..ASKED };
        let head = Head { status: Some(200), ..Head::default() };
        assert_eq!(classify(asked, head, &answer(&[TOKEN, STOP]), &End::Complete).0, Outcome::Ok);
    }

    #[test]
    fn a_golden_answer_must_be_right() {
        let of = |contains: &str| {
            let right = RightAnswer::Contains(contains.to_owned());
            let asked = Asked { tokens: None, right: Some(&right) };
            let head = Head { status: Some(200), ..Head::default() };
            classify(asked, head, &answer(&[TOKEN, STOP]), &End::Complete).0
        };
        assert_eq!((of("word"), of("sword")), (Outcome::Ok, Outcome::Mismatch));
    }
}
