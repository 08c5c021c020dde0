//! The way back into the baseline's objectives, for good.

use std::collections::BTreeMap;

use super::{
    facts::Facts,
    finding::{Finding, percent},
    judge::Title,
    model::CheckKind,
    slo::{Census, counts},
    times::within,
};
use crate::{
    journal::{Cell, event::RunEnd},
    plan::{
        Plan,
        model::{PlannedAct, Subject},
    },
    scenario::model::{Objective, RecoveryExpectation, Slo},
    units::{FaultId, LatencyThreshold, RunTime, Seen, Span},
};

/// Seconds that are judged together.
const WINDOW: u64 = 5;
/// Windows that must hold in a row.
const WINDOWS: usize = 3;
/// Requests without which a window says nothing.
const ENOUGH: u64 = 5;
/// More seconds after the fault than this are not looked at (a week).
const LONGEST: u64 = 7 * 24 * 3600;
/// Load over the baseline's from which staying out of SLO is overload.
const OVERLOAD: f64 = 1.1;

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

/// The first phase's objectives.
fn baseline<'a>(facts: &Facts<'a>) -> Vec<&'a Slo> {
    let first = facts.plan.phases.first().map(|phase| &phase.name);
    let checks = facts.plan.checks.iter();
    let mine = checks.filter_map(|check| match &check.subject {
        Subject::Slo { slo, phase } if Some(phase) == first => Some(slo),
        _ => None,
    });
    mine.collect()
}

/// Whether the requests of a window meet an objective, by the figure itself.
/// None: too few.
fn meets(plan: &Plan, cells: &[&Cell], slo: &Slo, aborted: bool) -> Option<bool> {
    let mine = cells.iter().copied().filter(|cell| counts(plan, cell, slo));
    let census = Census::of(mine, aborted);
    if census.attempted < ENOUGH {
        return None;
    }
    let under = |latencies: &crate::journal::Distribution, failures: u64, limit: &LatencyThreshold| {
        if latencies.is_empty() && failures == 0 {
            return None;
        }
        let figure =
            latencies.quantile(limit.quantile.0, failures).map_or(f64::INFINITY, |micros| micros as f64);
        Some(limit.op.holds(figure, limit.limit.micros() as f64))
    };
    let share = |part: u64| part as f64 / census.attempted as f64;
    match &slo.objective {
        Objective::Ttft(limit) => under(&census.ttft, census.failed(), limit),
        Objective::E2e(limit) => under(&census.e2e, census.failed(), limit),
        Objective::Itl(limit) => under(&census.itl, 0, limit),
        Objective::Tpot(limit) => under(&census.tpot, 0, limit),
        Objective::Availability(limit) => Some(limit.op.holds(share(census.ok), limit.limit.0)),
        Objective::Goodput(limit) => Some(limit.op.holds(share(census.good), limit.limit.0)),
        Objective::Accuracy(limit) => {
            let accuracy = census.accuracy().filter(|_| census.golden() >= ENOUGH)?;
            Some(limit.op.holds(accuracy, limit.limit.0))
        }
    }
}

