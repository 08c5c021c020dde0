//! Connections that the load owns: opened, shared, kept and closed here.
//!
//! A user has a [`Seat`]. What it sends goes out on a connection that is free
//! by the workload's `reuse`, or on a new one; the answer's body gives it back
//! when it was read to its end.

mod base;
mod body;
mod dial;
mod ended;
mod http1;
mod outgoing;
mod pool;
mod tls;
mod wire;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::HeaderMap;

pub use self::base::Destination;
pub(crate) use self::{
    base::Base,
    body::{Part, Reply},
    outgoing::{Outgoing, Shape},
};
use self::{
    dial::{Dialer, Opened},
    pool::{Pool, Slot},
    wire::{Failed, Lease, Wire},
};
use super::{LoadError, classify::End};
use crate::scenario::model::{Connection, HttpVersion, Reuse};

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    /// HTTP status.
    pub(crate) status: u16,
    /// Its headers.
    pub(crate) headers: HeaderMap,
}

/// How often a request that a server of HTTP/2 did not look at is sent again.
const MOST_RESENT: u32 = 3;

/// A server may close a connection that it said it keeps, just as the next
/// request is under way. Nobody knows whether it was looked at.
const KEPT: &str =
    ", on a connection that was kept (`connection: { reuse: none }` opens one for each request)";

/// The connections of one load stream.
#[derive(Debug)]
pub(crate) struct Connections {
    pool: Arc<Pool>,
    sticky: bool,
    seats: AtomicUsize,
}

impl Connections {
    /// None open yet. The files of TLS are read here. Opening one may take
    /// `limit` at most. `busy` users have a request under way nearly always,
    /// so that each keeps its connection: nobody else would be faster with it.
    pub(crate) fn to(
        base: Base,
        settings: &Connection,
        limit: Duration,
        busy: bool,
    ) -> Result<Self, LoadError> {
        let dialer = Dialer::new(base, settings, limit)?;
        let sticky = settings.reuse == Reuse::PerUser || (busy && settings.reuse == Reuse::Pooled);
        Ok(Self { pool: Arc::new(Pool::new(dialer, settings)), sticky, seats: AtomicUsize::new(0) })
    }

    /// A place for one more user.
    pub(crate) fn seat(&self) -> Seat {
        let number = self.seats.fetch_add(1, Ordering::Relaxed);
        Seat(Arc::new(Place {
            pool: self.pool.clone(),
            number,
            sticky: self.sticky,
            pocket: Mutex::default(),
            slot: Mutex::default(),
        }))
    }
}

/// A user's place among the connections. Copies are the same place.
#[derive(Debug, Clone)]
pub(crate) struct Seat(Arc<Place>);

#[derive(Debug)]
struct Place {
    pool: Arc<Pool>,
    number: usize,
    sticky: bool,
    /// The connection that this user keeps. Nobody else locks it.
    pocket: Mutex<Option<Wire>>,
    /// The shared connection of HTTP/2 that it used last.
    slot: Mutex<Option<Arc<Slot>>>,
}

impl Seat {
    /// Sends a request and waits for the head of its answer. A request that a
    /// connection did not take, or that the server said it did not look at
    /// (GOAWAY, REFUSED_STREAM), goes out on another one; one that may have
    /// been looked at is never sent again. `opening` is told when the opening
    /// of a connection begins and ends.
    pub(crate) async fn send(
        &self,
        request: &Outgoing<'_>,
        mut opening: impl FnMut(bool),
    ) -> Result<(Head, Reply), End> {
        let pool = &self.0.pool;
        let last = pool.reuse == Reuse::None;
        let mut resent = 0;
        loop {
            let (mut wire, fresh) = match self.take() {
                Some(wire) => (wire, false),
                None => {
                    opening(true);
                    let opened = self.open().await?;
                    opening(false);
                    opened
                }
            };
            match wire.send(&pool.dialer.base, request, last).await {
                Ok((head, beside)) => return Ok((head, Reply::new(beside, wire, self.clone()))),
                Err(Failed::NotSent) if fresh => {
                    let why = "the connection was closed before the request was sent";
                    return Err(End::Reset(why.to_owned()));
                }
                Err(Failed::NotSent) => {}
                Err(Failed::Unprocessed(_)) if resent < MOST_RESENT => resent += 1,
                Err(Failed::Broken(End::Cut(why))) if !fresh => return Err(End::Cut(why + KEPT)),
                Err(Failed::Unprocessed(end) | Failed::Broken(end)) => return Err(end),
            }
        }
    }

    /// A connection that is open already.
    fn take(&self) -> Option<Wire> {
        let Place { pool, number, slot, pocket, .. } = &*self.0;
        if pool.reuse == Reuse::None {
            return None;
        }
        if let Some(wire) = lock(pocket).take().filter(Wire::is_free) {
            return Some(wire);
        }
        if pool.shares_streams() {
            let last = lock(slot).clone();
            return last.and_then(|slot| pool.lease(&slot));
        }
        pool.take(*number).map(Wire::Http1)
    }

    /// A new connection, or a stream of one that others use or open, and
    /// whether it is new.
    async fn open(&self) -> Result<(Wire, bool), End> {
        let pool = &self.0.pool;
        while pool.shares_streams() {
            let (slot, lease, new) = pool.slot();
            match slot.opened().await {
                Ok(pool::Lane::Http2(connection)) => {
                    *lock(&self.0.slot) = Some(slot);
                    return Ok((Wire::Http2 { connection, _lease: lease }, new));
                }
                Ok(pool::Lane::Http1(connection)) => {
                    pool.speaks_http1();
                    if let Some(connection) = lock(&connection).take() {
                        return Ok((Wire::Http1(connection), true));
                    }
                }
                Err(end) => {
                    pool.forget(&slot);
                    return Err(end);
                }
            }
        }
        let wire = match pool.dialer.open().await? {
            Opened::Http1(connection) => Wire::Http1(connection),
            Opened::Http2(connection) => Wire::Http2 { connection, _lease: Lease::only() },
        };
        Ok((wire, true))
    }

    /// Takes back a connection whose answer was read to its end.
    fn keep(&self, wire: Wire) {
        let Place { pool, number, sticky, pocket, .. } = &*self.0;
        if pool.reuse == Reuse::None || !wire.is_free() {
            return;
        }
        match wire {
            Wire::Http2 { .. } if pool.shares_streams() => {}
            wire if *sticky => *lock(pocket) = Some(wire),
            Wire::Http1(connection) => pool.keep(*number, connection),
            Wire::Http2 { .. } => {}
        }
    }
}

impl Pool {
    fn shares_streams(&self) -> bool {
        self.reuse == Reuse::Pooled && self.version() != HttpVersion::Http1
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
