//! Journal → verdict. Pure: no I/O, no clock.

mod facts;
pub mod model;
pub mod series;

pub use series::{Series, series};
