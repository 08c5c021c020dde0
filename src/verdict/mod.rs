//! Journal → verdict. Pure: no I/O, no clock.

mod facts;
mod faults;
mod figures;
mod finding;
mod generator;
mod judge;
pub mod model;
mod reactions;
mod run;
pub mod series;
mod slo;
mod stats;
#[expect(dead_code, reason = "the mechanisms' judges come next")]
mod times;

pub use judge::{judge, schema, steady};
pub use series::{Series, series};
