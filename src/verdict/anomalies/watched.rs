//! What is looked at in a run, and when it says something.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    LINGER,
    acts::Acts,
    gauges, requests,
    robust::ENOUGH,
    tracks::{Grid, Track},
};
use crate::{
    journal::Cell,
    units::RunTime,
    verdict::{
        facts::Facts,
        generator::{LAG_MS, STARVED},
    },
};

/// More seconds than this are not looked at (a day).
const LONGEST: u64 = 24 * 3600;
/// Load over the baseline's that is still the same load.
const SAME_LOAD: f64 = 1.3;
/// Seconds over which load is averaged.
const AROUND: u64 = 5;

/// Everything that is looked at. Times in seconds on the run's clock.
pub(super) struct Watched<'a> {
    pub(super) tracks: Vec<Track<'a>>,
    pub(super) baseline_end: f64,
    /// Where the load ends.
    pub(super) end: f64,
    /// Requests due, by second.
    due: BTreeMap<u64, u64>,
    /// Mean of them in the baseline.
    usual: f64,
    /// Seconds in which there was more load, or had been shortly before.
    busy: BTreeSet<u64>,
    /// Seconds in which the generator was late.
    late: BTreeSet<u64>,
}

impl<'a> Watched<'a> {
    /// None: there is too little of a baseline to compare with.
    pub(super) fn of(facts: &Facts<'a>, acts: &Acts<'_>) -> Option<Self> {
        let (judged, judged_end) = facts.judged();
        let start = judged.0.div_ceil(1_000_000);
        let end = (judged_end.0 / 1_000_000).min(start.saturating_add(LONGEST));
        let first = facts.plan.phases.first().and_then(|phase| facts.phase(&phase.name))?;
        let first_end = (first.1.0 / 1_000_000).min(end);
        // Of a run in one phase the first half is what the rest is held against.
        let first_end =
            if facts.plan.phases.len() == 1 { start.midpoint(first_end.max(start)) } else { first_end };
        let baseline_end = acts.first().map_or(first_end, |at| first_end.min(at.max(0.0) as u64));
        if baseline_end < start + ENOUGH as u64 {
            return None;
        }
        let mut seconds: BTreeMap<u64, Vec<&Cell>> = BTreeMap::new();
        facts.cells_in(None).for_each(|cell| seconds.entry(cell.key.second.into()).or_default().push(cell));
        let count = |cells: &Vec<&Cell>| cells.iter().map(|cell| cell.count).sum::<u64>();
        let due: BTreeMap<u64, u64> = seconds.iter().map(|(second, cells)| (*second, count(cells))).collect();
        let in_baseline: u64 = due.range(start..baseline_end).map(|(_, n)| n).sum();
        let grid = Grid { start, baseline_end, end, width: 1 };
        let mut watched = Self {
            tracks: requests::tracks(facts, grid, &seconds),
            baseline_end: baseline_end as f64,
            end: end as f64,
            due,
            usual: in_baseline as f64 / (baseline_end - start) as f64,
            busy: BTreeSet::new(),
            late: late(facts),
        };
        watched.tracks.extend(gauges::tracks(facts, grid));
        watched.busy = watched.busy(start, end);
        Some(watched)
    }

    /// Load over the baseline's, where it was higher than chance makes it.
    pub(super) fn load(&self, start: f64, end: f64) -> Option<f64> {
        let (from, to) = (start.max(0.0) as u64, end.max(0.0) as u64);
        let seconds = to.saturating_sub(from).max(1) as f64;
        let due: u64 = self.due.range(from..to.max(from)).map(|(_, n)| n).sum();
        let times = due as f64 / seconds / self.usual;
        // Four standard deviations of a Poisson process.
        let chance = 1.0 + 4.0 / (self.usual * seconds).sqrt();
        (self.usual > 0.0 && times > SAME_LOAD.max(chance)).then_some(times)
    }

    fn busy(&self, start: u64, end: u64) -> BTreeSet<u64> {
        let more = (start..end).filter(|&second| {
            let from = second.saturating_sub(AROUND / 2).max(start);
            self.load(from as f64, (from + AROUND).min(end) as f64).is_some()
        });
        more.flat_map(|second| second..second + LINGER as u64).collect()
    }

    pub(super) fn is_busy(&self, start: f64, end: f64) -> bool {
        holds(&self.busy, start, end)
    }

    pub(super) fn is_late(&self, start: f64, end: f64) -> bool {
        holds(&self.late, start, end)
    }
}

fn holds(seconds: &BTreeSet<u64>, start: f64, end: f64) -> bool {
    let (from, to) = (start.max(0.0) as u64, end.max(0.0).ceil() as u64);
    from < to && seconds.range(from..to).next().is_some()
}

/// Seconds whose load was not what it was to be. An interval is written just
/// after the second that it covers.
fn late(facts: &Facts<'_>) -> BTreeSet<u64> {
    let intervals = facts.record.intervals.iter().filter(|interval| {
        let generator = &interval.generator;
        let lag = generator.lag.quantile(0.99, 0).is_some_and(|micros| micros as f64 > LAG_MS * 1e3);
        lag || generator.starved as f64 > STARVED * generator.due as f64
    });
    intervals.map(|interval| RunTime(interval.at.0.saturating_sub(500_000)).second().into()).collect()
}
