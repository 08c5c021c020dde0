//! Whether a cache asks its origin the same thing many times at once.

use super::uses::Uses;
use crate::{
    units::RatioThreshold,
    verdict::{
        facts::Facts,
        finding::{Finding, Rigour, counted, ratio},
    },
};

/// Judges the share of the misses that had company.
pub(super) fn stampede(facts: &Facts<'_>, limit: &RatioThreshold) -> Finding {
    let uses = Uses::of(facts.cells_in(None));
    let finding = ratio(uses.overlapping, uses.misses, limit, "miss", Rigour::Reaction);
    finding
        .on(
            "wire",
            format!("{} while one for the same prompt was under way", counted(uses.overlapping, "miss")),
        )
        .with([uses.evidence()])
}
