//! Windows of a few seconds that meet objectives or don't, and from when on all
//! of them do.

use std::collections::BTreeMap;

use super::{
    facts::Facts,
    finding::Finding,
    slo::{Census, counts},
    times::within,
};
use crate::{
    journal::{Cell, Distribution, event::RunEnd},
    plan::{Plan, model::Subject},
    scenario::model::{Objective, Slo},
    units::{LatencyThreshold, PhaseName, RunTime, Seen, Span},
};

/// Seconds that are judged together.
pub(super) const WINDOW: u64 = 5;
/// Windows that must hold in a row: one begins each second, so that a single
/// good second between two bad ones is no recovery, and one of some seconds is.
const WINDOWS: usize = 3;
/// Requests without which a window says nothing.
pub(super) const ENOUGH: u64 = 5;
/// More seconds than this are not looked at (a week).
const LONGEST: u64 = 7 * 24 * 3600;

/// What windows show, one for each second of load.
pub(super) struct Windows {
    /// The second in which each begins, and whether it held. None: too few
    /// requests to tell.
    each: Vec<(u64, Option<bool>)>,
    /// Windows with requests enough.
    judged: usize,
    /// Those that broke an objective.
    bad: usize,
    /// From when on all of them held, if enough did.
    pub(super) held: Option<Seen>,
    /// Whether the last of them held, were they enough or not.
    pub(super) ends_well: bool,
}

/// What became of the objectives in a series of windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// None of them was broken.
    Kept,
    /// One was, and then windows enough in a row held, from when on. Whether
    /// one was broken later all the same.
    Mended { seen: Seen, again: bool },
    /// One was, and the last windows held, but too few.
    TooFew,
    /// One was, and to the end no row of windows was long enough.
    Broken,
}

impl Windows {
    /// When users first felt it: in the first window that broke an objective.
    pub(super) fn broke(&self) -> Option<Seen> {
        let first = self.each.iter().find(|(_, held)| *held == Some(false));
        first.map(|(second, _)| Seen { not_before: second_at(*second), by: second_at(second + WINDOW) })
    }

    /// How it went on after the first window that broke an objective.
    pub(super) fn course(&self) -> Course {
        let Some(first) = self.each.iter().position(|(_, held)| *held == Some(false)) else {
            return Course::Kept;
        };
        let (mut last_bad, mut row, mut began) = (self.each[first].0, 0, 0);
        for (i, (second, held)) in self.each.iter().enumerate().skip(first) {
            match held {
                Some(false) => (last_bad, row) = (*second, 0),
                Some(true) => {
                    began = if row == 0 { *second } else { began };
                    row += 1;
                }
                None => {}
            }
            if row >= WINDOWS {
                let seen = Seen { not_before: second_at(last_bad), by: second_at(began) };
                let again = self.each[i..].iter().any(|(_, held)| *held == Some(false));
                return Course::Mended { seen, again };
            }
        }
        if row > 0 { Course::TooFew } else { Course::Broken }
    }

    /// Whether from `from` on it took them no longer than `limit` to hold, all of
    /// them to `until`. `what` names it, as in [`within`].
    pub(super) fn within(&self, from: Seen, until: RunTime, limit: Span, what: &str) -> Finding {
        if self.held.is_none() && self.ends_well {
            return too_few();
        }
        within(from, self.held, until, limit, what)
    }

    /// What they show, in words. `when`: `after the fault's end`.
    pub(super) fn shown(&self, when: &str, slos: &[&Slo]) -> String {
        format!("{} of {} windows of {WINDOW} s {when} break {}", self.bad, self.judged, named(slos))
    }
}

/// Good windows at the end that are no proof of more.
pub(super) fn too_few() -> Finding {
    Finding::inconclusive("the last windows hold, but too few of them")
}

/// The objectives that are judged in a phase.
pub(super) fn objectives<'a>(facts: &Facts<'a>, of: &PhaseName) -> Vec<&'a Slo> {
    let mine = facts.plan.checks.iter().filter_map(|check| match &check.subject {
        Subject::Slo { slo, phase } if phase == of => Some(slo),
        _ => None,
    });
    mine.collect()
}

/// The first phase's objectives.
pub(super) fn baseline<'a>(facts: &Facts<'a>) -> Vec<&'a Slo> {
    facts.plan.phases.first().map_or_else(Vec::new, |phase| objectives(facts, &phase.name))
}

/// Objectives in words.
fn named(slos: &[&Slo]) -> String {
    let named = slos.iter().map(|slo| {
        let (title, expected) = super::slo::title(slo);
        format!("{title} {expected}")
    });
    named.collect::<Vec<_>>().join(" or ")
}