fn recovers(facts: &Facts<'_>, after: Option<&FaultId>, limit: Span) -> Result<Finding, Finding> {
    let end = facts.fault_end(after)?;
    let slos = baseline(facts);
    if slos.is_empty() {
        return Err(Finding::inconclusive("the first phase has no SLOs to be back in"));
    }
    let aborted = matches!(facts.run_end, Some(RunEnd::Aborted));
    let mut by_second: BTreeMap<u64, Vec<&Cell>> = BTreeMap::new();
    facts.cells_in(None).for_each(|cell| by_second.entry(cell.key.second.into()).or_default().push(cell));
    let until = facts.undisturbed_until(end.by, after);
    let from = end.not_before.0 / 1_000_000;
    // Only seconds with requests can begin or end anything; the horizon is
    // in whole seconds of load.
    let last = by_second.keys().next_back().map_or(0, |second| second + 1);
    let horizon = (until.0 / 1_000_000).min(last).min(from + LONGEST);
    let windows: Vec<(u64, Option<bool>)> = (from..(horizon + 1).saturating_sub(WINDOW))
        .map(|second| {
            let cells: Vec<&Cell> = by_second
                .range(second..second + WINDOW)
                .flat_map(|(_, cells)| cells.iter().copied())
                .collect();
            let each: Vec<Option<bool>> =
                slos.iter().map(|slo| meets(facts.plan, &cells, slo, aborted)).collect();
            let verdict = if each.contains(&Some(false)) {
                Some(false)
            } else {
                (!each.contains(&None)).then_some(true)
            };
            (second, verdict)
        })
        .collect();
    let judged = windows.iter().filter(|(_, verdict)| verdict.is_some()).count();
    if judged < WINDOWS {
        return Err(Finding::inconclusive(format!(
            "only {judged} windows of {WINDOW} s could be judged after the fault's end"
        )));
    }
    let bad = windows.iter().filter(|(_, verdict)| *verdict == Some(false)).count();
    let after_last_bad =
        windows.iter().rposition(|(_, verdict)| *verdict == Some(false)).map_or(0, |i| i + 1);
    let held: Vec<u64> = windows[after_last_bad..]
        .iter()
        .filter(|(_, v)| *v == Some(true))
        .map(|(second, _)| *second)
        .collect();
    let back = (held.len() >= WINDOWS).then(|| held.first().copied()).flatten().map(|second| {
        let at = |second: u64| RunTime(second.saturating_mul(1_000_000));
        Seen { not_before: at(second.saturating_sub(1)), by: at(second) }
    });
    let mut finding = within(end, back, until, limit, "the service was back in the baseline's SLOs for good");
    if back.is_none() {
        finding = never_back(facts, finding, after_last_bad, windows.len(), (end.by, until));
    }
    let named: Vec<String> =
        slos.iter().map(|slo| format!("{} {}", super::slo::title(slo).0, super::slo::title(slo).1)).collect();
    Ok(finding.on(
        "wire",
        format!("{bad} of {judged} windows of {WINDOW} s after the fault's end break {}", named.join(" or ")),
    ))
}

/// Not back by the end: metastable, unless the load explains it or the last
/// windows were good but too few.
fn never_back(
    facts: &Facts<'_>,
    finding: Finding,
    after_last_bad: usize,
    windows: usize,
    (from, to): (RunTime, RunTime),
) -> Finding {
    let rate = |from: RunTime, to: RunTime| {
        let due = facts.cells_in(None).filter(|cell| {
            let at = u64::from(cell.key.second) * 1_000_000;
            (from.0..to.0).contains(&at)
        });
        due.map(|cell| cell.count as f64).sum::<f64>() / to.since(from).as_secs_f64().max(1.0)
    };
    let first = facts.plan.phases.first().and_then(|phase| facts.phase(&phase.name));
    let Some((start, end)) = first else { return finding };
    let (usual, now) = (rate(start, end), rate(from, to));
    let load = format!("{now:.1} requests/s after the fault, {usual:.1}/s in the baseline");
    if after_last_bad < windows {
        return Finding::inconclusive("the last windows hold, but too few of them").on("wire", load);
    }
    if now > usual * OVERLOAD {
        let more = percent(now / usual.max(f64::MIN_POSITIVE));
        return Finding::inconclusive(format!(
            "out of SLO to the end, but the load is {more} of the baseline's"
        ))
        .on("wire", load);
    }
    if finding.verdict == super::model::Verdict::Fail {
        let Finding { error, .. } = finding;
        let why = "metastable: fault and load are back to normal, the service is not by the end";
        return Finding { error, ..Finding::fail(why).on("wire", load) };
    }
    finding.on("wire", load)
}
