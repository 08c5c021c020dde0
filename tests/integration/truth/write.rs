//! Answers as bytes.

use super::case::{Step, TOKENS};

/// The head of a stream in chunks.
pub(super) fn head() -> String {
    head_with("transfer-encoding: chunked\r\n")
}

/// The head of a stream with headers of its own.
pub(super) fn head_with(headers: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n{headers}\r\n")
}

/// A whole answer with a `content-length`.
pub(super) fn plain(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

/// One chunk of a chunked body.
pub(super) fn chunk(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// The end of a chunked body.
pub(super) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// One event.
pub(super) fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

/// An event with a token.
pub(super) fn token(text: &str) -> String {
    event(&format!(
        r#"{{"object":"chat.completion.chunk","choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}"#
    ))
}

/// So many tokens.
pub(super) fn tokens(count: u64) -> String {
    token("word ").repeat(count as usize)
}

pub(super) const ROLE: &str = "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
pub(super) const FINISH: &str = "data: {\"object\":\"chat.completion.chunk\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}]}\n\n";
pub(super) const DONE: &str = "data: [DONE]\n\n";

/// The server's own count.
pub(super) fn usage(tokens: u64) -> String {
    event(&format!(
        r#"{{"object":"chat.completion.chunk","choices":[],"usage":{{"prompt_tokens":8,"completion_tokens":{tokens},"total_tokens":{}}}}}"#,
        8 + tokens
    ))
}

/// The text of a stream as it should be.
pub(super) fn stream() -> String {
    [ROLE, &tokens(TOKENS), FINISH, &usage(TOKENS), DONE].concat()
}

/// One document as it should be.
pub(super) const WHOLE: &str = r#"{"choices":[{"message":{"role":"assistant","content":"a b c d e f g h"},"finish_reason":"length"}],"usage":{"completion_tokens":8}}"#;

/// A chunked stream of these texts, each in a chunk of its own, to its end.
pub(super) fn chunked(texts: &[&str]) -> Vec<Step> {
    let mut bytes = head().into_bytes();
    texts.iter().for_each(|text| bytes.extend(chunk(text)));
    bytes.extend(LAST_CHUNK);
    vec![Step::Send(bytes)]
}

/// A chunked stream that begins with half of its tokens, and then `rest`.
pub(super) fn half_then(rest: Vec<Step>) -> Vec<Step> {
    let begin = [head().into_bytes(), chunk(ROLE), chunk(tokens(TOKENS / 2))].concat();
    [vec![Step::Send(begin)], rest].concat()
}

pub(super) fn send(bytes: impl Into<Vec<u8>>) -> Step {
    Step::Send(bytes.into())
}

/// `bytes` in gzip's format, stored.
pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("a short text");
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255, 1];
    out.extend(length.to_le_bytes());
    out.extend((!length).to_le_bytes());
    out.extend(bytes);
    out.extend(crc32(bytes).to_le_bytes());
    out.extend(u32::from(length).to_le_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    let table =
        |byte: u32| (0..8).fold(byte, |c, _| if c & 1 == 1 { 0xedb8_8320 ^ (c >> 1) } else { c >> 1 });
    !bytes.iter().fold(u32::MAX, |crc, byte| table((crc ^ u32::from(*byte)) & 0xff) ^ (crc >> 8))
}
