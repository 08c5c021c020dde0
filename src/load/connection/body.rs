//! An answer's body, which gives its connection back.

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::{Seat, ended::ended, wire::Wire};
use crate::load::classify::End;

/// A part of an answer's body, as it came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part<'a> {
    /// Bytes.
    Data(&'a [u8]),
    /// HTTP/2's trailers.
    Trailers(HeaderMap),
}

/// An answer's body. It drives its connection while it is read, and gives it
/// back at its end; dropped before, it closes it (HTTP/1) or resets its
/// stream (HTTP/2).
#[derive(Debug)]
pub(crate) struct Reply {
    /// Beside the wire, with HTTP/2.
    beside: Option<Incoming>,
    /// What is being read of it.
    piece: Bytes,
    wire: Option<Wire>,
    seat: Seat,
}

impl Reply {
    pub(super) fn new(beside: Option<Incoming>, wire: Wire, seat: Seat) -> Self {
        let is_over = match &wire {
            Wire::Http1(connection) => connection.is_free(),
            Wire::Http2 { .. } => beside.as_ref().is_none_or(Body::is_end_stream),
        };
        let mut reply = Self { beside, piece: Bytes::new(), wire: Some(wire), seat };
        if is_over {
            reply.give_back();
        }
        reply
    }

    /// The next part. None: the body is over, and the connection given back.
    ///
    /// # Errors
    /// How it ended before its end.
    pub(crate) async fn next(&mut self) -> Result<Option<Part<'_>>, End> {
        match &mut self.beside {
            Some(body) => match body.frame().await {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.piece = data;
                        return Ok(Some(Part::Data(&self.piece)));
                    }
                    Err(frame) => {
                        // They are the last part.
                        self.give_back();
                        return Ok(Some(Part::Trailers(frame.into_trailers().unwrap_or_default())));
                    }
                },
                Some(Err(error)) => {
                    self.wire = None;
                    return Err(ended(&error));
                }
                None => {}
            },
            None => match &mut self.wire {
                Some(Wire::Http1(connection)) => {
                    if let Some(range) = connection.body().await? {
                        // Borrowed again: the borrow checker can't follow it here.
                        return Ok(self.within(range));
                    }
                }
                Some(Wire::Http2 { .. }) | None => return Ok(None),
            },
        }
        self.give_back();
        Ok(None)
    }

    fn within(&self, range: std::ops::Range<usize>) -> Option<Part<'_>> {
        match &self.wire {
            Some(Wire::Http1(connection)) => Some(Part::Data(connection.input(range))),
            Some(Wire::Http2 { .. }) | None => None,
        }
    }

    fn give_back(&mut self) {
        if let Some(wire) = self.wire.take() {
            self.seat.keep(wire);
        }
    }
}
