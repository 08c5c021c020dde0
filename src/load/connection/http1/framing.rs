//! Where a body of HTTP/1 ends (RFC 9112, sections 6 and 7).

/// Bytes of chunk extensions, and of trailers, that are read past.
const MOST_OVERHEAD: u32 = 16 << 10;

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are to come.
    Length(u64),
    /// Chunks.
    Chunked(Chunks),
    /// The connection's end is the body's.
    UntilClosed,
}

/// What comes next of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes are read past, and then come so many of the body.
    Data {
        /// Bytes of framing.
        skip: usize,
        /// Bytes of the body, at least one.
        len: usize,
    },
    /// All of the input, so many bytes, is framing; more must come.
    More(usize),
    /// So many bytes are read past, and the body is over.
    Over(usize),
}

/// Where the bytes stand between chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chunks {
    at: At,
    overhead: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    /// In a size, of which so much is known. None: no digit yet.
    Size(Option<u64>),
    /// In the blanks after a size.
    Blanks(u64),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    Over,
}

impl Framing {
    /// Chunks, none of which has come.
    pub(super) fn chunked() -> Self {
        Self::Chunked(Chunks { at: At::Size(None), overhead: 0 })
    }

    /// Whether nothing more is to come.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Length(left) => *left == 0,
            Self::Chunked(chunks) => chunks.at == At::Over,
            Self::UntilClosed => false,
        }
    }

    /// Looks at what came.
    ///
    /// # Errors
    /// What is not as it must be, in words.
    pub(super) fn step(&mut self, input: &[u8]) -> Result<Step, &'static str> {
        match self {
            Self::Length(0) => Ok(Step::Over(0)),
            Self::Length(left) => Ok(data(0, input.len(), left)),
            Self::Chunked(chunks) => chunks.step(input),
            Self::UntilClosed if input.is_empty() => Ok(Step::More(0)),
            Self::UntilClosed => Ok(Step::Data { skip: 0, len: input.len() }),
        }
    }
}

fn data(skip: usize, there: usize, left: &mut u64) -> Step {
    let len = usize::try_from(*left).unwrap_or(usize::MAX).min(there);
    *left -= len as u64;
    if len == 0 { Step::More(skip) } else { Step::Data { skip, len } }
}

