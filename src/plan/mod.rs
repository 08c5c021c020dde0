//! Scenario → resolved plan. Pure: no I/O, no clock, no global randomness.

mod arrivals;
pub mod model;
mod profile;
mod random;
mod select;

pub use arrivals::{arrivals, profile};
pub use model::Plan;
pub use profile::{expected, rate_at};
pub use random::stream;
pub use select::{POD_FIELDS, candidates, select};
