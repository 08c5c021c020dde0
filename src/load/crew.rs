//! The users of one load stream: claim, sleep until it is due, send, record.

use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use futures::FutureExt;
use http::{HeaderName, HeaderValue};
use tokio_util::sync::CancellationToken;

use super::{
    answer::Carried,
    connection::Connections,
    exchange::{Exchange, exchange},
    feed::{Ask, Feed, Turn},
    misses::Misses,
    prompts::Prompt,
    protocol::Protocol,
    record::Recorder,
    request::Ended,
    schedule::{Claim, Schedule},
};
use crate::{
    clock::Clock,
    journal::{
        Event, Sink,
        event::Exemplar,
        interval::{CacheUse, Outcome},
    },
    units::WorkloadName,
};

/// A claim that was taken later than this after it was due had no free user.
const STARVED_AFTER_MICROS: u64 = 1_000;

/// The name of a request's number, for the target's logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the users of one load stream share.
#[derive(Debug)]
pub(crate) struct Crew {
    /// The load stream's name.
    pub(crate) name: String,
    /// Index of its workload in the plan.
    pub(crate) workload: u16,
    /// The workload's name.
    pub(crate) workload_name: WorkloadName,
    /// When to send.
    pub(crate) schedule: Schedule,
    /// What to send.
    pub(crate) feed: Arc<Feed>,
    /// How to send it.
    pub(crate) protocol: Arc<Protocol>,
    /// Where to.
    pub(crate) connections: Connections,
    /// What was measured.
    pub(crate) recorder: Arc<Recorder>,
    /// Misses under way.
    pub(crate) misses: Arc<Misses>,
    /// The run's clock.
    pub(crate) clock: Clock,
    /// For exemplars.
    pub(crate) sink: Sink,
    /// Before the number in each `x-request-id`.
    pub(crate) id_prefix: String,
    /// The run is stopped.
    pub(crate) cancel: CancellationToken,
    /// Users that may still start.
    pub(crate) seats: AtomicU32,
}

