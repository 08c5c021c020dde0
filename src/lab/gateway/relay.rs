//! Bodies on their way to the client: passed on chunk by chunk, shared with
//! those that read along, stored when they are whole, broken off where the
//! upstream broke off.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderValue;
use hyper::body::{Body, Frame};

use super::{
    attempt::{Cut, Pull},
    cache::ResponseCache,
    coalesce::{Follower, LeaderFailed, Publisher},
    metrics::{Metrics, RequestEnd},
    shed::Slot,
};
use crate::units::Version;

/// The account of a client's request. However it ends, it is counted once.
#[derive(Debug)]
pub(super) struct Account {
    metrics: Arc<Metrics>,
    open: bool,
}

impl Account {
    /// A request came.
    pub(super) fn open(metrics: &Arc<Metrics>) -> Self {
        Self { metrics: Arc::clone(metrics), open: true }
    }

    /// It has ended.
    pub(super) fn end(&mut self, end: RequestEnd) {
        if std::mem::take(&mut self.open) {
            self.metrics.request(end);
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.end(RequestEnd::ClientGone);
    }
}

/// Where a whole answer is stored.
#[derive(Debug)]
pub(super) struct Store {
    /// The cache.
    pub(super) cache: Arc<ResponseCache>,
    /// The answer's content type.
    pub(super) content_type: Option<HeaderValue>,
    /// The version that gives it.
    pub(super) version: Version,
}

/// Who else gets an answer.
#[derive(Debug)]
pub(super) struct Tee {
    /// Those that read along.
    pub(super) publisher: Publisher,
    /// Those that ask later.
    pub(super) store: Option<Store>,
}

impl Tee {
    fn whole(self) {
        if let Some(Store { cache, content_type, version }) = self.store {
            let publisher = &self.publisher;
            cache.put(publisher.key(), content_type, version, publisher.body(), publisher.since());
        }
        self.publisher.whole();
    }
}

/// An upstream's answer and who gets it.
#[derive(Debug)]
pub(super) struct Flow {
    pull: Pull,
    // Who gets it besides the client.
    tee: Option<Tee>,
    // Held for as long as it takes.
    _slot: Slot,
}

impl Flow {
    /// Brings `pull`'s answer to the client and to `tee`, and holds `slot` for
    /// as long.
    pub(super) fn new(pull: Pull, tee: Option<Tee>, slot: Slot) -> Self {
        Self { pull, tee, _slot: slot }
    }

    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Cut>>> {
        let chunk = ready!(self.pull.poll_chunk(cx));
        if let (Some(Ok(chunk)), Some(tee)) = (&chunk, &self.tee) {
            tee.publisher.chunk(chunk);
        }
        if self.pull.is_whole() {
            // Before the client sees the end, and may ask again.
            if let Some(tee) = self.tee.take() {
                tee.whole();
            }
        } else if matches!(chunk, Some(Err(_))) {
            self.tee = None;
        }
        Poll::Ready(chunk)
    }
}

/// The body of an answer from an upstream.
#[derive(Debug)]
pub(super) struct Relay {
    // Taken by those that read along, if the client goes away.
    flow: Option<Flow>,
    account: Account,
    // How the request ends if the answer comes to its end.
    end: RequestEnd,
    cut: Option<Cut>,
}

impl Relay {
    /// Passes `flow` on. The request ends as `end`, if it comes to its end.
    pub(super) fn new(flow: Flow, account: Account, end: RequestEnd) -> Self {
        Self { flow: Some(flow), account, end, cut: None }
    }
}

impl Body for Relay {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        if let Some(cut) = self.cut.take() {
            return Poll::Ready(Some(Err(cut)));
        }
        let Some(flow) = &mut self.flow else { return Poll::Ready(None) };
        let chunk = ready!(flow.poll_chunk(cx));
        let whole = flow.pull.is_whole();
        if whole {
            let end = self.end;
            self.account.end(end);
        }
        match chunk {
            Some(Ok(chunk)) => Poll::Ready(Some(Ok(Frame::data(chunk)))),
            // An error makes hyper break the connection: no clean end that
            // could be taken for the end of the answer.
            Some(Err(cut)) => {
                self.account.end(RequestEnd::Error);
                self.flow = None;
                // At the next turn: hyper would drop what it has not sent yet.
                self.cut = Some(cut);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => {
                self.flow = None;
                Poll::Ready(None)
            }
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let Some(mut flow) = self.flow.take() else { return };
        // Others must not lose their answer because this client went away.
        let followed = flow.tee.as_ref().filter(|tee| tee.publisher.is_followed());
        if let Some(tee) = followed
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let abandoned = tee.publisher.abandoned();
            runtime.spawn(async move {
                let rest =
                    async { while let Some(Ok(_)) = std::future::poll_fn(|cx| flow.poll_chunk(cx)).await {} };
                tokio::select! {
                    () = rest => {}
                    () = abandoned => {}
                }
            });
        }
    }
}

/// The body of an answer that is read along.
pub(super) fn along(
    follower: Follower,
    account: Account,
) -> impl futures::Stream<Item = Result<Bytes, LeaderFailed>> {
    futures::stream::unfold(Some((follower, account)), |state| async move {
        let (mut follower, mut account) = state?;
        match follower.more().await {
            Ok(Some(bytes)) => Some((Ok(bytes), Some((follower, account)))),
            Ok(None) => {
                account.end(RequestEnd::Ok);
                None
            }
            Err(failed) => {
                account.end(RequestEnd::Error);
                // As above: what came before the break is sent first.
                tokio::task::yield_now().await;
                Some((Err(failed), None))
            }
        }
    })
}
