//! A toxic in place: its dice and what it measured of itself.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::api::{NewToxic, Stream, Toxic, ToxicStatus};

/// TCP's first retransmission time-out on a fast network (Linux's minimum).
const RTO: Duration = Duration::from_millis(200);
/// Losses in a row after which a chunk gets through all the same.
const MOST_LOSSES: u32 = 8;
/// No toxic has affected anything yet.
const NEVER: u64 = u64::MAX;

/// A toxic that is, or was, on a link.
#[derive(Debug)]
pub(super) struct ActiveToxic {
    pub(super) id: String,
    /// Tells it from one of the same id that it replaced.
    pub(super) serial: u64,
    pub(super) spec: NewToxic,
    since: Instant,
    removed: AtomicBool,
    dice: Mutex<Dice>,
    held: Mutex<Held>,
    affected: AtomicU64,
    untouched: AtomicU64,
    added_us: AtomicU64,
    first_us: AtomicU64,
}

/// What the link's chunks share.
#[derive(Debug)]
struct Dice {
    rng: ChaCha8Rng,
    /// The last draw, which the next one resembles.
    last: f64,
    /// When the bandwidth spoken for so far is used up.
    busy_until: Instant,
}

/// Chunks that wait now.
#[derive(Debug, Default)]
struct Held {
    chunks: u64,
    /// Sum of the times of their arrival, in µs since the toxic's start.
    since_us: u64,
}

impl Dice {
    /// Uniform in 0–1, resembling the last draw by `correlation` (as netem
    /// draws: a weighted sum, so with less spread).
    fn draw(&mut self, correlation: f64) -> f64 {
        let rho = correlation.clamp(0.0, 1.0);
        self.last = rho * self.last + (1.0 - rho) * self.rng.random::<f64>();
        self.last
    }
}

