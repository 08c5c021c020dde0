//! One connection, or one stream of one: sends a request, gets the head of
//! its answer.

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
};

use http::{Request, Response, header};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

use super::{
    base::Base,
    body::Outgoing,
    dial::Stream,
    ended::{before_head, is_unprocessed},
};
use crate::load::classify::End;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failed {
    /// The request did not leave this machine.
    NotSent(Box<Request<Outgoing>>),
    /// The server said that it did not look at it. Some: it can be sent again.
    Unprocessed(Option<Box<Request<Outgoing>>>, End),
    /// It may have been looked at.
    Broken(End),
}

/// A connection of HTTP/1. Nothing drives it but who uses it: that saves a
/// task, and the way to it and back for each request.
#[derive(Debug)]
pub(super) struct Http1 {
    sender: http1::SendRequest<Outgoing>,
    driver: Option<Driver>,
}

type Driver = http1::Connection<TokioIo<Stream>, Outgoing>;

impl Http1 {
    pub(super) fn new(sender: http1::SendRequest<Outgoing>, driver: Driver) -> Self {
        Self { sender, driver: Some(driver) }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.driver.is_none() || self.sender.is_closed()
    }

    async fn send(&mut self, request: Request<Outgoing>) -> Result<Response<Incoming>, Failed> {
        let ready = {
            let Self { sender, driver } = self;
            // Nobody looked at it while it was idle: the server may have closed
            // it since, and then the request goes out on another one.
            std::future::poll_fn(|cx| {
                drive(driver, cx);
                Poll::Ready(())
            })
            .await;
            driven(driver, sender.ready()).await
        };
        if ready.is_err() {
            return Err(Failed::NotSent(Box::new(request)));
        }
        let answer = self.sender.try_send_request(request);
        driven(&mut self.driver, answer).await.map_err(|mut error| match error.take_message() {
            Some(request) => Failed::NotSent(Box::new(request)),
            None => Failed::Broken(before_head(error.error())),
        })
    }
}

/// Polls `future`, and the connection that it waits for.
async fn driven<T>(driver: &mut Option<Driver>, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(done) = future.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        drive(driver, cx);
        future.as_mut().poll(cx)
    })
    .await
}

fn drive(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    if let Some(connection) = driver
        && Pin::new(connection).poll(cx).is_ready()
    {
        // Its error comes out of the request.
        *driver = None;
    }
}

/// A connection of HTTP/2, which a task drives. Copies share it; the last one
/// closes it.
#[derive(Debug, Clone)]
pub(super) struct Http2 {
    sender: http2::SendRequest<Outgoing>,
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
    pub(super) fn new(sender: http2::SendRequest<Outgoing>, driver: AbortHandle) -> Self {
        Self { sender, _driver: Arc::new(Task(driver)) }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    async fn send(
        &mut self,
        base: &Base,
        mut request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, Failed> {
        if self.sender.ready().await.is_err() {
            return Err(Failed::NotSent(Box::new(request)));
        }
        if request.uri().authority().is_none() {
            *request.uri_mut() = base.whole(request.uri());
        }
        // HTTP/2 has it in `:authority`, and no word about the connection.
        request.headers_mut().remove(header::HOST);
        request.headers_mut().remove(header::CONNECTION);
        let again = again(&request);
        self.sender.try_send_request(request).await.map_err(|mut error| {
            if let Some(request) = error.take_message() {
                return Failed::NotSent(Box::new(request));
            }
            let error = error.error();
            match is_unprocessed(error) {
                true => Failed::Unprocessed(again.map(Box::new), before_head(error)),
                false => Failed::Broken(before_head(error)),
            }
        })
    }
}

fn again(request: &Request<Outgoing>) -> Option<Request<Outgoing>> {
    let mut copy = Request::new(request.body().again()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
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
    pub(super) async fn send(
        &mut self,
        base: &Base,
        request: Request<Outgoing>,
    ) -> Result<Response<Incoming>, Failed> {
        match self {
            Self::Http1(connection) => connection.send(request).await,
            Self::Http2 { connection, .. } => connection.send(base, request).await,
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_closed(),
            Self::Http2 { connection, .. } => connection.is_closed(),
        }
    }

    /// Moves the connection on, if nobody else does.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) {
        match self {
            Self::Http1(connection) => drive(&mut connection.driver, cx),
            Self::Http2 { .. } => {}
        }
    }
}
