//! Whether a cache's hits are what its origin answers to the same request, as the
//! load found by comparing them: no right answer need be known.

use super::{
    cache::{Uses, absent},
    facts::Facts,
    finding::{Finding, Rigour, ratio},
    model::Verdict,
};
use crate::{journal::interval::Outcome, units::RatioThreshold};

/// Share of the hits from which those that were compared tell of all.
const ENOUGH: f64 = 0.1;

/// Judges the share of the hits that differ, of those that were compared.
pub(super) fn judge(facts: &Facts<'_>, limit: &RatioThreshold) -> Finding {
    let uses = Uses::of(facts.cells_in(None));
    if uses.absent() {
        return absent(&uses);
    }
    let (mut alike, mut unlike, mut hits) = (0, 0, 0);
    for cell in facts.cells_in(None) {
        alike += cell.hits_alike;
        unlike += cell.hits_unlike;
        let whole = matches!(cell.key.outcome, Outcome::Ok | Outcome::Mismatch);
        if whole && !cell.key.served.fallback && cell.key.served.cache.is_answer() {
            hits += cell.count;
        }
    }
    let compared = alike + unlike;
    let shown = format!(
        "{compared} hits were compared with the origin's answer to the same request, some maybe from the warm-up: {unlike} differ; {hits} hits in all phases"
    );
    let finding = if compared == 0 {
        Finding::inconclusive("no hit was one of a request that the origin answered, too, and comparably")
    } else {
        ratio(unlike, compared, limit, "compared hit", Rigour::Reaction)
    };
    let few = (compared as f64) < ENOUGH * hits as f64;
    let finding = if few && finding.verdict == Verdict::Pass {
        Finding::inconclusive(format!("only {compared} of {hits} hits could be compared"))
    } else {
        finding
    };
    finding.on("wire", shown).with([uses.evidence()])
}
