//! Which version gave an answer, by what the answer says.

use std::collections::BTreeMap;

use super::Rollout;
use crate::{
    journal::{Cell, interval::Outcome},
    units::{RunTime, Version},
};

impl Rollout<'_, '_> {
    /// Answers due from `since` to `until` that may be any version's: they name none.
    pub(in crate::verdict) fn nameless(&self, since: RunTime, until: RunTime) -> u64 {
        let until = until.min(self.until);
        let those = self.facts.cells_in(None).filter(|cell| {
            let due = cell.key.due();
            due >= since && due < until && cell.key.served.version.is_none() && may_be_a_versions(cell)
        });
        those.map(|cell| cell.count).sum()
    }
}

/// Answers to requests due at or after `since`, until the next rollout, by the
/// version that they name.
pub(in crate::verdict) fn answered_by<'a>(
    rollout: &Rollout<'a, '_>,
    since: RunTime,
) -> BTreeMap<&'a Version, u64> {
    let mut by = BTreeMap::new();
    for (version, cell) in answers_after(rollout, since) {
        *by.entry(version).or_default() += cell.count;
    }
    by
}

/// Whether a version gave this answer: what caches and fallbacks say is none's,
/// and what was shed or refused met none.
fn may_be_a_versions(cell: &Cell) -> bool {
    let met = match cell.key.outcome {
        Outcome::Shed | Outcome::ConnectRefused | Outcome::ConnectTimeout | Outcome::Cancelled => false,
        Outcome::Ok
        | Outcome::Http4xx
        | Outcome::Http5xx
        | Outcome::Reset
        | Outcome::Timeout
        | Outcome::Stalled
        | Outcome::Truncated
        | Outcome::InBandError
        | Outcome::Short
        | Outcome::Discontinuous
        | Outcome::Malformed
        | Outcome::Mismatch => true,
    };
    met && cell.key.served.is_own()
}

/// Those answers.
pub(super) fn answers_after<'a>(
    rollout: &Rollout<'a, '_>,
    since: RunTime,
) -> impl Iterator<Item = (&'a Version, &'a Cell)> {
    let until = rollout.until;
    rollout.facts.cells_in(None).filter_map(move |cell| {
        let due = cell.key.due();
        let served = &cell.key.served;
        let counts = due >= since && due < until && may_be_a_versions(cell);
        served.version.as_ref().filter(|_| counts).map(|version| (version, cell))
    })
}
