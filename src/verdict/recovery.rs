//! The way back into the baseline's objectives, for good.

use super::{
    facts::Facts,
    finding::{Finding, percent},
    judge::Title,
    model::{CheckKind, Verdict},
    times::within,
    windows::{self, Windows},
};
use crate::{
    plan::model::PlannedAct,
    scenario::model::RecoveryExpectation,
    units::{FaultId, RunTime, Span},
};

/// Load over the baseline's from which staying out of SLO is overload.
const OVERLOAD: f64 = 1.1;

/// Load under the baseline's at which being in SLO says little: what can't cope
/// with the usual load may cope with half of it.
const UNDERLOAD: f64 = 0.5;

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &RecoveryExpectation) -> (Title, Finding) {
    let last = facts.plan.timeline.last().map(|act: &PlannedAct| &act.id);
    let after = e.after.as_ref().or(last);
    let title = |expected: String| Title::of(CheckKind::Recovery, "service recovers", expected);
    match e.within {
        Some(limit) => {
            let expected = format!("back in the baseline's SLOs within {limit}");
            (title(expected), recovers(facts, after, limit).unwrap_or_else(|f| f))
        }
        None => (title(String::new()), Finding::inconclusive("it demands nothing")),
    }
}

fn recovers(facts: &Facts<'_>, after: Option<&FaultId>, limit: Span) -> Result<Finding, Finding> {
    let end = facts.fault_end(after)?;
    let slos = windows::baseline(facts);
    if slos.is_empty() {
        return Err(Finding::inconclusive("the first phase has no SLOs to be back in"));
    }
    let until = facts.undisturbed_until(end.by, after);
    let seen = windows::look(facts, &slos, (end.not_before, until), "after the fault's end")?;
    let back = seen.held;
    let mut finding = within(end, back, until, limit, "the service was back in the baseline's SLOs for good");
    match back {
        None => finding = never_back(facts, finding, &seen, (end.by, until)),
        Some(back) if finding.verdict == Verdict::Pass => {
            finding = at_its_load(facts, finding, (back.by, until));
        }
        Some(_) => {}
    }
    Ok(finding.on("wire", seen.shown("after the fault's end", &slos)))
}

/// Requests a second that were due in the first phase, and in another time.
struct Load {
    usual: f64,
    now: f64,
}

impl Load {
    fn of(facts: &Facts<'_>, (from, to): (RunTime, RunTime)) -> Option<Self> {
        let rate = |from: RunTime, to: RunTime| {
            let due = facts.cells_in(None).filter(|cell| (from..to).contains(&cell.key.due()));
            due.map(|cell| cell.count as f64).sum::<f64>() / to.since(from).as_secs_f64().max(1.0)
        };
        let (start, end) = facts.plan.phases.first().and_then(|phase| facts.phase(&phase.name))?;
        Some(Self { usual: rate(start, end), now: rate(from, to) })
    }
}

/// Being back counts only at the load that the service is used to.
fn at_its_load(facts: &Facts<'_>, finding: Finding, judged: (RunTime, RunTime)) -> Finding {
    match Load::of(facts, judged) {
        Some(Load { usual, now }) if now < usual * UNDERLOAD => {
            let part = percent(now / usual.max(f64::MIN_POSITIVE));
            let why = format!("{}, but the load was only {part} of the baseline's", finding.why);
            Finding::inconclusive(why)
                .on("wire", format!("{now:.1} requests/s, {usual:.1}/s in the baseline"))
        }
        _ => finding,
    }
}

/// Not back by the end: metastable, unless the load explains it or the last
/// windows were good but too few.
fn never_back(
    facts: &Facts<'_>,
    finding: Finding,
    seen: &Windows,
    (from, to): (RunTime, RunTime),
) -> Finding {
    let Some(Load { usual, now }) = Load::of(facts, (from, to)) else { return finding };
    let load = format!("{now:.1} requests/s after the fault, {usual:.1}/s in the baseline");
    if seen.ends_well {
        return windows::too_few().on("wire", load);
    }
    if now > usual * OVERLOAD {
        let more = percent(now / usual.max(f64::MIN_POSITIVE));
        return Finding::inconclusive(format!(
            "out of SLO to the end, but the load is {more} of the baseline's"
        ))
        .on("wire", load);
    }
    if finding.verdict == Verdict::Fail {
        let Finding { error, .. } = finding;
        let why = "metastable: fault and load are back to normal, the service is not by the end";
        return Finding { error, ..Finding::fail(why).on("wire", load) };
    }
    finding.on("wire", load)
}
