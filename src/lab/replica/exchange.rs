//! One request's account: counted, logged and, if it is left open, aborted
//! when it is dropped, however it ends.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use http::StatusCode;

use super::{Shared, driver::Command, sim::SequenceId};
use crate::lab::api::ReplicaLogLine;

/// Status logged for a client that left before it got an answer (nginx').
const CLIENT_LEFT: u16 = 499;

/// The account of one request.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) shared: Arc<Shared>,
    id: Option<String>,
    arrived: Instant,
    ttft_us: Option<u64>,
    status: Option<StatusCode>,
    tokens: u32,
    complete: bool,
    // In the engine, and not yet finished.
    open: Option<SequenceId>,
}

impl Exchange {
    /// A request arrived.
    pub(super) fn begin(shared: Arc<Shared>, id: Option<String>, arrived: Instant) -> Self {
        shared.in_flight.fetch_add(1, Ordering::Relaxed);
        Self { shared, id, arrived, ttft_us: None, status: None, tokens: 0, complete: false, open: None }
    }

    /// Its answer has this status.
    pub(super) fn status(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// It entered the engine.
    pub(super) fn submitted(&mut self, id: SequenceId) {
        self.open = Some(id);
    }

    /// A token is being written.
    pub(super) fn token(&mut self) {
        if self.ttft_us.is_none() {
            self.ttft_us = u64::try_from(self.arrived.elapsed().as_micros()).ok();
        }
        self.tokens += 1;
    }

    /// The engine is done with it.
    pub(super) fn computed(&mut self) {
        self.open = None;
    }

    /// All of the answer was handed over.
    pub(super) fn complete(&mut self) {
        self.complete = true;
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
        if let Some(id) = self.open {
            // No engine, nothing to free.
            let _ = self.shared.engine.send(Command::Abort(id));
        }
        let status = self.status.map_or(CLIENT_LEFT, |status| status.as_u16());
        *self.shared.metrics().by_status.entry(status).or_default() += 1;
        if let Some(log) = &self.shared.log {
            let _ = log.send(ReplicaLogLine {
                id: self.id.take(),
                ttft_us: self.ttft_us,
                status,
                tokens: self.tokens,
                complete: self.complete,
            });
        }
    }
}
