//! Retries: what they absorb, and how many upstream attempts a request costs.

use std::time::Duration;

use super::{
    blind::GATEWAY,
    counters,
    facts::Facts,
    finding::{Finding, Rigour, counted, ratio},
    judge::Title,
    model::{CheckKind, Verdict},
    settling,
    slo::Census,
    tries::{self, Attempts, Counted, ENOUGH, Told, factor},
};
use crate::{
    journal::event::RunEnd,
    scenario::model::RetryExpectation,
    units::{FaultId, RatioThreshold, RunTime},
};

/// How far what answers state and what is counted may be apart.
const CONTRADICTION: f64 = 0.1;

/// How long a one-shot fault is felt.
const FELT: Duration = Duration::from_secs(5);

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &RetryExpectation) -> (Title, Finding) {
    let title = |title: &str, expected: String| Title {
        phase: e.phase.clone(),
        ..Title::of(CheckKind::Retries, title, expected)
    };
    if let Some(limit) = &e.amplification {
        let expected = format!("{} {} attempts a request", limit.op, factor(limit.limit.0));
        (title("retries do not multiply the load", expected), amplification(facts, e, limit))
    } else if let Some(limit) = &e.absorbs {
        let finding = absorbs(facts, e.after.as_ref(), limit).unwrap_or_else(|f| f);
        (title("retries absorb the fault", format!("{limit} ok while it acts")), finding)
    } else if let Some(limit) = e.settles_within {
        let finding = settling::judge(facts, e.after.as_ref(), limit).unwrap_or_else(|f| f);
        (title("retries end with the fault", format!("as few attempts as before within {limit}")), finding)
    } else {
        (title("retries", String::new()), Finding::inconclusive("it demands nothing"))
    }
}

/// Requests that end `ok` among those due while the fault acts.
fn absorbs(facts: &Facts<'_>, after: Option<&FaultId>, limit: &RatioThreshold) -> Result<Finding, Finding> {
    let (t0, end) = (facts.effect(after)?, facts.fault_end(after)?);
    let one_shot = after.and_then(|id| facts.act(id)).is_some_and(|act| act.until.is_none());
    let (from, to) = (t0.by.second(), if one_shot { t0.by + FELT } else { end.not_before }.second());
    let due = || facts.cells_in(None).filter(|cell| (from..=to).contains(&cell.key.second));
    let census = Census::of(due(), matches!(facts.run_end, Some(RunEnd::Aborted)));
    let finding = ratio(census.ok, census.attempted, limit, "request", Rigour::Reaction);
    let failures = census.failures_in_words();
    // Where no attempt failed, there was nothing to absorb.
    let again: u64 = due().map(|cell| cell.attempts.saturating_sub(cell.attempts_stated)).sum();
    let at = |second: u32| RunTime(u64::from(second).saturating_mul(1_000_000));
    let failed = counters::around(facts.samples_of(GATEWAY), at(from), at(to.saturating_add(1)), |series| {
        counters::name(series) == counters::UPSTREAM
            && counters::label(series, "outcome")
                .is_some_and(|outcome| outcome != "ok" && outcome != "cancelled")
    });
    let finding = match finding.verdict {
        Verdict::Pass
            if again == 0
                && failed.is_none_or(|failed| failed.by == 0.0)
                && census.ok == census.attempted =>
        {
            Finding::inconclusive("no attempt is known to have failed, so there was nothing to absorb")
        }
        _ => finding,
    };
    let by_gateway = failed.map(|failed| format!("; {:.0} failed, by the gateway", failed.by));
    let beyond = format!("{} beyond the first{}", counted(again, "attempt"), by_gateway.unwrap_or_default());
    let finding = finding.on("wire", beyond);
    Ok(finding.on("wire", format!("due from {from} s to {to} s: {} ok, {failures}", census.ok)))
}

fn amplification(facts: &Facts<'_>, e: &RetryExpectation, limit: &RatioThreshold) -> Finding {
    let phase = e.phase.as_ref();
    let attempts = Attempts::of(facts.cells_in(phase));
    let stated = attempts.stated;
    let wire = (stated >= ENOUGH).then(|| attempts.each());
    let told = tries::told(facts, e, limit);
    let when = phase.and_then(|phase| facts.phase(phase)).unwrap_or_else(|| facts.judged());
    let holds = |figure: f64| limit.op.holds(figure, limit.limit.0);
    let said = |figure: f64| format!("{} attempts a request", factor(figure));
    let decide = |figure: f64, holds: bool| {
        let finding = match holds {
            true => Finding::pass(said(figure)),
            false => Finding::fail(format!("{}, not {} {}", said(figure), limit.op, factor(limit.limit.0))),
        };
        finding.observed(figure, "x")
    };
    let finding = match (wire, &told) {
        (_, Told::Unclear(why)) => Finding::inconclusive(why.clone()),
        (Some(wire), Told::Counted(counted)) => {
            let apart = (wire - counted.figure).abs() / wire.max(counted.figure).max(f64::MIN_POSITIVE);
            let finding = if holds(wire) != holds(counted.figure) && apart > CONTRADICTION {
                Finding::inconclusive(format!(
                    "answers state {}, {} counted {}: they contradict each other",
                    said(wire),
                    counted.whose,
                    factor(counted.figure)
                ))
                .observed(wire, "x")
            } else {
                decide(wire, holds(wire))
            };
            finding.error(wire.min(counted.figure), Some(wire.max(counted.figure)))
        }
        (Some(figure), Told::Nobody) if holds(figure) && !attempts.is_known() => {
            let what = format!("{}, but {} state none", said(figure), counted(attempts.silent, "request"));
            Finding::inconclusive(what).observed(figure, "x")
        }
        (Some(figure), Told::Nobody) if holds(figure) && facts.was_down(GATEWAY, when) => {
            let what =
                format!("{}, but {GATEWAY} did not answer for a while, which counts them, too", said(figure));
            Finding::inconclusive(what).observed(figure, "x")
        }
        (Some(figure), Told::Nobody) => decide(figure, holds(figure)),
        (None, Told::Counted(counted)) => decide(counted.figure, holds(counted.figure)),
        (None, Told::Nobody) => Finding::inconclusive(format!(
            "too few answers state their upstream attempts: {stated}, {ENOUGH} are needed"
        )),
    };
    let finding = finding
        .on("wire", format!("{} stated by {}", counted(attempts.made, "attempt"), counted(stated, "answer")));
    match told {
        Told::Counted(Counted { figure, attempts, requests, source, which, .. }) => finding.on(
            format!("{source} /metrics"),
            format!("{attempts:.0} upstream requests for {requests} {which}: {}", factor(figure)),
        ),
        Told::Nobody | Told::Unclear(_) => finding,
    }
}
