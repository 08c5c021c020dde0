//! Instants on the run's one clock.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Microseconds since the run's clock was started (monotonic). Written as an
/// integer.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct RunTime(pub u64);

impl RunTime {
    /// The start of the run's clock.
    pub const ZERO: Self = Self(0);

    /// The instant `offset` after the clock's start.
    pub fn after(offset: Duration) -> Self {
        Self(u64::try_from(offset.as_micros()).unwrap_or(u64::MAX))
    }

    /// Seconds since the clock's start.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e6
    }

    /// The whole second that holds this instant.
    pub fn second(self) -> u32 {
        u32::try_from(self.0 / 1_000_000).unwrap_or(u32::MAX)
    }

    /// Time since the clock's start.
    pub fn offset(self) -> Duration {
        Duration::from_micros(self.0)
    }

    /// Time from `earlier` to `self`, zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for RunTime {
    type Output = Self;
    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for RunTime {
    type Output = Self;
    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for RunTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}s", self.as_secs_f64())
    }
}

/// When something was noticed: it was not so at `not_before`, and so at `by`.
/// The width is the sampling error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Seen {
    /// Last instant at which it was known not to be so yet.
    pub not_before: RunTime,
    /// First instant at which it was known to be so.
    pub by: RunTime,
}

impl Seen {
    /// Something noticed at exactly one instant.
    pub fn at(instant: RunTime) -> Self {
        Self { not_before: instant, by: instant }
    }

    /// The same with its ends in order: one whose ends are the wrong way round, as a
    /// damaged journal may have it, is as wide as both.
    #[must_use]
    pub fn in_order(self) -> Self {
        Self { not_before: self.not_before.min(self.by), by: self.not_before.max(self.by) }
    }
}