impl Crew {
    /// Takes a seat, if one is free.
    pub(crate) fn take_seat(&self) -> bool {
        self.seats.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |free| free.checked_sub(1)).is_ok()
    }

    /// The life of one user, until the schedule has nothing more for it or
    /// the run is stopped. A panic is caught and counted, and the user goes on.
    pub(crate) async fn user(&self) {
        let shard = self.recorder.seat();
        while AssertUnwindSafe(self.work(shard)).catch_unwind().await.is_err() {
            self.recorder.counts.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!("a user of `{}` panicked", self.name);
        }
    }

    async fn work(&self, shard: usize) {
        let mut turn = self.clock.now();
        while !self.cancel.is_cancelled() {
            let Some(claim) = self.schedule.claim(turn) else { return };
            let claimed = self.clock.now();
            let open = self.schedule.pause().is_none();
            if open && claimed.0 > claim.scheduled.0 + STARVED_AFTER_MICROS {
                self.recorder.counts.starved.fetch_add(1, Ordering::Relaxed);
            }
            // Before it is due, so that it does not make it late.
            let ask = self.ask(Turn { load: &self.name, index: claim.index, step: 0, carried: None });
            tokio::select! {
                biased;
                () = self.clock.sleep_until(claim.scheduled) => {}
                () = self.cancel.cancelled() => return,
            }
            if !open {
                self.recorder.counts.closed_due.fetch_add(1, Ordering::Relaxed);
            }
            if let Some(ask) = ask {
                let carried = self.send(shard, claim, 0, &ask).await;
                self.episode(shard, claim, carried).await;
            }
            turn = self.clock.now();
            if let Some(pause) = self.schedule.pause() {
                turn = turn + pause.0;
            }
        }
    }

    /// The further steps of an arrival's episode. Each is a request with a
    /// time of its own: it is due when the one before has ended and the pause
    /// is over, and is counted as due then, like those of a closed loop.
    async fn episode(&self, shard: usize, claim: Claim, first: Option<Carried>) {
        let (Some((steps, think)), Some(mut carried)) = (self.feed.episode(), first) else { return };
        for step in 1..steps {
            if carried.over || self.cancel.is_cancelled() {
                return;
            }
            let turn = Turn { load: &self.name, index: claim.index, step, carried: Some(&carried) };
            let Some(ask) = self.ask(turn) else { return };
            let claim = Claim { index: claim.index, scheduled: self.clock.now() + think.0 };
            tokio::select! {
                biased;
                () = self.clock.sleep_until(claim.scheduled) => {}
                () = self.cancel.cancelled() => return,
            }
            self.recorder.counts.closed_due.fetch_add(1, Ordering::Relaxed);
            let Some(next) = self.send(shard, claim, step, &ask).await else { return };
            carried = next;
        }
    }

    /// A request, unless it can't be made: then the harness is broken, and
    /// it is counted so.
    fn ask(&self, turn: Turn<'_>) -> Option<Ask> {
        match self.feed.ask(turn) {
            Ok(ask) => Some(ask),
            Err(error) => {
                self.recorder.counts.panics.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, index = turn.index, "a request of `{}` can't be made", self.name);
                None
            }
        }
    }

    /// Sends a request and records how it ended. What a good answer leaves to
    /// the next step.
    async fn send(&self, shard: usize, claim: Claim, step: u32, ask: &Ask) -> Option<Carried> {
        let id = match step {
            0 => format!("{}{}-{}", self.id_prefix, self.name, claim.index),
            step => format!("{}{}-{}.{step}", self.id_prefix, self.name, claim.index),
        };
        let id = HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from(claim.index));
        self.recorder.counts.sent.fetch_add(1, Ordering::Relaxed);
        self.recorder.sent(shard, self.clock.now().0.saturating_sub(claim.scheduled.0));
        let open = InFlight(&self.recorder);
        let mut ended =
            exchange(&self.connections, &self.protocol, &self.feed, ask, &[(REQUEST_ID, id)], &self.cancel)
                .await;
        let carried = ended.answer.carried.take().filter(|_| ended.outcome == Outcome::Ok);
        self.record(shard, claim, &ask.prompt, ended);
        drop(open);
        carried
    }

    fn record(&self, shard: usize, claim: Claim, prompt: &Prompt, exchange: Exchange) {
        let at = |instant| self.clock.at(instant);
        let sent = at(exchange.sent);
        let served = exchange.labels.served;
        let overlapping_miss = match (served.cache, prompt.id, exchange.first_byte) {
            (CacheUse::Miss, Some(id), Some(first_byte)) => {
                self.misses.overlaps(self.workload, id, served.version.clone(), sent, at(first_byte))
            }
            _ => false,
        };
        if self.recorder.is_exemplary(exchange.outcome, claim.scheduled) {
            self.sink.event(Event::Exemplar(Exemplar {
                workload: self.workload_name.clone(),
                phase: self.recorder.phase_name(claim.scheduled),
                scheduled: claim.scheduled,
                ended: at(exchange.ended),
                outcome: exchange.outcome,
                status: exchange.status,
                pod: served.pod.clone(),
                version: served.version.clone(),
                detail: exchange.detail,
            }));
        }
        let tokens = exchange.answer.tokens();
        self.recorder.ended(
            shard,
            Ended {
                workload: self.workload,
                scheduled: claim.scheduled,
                sent,
                ended: at(exchange.ended),
                first: exchange.answer.first.map(at),
                last: exchange.answer.last.map(at),
                outcome: exchange.outcome,
                served,
                golden: prompt.golden.is_some(),
                gaps: exchange.answer.gaps,
                tokens,
                attempts: exchange.labels.attempts,
                overlapping_miss,
            },
        );
    }
}

/// Counts a request as done when it is, even if its user panics.
struct InFlight<'a>(&'a Recorder);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.counts.done.fetch_add(1, Ordering::Relaxed);
    }
}
