//! gRPC's statuses and what they mean as outcomes. docs/endpoints-kserve-http.md
//! has the table.

use std::fmt;

use http::HeaderMap;

use crate::journal::interval::Outcome;

/// The names of the codes.
const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// What the server says in the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    /// `grpc-status`
    pub(super) code: u32,
    /// `grpc-message`
    message: String,
}

impl Said {
    /// Reads the trailers, or the headers of an answer without a body. None:
    /// there is no status. One that is no number is UNKNOWN.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let status = headers.get("grpc-status")?;
        let code = status.to_str().ok().and_then(|text| text.trim().parse().ok()).unwrap_or(2);
        let message = headers.get("grpc-message").map_or_else(String::new, |text| unescaped(text.as_bytes()));
        Some(Self { code, message })
    }
}

impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = usize::try_from(self.code).ok().and_then(|code| NAMES.get(code));
        match name {
            Some(name) => write!(f, "gRPC {name}")?,
            None => write!(f, "gRPC status {}", self.code)?,
        }
        match crate::load::answer::snippet(&self.message) {
            message if message.is_empty() => Ok(()),
            message => write!(f, ": {message}"),
        }
    }
}

/// What a code means, as HTTP's counterpart would. `marked`: the server says
/// when to try again, or that a breaker is open.
pub(super) fn outcome(code: u32, marked: bool) -> Outcome {
    match code {
        0 => Outcome::Ok,
        // Nobody here cancelled it: somebody on the way gave up.
        1 => Outcome::Reset,
        3 | 5 | 6 | 7 | 9 | 10 | 11 | 16 => Outcome::Http4xx,
        4 => Outcome::Timeout,
        8 => Outcome::Shed,
        14 if marked => Outcome::Shed,
        2 | 12 | 13 | 14 | 15 => Outcome::Http5xx,
        _ => Outcome::Malformed,
    }
}

/// Percent-decoded. Bytes that are no UTF-8 are replaced.
fn unescaped(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, tail)) = rest.split_first() {
        let hex = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
        match (first, tail.get(..2).and_then(hex)) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_outcome() {
        let of = |code| outcome(code, false);
        assert_eq!(
            (of(0), of(1), of(4), of(8)),
            (Outcome::Ok, Outcome::Reset, Outcome::Timeout, Outcome::Shed)
        );
        for code in [3, 5, 6, 7, 9, 10, 11, 16] {
            assert_eq!(of(code), Outcome::Http4xx, "{code}");
        }
        for code in [2, 12, 13, 14, 15] {
            assert_eq!(of(code), Outcome::Http5xx, "{code}");
        }
        assert_eq!((outcome(14, true), outcome(13, true)), (Outcome::Shed, Outcome::Http5xx));
        assert_eq!(of(17), Outcome::Malformed);
    }

    #[test]
    fn the_status_is_read_from_trailers() {
        let mut headers = HeaderMap::new();
        assert_eq!(Said::of(&headers), None);
        headers.insert("grpc-status", "14".parse().expect("a value"));
        headers.insert("grpc-message", "100%25 f%C3%BCll%".parse().expect("a value"));
        assert_eq!(Said::of(&headers).expect("a status").to_string(), "gRPC UNAVAILABLE: 100% füll%");
        headers.insert("grpc-status", "x".parse().expect("a value"));
        assert_eq!(Said::of(&headers).expect("a status").code, 2);
    }
}
