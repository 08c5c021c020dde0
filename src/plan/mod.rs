//! Scenario → resolved plan. Pure: no I/O, no clock, no global randomness.

pub mod model;

pub use model::Plan;
