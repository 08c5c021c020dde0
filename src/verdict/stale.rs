//! How many of a cache's answers had outlived their time. Whether that is
//! harm (nobody asked for old answers) or help (the origin is gone) is for the
//! scenario to say.

use super::{
    cache::{Uses, absent},
    facts::Facts,
    finding::{Finding, Rigour, counted, ratio},
};
use crate::{
    journal::interval::{CacheUse, Freshness, Outcome},
    units::{PhaseName, RatioThreshold},
};

/// Judges the share of the hits that were stale. Hits that do not say may be
/// either: both ends must agree.
pub(super) fn judge(facts: &Facts<'_>, limit: &RatioThreshold, phase: Option<&PhaseName>) -> Finding {
    if phase.is_some_and(|phase| facts.phase(phase).is_none()) {
        return Finding::inconclusive("the phase was not reached");
    }
    let uses = Uses::of(facts.cells_in(phase));
    if uses.absent() {
        return absent(&uses);
    }
    let hits = facts
        .cells_in(phase)
        .filter(|cell| cell.key.served.cache == CacheUse::Hit && cell.key.outcome == Outcome::Ok);
    let (mut fresh, mut stale, mut silent) = (0, 0, 0);
    for cell in hits {
        match cell.key.served.freshness {
            Some(Freshness::Fresh) => fresh += cell.count,
            Some(Freshness::Stale) => stale += cell.count,
            None => silent += cell.count,
        }
    }
    let all = fresh + stale + silent;
    let shown = format!("hits: {fresh} fresh, {stale} stale, {silent} that do not say");
    let finding = if silent == 0 {
        ratio(stale, all, limit, "hit", Rigour::Reaction)
    } else {
        let at_least = ratio(stale, all, limit, "hit", Rigour::Reaction);
        let at_most = ratio(stale + silent, all, limit, "hit", Rigour::Reaction);
        if at_least.verdict == at_most.verdict && silent < all {
            at_least
        } else {
            let silent = counted(silent, "hit");
            Finding::inconclusive(format!("{silent} of {all} do not say whether they are stale"))
        }
    };
    finding.on("wire", shown).with([uses.evidence()])
}
