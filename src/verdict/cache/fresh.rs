//! Whether a cache forgets what a withdrawn version said.

use std::time::Duration;

use crate::{
    journal::interval::CacheUse,
    units::FaultId,
    verdict::{
        facts::Facts,
        finding::{Finding, counted},
        model::Verdict,
        rollback,
    },
};

/// An answer may be on its way from the cache while the rollback is done.
const GRACE: Duration = Duration::from_secs(1);
/// Share of the hits that may keep back their version: the withdrawn one may be
/// behind them.
const NAMELESS: f64 = 0.01;

/// Judges that no hit is of the version that this rollout withdrew.
pub(super) fn fresh(facts: &Facts<'_>, id: &FaultId) -> Result<Finding, Finding> {
    let rollout = rollback::Rollout::of(facts, Some(id))?;
    let Some(back) = rollout.rolled_back() else {
        return Err(Finding::inconclusive(format!("{} was not rolled back", rollout.candidate)));
    };
    let (late, last) = rollout.served_since(back.by + rollback::GRACE);
    if late > 0 {
        // The rollback's failure, not the cache's: what it stores is current.
        return Err(Finding::inconclusive(format!(
            "{} still served until {last}, so its hits say nothing of the cache",
            rollout.candidate
        )));
    }
    let since = back.by.max(rollout.last_served().unwrap_or(back.by)) + GRACE;
    let hits = facts.cells_in(None).filter(|cell| {
        let due_after = cell.key.due() >= since;
        cell.key.served.cache == CacheUse::Hit
            && (due_after || cell.first_end > since)
            && cell.first_end < rollout.until
    });
    let (mut stale, mut fresh, mut nameless) = (0, 0, 0_u64);
    for cell in hits {
        match &cell.key.served.version {
            Some(version) if version == rollout.candidate => stale += cell.count,
            Some(_) => fresh += cell.count,
            None => nameless += cell.count,
        }
    }
    let shown = format!(
        "hits after {since}: {stale} of {}, {fresh} of others, {nameless} that do not say",
        rollout.candidate
    );
    let all = stale + fresh + nameless;
    let finding = match (stale, fresh) {
        (0, 0) => Finding::inconclusive("no hit named its version after the rollback"),
        (0, _) if nameless as f64 > NAMELESS * all as f64 => Finding::inconclusive(format!(
            "{nameless} of {} after the rollback did not name their version",
            counted(all, "hit")
        )),
        (0, fresh) => Finding::pass(format!(
            "none of {} after the rollback was of {}",
            counted(fresh, "hit"),
            rollout.candidate
        )),
        (stale, _) => Finding::fail(format!(
            "{} after the rollback still carried what {} had said",
            counted(stale, "hit"),
            rollout.candidate
        )),
    };
    let finding = match finding.verdict {
        Verdict::Inconclusive => finding,
        Verdict::Pass | Verdict::Fail | Verdict::Aborted => finding.observed(stale as f64, "count"),
    };
    Ok(finding.on("wire", shown))
}
