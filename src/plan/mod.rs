//! Scenario → resolved plan. Pure: no I/O, no clock, no global randomness.

mod arrivals;
mod checks;
mod lab;
pub mod model;
mod profile;
mod random;
mod render;
mod resolve;
mod select;
mod timeline;

pub use arrivals::{arrivals, profile};
pub use lab::lab_pods;
pub use model::Plan;
pub use profile::{expected, rate_at};
pub use random::stream;
pub use render::render_text;
pub use resolve::{PlanError, resolve};
pub use select::{POD_FIELDS, candidates, select};

#[cfg(test)]
mod tests;