impl Chunks {
    fn step(&mut self, input: &[u8]) -> Result<Step, &'static str> {
        let mut read = 0;
        loop {
            if let At::Data(left) = &mut self.at {
                let step = data(read, input.len() - read, left);
                if *left == 0 {
                    self.at = At::DataCr;
                }
                return Ok(step);
            }
            if self.at == At::Over {
                return Ok(Step::Over(read));
            }
            let Some(&byte) = input.get(read) else { return Ok(Step::More(read)) };
            read += 1;
            self.at = self.past(byte)?;
        }
    }

    /// Where they stand after one more byte of framing.
    fn past(&mut self, byte: u8) -> Result<At, &'static str> {
        Ok(match (self.at, byte) {
            (At::Size(size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                let size = size.unwrap_or(0).checked_mul(16).ok_or("a chunk's size is too large")?;
                At::Size(Some(size + digit))
            }
            (At::Size(Some(size)) | At::Blanks(size), b'\r') => At::SizeLf(size),
            (At::Size(Some(size)) | At::Blanks(size), b';') => At::Extension(size),
            (At::Size(Some(size)), b' ' | b'\t') => At::Blanks(size),
            (At::Blanks(_), b' ' | b'\t') => self.more()?,
            (At::Blanks(_), _) => return Err("something other than an extension after a chunk's size"),
            (At::Size(_), _) => return Err("a chunk's size is no hexadecimal number"),
            (At::Extension(size), b'\r') => At::SizeLf(size),
            (At::Extension(_), b'\n') => return Err("a line feed in a chunk's extension"),
            (At::Extension(_), _) => self.more()?,
            (At::SizeLf(0), b'\n') => At::TrailerStart,
            (At::SizeLf(size), b'\n') => At::Data(size),
            (At::SizeLf(_), _) => return Err("no line feed after a chunk's size"),
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size(None),
            (At::DataCr | At::DataLf, _) => return Err("no line end after a chunk"),
            (At::TrailerStart, b'\r') => At::EndLf,
            (At::Trailer, b'\r') => At::TrailerLf,
            (At::TrailerStart | At::Trailer, _) => {
                self.more()?;
                At::Trailer
            }
            (At::TrailerLf, b'\n') => At::TrailerStart,
            (At::EndLf, b'\n') => At::Over,
            (At::TrailerLf | At::EndLf, _) => return Err("no line feed after the trailers"),
            (at @ (At::Data(_) | At::Over), _) => at,
        })
    }

    fn more(&mut self) -> Result<At, &'static str> {
        self.overhead += 1;
        if self.overhead > MOST_OVERHEAD { Err("too much between the chunks") } else { Ok(self.at) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body in `input`, which comes in pieces of these lengths; None where
    /// it has no end.
    fn read(mut framing: Framing, input: &[u8], pieces: &[usize]) -> Result<Option<Vec<u8>>, &'static str> {
        let mut body = Vec::new();
        let (mut start, mut end) = (0, 0);
        let mut pieces = pieces.iter().cycle();
        loop {
            match framing.step(&input[start..end])? {
                Step::Data { skip, len } => {
                    assert!(len > 0);
                    body.extend_from_slice(&input[start + skip..start + skip + len]);
                    start += skip + len;
                }
                Step::Over(skip) => {
                    assert_eq!((start + skip, framing.is_over()), (input.len(), true), "all of it was read");
                    return Ok(Some(body));
                }
                Step::More(skip) => {
                    assert_eq!(start + skip, end);
                    start = end;
                    if end == input.len() {
                        return Ok(None);
                    }
                    end = (end + (*pieces.next().expect("one")).max(1)).min(input.len());
                }
            }
        }
    }

    fn chunked(input: &str) -> Result<Option<Vec<u8>>, &'static str> {
        read(Framing::chunked(), input.as_bytes(), &[1])
    }

    #[test]
    fn chunks_are_read_as_the_standard_has_them() {
        let body = |text: &str| Ok(Some(text.as_bytes().to_vec()));
        assert_eq!(chunked("0\r\n\r\n"), body(""));
        assert_eq!(chunked("3\r\nabc\r\n0A \t\r\n0123456789\r\n000\r\n\r\n"), body("abc0123456789"));
        assert_eq!(chunked("1 ;name=\"v\"\r\na\r\n0;x\r\nserver-timing: a\r\nb: c\r\n\r\n"), body("a"));
        assert_eq!(chunked("3\r\nab"), Ok(None), "cut within a chunk");
        assert_eq!(chunked("3\r\nabc\r\n"), Ok(None), "cut between chunks");
        assert_eq!(chunked("0\r\nx: y\r\n"), Ok(None), "cut within the trailers");
    }

    #[test]
    fn what_are_no_chunks_is_refused() {
        for (input, why) in [
            ("x\r\n", "hexadecimal"),
            ("\r\n", "hexadecimal"),
            ("-1\r\n", "hexadecimal"),
            ("3\nabc", "hexadecimal"),
            ("3\r\r", "line feed after a chunk's size"),
            ("1;a\nb", "extension"),
            ("3 4\r\nabc", "other than an extension"),
            ("1\r\nabc", "line end after a chunk"),
            ("10000000000000000\r\n", "too large"),
            ("0\r\nx: y\rz", "trailers"),
            ("0\r\n\rz", "trailers"),
        ] {
            let read = chunked(input);
            assert!(read.as_ref().is_err_and(|said| said.contains(why)), "{input:?}: {read:?}");
        }
        let endless = format!("0\r\n{}", "a".repeat(20_000));
        assert!(chunked(&endless).is_err_and(|said| said.contains("too much")));
    }

    proptest! {
        #[test]
        fn what_was_framed_comes_out(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..9),
            pieces in prop::collection::vec(1_usize..30, 1..9),
        ) {
            let whole = parts.concat();
            let mut wire: Vec<u8> = parts
                .iter()
                .flat_map(|part| [format!("{:X}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat())
                .collect();
            wire.extend_from_slice(b"0\r\n\r\n");
            prop_assert_eq!(read(Framing::chunked(), &wire, &pieces), Ok(Some(whole.clone())));
            prop_assert_eq!(read(Framing::Length(whole.len() as u64), &whole, &pieces), Ok(Some(whole.clone())));
            // Nothing less is whole.
            prop_assert_eq!(read(Framing::chunked(), &wire[..wire.len() - 1], &pieces), Ok(None));
        }

        #[test]
        fn no_bytes_are_too_strange(input in prop::collection::vec(any::<u8>(), 0..200), piece in 1_usize..9) {
            let (mut framing, mut start) = (Framing::chunked(), 0);
            for end in (0..=input.len()).step_by(piece) {
                while let Ok(step) = framing.step(&input[start..end]) {
                    match step {
                        Step::Data { skip, len } => start += skip + len,
                        Step::More(skip) => { start += skip; break }
                        Step::Over(_) => return Ok(()),
                    }
                }
            }
        }
    }
}
