//! The head of an answer of HTTP/1: its status, its headers, and what they
//! say of the body (RFC 9112, section 6.3) and of the connection.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::framing::Framing;
use crate::load::connection::Head;

/// Headers that an answer may have.
const MOST_HEADERS: usize = 128;
/// Bytes of a head.
const MOST_BYTES: usize = 256 << 10;

/// A head, and what follows from it.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) head: Head,
    /// How its body ends.
    pub(super) framing: Framing,
    /// Whether another request may follow.
    pub(super) keeps: bool,
    /// Bytes that it took.
    pub(super) len: usize,
}

/// Reads the head that `input` begins with, past those that only announce it
/// (1xx). None: more must come. `bodiless`: HEAD was asked.
///
/// # Errors
/// What is not as it must be, in words.
pub(super) fn parse(input: &[u8], bodiless: bool) -> Result<Option<Parsed>, String> {
    let mut start = 0;
    loop {
        match one(&input[start..], bodiless)? {
            // 101 switches to something that was not asked for.
            Some(Parsed { head, len, .. }) if (100..=199).contains(&head.status) && head.status != 101 => {
                start += len;
            }
            Some(parsed) => return Ok(Some(Parsed { len: start + parsed.len, ..parsed })),
            None if input.len() > MOST_BYTES => Err("the head has no end")?,
            None => return Ok(None),
        }
    }
}

fn one(input: &[u8], bodiless: bool) -> Result<Option<Parsed>, String> {
    let mut slots = [const { std::mem::MaybeUninit::uninit() }; MOST_HEADERS];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        input,
        &mut slots,
    );
    let len = match parsed.map_err(|error| error.to_string())? {
        httparse::Status::Complete(len) => len,
        httparse::Status::Partial => return Ok(None),
    };
    let mut headers = HeaderMap::with_capacity(response.headers.len());
    for header in response.headers.iter() {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|error| error.to_string())?;
        let value = HeaderValue::from_bytes(header.value).map_err(|error| error.to_string())?;
        headers.append(name, value);
    }
    let status = response.code.unwrap_or_default();
    if status < 100 {
        return Err("no valid status".to_owned());
    }
    let newer = response.version == Some(1);
    let bodiless = bodiless || matches!(status, 100..=199 | 204 | 304);
    let framing = framing(&headers, bodiless, newer)?;
    let keeps = match framing {
        // Both lengths at once: somebody on the way may have seen another end.
        Framing::Chunked(_) if headers.contains_key(header::CONTENT_LENGTH) => false,
        Framing::UntilClosed => false,
        Framing::Chunked(_) | Framing::Length(_) if newer => !says(&headers, "close"),
        Framing::Chunked(_) | Framing::Length(_) => says(&headers, "keep-alive"),
    };
    Ok(Some(Parsed { head: Head { status, headers }, framing, keeps, len }))
}

fn framing(headers: &HeaderMap, bodiless: bool, newer: bool) -> Result<Framing, String> {
    if bodiless {
        return Ok(Framing::Length(0));
    }
    if let Some(last) = headers.get_all(header::TRANSFER_ENCODING).into_iter().next_back() {
        if !newer {
            // Who speaks 1.0 knows nothing of codings: where the body ends is anybody's guess.
            return Err("a transfer-encoding in HTTP/1.0".to_owned());
        }
        let coding = last.as_bytes().rsplit(|byte| *byte == b',').next().unwrap_or_default();
        let chunked = coding.trim_ascii().eq_ignore_ascii_case(b"chunked");
        return Ok(if chunked { Framing::chunked() } else { Framing::UntilClosed });
    }
    let mut length = None;
    for value in headers.get_all(header::CONTENT_LENGTH) {
        for text in value.as_bytes().split(|byte| *byte == b',') {
            // No sign, which a parser of numbers would take.
            let number = std::str::from_utf8(text.trim_ascii())
                .ok()
                .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|text| text.parse::<u64>().ok())
                .ok_or_else(|| "content-length is no number".to_owned())?;
            if length.is_some_and(|length| length != number) {
                return Err("two values of content-length".to_owned());
            }
            length = Some(number);
        }
    }
    Ok(length.map_or(Framing::UntilClosed, Framing::Length))
}

fn says(headers: &HeaderMap, word: &str) -> bool {
    let values = headers.get_all(header::CONNECTION).into_iter();
    values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .any(|option| option.trim_ascii().eq_ignore_ascii_case(word.as_bytes()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(input: &str) -> Result<Option<(u16, Framing, bool)>, String> {
        let parsed = parse(input.as_bytes(), false)?;
        Ok(parsed.map(|parsed| (parsed.head.status, parsed.framing, parsed.keeps)))
    }

    #[test]
    fn a_head_says_where_its_body_ends() {
        let (closed, chunked, length) = (Framing::UntilClosed, Framing::chunked(), Framing::Length);
        for (head, framing, keeps) in [
            ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", length(3), true),
            ("HTTP/1.1 200 OK\r\ncontent-length: 3, 3\r\ncontent-length: 3\r\n\r\n", length(3), true),
            ("HTTP/1.1 200\r\ncontent-length: 3\r\nconnection: x, Close\r\n\r\n", length(3), false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 3\r\n\r\n", length(3), false),
            ("HTTP/1.0 200 OK\r\ncontent-length: 3\r\nconnection: keep-alive\r\n\r\n", length(3), true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n", chunked, true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n", chunked, true),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n", chunked, false),
            ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", closed, false),
            ("HTTP/1.1 200 OK\r\n\r\n", closed, false),
            ("HTTP/1.1 204 No Content\r\n\r\n", length(0), true),
            ("HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\n\r\n", length(0), true),
        ] {
            let status = head[9..12].parse().expect("a status");
            assert_eq!(parsed(head), Ok(Some((status, framing, keeps))), "{head:?}");
            assert_eq!(parsed(&head[..head.len() - 1]), Ok(None), "not all of it");
        }
        let head = parse(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n", true).expect("a head");
        assert_eq!(head.map(|head| head.framing), Some(length(0)), "HEAD was asked");
    }

    #[test]
    fn announcements_are_passed_by() {
        let early = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
        assert_eq!(parsed(early), Ok(None));
        let answer = format!("{early}HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nnext");
        let head = parse(answer.as_bytes(), false).expect("a head").expect("all of it");
        assert_eq!((head.head.status, head.len), (200, answer.len() - 4));
        assert!(!head.head.headers.contains_key("link"));
        assert_eq!(parsed("HTTP/1.1 101 Switching Protocols\r\n\r\n").map(|p| p.map(|p| p.0)), Ok(Some(101)));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for head in [
            "SSH-2.0-OpenSSH\r\n",
            "HTTP/1.1 2x0 OK\r\n\r\n",
            "HTTP/1.1 002 OK\r\n\r\n",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\nconnection: keep-alive\r\n\r\n",
            "HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +3\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length:\r\n\r\n",
        ] {
            assert!(parsed(head).is_err(), "{head:?}: {:?}", parsed(head));
        }
        let long = format!("HTTP/1.1 200 OK\r\na: {}", "a".repeat(300_000));
        assert!(parsed(&long).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(input in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&input, false);
            let _ = parse(&[b"HTTP/1.1 200 OK\r\n", &input[..]].concat(), false);
        }
    }
}
