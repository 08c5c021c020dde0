//! The run's one clock: monotonic, started once, shared by load, chaos and
//! observers.

use std::time::{Duration, Instant, SystemTime};

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

    /// The wall clock at this clock's zero, RFC 3339 UTC. What others write
    /// down by their own clocks can be held against the run by it.
    pub fn zero_by_the_wall(&self) -> String {
        let (now, wall) = (Instant::now(), SystemTime::now());
        let zero = match self.zero.checked_duration_since(now) {
            Some(ahead) => wall + ahead,
            None => wall - now.duration_since(self.zero),
        };
        humantime::format_rfc3339_millis(zero).to_string()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_zero_by_the_wall_lies_as_far_ahead_as_the_zero_does() {
        let parsed = |text: &str| humantime::parse_rfc3339(text).expect("RFC 3339");
        let before = SystemTime::now();
        let zero = parsed(&Clock::starting_in(Duration::from_secs(3600)).zero_by_the_wall());
        // To the millisecond.
        assert!(zero + Duration::from_millis(1) >= before + Duration::from_secs(3600));
        let long_ago = Clock { zero: Instant::now() - Duration::from_millis(40) };
        assert!(parsed(&long_ago.zero_by_the_wall()) + Duration::from_millis(40) <= SystemTime::now());
    }
}
