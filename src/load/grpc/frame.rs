//! gRPC's messages within the data of an HTTP/2 stream: a flag, four bytes of
//! length, the message.

/// A message may have this many bytes.
const MAX_MESSAGE: usize = 64 << 20;
const PREFIX: usize = 5;

/// What has come of a message that is not whole.
#[derive(Debug, Default)]
pub(super) struct Frames {
    rest: Vec<u8>,
}

impl Frames {
    /// Hands out each message that `bytes` completes.
    ///
    /// # Errors
    /// What comes is not gRPC.
    pub(super) fn feed(&mut self, bytes: &[u8], mut message: impl FnMut(&[u8])) -> Result<(), String> {
        // Mostly a message comes at once, and nothing is copied.
        if self.rest.is_empty() {
            let left = split(bytes, &mut message)?;
            self.rest.extend_from_slice(left);
            return Ok(());
        }
        self.rest.extend_from_slice(bytes);
        let left = split(&self.rest, &mut message)?.len();
        self.rest.drain(..self.rest.len() - left);
        Ok(())
    }

    /// Whether no message has begun.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Takes whole messages off the front.
fn split<'b>(mut bytes: &'b [u8], message: &mut impl FnMut(&[u8])) -> Result<&'b [u8], String> {
    while let Some((prefix, rest)) = bytes.split_first_chunk::<PREFIX>() {
        let [flag, length @ ..] = *prefix;
        if flag != 0 {
            return Err(match flag {
                1 => "a compressed message, which was not asked for".to_owned(),
                _ => format!("not gRPC: a message's flag is {flag}"),
            });
        }
        let length = u32::from_be_bytes(length) as usize;
        if length > MAX_MESSAGE {
            return Err(format!("a message of {length} bytes is longer than {MAX_MESSAGE}"));
        }
        let Some((whole, rest)) = rest.split_at_checked(length) else { break };
        message(whole);
        bytes = rest;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(messages: &[Vec<u8>]) -> Vec<u8> {
        let one = |message: &Vec<u8>| {
            [&[0][..], &u32::try_from(message.len()).expect("short").to_be_bytes(), message].concat()
        };
        messages.iter().flat_map(one).collect()
    }

    #[test]
    fn what_is_not_grpc_is_refused() {
        assert!(Frames::default().feed(b"<html>", |_| ()).is_err());
        assert!(
            Frames::default().feed(&[1, 0, 0, 0, 0], |_| ()).is_err_and(|why| why.contains("compressed"))
        );
        assert!(Frames::default().feed(&[0, 255, 0, 0, 0], |_| ()).is_err_and(|why| why.contains("longer")));
    }

    proptest! {
        /// However the bytes are cut, the same messages come out.
        #[test]
        fn messages_come_back(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..6),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
            lost in 0_usize..4,
        ) {
            let mut bytes = framed(&messages);
            let whole = bytes.len();
            bytes.truncate(whole.saturating_sub(lost));
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.sort_unstable();
            cuts.push(bytes.len());
            let (mut frames, mut seen, mut from) = (Frames::default(), Vec::new(), 0);
            for cut in cuts {
                frames.feed(&bytes[from..cut], |message| seen.push(message.to_vec())).expect("gRPC");
                from = cut;
            }
            if bytes.len() == whole {
                prop_assert_eq!(&seen, &messages);
                prop_assert!(frames.is_empty());
            } else {
                prop_assert!(seen.len() < messages.len() && messages.starts_with(&seen));
            }
        }
    }
}
