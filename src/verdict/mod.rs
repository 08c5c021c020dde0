//! Journal → verdict. Pure: no I/O, no clock.
//!
//! [`judge()`] gives each check of the plan to its judge, and makes the run's
//! verdict from theirs. What holds for all of them:
//!
//! * A reaction is judged only after a fault that was *proven*; else it is
//!   inconclusive, never a pass and never a fail.
//! * A time runs between two sightings, each an interval, so it is one too:
//!   within its limit if its longest is, beyond if its shortest is, else
//!   inconclusive. What was not observed fails if there was time to see it.
//! * An SLO with too few samples is inconclusive, whatever they say. A
//!   reaction with too few can still fail, if their whole interval is beyond
//!   the limit: five slow rejections show a slow breaker, five fast ones do
//!   not show a fast one.
//! * Where the generator was late, the load was not what the scenario says: an
//!   objective that does not hold, or a time beyond its limit, is inconclusive
//!   then. A pass is none either: the generator's own check sees to that.
//! * A mechanism is blamed only for what is its own: a stale hit while the
//!   withdrawn version still serves is the rollback's, a wrong hit of a version
//!   that is wrong by itself is the version's, a breaker that reopens under the
//!   next fault is that fault's.
//! * What follows the next act may be that one's doing, and what does not come
//!   back while another act lasts may not be able to: neither is a merit or a
//!   fault of its own.
//! * What the system says and what the wire shows are both looked at. Where
//!   they contradict each other and users are harmed, it fails.
//! * Error budgets, the times of each reaction and what else was noticed are
//!   figures beside the checks.
//!   They change no verdict.

mod alert;
mod anomalies;
mod autoscaler;
mod autoscaling;
mod blind;
mod breaker;
mod budget;
mod cache;
pub mod capacity;
mod cold;
mod counters;
mod drift;
mod early;
mod endpoints;
mod facts;
mod failover;
mod fallback;
mod faults;
mod figures;
mod finding;
mod generator;
mod judge;
mod leak;
mod likeness;
mod meant;
mod metric;
pub mod model;
mod others;
mod pods;
mod probes;
mod probing;
mod promotion;
mod reactions;
mod recovery;
mod rejections;
mod retries;
mod rollback;
mod run;
#[cfg(test)]
pub(crate) mod searched;
pub(crate) mod sent;
pub mod series;
mod settling;
mod shedding;
mod slo;
mod speed_up;
mod stale;
mod stand_in;
mod states;
mod stats;
mod strays;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod times;
mod timings;
mod tries;
mod windows;

pub(crate) use budget::{lasting, times};
pub use judge::{judge, schema, steady};
pub use series::{Felt, Series, series};
