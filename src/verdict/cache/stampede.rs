//! Whether a cache asks its origin the same thing many times at once.

use super::uses::Uses;
use crate::{
    units::RatioThreshold,
    verdict::{
        facts::Facts,
        finding::{Finding, Rigour, counted, ratio},
    },
};

/// Judges the share of the misses that had company, of those that could have: where
/// nobody asks the same again, there is none.
pub(super) fn stampede(facts: &Facts<'_>, limit: &RatioThreshold) -> Finding {
    let uses = Uses::of(facts.cells_in(None));
    if uses.comparable == 0 && uses.misses > 0 {
        let misses = counted(uses.misses, "miss");
        let why = format!(
            "none of {misses} was of a request that is known to be asked again, so none could overlap"
        );
        return Finding::inconclusive(why).with([uses.evidence()]);
    }
    let finding = ratio(uses.overlapping, uses.comparable, limit, "miss", Rigour::Reaction);
    finding
        .on(
            "wire",
            format!("{} while one for the same prompt was under way", counted(uses.overlapping, "miss")),
        )
        .with([uses.evidence()])
}
