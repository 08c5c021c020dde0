//! Whether a cache serves while something acts.

use std::ops::Range;

use super::uses::{ABSENT, Uses, absent};
use crate::{
    plan::model::PlannedAction,
    units::{FaultId, PhaseName, RunTime},
    verdict::{
        facts::Facts,
        finding::{Finding, counted},
    },
};

/// The seconds in which each fault of a phase surely acts, which may overlap; the
/// whole of a phase that has none. A finding: none of them was proven.
fn acting(facts: &Facts<'_>, phase: &PhaseName) -> Result<Vec<Range<u32>>, Finding> {
    let Some((start, end)) = facts.phase(phase) else {
        return Err(Finding::inconclusive("the phase was not reached"));
    };
    let faults = facts.plan.timeline.iter().filter(|act| !matches!(act.action, PlannedAction::Deploy(_)));
    let within: Vec<&FaultId> =
        faults.filter(|act| act.at >= start && act.at < end).map(|act| &act.id).collect();
    if within.is_empty() {
        let all = start.second()..end.second().saturating_add(1);
        return Ok(vec![all]);
    }
    let acted = within.iter().filter_map(|id| {
        let over = facts.fault_end(Some(id)).ok().filter(|_| facts.lasts(Some(id)));
        Some((facts.effect(Some(id)).ok()?.by, over.map_or(end, |over| over.not_before)))
    });
    let whole = |(from, to): (RunTime, RunTime)| from.second().saturating_add(1)..to.second();
    let seconds: Vec<Range<u32>> = acted.map(whole).collect();
    if seconds.is_empty() {
        return Err(Finding::inconclusive(format!("no fault was proven to act in {phase}")));
    }
    Ok(seconds)
}

/// Judges that there are answers from the cache in this phase. An error that it
/// kept helps nobody, nor does what it gives while nothing acts.
pub(super) fn serves(facts: &Facts<'_>, phase: &PhaseName) -> Finding {
    let acting = match acting(facts, phase) {
        Ok(acting) => acting,
        Err(finding) => return finding,
    };
    let acts = |second: u32| acting.iter().any(|seconds| seconds.contains(&second));
    let uses = Uses::of(facts.cells_in(Some(phase)).filter(|cell| acts(cell.key.second)));
    if uses.absent() {
        return absent(&uses);
    }
    let asked = counted(uses.asked(), "cacheable request");
    let finding = if uses.hits > 0 {
        Finding::pass(format!("{} in {phase}", counted(uses.hits, "hit")))
    } else if uses.asked() < ABSENT {
        Finding::inconclusive(format!("there were only {asked} in {phase}"))
    } else if uses.broken > 0 {
        let kept = counted(uses.broken, "error");
        Finding::fail(format!("no good hit among {asked}: the cache gave {kept}"))
    } else {
        Finding::fail(format!("no hit among {asked}"))
    };
    finding.observed(uses.hits as f64, "count").with([uses.evidence()])
}
