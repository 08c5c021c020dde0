//! The simulated inference engine: continuous batching over a paged KV
//! cache. It knows neither clocks nor tasks: whoever drives it calls
//! [`Engine::step`] and decides how long that took.

mod blocks;
mod engine;
mod timing;

pub(super) use engine::{Engine, Prompt, SequenceId, Step};
pub(super) use timing::Timing;
