//! The users of one load stream: claim, sleep until it is due, send, record.

use std::{
    borrow::Cow,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use futures::FutureExt;
use http::{HeaderName, HeaderValue};
use tokio_util::sync::CancellationToken;

use super::{
    answer::{Answer, Left},
    client::Client,
    connection::Connections,
    exchange::Exchange,
    feed::{Ask, Feed, Talk},
    misses::{Company, Misses},
    origin::{Compared, Giver, Origins},
    protocol::Protocol,
    record::Recorder,
    request::Ended,
    request_log::{LoggedRequest, RequestLog},
    schedule::{Claim, Schedule},
};
use crate::{
    clock::Clock,
    journal::{
        Event, Sink,
        event::Exemplar,
        interval::{CacheUse, Outcome, Served},
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
    /// What the origin answered.
    pub(crate) origins: Arc<Origins>,
    /// The run's clock.
    pub(crate) clock: Clock,
    /// For exemplars.
    pub(crate) sink: Sink,
    /// For every request, if somebody asked for that.
    pub(crate) requests: Option<RequestLog>,
    /// Before the number in each `x-request-id`.
    pub(crate) id_prefix: String,
    /// The run is stopped.
    pub(crate) cancel: CancellationToken,
    /// Users that may still start.
    pub(crate) seats: AtomicU32,
    /// Arrivals of this stream that had to wait for a free user.
    pub(crate) starved: AtomicU64,
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
        let mut client = Client::new(self.connections.seat(), &self.cancel);
        while AssertUnwindSafe(self.work(shard, &mut client)).catch_unwind().await.is_err() {
            self.recorder.counts.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!("a user of `{}` panicked", self.name);
        }
    }

    async fn work(&self, shard: usize, client: &mut Client) {
        let mut turn = self.clock.now();
        while !self.cancel.is_cancelled() {
            let claim = tokio::select! {
                biased;
                claim = self.schedule.claim(turn) => claim,
                () = self.cancel.cancelled() => return,
            };
            let Some(claim) = claim else { return };
            let claimed = self.clock.now();
            let open = self.schedule.is_open();
            if open && claimed.0 > claim.scheduled.0 + STARVED_AFTER_MICROS {
                self.recorder.counts.starved.fetch_add(1, Ordering::Relaxed);
                self.starved.fetch_add(1, Ordering::Relaxed);
            }
            if self.serve(shard, client, claim, open).await.is_none() {
                return;
            }
            turn = self.clock.now() + self.schedule.pause(claim.index).0;
        }
    }

    /// Sends all that one arrival asks: one request, or a session's turns or an
    /// episode's steps one after the other. Each has a time of its own at which
    /// it is due. None: the run is stopped.
    async fn serve(&self, shard: usize, client: &mut Client, mut claim: Claim, open: bool) -> Option<()> {
        let mut talk = self.feed.talk(&self.name, claim.index, self.schedule.size(claim));
        loop {
            // Before it is due, so that it does not make it late.
            let ask = self.next(&mut talk, claim);
            if !self.clock.is_past(claim.scheduled) {
                tokio::select! {
                    biased;
                    () = self.clock.sleep_until(claim.scheduled) => {}
                    () = client.stop.as_mut() => return None,
                }
            }
            // What the schedule knows nothing of is counted as it comes due.
            if !open || talk.turn() > 0 {
                self.recorder.counts.followed.fetch_add(1, Ordering::Relaxed);
            }
            let Some(ask) = ask else { return Some(()) };
            let left = self.send(shard, client, claim, talk.turn(), &ask).await;
            if !talk.hear(left) {
                return Some(());
            }
            claim.scheduled = self.clock.now() + self.feed.think();
            if !self.schedule.goes_on(claim.scheduled) {
                return Some(());
            }
        }
    }

    /// The next request, unless it can't be made: then the harness is broken,
    /// and it is counted so.
    fn next<'f>(&self, talk: &mut Talk<'f>, claim: Claim) -> Option<Cow<'f, Ask>> {
        match talk.ask() {
            Ok(ask) => Some(ask),
            Err(error) => {
                self.recorder.counts.panics.fetch_add(1, Ordering::Relaxed);
                tracing::error!(%error, index = claim.index, "a request of `{}` can't be made", self.name);
                None
            }
        }
    }

    /// Sends one request and records how it ended; what a good answer leaves to
    /// the next one.
    async fn send(
        &self,
        shard: usize,
        client: &mut Client,
        claim: Claim,
        turn: u32,
        ask: &Ask,
    ) -> Option<Left> {
        // Takes the text over, without a copy.
        let id = HeaderValue::try_from(self.request_id(claim, turn))
            .unwrap_or_else(|_| HeaderValue::from(claim.index));
        self.recorder.counts.sent.fetch_add(1, Ordering::Relaxed);
        self.recorder.sent(shard, self.clock.now().0.saturating_sub(claim.scheduled.0));
        let open = InFlight(&self.recorder);
        let mut ended = client.ask(&self.protocol, &self.feed, ask, &[(REQUEST_ID, id)]).await;
        let left = (ended.outcome == Outcome::Ok).then(|| ended.answer.leave());
        if let Some(log) = &self.requests {
            log.request(self.logged(claim, turn, &ended));
        }
        self.record(shard, claim, ask, ended);
        drop(open);
        left
    }

    fn request_id(&self, claim: Claim, turn: u32) -> String {
        match turn {
            0 => format!("{}{}-{}", self.id_prefix, self.name, claim.index),
            turn => format!("{}{}-{}.{turn}", self.id_prefix, self.name, claim.index),
        }
    }

    fn logged(&self, claim: Claim, turn: u32, exchange: &Exchange) -> LoggedRequest {
        let at = |instant| self.clock.at(instant);
        LoggedRequest {
            id: self.request_id(claim, turn),
            workload: self.workload_name.clone(),
            phase: self.recorder.phase_name(claim.scheduled),
            scheduled: claim.scheduled,
            sent: at(exchange.sent),
            first_byte: exchange.first_byte.map(at),
            first_token: exchange.answer.first.map(at),
            last_token: exchange.answer.last.map(at),
            end: at(exchange.ended),
            gaps: exchange.answer.gaps.clone(),
            tokens: exchange.answer.tokens(),
            status: exchange.status,
            outcome: exchange.outcome,
        }
    }

    fn record(&self, shard: usize, claim: Claim, ask: &Ask, exchange: Exchange) {
        let prompt = &ask.prompt;
        let at = |instant| self.clock.at(instant);
        let sent = at(exchange.sent);
        let served = exchange.labels.served;
        let miss: Option<Company> = match (served.cache, prompt.id, exchange.first_byte) {
            (CacheUse::Miss, Some(id), Some(first_byte)) => {
                Some(self.misses.told(self.workload, id, served.version.clone(), sent, at(first_byte)))
            }
            _ => None,
        };
        if self.recorder.is_exemplary(exchange.outcome, self.workload, claim.scheduled) {
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
        let compared = match exchange.outcome {
            Outcome::Ok | Outcome::Mismatch => self.compare(ask, &served, &exchange.answer),
            _ => Compared::default(),
        };
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
                generates: self.protocol.generates,
                free: self.protocol.generates && prompt.tokens.is_none(),
                gaps: exchange.answer.gaps,
                tokens,
                features: exchange.answer.features,
                attempts: exchange.labels.attempts,
                age: exchange.labels.age,
                sendings: exchange.attempts,
                miss,
                compared,
            },
        );
    }

    /// What a whole answer tells of a cache's hits. A fallback's tells nothing.
    fn compare(&self, ask: &Ask, served: &Served, answer: &Answer) -> Compared {
        let Some(words) = answer.words.as_ref().filter(|_| !served.fallback) else {
            return Compared::default();
        };
        let giver = if served.cache.is_answer() { Giver::Cache } else { Giver::Origin };
        self.origins.told(self.protocol.identity(ask), served.version.as_ref(), words, giver)
    }
}

/// Counts a request as done when it is, even if its user panics.
struct InFlight<'a>(&'a Recorder);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.counts.done.fetch_add(1, Ordering::Relaxed);
    }
}
