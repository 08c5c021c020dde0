//! Answers that come to their end and say the wrong thing.

use firedrill::journal::interval::Outcome::*;

use super::{
    case::{Ask, Case, Step, TOKENS},
    framing::event_of,
    write::*,
};

const OUT_OF_MEMORY: &str = r#"{"error":{"message":"CUDA out of memory","type":"server_error","code":500}}"#;

/// A stream under HTTP 200 with a head of its own.
fn under(headers: &str, body: impl Into<Vec<u8>>) -> Vec<Step> {
    let body = body.into();
    let head = format!("HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\n\r\n", body.len());
    vec![send([head.into_bytes(), body].concat())]
}

/// A complete stream of numbered tokens.
fn numbered(order: [u64; TOKENS as usize]) -> Vec<Step> {
    let tokens: String = order.iter().map(|i| token(&format!("tok-{i} "))).collect();
    chunked(&[&tokens, FINISH, &usage(TOKENS), DONE])
}

const JSON: &str = "content-type: application/json\r\n";
const EVENTS: &str = "content-type: text/event-stream\r\n";

pub(super) fn cases() -> Vec<Case> {
    let stream = stream();
    let error =
        |name, how, says, events: &[&str]| Case::stream(name, how, (InBandError, says), chunked(events));
    let malformed = |name, how, says, script| Case::stream(name, how, (Malformed, says), script);
    let (four, error_event) = (tokens(4), event(OUT_OF_MEMORY));
    let gz = "content-encoding: gzip\r\n";
    let mut cases = vec![
        error("error-object", "an error object after 4 tokens", "CUDA out of memory", &[&four, &error_event]),
        error(
            "error-text",
            "an error as text after 4 tokens",
            "boom",
            &[&four, &event(r#"{"error":"boom"}"#)],
        ),
        error(
            "error-flat",
            "`object: error` after 4 tokens",
            "boom",
            &[&four, &event(r#"{"object":"error","message":"boom","code":500}"#)],
        ),
        error(
            "error-event",
            "`event: error` after 4 tokens",
            "boom",
            &[&four, "event: error\ndata: boom\n\n"],
        ),
        error(
            "error-finish",
            "finish_reason `error`",
            "finish_reason",
            &[&four, &event(r#"{"choices":[{"delta":{},"finish_reason":"error"}]}"#), DONE],
        ),
        error("error-first", "an error as the first event", "CUDA out of memory", &[&error_event]),
        error("error-and-done", "an error, then [DONE]", "CUDA out of memory", &[&four, &error_event, DONE]),
        error(
            "error-after-finish",
            "an error after finish_reason",
            "CUDA out of memory",
            &[&tokens(TOKENS), FINISH, &error_event],
        ),
        Case::stream(
            "error-body",
            "an error as a JSON body under 200",
            (InBandError, "CUDA"),
            under(JSON, OUT_OF_MEMORY),
        ),
        Case::stream(
            "error-unframed",
            "an error as JSON in an event stream",
            (InBandError, "CUDA"),
            under(EVENTS, OUT_OF_MEMORY),
        ),
        Case::whole(
            "whole-error",
            "an error under 200, no stream asked for",
            (InBandError, "CUDA"),
            under(JSON, OUT_OF_MEMORY),
        ),
        malformed(
            "gzip",
            "a stream in gzip, not asked for",
            "gzip",
            under(&format!("{EVENTS}{gz}"), gzip(stream.as_bytes())),
        ),
        malformed("html", "a page of HTML", "text/html", under("content-type: text/html\r\n", "<html>")),
        malformed(
            "events-as-json",
            "events under application/json",
            "application/json",
            under(JSON, stream.as_str()),
        ),
        malformed(
            "events-as-html",
            "events under text/html",
            "text/html",
            under("content-type: text/html\r\n", stream.as_str()),
        ),
        malformed(
            "events-untyped",
            "events without a content-type",
            "content-type",
            under("", stream.as_str()),
        ),
        malformed("json-as-events", "JSON in an event stream", "no event", under(EVENTS, WHOLE)),
        malformed(
            "json-for-stream",
            "a whole document, a stream was asked for",
            "application/json",
            under(JSON, WHOLE),
        ),
        malformed(
            "half-json",
            "half a JSON document as an event",
            "EOF",
            chunked(&[&four, &event(r#"{"choices": [{"#)]),
        ),
        malformed("not-json", "an event that is no JSON", "`hello`", chunked(&[&event("hello")])),
        malformed(
            "wrong-json",
            "a number where a text belongs",
            "invalid type",
            chunked(&[&event(r#"{"choices":[{"delta":{"content":5}}]}"#)]),
        ),
        malformed(
            "not-utf-8",
            "half a character in an event",
            "UTF-8",
            vec![
                send(head()),
                send(chunk(b"data: {\"choices\":[{\"delta\":{\"content\":\"\xe2\x82\"}}]}\n\n")),
                send(LAST_CHUNK),
            ],
        ),
        malformed(
            "too-long-event",
            "an event of 1 MiB and a byte",
            "longer than",
            chunked(&[&event_of((1 << 20) + 1), DONE]),
        ),
        malformed("too-long-line", "a line without an end", "longer than", chunked(&[&"x".repeat(2 << 20)])),
        malformed(
            "bad-chunk",
            "a chunk's size that is no number",
            "not HTTP",
            half_then(vec![send("zz\r\n"), Step::Close]),
        ),
        malformed(
            "not-http",
            "an answer in another protocol",
            "not HTTP",
            vec![send("SSH-2.0-OpenSSH_9.2\r\n"), Step::Close],
        ),
        malformed(
            "two-lengths",
            "two content-lengths",
            "not HTTP",
            vec![send(head_with("content-length: 5\r\ncontent-length: 9\r\n")), Step::Close],
        ),
        malformed("status-204", "204 No Content", "204", vec![send("HTTP/1.1 204 No Content\r\n\r\n")]),
        malformed("empty-body", "200 with an empty body", "empty", vec![send(plain("200 OK", JSON, ""))]),
        Case::whole(
            "whole-gzip",
            "a document in gzip, not asked for",
            (Malformed, "gzip"),
            under(&format!("{JSON}{gz}"), gzip(WHOLE.as_bytes())),
        ),
        Case::whole(
            "whole-half",
            "half a document, ended with the connection",
            (Malformed, "EOF"),
            vec![send(format!("HTTP/1.1 200 OK\r\n{JSON}\r\n{}", &WHOLE[..60])), Step::Close],
        ),
        Case::whole("whole-empty", "a document without choices", (Malformed, "choices"), under(JSON, "{}")),
        Case::whole(
            "whole-events",
            "events, one document was asked for",
            (Malformed, "text/event-stream"),
            under(EVENTS, stream.as_str()),
        ),
        Case::whole(
            "whole-longer",
            "a document longer than its content-length",
            (Malformed, "EOF"),
            vec![send(format!("HTTP/1.1 200 OK\r\n{JSON}content-length: 60\r\n\r\n{WHOLE}")), Step::Close],
        ),
        Case::stream(
            "short",
            "6 of 8 tokens by its own count",
            (Short, "6 of 8"),
            chunked(&[&tokens(6), FINISH, &usage(6), DONE]),
        ),
        Case::stream(
            "short-stop",
            "6 of 8 tokens, uncounted, stopped",
            (Short, "6 of 8"),
            chunked(&[&tokens(6), &FINISH.replace("length", "stop"), DONE]),
        ),
        Case::stream(
            "no-tokens",
            "a finish_reason and no token",
            (Short, "0 of 8"),
            chunked(&[FINISH, &usage(0), DONE]),
        ),
        Case::stream(
            "lost",
            "a numbered token lost",
            (Discontinuous, "tok-4 after tok-2"),
            numbered([0, 1, 2, 4, 5, 6, 7, 8]),
        ),
        Case::stream(
            "duplicate",
            "a numbered token twice",
            (Discontinuous, "tok-2 after tok-2"),
            numbered([0, 1, 2, 2, 3, 4, 5, 6]),
        ),
        Case::stream(
            "out-of-order",
            "two numbered tokens swapped",
            (Discontinuous, "tok-3 after tok-1"),
            numbered([0, 1, 3, 2, 4, 5, 6, 7]),
        ),
    ];
    cases.push(Case {
        ask: Ask::Golden,
        ..Case::stream(
            "mismatch",
            "the wrong answer to a golden prompt",
            (Mismatch, "lacks `word`"),
            chunked(&[&token("nonsense "), FINISH, &usage(TOKENS), DONE]),
        )
    });
    cases
}
