//! Our reading of an answer of HTTP/1, head and body, against hyper's, on the
//! same bytes in the same pieces. The first byte says how they are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../src/load/connection/http1/framing.rs"]
mod framing;
#[path = "../../src/load/connection/http1/head.rs"]
mod head;
#[path = "../hyper.rs"]
mod independent;

/// What the two modules need of the rest.
mod load {
    pub(crate) mod connection {
        #[derive(Debug)]
        pub(crate) struct Head {
            pub(crate) status: u16,
            pub(crate) headers: http::HeaderMap,
        }
    }
}

/// Headers that an answer may have.
const MOST_HEADERS: usize = 128;

#[derive(Debug, PartialEq, Eq)]
enum Read {
    /// Status, body; whether trailers followed.
    Whole(u16, Vec<u8>, bool),
    Cut,
    Refused(String),
}

fuzz_target!(|input: &[u8]| {
    let Some((size, answer)) = input.split_first() else { return };
    let pieces: Vec<&[u8]> = match usize::from(*size) {
        0 => vec![answer],
        size => answer.chunks(size).collect(),
    };
    let ours = read(&pieces);
    assert_eq!(ours, read(&[answer]), "however it is cut");
    if differs(answer) {
        return;
    }
    let theirs = independent::read(&pieces, MOST_HEADERS);
    let same = match (&ours, &theirs) {
        (Read::Whole(status, body, _), Ok(theirs)) => (*status, body) == (theirs.0, &theirs.1),
        (Read::Cut | Read::Refused(_), Err(_)) => true,
        // It reads trailers as headers; we look for their end alone.
        (Read::Whole(_, _, trailers), Err(_)) => *trailers,
        (Read::Cut | Read::Refused(_), Ok(_)) => false,
    };
    assert!(same, "ours {ours:?}\ntheirs {theirs:?}");
});

/// Where we and hyper differ on purpose: it hands the connection over after
/// 101, and overlooks `chunked` beside what is not ASCII.
fn differs(answer: &[u8]) -> bool {
    let Ok(Some(head::Parsed { head, .. })) = head::parse(answer, false) else { return false };
    let codings = head.headers.get_all(http::header::TRANSFER_ENCODING);
    head.status == 101 || codings.iter().any(|coding| coding.to_str().is_err())
}

/// As a connection reads it.
fn read(pieces: &[&[u8]]) -> Read {
    let (mut input, mut pieces) = (Vec::new(), pieces.iter());
    let parsed = loop {
        match head::parse(&input, false) {
            Ok(Some(parsed)) => break parsed,
            Ok(None) => {}
            Err(why) => return Read::Refused(why),
        }
        let Some(piece) = pieces.next() else { return Read::Cut };
        input.extend_from_slice(piece);
    };
    let status = parsed.head.status;
    assert!(parsed.head.headers.len() <= MOST_HEADERS);
    assert!(!(parsed.keeps && parsed.framing == framing::Framing::UntilClosed));
    let (mut framing, mut start, mut body) = (parsed.framing, parsed.len, Vec::new());
    let mut last = start;
    loop {
        match framing.step(&input[start..]) {
            Ok(framing::Step::Data { skip, len }) => {
                assert!(len > 0);
                body.extend_from_slice(&input[start + skip..][..len]);
                start += skip + len;
                last = start;
                continue;
            }
            Ok(framing::Step::Over(skip)) => {
                assert!(framing.is_over());
                return Read::Whole(status, body, has_trailers(&input[last..start + skip]));
            }
            Ok(framing::Step::More(skip)) => start += skip,
            Err(why) => return Read::Refused(why.to_owned()),
        }
        assert_eq!(start, input.len());
        match pieces.next() {
            Some(piece) => input.extend_from_slice(piece),
            None if framing == framing::Framing::UntilClosed => return Read::Whole(status, body, false),
            None => return Read::Cut,
        }
    }
}

/// Whether more than the last chunk's size stands behind the body.
fn has_trailers(behind: &[u8]) -> bool {
    let size = behind.strip_prefix(b"\r\n").unwrap_or(behind);
    let end = size.windows(2).position(|two| two == b"\r\n");
    end.is_some_and(|end| &size[end..] != b"\r\n\r\n")
}
