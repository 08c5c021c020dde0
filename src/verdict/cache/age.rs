//! How old a cache's answers are, by what they say of it.

use super::uses::{Uses, absent};
use crate::{
    journal::interval::CacheUse,
    units::Span,
    verdict::{
        facts::Facts,
        finding::{Finding, counted},
    },
};

/// What `Age` says is in whole seconds, rounded as each cache likes.
const ROUNDING: f64 = 1.0;

/// Judges that no hit is older than the limit. One that does not say may be.
pub(super) fn age(facts: &Facts<'_>, limit: Span) -> Finding {
    let uses = Uses::of(facts.cells_in(None));
    if uses.absent() {
        return absent(&uses);
    }
    let hits = || facts.cells_in(None).filter(|cell| cell.key.served.cache == CacheUse::Hit);
    let (all, stated) =
        hits().fold((0, 0), |(all, stated), cell| (all + cell.count, stated + cell.ages_stated));
    let silent = all.saturating_sub(stated);
    let oldest = hits().filter(|cell| cell.ages_stated > 0).max_by_key(|cell| cell.oldest_hit);
    let Some(oldest) = oldest else {
        return Finding::inconclusive("no hit states its age (`Age`)").with([uses.evidence()]);
    };
    let age = f64::from(oldest.oldest_hit);
    let shown = format!("the oldest of {} was {age:.0} s old", counted(stated, "hit"));
    let limit_s = limit.as_secs_f64();
    let finding = if age + ROUNDING <= limit_s && silent > 0 {
        Finding::inconclusive(format!(
            "{shown}, but {silent} of {} do not state their age",
            counted(all, "hit")
        ))
    } else if age + ROUNDING <= limit_s {
        Finding::pass(shown)
    } else if age - ROUNDING > limit_s {
        Finding::fail(format!("{shown}, due at {} s", oldest.key.second))
    } else {
        Finding::inconclusive(format!("{shown}: {limit} is within the rounding of `Age`"))
    };
    let finding = finding.observed(age, "s").error((age - ROUNDING).max(0.0), Some(age + ROUNDING));
    finding.on("wire", format!("{stated} of {} state their age", counted(all, "hit"))).with([uses.evidence()])
}
