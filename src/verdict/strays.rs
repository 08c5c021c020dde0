//! When somebody was really on: some give a few answers all the time, and these
//! neither step in for a fault nor go on after it.

use std::collections::BTreeMap;

use crate::{
    journal::Cell,
    units::{RunTime, Seen},
};

/// Share of the answers in which others may be met all the same.
pub(super) const STRAYS: f64 = 0.01;
/// Somebody is on from when on its answers are more than this share of all…
const ON: f64 = 3.0 * STRAYS;
/// …by so many, which strays that come together by chance hardly ever are.
const CHANCE: f64 = 3.0;

/// Whether it gave answers before it was to: then single ones mean nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// It gave none.
    Quiet,
    /// It gave some.
    Strayed,
}

impl Before {
    /// Whether any of these was.
    pub(super) fn of(strayed: bool) -> Self {
        if strayed { Self::Strayed } else { Self::Quiet }
    }
}

/// What ended in one second.
#[derive(Default)]
struct Second {
    all: u64,
    given: u64,
    /// The first and the last answer of who is meant.
    ends: Option<(Seen, RunTime)>,
}

/// What ended from one time to another, second by second.
pub(super) struct Seconds(Vec<Second>);

impl Seconds {
    /// Of these cells, as far as they ended from `since` to `until`. `given`: by who
    /// is meant.
    pub(super) fn of<'c>(
        cells: impl Iterator<Item = &'c Cell>,
        (since, until): (RunTime, RunTime),
        given: impl Fn(&Cell) -> bool,
    ) -> Self {
        let mut seconds: BTreeMap<u32, Second> = BTreeMap::new();
        for cell in cells.filter(|cell| cell.last_end >= since && cell.first_end <= until) {
            let second = seconds.entry(cell.first_end.second()).or_default();
            second.all += cell.count;
            if !given(cell) {
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
        Self(seconds.into_values().collect())
    }

    /// When it stepped in. The very first answer may have been meant so, if it gave
    /// none before.
    pub(super) fn stepped_in(&self, before: Before) -> Option<Seen> {
        let (began, known) = on(self.0.iter())?;
        let first = match before {
            Before::Strayed => began,
            Before::Quiet => self.0.iter().find(|second| second.given > 0)?,
        };
        Some(Seen { not_before: first.ends?.0.not_before, by: known.ends?.0.by }.in_order())
    }

    /// When it stepped back: what it gave later are strays. The very last answer may
    /// be none, if it gave none before. None: it was never on.
    pub(super) fn stepped_back(&self, before: Before) -> Option<Seen> {
        let (began, known) = on(self.0.iter().rev())?;
        let last = match before {
            Before::Strayed => began.ends?.1,
            Before::Quiet => self.last()?,
        };
        Some(Seen { not_before: known.ends?.1, by: last }.in_order())
    }

    /// Its very last answer.
    pub(super) fn last(&self) -> Option<RunTime> {
        self.0.iter().filter_map(|second| second.ends).map(|(_, last)| last).max()
    }
}

/// The second in which it may have begun to be on, and the one in which that is known:
/// the sum of what is more than [`ON`] passes [`CHANCE`], and did not fall to
/// nothing in between.
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
