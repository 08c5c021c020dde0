//! The bytes of one direction of a connection on their way: in order, each
//! with the delays that toxics laid on it. Pure: it is told the time.
//!
//! A delay counts only while its toxic is in place, so that what a toxic holds
//! is free at once when it is taken away.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    api::{Stream, Toxic},
    toxic::ActiveToxic,
};

/// A link's toxics.
pub(super) type Toxics = Arc<[Arc<ActiveToxic>]>;

/// Bandwidth is granted for as many bytes as pass in this time.
const BANDWIDTH_SLICE: f64 = 0.02;

/// What comes out of a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Payload {
    /// Bytes, never none.
    Data(Bytes),
    /// The sender has finished.
    Eof,
    /// The sender has broken the connection.
    Broken,
    /// A toxic ends the connection, cleanly.
    Limit,
}

/// When the first in the line may go.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Head {
    /// There is none.
    Empty,
    /// Not before some toxic is taken away.
    Held,
    /// At this instant.
    Due(Instant),
}

#[derive(Debug)]
struct Item {
    arrived: Instant,
    payload: Payload,
    shares: Vec<Share>,
}

/// What one toxic does to one item.
#[derive(Debug, Clone)]
struct Share {
    toxic: Arc<ActiveToxic>,
    delay: Duration,
    /// Whether it counts as affected already.
    counted: bool,
}

/// What a toxic remembers of this direction of this connection.
#[derive(Debug, Clone, Copy)]
enum Memory {
    /// `LimitData`: bytes that may still pass.
    Left(u64),
    /// `Slicer`: when the next piece may go.
    Next(Instant),
}

/// The line of one direction.
#[derive(Debug)]
pub(super) struct Line {
    stream: Stream,
    queue: VecDeque<Item>,
    bytes: usize,
    memory: HashMap<u64, Memory>,
    limited: bool,
}

impl Line {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, queue: VecDeque::new(), bytes: 0, memory: HashMap::new(), limited: false }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Bytes on their way.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether bytes that come now can pass by without being queued.
    pub(super) fn is_free(&self, toxics: &Toxics) -> bool {
        self.queue.is_empty() && !self.limited && !toxics.iter().any(|toxic| toxic.acts_on(self.stream))
    }

    /// Puts in line what was received just now.
    pub(super) fn push(&mut self, payload: Payload, toxics: &Toxics, now: Instant) {
        if self.limited {
            return;
        }
        let bytes = match payload {
            Payload::Data(bytes) => bytes,
            // An end comes after the bytes before it, and no gate lets it by.
            end @ (Payload::Eof | Payload::Broken | Payload::Limit) => {
                self.enqueue(Item { arrived: now, payload: end, shares: Vec::new() });
                return;
            }
        };
        let mut pieces = vec![(bytes, Vec::new())];
        let stream = self.stream;
        for toxic in toxics.iter().filter(|toxic| toxic.acts_on(stream) && toxic.is_active()) {
            pieces = self.apply(toxic, pieces, now);
        }
        for (bytes, shares) in pieces {
            self.enqueue(Item { arrived: now, payload: Payload::Data(bytes), shares });
        }
        if self.limited {
            self.enqueue(Item { arrived: now, payload: Payload::Limit, shares: Vec::new() });
        }
    }

    /// One toxic's work on the pieces of a chunk.
    fn apply(
        &mut self,
        toxic: &Arc<ActiveToxic>,
        pieces: Vec<(Bytes, Vec<Share>)>,
        now: Instant,
    ) -> Vec<(Bytes, Vec<Share>)> {
        let share = |delay, counted| Share { toxic: Arc::clone(toxic), delay, counted };
        let mut done = Vec::with_capacity(pieces.len());
        for (mut bytes, shares) in pieces {
            let mut put = |bytes: Bytes, delay: Duration| {
                let mut shares = shares.clone();
                if delay > Duration::ZERO {
                    toxic.noticed(now);
                    shares.push(share(delay, false));
                } else if self.queue.back().is_some_and(|last| last.waits_for(toxic)) {
                    // Head-of-line: it waits for what this toxic holds.
                    shares.push(share(Duration::ZERO, false));
                } else {
                    toxic.untouched();
                }
                done.push((bytes, shares));
            };
            match toxic.spec.toxic {
                _ if toxic.is_gate() => {
                    toxic.noticed(now);
                    toxic.affected();
                    let mut shares = shares;
                    shares.push(share(Duration::ZERO, true));
                    done.push((bytes, shares));
                }
                Toxic::Latency { latency_ms, jitter_ms, correlation } => {
                    put(bytes, toxic.latency(latency_ms, jitter_ms, correlation));
                }
                Toxic::Loss { probability, correlation } => {
                    put(bytes, toxic.retransmissions(probability, correlation));
                }
                Toxic::Bandwidth { bytes_per_second } => {
                    let piece = ((bytes_per_second as f64 * BANDWIDTH_SLICE) as usize).max(1);
                    while !bytes.is_empty() {
                        let piece = bytes.split_to(piece.min(bytes.len()));
                        let delay = toxic.transmission(piece.len(), bytes_per_second, now);
                        put(piece, delay);
                    }
                }
                Toxic::Slicer { average_size, delay_ms } => {
                    let size = (average_size as usize).max(1);
                    let mut next = match self.memory.get(&toxic.serial) {
                        Some(Memory::Next(next)) => (*next).max(now),
                        _ => now,
                    };
                    while !bytes.is_empty() {
                        put(bytes.split_to(size.min(bytes.len())), next - now);
                        next += Duration::from_millis(delay_ms);
                    }
                    self.memory.insert(toxic.serial, Memory::Next(next));
                }
                Toxic::LimitData { bytes: limit } => {
                    let left = match self.memory.get(&toxic.serial) {
                        Some(Memory::Left(left)) => *left,
                        _ => limit,
                    };
                    let passes = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    self.memory.insert(toxic.serial, Memory::Left(left - passes as u64));
                    if left == passes as u64 {
                        self.limited = true;
                        toxic.noticed(now);
                        toxic.affected();
                    } else {
                        toxic.untouched();
                    }
                    bytes.truncate(passes);
                    if !bytes.is_empty() {
                        done.push((bytes, shares));
                    }
                    if self.limited {
                        break;
                    }
                }
                // The pump's work: they end connections.
                Toxic::ResetPeer { .. } | Toxic::Partition => done.push((bytes, shares)),
            }
        }
        done
    }

    fn enqueue(&mut self, item: Item) {
        item.shares.iter().filter(|share| !share.counted).for_each(|share| share.toxic.hold(item.arrived));
        if let Payload::Data(bytes) = &item.payload {
            self.bytes += bytes.len();
        }
        self.queue.push_back(item);
    }

    /// When the first in line may go, by the toxics in place.
    pub(super) fn head(&self, toxics: &Toxics) -> Head {
        let Some(item) = self.queue.front() else { return Head::Empty };
        let gated =
            |toxic: &&Arc<ActiveToxic>| toxic.acts_on(self.stream) && toxic.is_gate() && toxic.is_active();
        if toxics.iter().any(|toxic| gated(&toxic)) {
            return Head::Held;
        }
        let delays = item.shares.iter().filter(|share| share.toxic.is_active()).map(|share| share.delay);
        Head::Due(item.arrived + delays.sum::<Duration>())
    }

    /// Takes the first in line, and writes down what its wait was due to.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Payload> {
        let item = self.queue.pop_front()?;
        if let Payload::Data(bytes) = &item.payload {
            self.bytes -= bytes.len();
        }
        item.account(now);
        Some(item.payload)
    }
}

