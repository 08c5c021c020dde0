//! Journal → verdict. Pure: no I/O, no clock.

mod breaker;
mod cache;
mod counters;
mod facts;
mod fallback;
mod faults;
mod figures;
mod finding;
mod generator;
mod judge;
mod leak;
pub mod model;
mod pods;
mod reactions;
mod recovery;
mod retries;
mod rollback;
mod run;
pub mod series;
mod shedding;
mod slo;
mod stats;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod times;

pub use judge::{judge, schema, steady};
pub use series::{Series, series};
