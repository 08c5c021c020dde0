//! Bodies: a request's, and an answer's, which gives its connection back.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::body::Incoming;

use super::{Seat, ended::ended, wire::Wire};
use crate::load::classify::End;

/// Any error of a body that somebody else makes.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A request's body.
#[derive(Debug)]
pub(crate) enum Outgoing {
    /// All of it, so that it can be sent again.
    Whole(Full<Bytes>),
    /// As it comes.
    Streamed(UnsyncBoxBody<Bytes, BoxError>),
}

impl Outgoing {
    /// A body that is made while it is sent.
    #[cfg_attr(not(test), expect(dead_code, reason = "for streams of requests"))]
    pub(crate) fn streamed<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::Streamed(body.map_err(Into::into).boxed_unsync())
    }

    /// The same again, where that is possible.
    pub(super) fn again(&self) -> Option<Self> {
        match self {
            Self::Whole(body) => Some(Self::Whole(body.clone())),
            Self::Streamed(_) => None,
        }
    }
}

impl From<Bytes> for Outgoing {
    fn from(bytes: Bytes) -> Self {
        Self::Whole(Full::new(bytes))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.get_mut() {
            Self::Whole(body) => Pin::new(body).poll_frame(cx).map_err(|never| match never {}),
            Self::Streamed(body) => Pin::new(body).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(body) => body.is_end_stream(),
            Self::Streamed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(body) => body.size_hint(),
            Self::Streamed(body) => body.size_hint(),
        }
    }
}

/// An answer's body did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?}")]
pub(crate) struct Broken(pub(crate) End);

/// An answer's body. It drives its connection while it is read, and gives it
/// back at its end; dropped before, it closes it (HTTP/1) or resets its
/// stream (HTTP/2).
#[derive(Debug)]
pub(crate) struct Reply {
    body: Incoming,
    wire: Option<Wire>,
    seat: Seat,
}

impl Reply {
    pub(super) fn new(body: Incoming, wire: Wire, seat: Seat) -> Self {
        let mut reply = Self { body, wire: Some(wire), seat };
        if reply.body.is_end_stream() {
            reply.give_back();
        }
        reply
    }

    fn give_back(&mut self) {
        if let Some(wire) = self.wire.take() {
            self.seat.keep(wire);
        }
    }
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let this = self.get_mut();
        let mut polled = Pin::new(&mut this.body).poll_frame(cx);
        if polled.is_pending()
            && let Some(wire) = &mut this.wire
        {
            wire.drive(cx);
            polled = Pin::new(&mut this.body).poll_frame(cx);
        }
        match polled {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                this.give_back();
                Poll::Ready(None)
            }
            Poll::Ready(Some(Ok(frame))) => {
                if this.body.is_end_stream() {
                    this.give_back();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                this.wire = None;
                Poll::Ready(Some(Err(Broken(ended(&error)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
