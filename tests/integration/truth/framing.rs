//! Answers that are unusual and right: all of them must end `ok`, and every
//! token must be counted.

use std::time::Duration;

use firedrill::journal::interval::Outcome;

use super::{
    case::{Case, Step, TOKENS},
    write::*,
};

const OK: (Outcome, &str) = (Outcome::Ok, "");

fn ok(name: &'static str, how: &'static str, script: Vec<Step>) -> Case {
    Case::stream(name, how, OK, script)
}

/// A stream with a `content-length`.
fn measured(text: &str) -> Vec<Step> {
    vec![send(head_with(&format!("content-length: {}\r\n", text.len())) + text)]
}

/// A token with characters of two, three and four bytes.
const WIDE: &str = "é€😀 ";

/// The longest event that is taken.
pub(super) fn event_of(bytes: usize) -> String {
    let around = token("").len() - event("").len();
    token(&"x".repeat(bytes - around))
}

pub(super) fn cases() -> Vec<Case> {
    let stream = stream();
    let wide = [ROLE, &token(WIDE).repeat(TOKENS as usize), FINISH, DONE].concat();
    let bytewise = wide.bytes().flat_map(|byte| chunk([byte])).collect::<Vec<_>>();
    let with_fields = [": hello\n\nretry: 3000\n\nevent: ping\n\n", &stream].concat();
    let with_fields =
        with_fields.replace("data: {", ": keep-alive\nid: 7\nretry: 10\nevent: message\nunknown\ndata:{");
    let in_lines = stream.replace("{\"choices\":[", "{\ndata: \"choices\":\ndata:[");
    let empty = [
        ROLE,
        ROLE,
        &event(r#"{"choices":[{"delta":{"content":null}}]}"#),
        &event(r#"{"choices":[{"delta":{}}]}"#),
        &token("").repeat(3),
        &tokens(TOKENS),
        FINISH,
        DONE,
    ]
    .concat();
    let usages = [ROLE, &usage(1), &tokens(TOKENS), &usage(4), FINISH, &usage(TOKENS), DONE].concat();
    let long = [&event_of(1 << 20), &tokens(TOKENS - 1), FINISH, DONE].concat();
    let early = "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n";
    let hinted = ["HTTP/1.1 100 Continue\r\n\r\n", early, early, &head()].concat();
    let trailers = [head().into_bytes(), chunk(&stream), b"0\r\nx-checksum: 1\r\n\r\n".to_vec()].concat();
    let extended = [head(), format!("{:x};name=\"v\"\r\n{stream}\r\n0;last\r\n\r\n", stream.len())].concat();
    vec![
        ok("content-length", "a stream with a content-length", measured(&stream)),
        ok(
            "close-delimited",
            "a stream that ends with the connection",
            vec![send(head_with("connection: close\r\n") + &stream), Step::Close],
        ),
        ok(
            "http-1-0",
            "an answer in HTTP/1.0",
            vec![send(head_with("").replace("HTTP/1.1", "HTTP/1.0") + &stream), Step::Close],
        ),
        ok("one-chunk", "all events in one chunk", chunked(&[&stream])),
        ok("trailers", "trailers after the last chunk", vec![send(trailers)]),
        ok("chunk-extensions", "chunk extensions", vec![send(extended)]),
        ok("crlf", "lines end in CRLF", chunked(&[&stream.replace('\n', "\r\n")])),
        ok("cr", "lines end in CR", chunked(&[&stream.replace('\n', "\r")])),
        ok(
            "split-bytes",
            "each byte a chunk of its own, multi-byte characters split",
            vec![send(head()), send(bytewise), send(LAST_CHUNK)],
        ),
        ok(
            "split-packets",
            "each byte in a packet of its own, multi-byte characters split",
            vec![
                send(head_with(&format!("content-length: {}\r\n", wide.len()))),
                Step::Trickle(wide.into_bytes()),
            ],
        ),
        ok(
            "fields",
            "comments, id, retry, unknown fields, no space after the colon",
            chunked(&[&with_fields]),
        ),
        ok("many-data-lines", "JSON in several data lines", chunked(&[&in_lines])),
        ok("byte-order-mark", "a byte order mark first", chunked(&["\u{feff}", &stream])),
        ok("no-last-blank-line", "no blank line after [DONE]", chunked(&[stream.trim_end(), "\n"])),
        ok("empty-deltas", "empty deltas, null content, repeated roles", chunked(&[&empty])),
        ok("usages", "chunks with nothing but usage, the last one counts", chunked(&[&usages])),
        ok("long-event", "an event of exactly 1 MiB", chunked(&[&long])),
        ok(
            "early-hints",
            "100 Continue and two 103 Early Hints first",
            vec![send(hinted), send(chunk(&stream)), send(LAST_CHUNK)],
        ),
        ok(
            "slow-head",
            "the head comes byte by byte",
            vec![Step::Trickle(head().into_bytes()), send(chunk(&stream)), send(LAST_CHUNK)],
        ),
        ok("done-twice", "[DONE] twice", chunked(&[&stream, DONE])),
        ok(
            "after-done",
            "an error and garbage after [DONE]",
            chunked(&[&stream, &event(r#"{"error":"too late"}"#), "garbage\n\n"]),
        ),
        ok("no-done", "a finish_reason and no [DONE]", chunked(&[&tokens(TOKENS), FINISH])),
        ok("no-finish", "[DONE] and no finish_reason", chunked(&[&tokens(TOKENS), DONE])),
        ok(
            "content-type",
            "`Text/Event-Stream;charset=UTF-8`",
            vec![
                send(head().replace("text/event-stream", "Text/Event-Stream;charset=UTF-8")),
                send(chunk(&stream)),
                send(LAST_CHUNK),
            ],
        ),
        ok(
            "identity",
            "content-encoding: identity",
            vec![
                send(head_with("content-encoding: identity\r\ntransfer-encoding: chunked\r\n")),
                send(chunk(&stream)),
                send(LAST_CHUNK),
            ],
        ),
        ok(
            "announced-close",
            "the connection is closed after the answer, as announced",
            vec![
                send(head_with("connection: close\r\ntransfer-encoding: chunked\r\n")),
                send(chunk(&stream)),
                send(LAST_CHUNK),
                Step::Close,
            ],
        ),
        // In one packet, or it could really be the next answer.
        ok(
            "longer-than-length",
            "an answer nobody asked for behind the right one: not taken for the next",
            vec![
                send(
                    head_with(&format!("content-length: {}\r\n", stream.len()))
                        + &stream
                        + "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n",
                ),
                Step::Pause(Duration::from_millis(50)),
                Step::Close,
            ],
        ),
        Case::whole(
            "whole-chunked",
            "one document in chunks",
            OK,
            vec![
                send(
                    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n",
                ),
                send(chunk(&WHOLE[..10])),
                send(chunk(&WHOLE[10..])),
                send(LAST_CHUNK),
            ],
        ),
        Case::whole(
            "whole-close-delimited",
            "one document that ends with the connection",
            OK,
            vec![send("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n"), send(WHOLE), Step::Close],
        ),
    ]
}
