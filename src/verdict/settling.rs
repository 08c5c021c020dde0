//! Retries that end with their cause: after a fault a request costs as few
//! upstream attempts as before. One that goes on is a storm, and may be what keeps
//! a service down.

use super::{
    blind::GATEWAY,
    counters,
    facts::{Facts, FaultHistory},
    finding::{Finding, counted, evidence, percent},
    model::Verdict,
    times::within,
    tries::{Attempts, ENOUGH},
    windows,
};
use crate::{
    journal::{Cell, interval::Outcome},
    units::{FaultId, RunTime, Span},
};

/// How many more attempts than before are as few.
const MORE: f64 = 1.1;

/// Judges how long after a fault's end it takes until requests cost as few
/// attempts as in the first phase, for good.
pub(super) fn judge(facts: &Facts<'_>, after: Option<&FaultId>, limit: Span) -> Result<Finding, Finding> {
    let (effect, end) = (facts.effect(after)?, facts.fault_end(after)?);
    let until = facts.undisturbed_until(end.by, after);
    // Before anything was broken: an earlier fault's storm is not usual.
    let begins = facts.faults.values().filter_map(FaultHistory::begins);
    let first = begins.min().map_or(effect.not_before, |first| first.min(effect.not_before));
    let before = facts.cells_in(None).filter(|cell| cell.last_end < first);
    let usual = Attempts::of(before);
    if usual.stated < ENOUGH || !usual.is_known() {
        let why = format!(
            "{} before the fault state their upstream attempts, {ENOUGH} are needed, and nine in ten",
            counted(usual.stated, "answer")
        );
        return Err(Finding::inconclusive(why));
    }
    let most = usual.each() * MORE;
    let settled = |cells: &[&Cell]| {
        let attempts = Attempts::of(cells.iter().copied());
        match attempts.stated {
            0..windows::ENOUGH => None,
            _ if attempts.each() > most => Some(false),
            _ => attempts.is_known().then_some(true),
        }
    };
    let seen = windows::over(facts, (end.not_before, until), "after the fault's end", settled)?;
    let finding = match seen.held {
        None if seen.ends_well => windows::too_few(),
        held => within(end, held, until, limit, "requests cost as few attempts as before"),
    };
    let finding = match (finding.verdict, seen.held) {
        (Verdict::Pass, Some(held)) => by_the_gateway(facts, finding, (held.by, until), most),
        _ => finding,
    };
    Ok(finding.with([evidence(
        "wire",
        format!("{:.2} attempts a request before the fault; up to {most:.2} are as few", usual.each()),
    )]))
}

/// Who sends may count more than answers state.
fn by_the_gateway(facts: &Facts<'_>, finding: Finding, (from, to): (RunTime, RunTime), most: f64) -> Finding {
    let sent = counters::around(facts.samples_of(GATEWAY), from, to, |series| {
        counters::name(series) == counters::UPSTREAM
    });
    let Some(sent) = sent.filter(|sent| sent.seconds > 0.0) else {
        if facts.was_down(GATEWAY, (from, to)) {
            let why = format!("{}, but {GATEWAY} did not answer, which counts them, too", finding.why);
            return Finding::inconclusive(why);
        }
        return finding;
    };
    let due = facts.cells_in(None).filter(|cell| (from..to).contains(&cell.key.due()));
    let went = due.filter(|cell| !cell.key.served.cache.is_answer() && cell.key.outcome != Outcome::Shed);
    let asked = went.map(|cell| cell.count).sum::<u64>() as f64 / to.since(from).as_secs_f64().max(1.0);
    let shown = format!("{:.1} upstream attempts/s for {asked:.1} requests/s since", sent.rate());
    // Its counters and the seconds of the load don't begin and end together.
    let finding = if sent.rate() > asked * most * MORE {
        let more = percent(sent.rate() / asked.max(f64::MIN_POSITIVE));
        Finding::inconclusive(format!(
            "answers state few attempts, but the gateway sent {more} of the requests"
        ))
    } else {
        finding
    };
    finding.on("gateway /metrics", shown)
}
