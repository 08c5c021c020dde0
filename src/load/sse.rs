//! Server-sent events from bytes that arrive in any pieces.
//!
//! Follows the event stream grammar of the HTML standard (section 9.2), with
//! one leniency: [`Parser::finish`] also yields a last event whose lines are
//! whole but whose blank line is missing, as some servers end that way; and
//! two limits: [`MAX_EVENT`], and that events are UTF-8.

/// An event may have this many bytes of data; more is not an answer.
pub(crate) const MAX_EVENT: usize = 1 << 20;
/// A line may be longer by a field's name.
const MAX_LINE: usize = MAX_EVENT + 16;
/// So much is kept of a line that is no field.
const MAX_FOREIGN: usize = 1 << 12;

/// Why bytes are no event stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    /// An event was longer than any answer's.
    #[error("an event is longer than {MAX_EVENT} bytes")]
    TooLong,
    /// Half a character, or bytes that are no text. The standard would put a
    /// replacement character there, and nobody would notice the damage.
    #[error("an event is not UTF-8")]
    NotUtf8,
}

/// An incremental parser of one stream. An error ends it.
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
    /// An event came.
    any: bool,
    /// The start of the first line that is no field, if no event came before.
    foreign: Vec<u8>,
}

impl Parser {
    /// Takes the next bytes and hands each event that they complete to `on`,
    /// as its name (empty: none given) and its data.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut on: impl FnMut(&str, &str)) -> Result<(), Error> {
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
    pub(crate) fn finish(&mut self, mut on: impl FnMut(&str, &str)) -> Result<(), Error> {
        let line = std::mem::take(&mut self.line);
        if field(&line).is_none() {
            self.keep(&line);
        }
        self.dispatch(&mut on)
    }

    /// After the end: the start of what was there instead of events, if not
    /// one came.
    pub(crate) fn foreign(&self) -> Option<&[u8]> {
        (!self.any && !self.foreign.is_empty()).then_some(&self.foreign)
    }

    fn keep(&mut self, line: &[u8]) {
        if !self.any && self.foreign.is_empty() {
            self.foreign.extend_from_slice(&line[..line.len().min(MAX_FOREIGN)]);
        }
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if self.line.len() + bytes.len() > MAX_LINE {
            return Err(Error::TooLong);
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn take_line(&mut self, mut line: &[u8], on: &mut impl FnMut(&str, &str)) -> Result<(), Error> {
        if line.len() > MAX_LINE {
            return Err(Error::TooLong);
        }
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch(on);
        }
        match field(line) {
            Some((b"data", value)) => {
                // A line break between two lines counts, too.
                if self.data.len() + usize::from(self.has_data) + value.len() > MAX_EVENT {
                    return Err(Error::TooLong);
                }
                if self.has_data {
                    self.data.push(b'\n');
                }
                self.data.extend_from_slice(value);
                self.has_data = true;
            }
            Some((b"event", value)) => {
                self.name.clear();
                self.name.extend_from_slice(value);
            }
            // Comments (an empty field name), `id`, `retry`.
            Some(_) => {}
            None => self.keep(line),
        }
        Ok(())
    }

    fn dispatch(&mut self, on: &mut impl FnMut(&str, &str)) -> Result<(), Error> {
        if self.has_data {
            self.any = true;
            let text = |bytes| std::str::from_utf8(bytes).map_err(|_| Error::NotUtf8);
            on(text(&self.name)?, text(&self.data)?);
        }
        self.name.clear();
        self.data.clear();
        self.has_data = false;
        Ok(())
    }
}

/// A line's field and value, if it is a field of the standard or a comment.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, value) = match line.iter().position(|&b| b == b':') {
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
        None => (line, &[][..]),
    };
    matches!(name, b"data" | b"event" | b"id" | b"retry" | b"").then_some((name, value))
}

