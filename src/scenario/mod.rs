//! The scenario file: its types, its diagnostics, its JSON Schema.

mod act;
pub mod alert;
pub mod breaker;
pub mod chaos;
pub mod cron;
pub mod custom;
mod decode;
mod diagnostic;
pub mod endpoint;
mod executor;
mod expectation;
pub mod kubernetes;
mod load;
pub mod metric;
pub mod model;
pub mod observe;
mod openai;
pub mod outside;
mod overrides;
mod prompts;
mod schema;
pub mod serving;
mod source;
pub mod stress;
pub(crate) mod template;
mod trace;
mod transport;
pub mod url;
pub mod workload_patch;
mod yaml;

pub use decode::{ActKind, may_mean};
pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use load::{Loaded, Resolver, load, parse};
pub use model::Scenario;
pub use overrides::{Override, OverrideError};
pub use schema::schema;
pub use source::SourceFile;
pub use trace::{BLOCK_TOKENS, TracedRequest};

/// Name of the only phase of a scenario that names none.
pub const ONLY_PHASE: &str = decode::ONLY_PHASE;

/// How long a load lasts by itself. None: for ever. A closed load with a
/// number of requests ends, but nobody knows when: zero.
pub fn load_length(load: &model::Load) -> Option<crate::units::Span> {
    decode::length(load)
}

/// A commented scenario to start from.
pub fn starter() -> &'static str {
    include_str!("starter.yaml")
}

#[cfg(test)]
mod chaos_mesh_fields;
#[cfg(test)]
mod tests;