/// What is still in line when the connection is cut has waited all the same.
impl Drop for Line {
    fn drop(&mut self) {
        let now = Instant::now();
        self.queue.iter().for_each(|item| item.account(now));
    }
}

impl Item {
    fn waits_for(&self, toxic: &Arc<ActiveToxic>) -> bool {
        self.shares.iter().any(|share| Arc::ptr_eq(&share.toxic, toxic))
    }

    /// Writes down what its wait, which ends now, was due to.
    fn account(&self, now: Instant) {
        let Self { arrived, shares, .. } = self;
        let waited = now.saturating_duration_since(*arrived);
        let planned: Duration = shares.iter().map(|share| share.delay).sum();
        let open_ended = shares.iter().filter(|share| share.delay.is_zero()).count();
        for share in shares {
            if !share.counted {
                share.toxic.let_go(*arrived);
                share.toxic.affected();
            }
            // Who planned a delay is charged its part of it; the rest of the
            // wait goes to those who held without a plan.
            let part = if share.delay.is_zero() {
                waited.saturating_sub(planned).as_secs_f64() / open_ended as f64
            } else if open_ended > 0 {
                share.delay.min(waited).as_secs_f64()
            } else {
                waited.as_secs_f64() * share.delay.as_secs_f64() / planned.as_secs_f64()
            };
            share.toxic.delayed(Duration::from_secs_f64(part));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chaos::proxy::api::NewToxic;

    fn active(serial: u64, toxic: Toxic) -> Arc<ActiveToxic> {
        let spec = NewToxic { stream: Stream::Downstream, toxic, ttl_ms: None, seed: serial };
        Arc::new(ActiveToxic::new(serial.to_string(), serial, spec, Instant::now()))
    }

    fn data(text: &'static [u8]) -> Payload {
        Payload::Data(Bytes::from_static(text))
    }

    fn toxics() -> impl Strategy<Value = Toxic> {
        prop_oneof![
            (0..500u64, 0..100u64, 0.0..1.0f64).prop_map(|(latency_ms, jitter_ms, correlation)| {
                Toxic::Latency { latency_ms, jitter_ms, correlation }
            }),
            (0.0..1.0f64, 0.0..1.0f64)
                .prop_map(|(probability, correlation)| Toxic::Loss { probability, correlation }),
            (1..100_000u64).prop_map(|bytes_per_second| Toxic::Bandwidth { bytes_per_second }),
            (1..50u32, 0..50u64)
                .prop_map(|(average_size, delay_ms)| Toxic::Slicer { average_size, delay_ms }),
        ]
    }

    proptest! {
        #[test]
        fn whatever_the_toxics_the_bytes_come_out_complete_and_in_order(
            kinds in prop::collection::vec(toxics(), 0..4),
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..200), 1..20),
            gap_ms in 0..100u64,
        ) {
            let toxics: Toxics = kinds.into_iter().enumerate().map(|(i, kind)| active(i as u64, kind)).collect();
            let start = Instant::now();
            let mut line = Line::new(Stream::Downstream);
            for (i, chunk) in (0..).zip(&chunks) {
                line.push(Payload::Data(Bytes::from(chunk.clone())), &toxics, start + Duration::from_millis(gap_ms) * i);
            }
            line.push(Payload::Eof, &toxics, start);
            let mut now = start;
            let mut out = Vec::new();
            loop {
                match line.head(&toxics) {
                    Head::Due(due) => now = now.max(due),
                    other => prop_assert!(false, "{other:?} before the end"),
                }
                match line.pop(now) {
                    Some(Payload::Data(bytes)) => out.extend_from_slice(&bytes),
                    end => { prop_assert_eq!(end, Some(Payload::Eof)); break; }
                }
            }
            prop_assert_eq!(out, chunks.concat());
            prop_assert_eq!(line.bytes(), 0);
        }
    }

