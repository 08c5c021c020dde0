//! Watchers that turn what the target shows into signals.

pub mod prometheus;
