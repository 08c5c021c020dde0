//! A journal as it was read: what judging stands on.

use super::{Interval, Record};

/// All that a run left behind.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RunRecord {
    /// The run's id, the name of its folder.
    pub run: String,
    /// What happened, in the order written.
    pub events: Vec<Record>,
    /// What the load measured, in the order written.
    pub intervals: Vec<Interval>,
    /// Lines that could not be read (a torn last line after a crash…).
    pub warnings: Vec<String>,
}