impl ActiveToxic {
    pub(super) fn new(id: String, serial: u64, spec: NewToxic, now: Instant) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(spec.seed);
        let last = rng.random();
        Self {
            id,
            serial,
            spec,
            since: now,
            removed: AtomicBool::new(false),
            dice: Mutex::new(Dice { rng, last, busy_until: now }),
            held: Mutex::default(),
            affected: AtomicU64::new(0),
            untouched: AtomicU64::new(0),
            added_us: AtomicU64::new(0),
            first_us: AtomicU64::new(NEVER),
        }
    }

    /// From now on it does nothing, also to bytes that it holds already.
    pub(super) fn remove(&self) {
        self.removed.store(true, Ordering::Release);
    }

    pub(super) fn is_active(&self) -> bool {
        !self.removed.load(Ordering::Acquire)
    }

    pub(super) fn acts_on(&self, stream: Stream) -> bool {
        self.spec.stream == stream
    }

    /// Whether nothing at all passes while it is in place.
    pub(super) fn is_gate(&self) -> bool {
        match self.spec.toxic {
            Toxic::Partition => true,
            Toxic::Loss { probability, .. } => probability >= 1.0,
            Toxic::Latency { .. }
            | Toxic::Bandwidth { .. }
            | Toxic::ResetPeer { .. }
            | Toxic::LimitData { .. }
            | Toxic::Slicer { .. } => false,
        }
    }

    fn dice(&self) -> std::sync::MutexGuard<'_, Dice> {
        self.dice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By how much the next chunk is late.
    pub(super) fn latency(&self, latency_ms: u64, jitter_ms: u64, correlation: f64) -> Duration {
        if jitter_ms == 0 {
            return Duration::from_millis(latency_ms);
        }
        let spread = jitter_ms as f64 * (2.0 * self.dice().draw(correlation) - 1.0);
        Duration::from_secs_f64(((latency_ms as f64 + spread) / 1e3).max(0.0))
    }

    /// How long the next chunk's retransmissions take.
    pub(super) fn retransmissions(&self, probability: f64, correlation: f64) -> Duration {
        let mut dice = self.dice();
        let mut waited = Duration::ZERO;
        for loss in 0..MOST_LOSSES {
            if dice.draw(correlation) >= probability {
                break;
            }
            waited += RTO * 2_u32.pow(loss);
        }
        waited
    }

    /// How long the next `bytes` wait for their share of the bandwidth, which
    /// is the link's, not the connection's.
    pub(super) fn transmission(&self, bytes: usize, bytes_per_second: u64, now: Instant) -> Duration {
        let mut dice = self.dice();
        let takes = Duration::from_secs_f64(bytes as f64 / bytes_per_second.max(1) as f64);
        dice.busy_until = dice.busy_until.max(now) + takes;
        dice.busy_until - now
    }

    /// A chunk or a connection attempt that came at `at` is affected.
    pub(super) fn noticed(&self, at: Instant) {
        let us = micros(at.saturating_duration_since(self.since));
        self.first_us.fetch_min(us, Ordering::Relaxed);
    }

    /// A chunk that came at `at` waits from now on.
    pub(super) fn hold(&self, at: Instant) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.chunks += 1;
        held.since_us += micros(at.saturating_duration_since(self.since));
    }

    /// A chunk that came at `at` waits no more.
    pub(super) fn let_go(&self, at: Instant) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.chunks -= 1;
        held.since_us -= micros(at.saturating_duration_since(self.since));
    }

    /// Counts something as affected.
    pub(super) fn affected(&self) {
        self.affected.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts something as untouched.
    pub(super) fn untouched(&self) {
        self.untouched.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds a delay that was measured.
    pub(super) fn delayed(&self, by: Duration) {
        self.added_us.fetch_add(micros(by), Ordering::Relaxed);
    }

    pub(super) fn status(&self) -> ToxicStatus {
        let first = self.first_us.load(Ordering::Relaxed);
        let (held, held_us) = {
            let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            let now = micros(self.since.elapsed());
            (held.chunks, (held.chunks * now).saturating_sub(held.since_us))
        };
        ToxicStatus {
            id: self.id.clone(),
            stream: self.spec.stream,
            toxic: self.spec.toxic.clone(),
            affected: self.affected.load(Ordering::Relaxed),
            untouched: self.untouched.load(Ordering::Relaxed),
            added_delay_us: self.added_us.load(Ordering::Relaxed),
            held,
            held_us,
            age_ms: micros(self.since.elapsed()) / 1000,
            first_affected_ms: (first != NEVER).then_some(first / 1000),
        }
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toxic(seed: u64) -> ActiveToxic {
        let spec = NewToxic { stream: Stream::Upstream, toxic: Toxic::Partition, ttl_ms: None, seed };
        ActiveToxic::new("t".to_owned(), 0, spec, Instant::now())
    }

    #[test]
    fn jitter_stays_within_its_bounds_and_comes_from_the_seed() {
        let (a, b) = (toxic(7), toxic(7));
        let draws: Vec<_> = (0..1000).map(|_| a.latency(100, 30, 0.5)).collect();
        assert!(draws.iter().all(|d| (70..=130).contains(&d.as_millis())), "{draws:?}");
        assert!(draws.iter().any(|d| d.as_millis() < 95) && draws.iter().any(|d| d.as_millis() > 105));
        assert!(draws.iter().all(|d| *d == b.latency(100, 30, 0.5)));
    }

    #[test]
    fn losses_come_as_often_as_asked() {
        let toxic = toxic(1);
        let lost = (0..10_000).filter(|_| toxic.retransmissions(0.3, 0.0) > Duration::ZERO).count();
        assert!((2800..3200).contains(&lost), "{lost} of 10000");
        assert_eq!(toxic.retransmissions(0.0, 0.0), Duration::ZERO);
    }

    #[test]
    fn bandwidth_is_shared_by_all_who_ask() {
        let toxic = toxic(1);
        let now = Instant::now();
        assert_eq!(toxic.transmission(500, 1000, now), Duration::from_millis(500));
        assert_eq!(toxic.transmission(500, 1000, now), Duration::from_secs(1));
    }
}
