//! When a fallback was really on: some routers give it a few requests all the
//! time, and these neither step in for a fault nor go on after it.

use std::collections::BTreeMap;

use super::is_given;
use crate::{
    units::{RunTime, Seen},
    verdict::facts::Facts,
};

/// Share of the answers that a fallback may give all the same.
pub(super) const STRAYS: f64 = 0.01;
/// It is on from when on its answers are more than this share of all…
const ON: f64 = 3.0 * STRAYS;
/// …by so many, which strays that come together by chance hardly ever are.
const CHANCE: f64 = 3.0;

/// What ended in one second.
#[derive(Default)]
struct Second {
    all: u64,
    given: u64,
    /// The first and the last answer of a fallback.
    ends: Option<(Seen, RunTime)>,
}

/// What ended from `since` to `until`.
fn seconds(facts: &Facts<'_>, since: RunTime, until: RunTime) -> Vec<Second> {
    let mut seconds: BTreeMap<u32, Second> = BTreeMap::new();
    let cells = facts.cells_in(None).filter(|cell| cell.last_end >= since && cell.first_end <= until);
    for cell in cells {
        let second = seconds.entry(cell.first_end.second()).or_default();
        second.all += cell.count;
        if !is_given(cell) {
            continue;
        }
        second.given += cell.count;
        // Of a cell only its first and last end are known.
        let first = match cell.first_end >= since {
            true => Seen::at(cell.first_end),
            false => Seen { not_before: since, by: cell.last_end },
        };
        let last = cell.last_end.min(until);
        let (earliest, latest) = second.ends.unwrap_or((first, last));
        let earliest = if first.by < earliest.by { first } else { earliest };
        second.ends = Some((earliest, latest.max(last)));
    }
    seconds.into_values().collect()
}

/// The second in which it is first known to be on, with the one in which that may have
/// begun: the sum of what is more than [`ON`] passes [`CHANCE`], and did not
/// fall to nothing in between.
fn on<'s>(seconds: impl Iterator<Item = &'s Second>) -> Option<(&'s Second, &'s Second)> {
    let (mut more, mut began) = (0.0_f64, None);
    for second in seconds {
        more = (more + second.given as f64 - ON * second.all as f64).max(0.0);
        began = if more > 0.0 { began.or(Some(second)) } else { None };
        if more > CHANCE {
            return began.map(|began| (began, second));
        }
    }
    None
}

/// Whether it gave answers already before the fault: then single ones mean nothing.
fn strays(facts: &Facts<'_>, before: RunTime) -> bool {
    facts.cells_in(None).any(|cell| is_given(cell) && cell.last_end < before)
}

/// When it stepped in after `t0`. The very first answer may have been for the fault,
/// if it gave none before.
pub(super) fn stepped_in(facts: &Facts<'_>, t0: Seen) -> Option<Seen> {
    let seconds = seconds(facts, t0.not_before, RunTime(u64::MAX));
    let (began, known) = on(seconds.iter())?;
    let mut given = seconds.iter().filter(|second| second.given > 0);
    let first = if strays(facts, t0.not_before) { began } else { given.next()? };
    Some(Seen { not_before: first.ends?.0.not_before, by: known.ends?.0.by }.in_order())
}

/// When it stepped back: what it gave later, up to `until`, are strays. The very last
/// answer may be none, if it gave none before. None: it was not on since `t0`.
pub(super) fn stepped_back(facts: &Facts<'_>, t0: Seen, until: RunTime) -> Option<Seen> {
    let seconds = seconds(facts, t0.not_before, until);
    let (began, known) = on(seconds.iter().rev())?;
    let mut given = seconds.iter().rev().filter(|second| second.given > 0);
    let last = if strays(facts, t0.not_before) { began } else { given.next()? };
    Some(Seen { not_before: known.ends?.1, by: last.ends?.1 }.in_order())
}
