//! Scenario → resolved plan. Pure: no I/O, no clock, no global randomness.

mod arrivals;
pub mod capacity;
mod checks;
mod lab;
pub mod model;
mod profile;
mod random;
mod render;
mod resolve;
mod select;
mod serving;
mod timeline;
mod users;
mod wave;

pub use arrivals::arrivals;
pub use lab::lab_pods;
pub use model::Plan;
#[cfg(test)]
pub(crate) use profile::Curve;
pub use profile::rate_at;
pub use random::stream;
pub use render::render_text;
pub use resolve::{PlanError, resolve};
pub use select::{candidates, select};
pub use users::peak_rate;

#[cfg(test)]
mod tests;
