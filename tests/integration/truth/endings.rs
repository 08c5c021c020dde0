//! Connections that end too early, too late or not at all, and refusals.

use std::time::Duration;

use firedrill::journal::interval::Outcome::*;

use super::{
    case::{Case, Step, TOKENS},
    write::*,
};

/// Enough for the client to read what came before a reset, which throws
/// away what it has not read.
const READ: Step = Step::Pause(Duration::from_millis(50));
const SHORT: Duration = Duration::from_secs(6);

fn refusal(
    name: &'static str,
    status: &'static str,
    headers: &str,
    class: firedrill::journal::interval::Outcome,
) -> Case {
    let says = status.split_once(' ').expect("a code").0;
    Case::stream(name, status, (class, says), vec![send(plain(status, headers, "not now"))])
}

pub(super) fn cases() -> Vec<Case> {
    let half = [head().into_bytes(), format!("fff\r\n{}", tokens(4)).into_bytes()].concat();
    let cut_length = head_with(&format!("content-length: {}\r\n", stream().len())) + &tokens(4);
    let json_head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
    let forever = [head().into_bytes(), chunk(ROLE)].concat();
    vec![
        Case::stream("reset-first", "reset (RST) before the answer", (Reset, "reset"), vec![Step::Reset]),
        Case::stream(
            "reset-after-head",
            "reset after the head",
            (Reset, "after 0 tokens"),
            vec![send(head()), READ, Step::Reset],
        ),
        Case::stream(
            "reset-between",
            "reset between two tokens",
            (Reset, "after 4 tokens"),
            half_then(vec![READ, Step::Reset]),
        ),
        Case::stream("closed-first", "closed (FIN) before the answer", (Reset, "closed"), vec![Step::Close]),
        Case::stream(
            "closed-in-head",
            "closed within the head",
            (Reset, "closed"),
            vec![send(&head()[..30]), Step::Close],
        ),
        Case::stream(
            "half-a-chunk",
            "closed within a chunk",
            (Truncated, "after 4 tokens"),
            vec![send(half), Step::Close],
        ),
        Case::stream(
            "between-chunks",
            "closed between two chunks",
            (Truncated, "after 4 tokens"),
            half_then(vec![Step::Close]),
        ),
        Case::stream(
            "no-last-chunk",
            "finish_reason, and closed without the last chunk",
            (Truncated, "after 8 tokens"),
            vec![send(head()), send(chunk([tokens(TOKENS).as_str(), FINISH].concat())), Step::Close],
        ),
        Case::stream(
            "below-length",
            "closed before content-length is reached",
            (Truncated, "after 4 tokens"),
            vec![send(cut_length), Step::Close],
        ),
        Case::stream(
            "no-end-marks",
            "a clean end with neither finish_reason nor [DONE]",
            (Truncated, "without saying that it is complete"),
            half_then(vec![send(LAST_CHUNK)]),
        ),
        Case::stream(
            "close-without-finish",
            "a stream that ends with the connection, in the middle",
            (Truncated, "without saying that it is complete"),
            vec![send(head_with("") + &tokens(4)), Step::Close],
        ),
        Case::stream(
            "no-events",
            "an event stream without an event",
            (Truncated, "after 0 tokens"),
            chunked(&[]),
        ),
        Case::whole(
            "whole-below-length",
            "a document cut before its content-length",
            (Truncated, "early"),
            vec![
                send(format!("{json_head}content-length: {}\r\n\r\n{}", WHOLE.len(), &WHOLE[..40])),
                Step::Close,
            ],
        ),
        Case::stream(
            "stall",
            "nothing more after 4 tokens",
            (Stalled, "after 4 tokens"),
            half_then(vec![Step::Hang]),
        ),
        Case::stream(
            "stall-after-head",
            "nothing after the head",
            (Stalled, "after 0 tokens"),
            vec![send(head()), Step::Hang],
        ),
        Case::stream(
            "stall-in-event",
            "an event that does not end",
            (Stalled, "after 4 tokens"),
            half_then(vec![Step::Forever(chunk("data: x"), Duration::from_millis(50))]),
        ),
        Case::stream(
            "only-comments",
            "nothing but comments after 4 tokens",
            (Stalled, "after 4 tokens"),
            half_then(vec![Step::Forever(chunk(": ping\n\n"), Duration::from_millis(50))]),
        ),
        Case::stream("silence", "no answer", (Timeout, "no answer"), vec![Step::Hang]).within(SHORT),
        Case::stream(
            "endless-head",
            "a head without an end",
            (Timeout, "no answer"),
            vec![
                send("HTTP/1.1 200 OK\r\n"),
                Step::Forever(b"x-more: 1\r\n".to_vec(), Duration::from_millis(50)),
            ],
        )
        .within(SHORT),
        Case::stream(
            "endless-answer",
            "tokens without an end",
            (Timeout, "still open at the deadline"),
            vec![send(forever), Step::Forever(chunk(token("word ")), Duration::from_millis(50))],
        )
        .within(SHORT),
        Case::whole(
            "whole-stall",
            "a document that does not go on",
            (Timeout, "still open at the deadline"),
            vec![send(format!("{json_head}content-length: 999\r\n\r\n{}", &WHOLE[..40])), Step::Hang],
        )
        .within(SHORT),
        refusal("status-400", "400 Bad Request", "", Http4xx),
        refusal("status-401", "401 Unauthorized", "", Http4xx),
        refusal("status-404", "404 Not Found", "", Http4xx),
        refusal("status-429", "429 Too Many Requests", "retry-after: 1\r\n", Shed),
        refusal("status-500", "500 Internal Server Error", "", Http5xx),
        refusal("status-502", "502 Bad Gateway", "", Http5xx),
        refusal("status-503", "503 Service Unavailable", "", Http5xx),
        refusal("status-503-retry", "503 with Retry-After", "retry-after: 1\r\n", Shed),
        refusal("status-503-breaker", "503 with a breaker's mark", "x-circuit-breaker: open\r\n", Shed),
        refusal("status-504", "504 Gateway Timeout", "", Http5xx),
        refusal("redirect-301", "301 Moved Permanently", "location: /elsewhere\r\n", Malformed),
        refusal("redirect-302", "302 Found", "location: /elsewhere\r\n", Malformed),
        refusal("redirect-307", "307 Temporary Redirect", "location: /elsewhere\r\n", Malformed),
    ]
}
