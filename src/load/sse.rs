//! Server-sent events from bytes that arrive in any pieces.
//!
//! Follows the event stream grammar of the HTML standard (section 9.2), with
//! one leniency: [`Parser::finish`] also yields a last event whose lines are
//! whole but whose blank line is missing, as some servers end that way.

use std::borrow::Cow;

/// An event may have this many bytes of data; more is not an answer.
const MAX_EVENT: usize = 1 << 20;

/// An event was longer than any answer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event is longer than {MAX_EVENT} bytes")]
pub(crate) struct TooLong;

/// An incremental parser of one stream.
#[derive(Debug, Default)]
pub(crate) struct Parser {
    /// The start of a line whose end has not come yet.
    line: Vec<u8>,
    name: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// The last byte was a CR: an LF right after it belongs to it.
    after_cr: bool,
    /// A line has been read, so a byte order mark can't come any more.
    begun: bool,
}

impl Parser {
    /// Takes the next bytes and hands each event that they complete to `on`,
    /// as its name (empty: none given) and its data.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut on: impl FnMut(&str, &str)) -> Result<(), TooLong> {
        if self.after_cr && !bytes.is_empty() {
            self.after_cr = false;
            bytes = bytes.strip_prefix(b"\n").unwrap_or(bytes);
        }
        while let Some(end) = bytes.iter().position(|&b| b == b'\n' || b == b'\r') {
            let (line, rest) = bytes.split_at(end);
            if self.line.is_empty() {
                self.take_line(line, &mut on)?;
            } else {
                self.hold(line)?;
                let mut whole = std::mem::take(&mut self.line);
                self.take_line(&whole, &mut on)?;
                whole.clear();
                self.line = whole;
            }
            bytes = match rest {
                [b'\r', b'\n', rest @ ..] => rest,
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [_, rest @ ..] => rest,
                [] => &[],
            };
        }
        self.hold(bytes)
    }

    /// The stream ended cleanly.
    pub(crate) fn finish(&mut self, mut on: impl FnMut(&str, &str)) {
        self.dispatch(&mut on);
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.line.len() + bytes.len() > MAX_EVENT {
            return Err(TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn take_line(&mut self, mut line: &[u8], on: &mut impl FnMut(&str, &str)) -> Result<(), TooLong> {
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            self.dispatch(on);
            return Ok(());
        }
        let (field, value) = match line.iter().position(|&b| b == b':') {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        match field {
            b"data" => {
                if self.data.len() + value.len() >= MAX_EVENT {
                    return Err(TooLong);
                }
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            b"event" => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            // Comments (an empty field name), `id`, `retry` and unknown fields.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, on: &mut impl FnMut(&str, &str)) {
        if self.has_data {
            on(&text(&self.name), &text(&self.data));
        }
        self.name.clear();
        self.data.clear();
        self.has_data = false;
    }
}

fn text(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.feed(piece, |name, data| events.push((name.to_owned(), data.to_owned()))).expect("short");
        }
        parser.finish(|name, data| events.push((name.to_owned(), data.to_owned())));
        events
    }

    fn data(stream: &str) -> Vec<String> {
        parse(&[stream.as_bytes()]).into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn it_reads_what_servers_write() {
        assert_eq!(data("data: a\n\ndata: b\n\n"), ["a", "b"]);
        assert_eq!(data("data:a\r\n\r\ndata:  b\r\r"), ["a", " b"]);
        assert_eq!(data(": ping\n\ndata: a\ndata\ndata: b\nid: 3\nretry: 1\nother\n\n"), ["a\n\nb"]);
        assert_eq!(data("\u{feff}data: a\n\n"), ["a"]);
        assert_eq!(data("event: error\n\n\n\n"), Vec::<String>::new());
        assert_eq!(parse(&[b"event: error\ndata: x\n\n"]), [("error".into(), "x".into())]);
        assert_eq!(parse(&[b"event: a\n\ndata: x\n\n"]), [(String::new(), "x".into())]);
    }

    #[test]
    fn only_whole_lines_count_at_the_end() {
        assert_eq!(data("data: a\n\ndata: [DONE]\n"), ["a", "[DONE]"]);
        assert_eq!(data("data: a\n\ndata: {\"cut"), ["a"]);
    }

    #[test]
    fn endless_events_are_refused() {
        let mut parser = Parser::default();
        let flood = vec![b'x'; MAX_EVENT / 2 + 1];
        assert_eq!(parser.feed(&flood, |_, _| ()), Ok(()));
        assert_eq!(parser.feed(&flood, |_, _| ()), Err(TooLong));
        let mut parser = Parser::default();
        let line = [b"data: ".as_slice(), &vec![b'x'; 1 << 16], b"\n"].concat();
        assert!((0..17).any(|_| parser.feed(&line, |_, _| ()).is_err()));
    }

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("data: ".to_owned()),
            Just("data:".to_owned()),
            Just("event: e".to_owned()),
            Just(": c".to_owned()),
            Just("\n".to_owned()),
            Just("\r".to_owned()),
            Just("\r\n".to_owned()),
            Just("\n\n".to_owned()),
            Just("é€😀".to_owned()),
            "[a-z:]{0,4}",
        ]
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_events(pieces in prop::collection::vec(piece(), 0..40), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12)) {
            let stream = pieces.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            cuts.sort_unstable();
            let mut parts = Vec::new();
            let mut from = 0;
            for cut in cuts {
                parts.push(&stream[from..cut]);
                from = cut;
            }
            parts.push(&stream[from..]);
            prop_assert_eq!(parse(&parts), parse(&[&stream]));
            let bytes: Vec<&[u8]> = stream.chunks(1).collect();
            prop_assert_eq!(parse(&bytes), parse(&[&stream]));
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            parse(&[&bytes]);
        }

        #[test]
        fn data_comes_back(lines in prop::collection::vec("[^\r\n]{0,20}", 1..5)) {
            let stream: String = lines.iter().map(|line| format!("data: {line}\r\n")).collect();
            prop_assert_eq!(data(&format!("{stream}\r\n")), [lines.join("\n")]);
        }
    }
}
