//! A journal as it was read: what judging stands on.

use super::{Cell, Event, Interval, Record, event::RunEnd};
use crate::units::RunTime;

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

impl RunRecord {
    /// How the run ended. None: the journal stops before its end.
    pub fn run_end(&self) -> Option<&RunEnd> {
        self.events.iter().rev().find_map(|record| match &record.event {
            Event::RunEnded { end } => Some(end),
            _ => None,
        })
    }

    /// When the run ended, or the last instant that was written down.
    pub fn end(&self) -> RunTime {
        let ended = self.events.iter().rev().find(|record| matches!(record.event, Event::RunEnded { .. }));
        let last = self.events.iter().map(|r| r.at).chain(self.intervals.iter().map(|i| i.at)).max();
        ended.map(|record| record.at).or(last).unwrap_or_default()
    }

    /// Every cell of every interval.
    pub fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.intervals.iter().flat_map(|interval| &interval.cells)
    }
}
