//! What the users of a load stream share: idle connections of HTTP/1, and
//! streams of connections of HTTP/2.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};

use super::{
    dial::{Dialer, Opened},
    http1::Http1,
    lock,
    wire::{Http2, Lease, Wire},
};
use crate::{
    load::classify::End,
    scenario::model::{Connection, HttpVersion, Reuse},
};

/// So many stacks of idle connections: users wait for none of them.
const SHELVES: usize = 8;

/// The connections that users share.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) dialer: Arc<Dialer>,
    pub(super) reuse: Reuse,
    most_streams: u32,
    /// ALPN chose HTTP/1.
    only_http1: AtomicBool,
    /// The last one back is the first one out, so that there are as many as
    /// requests at once, not as users.
    idle: [Mutex<Vec<Http1>>; SHELVES],
    slots: Mutex<Vec<Arc<Slot>>>,
}

/// A connection of HTTP/2 that users share, perhaps one that is being opened.
#[derive(Debug)]
pub(super) struct Slot {
    streams: Arc<AtomicU32>,
    opened: Shared<BoxFuture<'static, Result<Lane, End>>>,
}

/// What a slot turned out to be.
#[derive(Debug, Clone)]
pub(super) enum Lane {
    Http2(Http2),
    /// ALPN chose HTTP/1: whoever comes first has the connection.
    Http1(Arc<Mutex<Option<Http1>>>),
}

impl Slot {
    /// Waits until it is open. Whoever waits drives the opening, so that it
    /// goes on where one gives up; all learn the same error.
    pub(super) async fn opened(&self) -> Result<Lane, End> {
        self.opened.clone().await
    }

    fn is_closed(&self) -> bool {
        match self.opened.peek() {
            None => false,
            Some(Ok(Lane::Http2(connection))) => connection.is_closed(),
            Some(Ok(Lane::Http1(_)) | Err(_)) => true,
        }
    }
}

impl Pool {
    pub(super) fn new(dialer: Dialer, settings: &Connection) -> Self {
        Self {
            dialer: Arc::new(dialer),
            reuse: settings.reuse,
            most_streams: settings.streams_per_connection,
            only_http1: AtomicBool::new(false),
            idle: std::array::from_fn(|_| Mutex::default()),
            slots: Mutex::default(),
        }
    }

    /// What is spoken, as far as it is known.
    pub(super) fn version(&self) -> HttpVersion {
        match self.dialer.version() {
            HttpVersion::Auto if self.only_http1.load(Ordering::Relaxed) => HttpVersion::Http1,
            version => version,
        }
    }

    /// ALPN chose HTTP/1.
    pub(super) fn speaks_http1(&self) {
        if !self.only_http1.swap(true, Ordering::Relaxed) {
            lock(&self.slots).clear();
        }
    }

    /// An idle connection: from the user's own shelf or else from any other.
    pub(super) fn take(&self, user: usize) -> Option<Http1> {
        (0..SHELVES).find_map(|step| {
            // A shelf at which somebody else is, is passed by.
            let mut shelf = self.idle[(user + step) % SHELVES].try_lock().ok()?;
            shelf.pop()
        })
    }

    /// Takes back a connection.
    pub(super) fn keep(&self, user: usize, connection: Http1) {
        let free = (0..SHELVES).find_map(|step| self.idle[(user + step) % SHELVES].try_lock().ok());
        match free {
            Some(mut shelf) => shelf.push(connection),
            None => lock(&self.idle[user % SHELVES]).push(connection),
        }
    }

    /// A stream of an open connection of HTTP/2, if one is free.
    pub(super) fn lease(&self, slot: &Slot) -> Option<Wire> {
        match slot.opened.peek() {
            Some(Ok(Lane::Http2(connection))) if !connection.is_closed() => {
                let lease = Lease::take(&slot.streams, self.most_streams)?;
                Some(Wire::Http2 { connection: connection.clone(), _lease: lease })
            }
            Some(_) | None => None,
        }
    }

    /// A stream of a connection that others use or open, or else of a new one,
    /// and whether it is not open yet.
    pub(super) fn slot(&self) -> (Arc<Slot>, Lease, bool) {
        let mut slots = lock(&self.slots);
        slots.retain(|slot| !slot.is_closed());
        let free = slots
            .iter()
            .find_map(|slot| Some((slot.clone(), Lease::take(&slot.streams, self.most_streams)?)));
        if let Some((slot, lease)) = free {
            let new = slot.opened.peek().is_none();
            return (slot, lease, new);
        }
        let dialer = self.dialer.clone();
        let open = async move {
            Ok(match dialer.open().await? {
                Opened::Http2(connection) => Lane::Http2(connection),
                Opened::Http1(connection) => Lane::Http1(Arc::new(Mutex::new(Some(connection)))),
            })
        };
        let streams = Arc::new(AtomicU32::new(1));
        let lease = Lease::holding(&streams);
        let slot = Arc::new(Slot { streams, opened: open.boxed().shared() });
        slots.push(slot.clone());
        (slot, lease, true)
    }

    /// A connection could not be opened: who comes next tries again.
    pub(super) fn forget(&self, slot: &Arc<Slot>) {
        lock(&self.slots).retain(|other| !Arc::ptr_eq(other, slot));
    }
}