/// Whether the requests of a window meet an objective, by the figure itself.
/// None: too few.
fn meets(plan: &Plan, cells: &[&Cell], slo: &Slo, aborted: bool) -> Option<bool> {
    let mine = cells.iter().copied().filter(|cell| counts(plan, cell, slo));
    let census = Census::of(mine, aborted);
    if census.attempted < ENOUGH {
        return None;
    }
    let under = |latencies: &Distribution, failures: u64, limit: &LatencyThreshold| {
        if latencies.is_empty() && failures == 0 {
            return None;
        }
        let figure =
            latencies.quantile(limit.quantile.0, failures).map_or(f64::INFINITY, |micros| micros as f64);
        Some(limit.op.holds(figure, limit.limit.micros() as f64))
    };
    let share = |part: u64| part as f64 / census.attempted as f64;
    match &slo.objective {
        Objective::Ttft(limit) => under(&census.ttft, census.failed(), limit),
        Objective::E2e(limit) => under(&census.e2e, census.failed(), limit),
        Objective::Itl(limit) => under(&census.itl, 0, limit),
        Objective::Tpot(limit) => under(&census.tpot, 0, limit),
        Objective::Availability(limit) => Some(limit.op.holds(share(census.ok), limit.limit.0)),
        Objective::Goodput(limit) => Some(limit.op.holds(share(census.good), limit.limit.0)),
        Objective::Accuracy(limit) => {
            let accuracy = census.accuracy().filter(|_| census.golden() >= ENOUGH)?;
            Some(limit.op.holds(accuracy, limit.limit.0))
        }
    }
}

/// Looks at the windows from `from` on that are over by `until`. `when` says
/// when that is: `after the fault's end`.
pub(super) fn look(
    facts: &Facts<'_>,
    slos: &[&Slo],
    (from, until): (RunTime, RunTime),
    when: &str,
) -> Result<Windows, Finding> {
    let aborted = matches!(facts.run_end, Some(RunEnd::Aborted));
    over(facts, (from, until), when, |cells| {
        let each: Vec<Option<bool>> = slos.iter().map(|slo| meets(facts.plan, cells, slo, aborted)).collect();
        if each.contains(&Some(false)) { Some(false) } else { (!each.contains(&None)).then_some(true) }
    })
}

/// The same by anything that the requests of a window hold or don't. None: they
/// are too few to tell.
pub(super) fn over(
    facts: &Facts<'_>,
    (from, until): (RunTime, RunTime),
    when: &str,
    holds: impl Fn(&[&Cell]) -> Option<bool>,
) -> Result<Windows, Finding> {
    let mut by_second: BTreeMap<u64, Vec<&Cell>> = BTreeMap::new();
    facts.cells_in(None).for_each(|cell| by_second.entry(cell.key.second.into()).or_default().push(cell));
    let from = from.0 / 1_000_000;
    // Only seconds with requests can begin or end anything; the horizon is
    // in whole seconds of load.
    let last = by_second.keys().next_back().map_or(0, |second| second + 1);
    let horizon = (until.0 / 1_000_000).min(last).min(from + LONGEST);
    let windows: Vec<(u64, Option<bool>)> = (from..(horizon + 1).saturating_sub(WINDOW))
        .map(|second| {
            let cells: Vec<&Cell> = by_second
                .range(second..second + WINDOW)
                .flat_map(|(_, cells)| cells.iter().copied())
                .collect();
            (second, holds(&cells))
        })
        .collect();
    let judged = windows.iter().filter(|(_, verdict)| verdict.is_some()).count();
    if judged < WINDOWS {
        let why = format!("only {judged} windows of {WINDOW} s could be judged {when}");
        return Err(Finding::inconclusive(why));
    }
    let bad = windows.iter().filter(|(_, verdict)| *verdict == Some(false)).count();
    let after_last_bad =
        windows.iter().rposition(|(_, verdict)| *verdict == Some(false)).map_or(0, |i| i + 1);
    let last_bad = after_last_bad.checked_sub(1).map(|i| windows[i].0);
    let held: Vec<u64> = windows[after_last_bad..]
        .iter()
        .filter(|(_, verdict)| *verdict == Some(true))
        .map(|(second, _)| *second)
        .collect();
    let ends_well = !held.is_empty();
    let held = (held.len() >= WINDOWS).then(|| held.first().copied()).flatten().map(|second| {
        // Windows in between that say nothing may have been good.
        let not_before = last_bad.unwrap_or(from.saturating_sub(1)).min(second.saturating_sub(1));
        Seen { not_before: second_at(not_before), by: second_at(second) }
    });
    Ok(Windows { each: windows, judged, bad, held, ends_well })
}

/// When a second of the run's clock begins.
fn second_at(second: u64) -> RunTime {
    RunTime(second.saturating_mul(1_000_000))
}
