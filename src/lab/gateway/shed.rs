//! Load shedding: past its limits the gateway says no, at once and marked, so
//! that what it admits stays fast.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use super::answer::Refusal;
use crate::lab::config::{GatewayConfig, SheddingMode};

/// What a slow gateway takes to say no.
const SLOW: Duration = Duration::from_secs(4);
/// So long a stretch of the rate may come at once.
const BURST: f64 = 0.25;

/// The limits, and what counts against them.
#[derive(Debug)]
pub(super) struct Limits {
    mode: SheddingMode,
    max_in_flight: u32,
    in_flight: Arc<AtomicU32>,
    rate: Option<Mutex<Bucket>>,
}

/// A place among the requests in flight.
#[derive(Debug)]
pub(super) struct Slot(Arc<AtomicU32>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Limits {
    /// As configured.
    pub(super) fn new(config: &GatewayConfig) -> Self {
        let rate = config.rate_limit.map(|rate| Mutex::new(Bucket::new(rate.0, Instant::now())));
        Self { mode: config.shedding, max_in_flight: config.max_in_flight, in_flight: Arc::default(), rate }
    }

    /// Requests in flight: those that are, or may come to be, upstream.
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Lets a request in, or says why not.
    pub(super) async fn admit(&self) -> Result<Slot, Refusal> {
        match self.check() {
            Ok(slot) => Ok(slot),
            Err(refusal) => {
                let (after, refusal) = self.say_no(refusal);
                if !after.is_zero() {
                    tokio::time::sleep(after).await;
                }
                Err(refusal)
            }
        }
    }

    /// When and how it refuses.
    fn say_no(&self, refusal: Refusal) -> (Duration, Refusal) {
        match self.mode {
            SheddingMode::On | SheddingMode::Off => (Duration::ZERO, refusal),
            SheddingMode::Slow => (SLOW, refusal),
            SheddingMode::Unmarked => (Duration::ZERO, Refusal::Unmarked),
        }
    }

    fn check(&self) -> Result<Slot, Refusal> {
        // Counted first: two at once can't both get the last place.
        let before = self.in_flight.fetch_add(1, Ordering::Relaxed);
        let slot = Slot(Arc::clone(&self.in_flight));
        if matches!(self.mode, SheddingMode::Off) {
            return Ok(slot);
        }
        if before >= self.max_in_flight {
            return Err(Refusal::Overload);
        }
        let in_rate = self
            .rate
            .as_ref()
            .is_none_or(|bucket| bucket.lock().unwrap_or_else(PoisonError::into_inner).take(Instant::now()));
        if in_rate { Ok(slot) } else { Err(Refusal::RateLimit) }
    }
}

/// A token bucket.
#[derive(Debug)]
struct Bucket {
    rate: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn new(rate: f64, now: Instant) -> Self {
        Self { rate, tokens: Self::cap(rate), at: now }
    }

    fn cap(rate: f64) -> f64 {
        (rate * BURST).max(1.0)
    }

    fn take(&mut self, now: Instant) -> bool {
        let earned = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + earned).min(Self::cap(self.rate));
        self.at = now;
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Rate;

    fn limits(mode: SheddingMode) -> Limits {
        Limits::new(&GatewayConfig { shedding: mode, max_in_flight: 2, ..GatewayConfig::default() })
    }

    #[tokio::test]
    async fn past_the_limit_it_refuses_and_a_free_place_is_given_again() {
        let limits = limits(SheddingMode::On);
        let first = limits.admit().await.expect("a place");
        let _second = limits.admit().await.expect("a place");
        assert_eq!(limits.admit().await.err(), Some(Refusal::Overload));
        assert_eq!(limits.in_flight(), 2, "who was refused is not in flight");
        drop(first);
        assert!(limits.admit().await.is_ok());
    }

    #[tokio::test]
    async fn defects_off_and_unmarked() {
        let off = limits(SheddingMode::Off);
        let mut slots = Vec::new();
        for _ in 0..50 {
            slots.push(off.admit().await.expect("always a place"));
        }
        assert_eq!(off.in_flight(), 50);
        let unmarked = limits(SheddingMode::Unmarked);
        let _slots = (unmarked.admit().await, unmarked.admit().await);
        assert_eq!(unmarked.admit().await.err(), Some(Refusal::Unmarked));
    }

    #[test]
    fn defect_slow() {
        let on = limits(SheddingMode::On).say_no(Refusal::Overload);
        assert_eq!(on, (Duration::ZERO, Refusal::Overload));
        assert_eq!(limits(SheddingMode::Slow).say_no(Refusal::Overload), (SLOW, Refusal::Overload));
    }

    #[test]
    fn the_rate_is_kept_with_a_short_burst() {
        let start = Instant::now();
        let mut bucket = Bucket::new(20.0, start);
        assert_eq!((0..100).filter(|_| bucket.take(start)).count(), 5);
        let second = (0..1000).filter(|n| bucket.take(start + Duration::from_millis(*n))).count();
        assert!((19..=20).contains(&second), "{second}");
    }

    #[tokio::test]
    async fn the_rate_limit_is_said() {
        let config = GatewayConfig { rate_limit: Some(Rate(1.0)), ..GatewayConfig::default() };
        let limits = Limits::new(&config);
        assert!(limits.admit().await.is_ok());
        assert_eq!(limits.admit().await.err(), Some(Refusal::RateLimit));
    }
}