    #[test]
    fn a_toxic_that_is_taken_away_frees_what_it_holds() {
        let now = Instant::now();
        for kind in [
            Toxic::Latency { latency_ms: 60_000, jitter_ms: 0, correlation: 0.0 },
            Toxic::Bandwidth { bytes_per_second: 1 },
            Toxic::Partition,
            Toxic::Loss { probability: 1.0, correlation: 0.0 },
        ] {
            let toxic = active(0, kind);
            let toxics: Toxics = [Arc::clone(&toxic)].into_iter().collect();
            let mut line = Line::new(Stream::Downstream);
            line.push(data(b"held"), &toxics, now);
            assert_ne!(line.head(&toxics), Head::Due(now), "{:?}", toxic.spec.toxic);
            toxic.remove();
            assert_eq!(line.head(&toxics), Head::Due(now), "{:?}", toxic.spec.toxic);
        }
    }

    #[test]
    fn the_delay_is_measured_not_what_was_asked() {
        let now = Instant::now();
        let toxic = active(0, Toxic::Latency { latency_ms: 100, jitter_ms: 0, correlation: 0.0 });
        let toxics: Toxics = [Arc::clone(&toxic)].into_iter().collect();
        let mut line = Line::new(Stream::Downstream);
        line.push(data(b"a"), &toxics, now);
        assert_eq!(toxic.status().affected, 0);
        line.pop(now + Duration::from_millis(140));
        let status = toxic.status();
        assert_eq!((status.affected, status.added_delay_us), (1, 140_000));
        assert!(status.first_affected_ms.is_some());
    }

    #[test]
    fn what_is_held_shows_and_counts_also_when_the_connection_is_cut() {
        let toxic = active(0, Toxic::Latency { latency_ms: 60_000, jitter_ms: 0, correlation: 0.0 });
        let toxics: Toxics = [Arc::clone(&toxic)].into_iter().collect();
        let mut line = Line::new(Stream::Downstream);
        line.push(data(b"a"), &toxics, Instant::now());
        line.push(data(b"b"), &toxics, Instant::now());
        assert_eq!((toxic.status().held, toxic.status().affected), (2, 0));
        drop(line);
        assert_eq!((toxic.status().held, toxic.status().held_us, toxic.status().affected), (0, 0, 2));
    }

    #[test]
    fn the_other_direction_is_left_alone() {
        let toxics: Toxics = [active(0, Toxic::Partition)].into_iter().collect();
        assert!(Line::new(Stream::Upstream).is_free(&toxics));
        assert!(!Line::new(Stream::Downstream).is_free(&toxics));
    }

    #[test]
    fn a_limit_is_exact_and_nothing_follows_it() {
        let now = Instant::now();
        let toxics: Toxics = [active(0, Toxic::LimitData { bytes: 5 })].into_iter().collect();
        let mut line = Line::new(Stream::Downstream);
        line.push(data(b"abc"), &toxics, now);
        line.push(data(b"defgh"), &toxics, now);
        line.push(data(b"ijk"), &toxics, now);
        let out: Vec<_> = std::iter::from_fn(|| line.pop(now)).collect();
        assert_eq!(out, [data(b"abc"), data(b"de"), Payload::Limit]);
    }
}
