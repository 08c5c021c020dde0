//! One connection, or one stream of one: sends a request, gets the head of
//! its answer.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{body::Incoming, client::conn::http2};
use tokio::task::AbortHandle;

use super::{
    Head,
    base::Base,
    ended::{before_head, is_unprocessed},
    http1::Http1,
    outgoing::Outgoing,
};
use crate::load::classify::End;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// The request did not leave this machine.
    NotSent,
    /// The server said that it did not look at it.
    Unprocessed(End),
    /// It may have been looked at.
    Broken(End),
}

/// A connection of HTTP/2, which a task drives. Copies share it; the last one
/// closes it.
#[derive(Debug, Clone)]
pub(super) struct Http2 {
    sender: http2::SendRequest<Full<Bytes>>,
    _driver: Arc<Task>,
}

#[derive(Debug)]
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Http2 {
    pub(super) fn new(sender: http2::SendRequest<Full<Bytes>>, driver: AbortHandle) -> Self {
        Self { sender, _driver: Arc::new(Task(driver)) }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    async fn send(&mut self, base: &Base, request: &Outgoing<'_>) -> Result<(Head, Incoming), Failed> {
        if self.sender.ready().await.is_err() {
            return Err(Failed::NotSent);
        }
        let request = request.http2(|uri| base.whole(uri));
        match self.sender.try_send_request(request).await {
            Ok(response) => {
                let (parts, body) = response.into_parts();
                Ok((Head { status: parts.status.as_u16(), headers: parts.headers }, body))
            }
            Err(mut error) => Err(match (error.take_message(), error.error()) {
                (Some(_), _) => Failed::NotSent,
                (None, error) if is_unprocessed(error) => Failed::Unprocessed(before_head(error)),
                (None, error) => Failed::Broken(before_head(error)),
            }),
        }
    }
}

/// One of a connection's streams, for as long as it is held.
#[derive(Debug)]
pub(super) struct Lease(Option<Arc<AtomicU32>>);

impl Lease {
    /// Takes one of at most `most`, if one is free.
    pub(super) fn take(open: &Arc<AtomicU32>, most: u32) -> Option<Self> {
        let more = |now: u32| (now < most).then_some(now + 1);
        open.fetch_update(Ordering::AcqRel, Ordering::Relaxed, more).ok()?;
        Some(Self(Some(open.clone())))
    }

    /// The one that `open` counts already.
    pub(super) fn holding(open: &Arc<AtomicU32>) -> Self {
        Self(Some(open.clone()))
    }

    /// Of a connection that nobody else uses.
    pub(super) fn only() -> Self {
        Self(None)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(open) = &self.0 {
            open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// What a request goes out on.
#[derive(Debug)]
pub(super) enum Wire {
    Http1(Http1),
    Http2 { connection: Http2, _lease: Lease },
}

impl Wire {
    /// Sends a request and waits for the head of its answer. `last`: nothing
    /// follows it on this connection. The body comes out of the wire itself, or
    /// beside it.
    pub(super) async fn send(
        &mut self,
        base: &Base,
        request: &Outgoing<'_>,
        last: bool,
    ) -> Result<(Head, Option<Incoming>), Failed> {
        match self {
            Self::Http1(connection) => Ok((connection.send(request, last).await?, None)),
            Self::Http2 { connection, .. } => {
                let (head, body) = connection.send(base, request).await?;
                Ok((head, Some(body)))
            }
        }
    }

    /// Whether another request can be sent on it.
    pub(super) fn is_free(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_free(),
            Self::Http2 { connection, .. } => !connection.is_closed(),
        }
    }
}