#[cfg(test)]
#[path = "../../fuzz/differential.rs"]
mod differential;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The events in `pieces`, and whether the rest was refused.
    fn events(pieces: &[&[u8]]) -> (Vec<(String, String)>, bool) {
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        let fed = pieces.iter().try_for_each(|piece| {
            parser.feed(piece, |name, data| events.push((name.to_owned(), data.to_owned())))
        });
        (events, fed.is_err())
    }

    fn parse(pieces: &[&[u8]]) -> Vec<(String, String)> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser
                .feed(piece, |name, data| events.push((name.to_owned(), data.to_owned())))
                .expect("short text");
        }
        parser.finish(|name, data| events.push((name.to_owned(), data.to_owned()))).expect("text");
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

    /// Whether bytes are too long, in one piece and in many.
    fn is_too_long(stream: &[u8]) -> bool {
        let fed = |size| {
            let mut parser = Parser::default();
            stream.chunks(size).try_for_each(|piece| parser.feed(piece, |_, _| ()))
        };
        let (whole, pieces) = (fed(stream.len()), fed(1 << 14));
        assert_eq!(whole, pieces, "however it is cut");
        whole.is_err_and(|error| error == Error::TooLong)
    }

    #[test]
    fn endless_events_are_refused_at_the_same_length_however_they_are_cut() {
        let line = |name: &str, len: usize| [name.as_bytes(), &vec![b'x'; len], b"\n"].concat();
        let fits = line("data: ", MAX_EVENT);
        assert!(!is_too_long(&fits) && is_too_long(&line("data: ", MAX_EVENT + 1)));
        assert!(!is_too_long(&line(":", MAX_LINE - 1)) && is_too_long(&line(":", MAX_LINE)));
        assert!(is_too_long(&vec![b'x'; MAX_LINE + 1]), "a line without an end");
        let half = line("data: ", MAX_EVENT / 2 - 1);
        assert!(!is_too_long(&[half.as_slice(), &half].concat()));
        assert!(is_too_long(&[half.as_slice(), &half, b"data: \ndata: \n"].concat()), "with the line breaks");
        let apart = [fits.as_slice(), b"\n", &fits, b"\n"].concat();
        assert!(!is_too_long(&apart), "each event has the limit for itself");
    }

    #[test]
    fn damaged_characters_are_no_text() {
        let fed = |stream: &[u8]| Parser::default().feed(stream, |_, _| ());
        assert_eq!(fed(b"data: \xe2\x82\n\n"), Err(Error::NotUtf8));
        assert_eq!(fed(b": \xe2\x82\n\n"), Ok(()), "nobody reads comments");
    }

    #[test]
    fn what_stands_there_instead_of_events_is_kept() {
        let foreign = |stream: &str| {
            let mut parser = Parser::default();
            parser.feed(stream.as_bytes(), |_, _| ()).expect("short text");
            parser.finish(|_, _| ()).expect("text");
            parser.foreign().map(|text| String::from_utf8_lossy(text).into_owned())
        };
        assert_eq!(foreign("{\"error\":1}").as_deref(), Some("{\"error\":1}"));
        assert_eq!(foreign("<html>\n<p>").as_deref(), Some("<html>"));
        assert_eq!(foreign("x: y\ndata: a\n\n"), None, "an event came");
        assert_eq!(foreign(": ping\nretry: 3\nid\n\ndata: cu"), None);
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
        fn an_independent_parser_reads_the_same(pieces in prop::collection::vec(piece(), 0..40), damage in prop::option::of(any::<u8>()), size in 1..30_usize) {
            let mut stream = pieces.concat().into_bytes();
            stream.extend(damage);
            stream.extend(pieces.concat().into_bytes());
            let pieces: Vec<&[u8]> = stream.chunks(size).collect();
            let agreed = super::differential::agree(&pieces, &events(&pieces));
            prop_assert!(agreed.is_ok(), "{}", agreed.unwrap_err());
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut parser = Parser::default();
            if parser.feed(&bytes, |_, _| ()).is_ok() {
                let _ = parser.finish(|_, _| ());
            }
        }

        #[test]
        fn data_comes_back(lines in prop::collection::vec("[^\r\n]{0,20}", 1..5)) {
            let stream: String = lines.iter().map(|line| format!("data: {line}\r\n")).collect();
            prop_assert_eq!(data(&format!("{stream}\r\n")), [lines.join("\n")]);
        }
    }
}
