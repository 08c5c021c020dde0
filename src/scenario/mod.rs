//! The scenario file: its types, its diagnostics, its JSON Schema.

pub mod chaos;
pub mod model;

pub use model::Scenario;
