//! The run's one clock: monotonic, started once, shared by load, chaos and
//! observers.

use std::time::{Duration, Instant};

use crate::units::RunTime;

/// The run's clock. Copies share its zero.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    zero: Instant,
}

impl Clock {
    /// Starts the clock: its zero is now.
    pub fn start() -> Self {
        Self { zero: Instant::now() }
    }

    /// Starts the clock with its zero `lead` ahead, so that everything can be
    /// in place by then. Until then, the present is zero.
    pub fn starting_in(lead: Duration) -> Self {
        Self { zero: Instant::now() + lead }
    }

    /// The present.
    pub fn now(&self) -> RunTime {
        self.at(Instant::now())
    }

    /// An instant on this clock; zero if it lies before the start.
    pub fn at(&self, instant: Instant) -> RunTime {
        RunTime::after(instant.saturating_duration_since(self.zero))
    }

    /// The instant of a time on this clock.
    pub fn instant(&self, at: RunTime) -> Instant {
        self.zero + at.offset()
    }

    /// Whether `at` has come. Before the clock's start, nothing has.
    pub fn is_past(&self, at: RunTime) -> bool {
        self.instant(at) <= Instant::now()
    }

    /// Time left until `at`, zero if it is past.
    pub fn until(&self, at: RunTime) -> Duration {
        at.since(self.now())
    }

    /// Sleeps until `at`; returns at once if it is past.
    pub async fn sleep_until(&self, at: RunTime) {
        tokio::time::sleep_until(self.instant(at).into()).await;
    }
}
