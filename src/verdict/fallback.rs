//! Fallbacks: they step in, fast, with sense, and step back.

use std::time::Duration;

use super::{
    facts::Facts,
    finding::{Finding, Rigour, counted, latency, percent, ratio},
    judge::Title,
    model::{CheckKind, Verdict},
    stand_in,
    strays::{Before, STRAYS, Seconds},
    times::within,
};
use crate::{
    journal::{
        Cell, Distribution,
        interval::{CacheUse, Outcome},
    },
    scenario::model::FallbackExpectation,
    units::{FaultId, LatencyThreshold, RatioThreshold, RunTime, Seen, Span},
};

/// Share of requests that must have failed, where a fallback could have
/// helped, to blame it for not being there.
const HARM: f64 = 0.02;
/// A fault is still felt for as long after its end.
const AFTERMATH: Duration = Duration::from_secs(2);

/// How long before the fault a fallback that was on already is noticed.
const BEFORE: Duration = Duration::from_secs(5);
/// A fallback that answers a tenth of those in need, or less, is none.
const HELPED: u64 = 10;
/// Answers of others without which it is not known to have stepped back.
const ENOUGH: u64 = 5;

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &FallbackExpectation) -> (Title, Finding) {
    let after = e.after.as_ref();
    let title = |title: &str, expected: String| Title::of(CheckKind::Fallback, title, expected);
    if let Some(limit) = e.engages_within {
        (
            title("fallback steps in", format!("within {limit}")),
            engages(facts, after, limit).unwrap_or_else(|f| f),
        )
    } else if let Some(model) = &e.to {
        (
            title("fallback is the right model", format!("every answer is of {model}")),
            stand_in::judge(facts, after, model).unwrap_or_else(|f| f),
        )
    } else if let Some(limit) = &e.ttft {
        (title("fallback is fast", format!("TTFT {limit}")), fast(facts, after, limit).unwrap_or_else(|f| f))
    } else if let Some(limit) = &e.wrong {
        (
            title("fallback makes sense", format!("{limit} wrong")),
            wrong(facts, after, limit).unwrap_or_else(|f| f),
        )
    } else if let Some(limit) = e.disengages_within {
        (
            title("fallback steps back", format!("within {limit}")),
            disengages(facts, after, limit).unwrap_or_else(|f| f),
        )
    } else {
        (title("fallback", String::new()), Finding::inconclusive("it demands nothing"))
    }
}

/// Answers that a fallback gave, itself, at or after `since`.
pub(super) fn answers<'a>(facts: &Facts<'a>, since: RunTime) -> impl Iterator<Item = &'a Cell> + use<'a> {
    facts.cells_in(None).filter(move |cell| is_given(cell) && cell.last_end >= since)
}

/// Whether a fallback gave these answers, itself.
fn is_given(cell: &Cell) -> bool {
    let served = &cell.key.served;
    let came = cell.key.outcome == Outcome::Ok || nonsense(cell.key.outcome);
    served.fallback && served.cache != CacheUse::Hit && came
}

/// Whether one gave answers before the fault.
fn before(facts: &Facts<'_>, t0: Seen) -> Before {
    Before::of(facts.cells_in(None).any(|cell| is_given(cell) && cell.last_end < t0.not_before))
}

/// Whether an answer came, and was not one.
fn nonsense(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Mismatch | Outcome::Malformed | Outcome::Discontinuous | Outcome::Short)
}

/// From when on fallback answers count: the fault's effect, or the start
/// where no fault is named.
pub(super) fn since(facts: &Facts<'_>, after: Option<&FaultId>) -> Result<Seen, Finding> {
    match after {
        Some(_) => facts.effect(after),
        None => Ok(Seen::at(facts.judged().0)),
    }
}

/// No answer came from a fallback, or hardly any: a failure where requests failed
/// that it could have answered.
pub(super) fn nobody(facts: &Facts<'_>, after: Option<&FaultId>, t0: Seen) -> Finding {
    let end = facts.fault_end(after).map_or(facts.end, |seen| seen.by) + AFTERMATH;
    let felt = (t0.not_before.second(), end.second());
    let during = || facts.cells_in(None).filter(|cell| (felt.0..=felt.1).contains(&cell.key.second));
    let count = |wanted: &dyn Fn(&Cell) -> bool| -> u64 {
        during().filter(|cell| wanted(cell)).map(|cell| cell.count).sum()
    };
    let (failed, given, all) = (count(&could_help), count(&is_given), count(&|_| true));
    let shown = format!("{failed} of {} failed for want of a replica", counted(all, "request"));
    let came = match given {
        0 => "no answer came from a fallback".to_owned(),
        n => format!("only {} came from a fallback, no more than it may always give", counted(n, "answer")),
    };
    let harmed = failed as f64 >= HARM * all as f64 && failed > 0;
    let finding = if harmed && given.saturating_mul(HELPED) <= failed {
        Finding::fail(format!("{came}, and {shown} ({})", percent(failed as f64 / all as f64)))
    } else if harmed {
        Finding::inconclusive(format!("{came}: too few to tell, while {shown}"))
    } else {
        Finding::inconclusive(format!("{came}; none was needed: {shown}"))
    };
    finding.on(
        "wire",
        format!("while the fault was felt, {shown}; {} from a fallback", counted(given, "answer")),
    )
}

/// Whether they failed in a way in which a fallback could have helped.
fn could_help(cell: &Cell) -> bool {
    match cell.key.outcome {
        Outcome::Http5xx | Outcome::ConnectRefused | Outcome::ConnectTimeout | Outcome::Timeout => true,
        Outcome::Shed => cell.key.served.breaker_open,
        // Broken in the middle, or not a replica's doing.
        Outcome::Ok
        | Outcome::Http4xx
        | Outcome::Reset
        | Outcome::Truncated
        | Outcome::InBandError
        | Outcome::Stalled
        | Outcome::Short
        | Outcome::Discontinuous
        | Outcome::Malformed
        | Outcome::Mismatch
        | Outcome::Cancelled => false,
    }
}

pub(super) fn engages(facts: &Facts<'_>, after: Option<&FaultId>, limit: Span) -> Result<Finding, Finding> {
    let t0 = facts.effect(after)?;
    let seconds = Seconds::of(facts.cells_in(None), (t0.not_before, RunTime(u64::MAX)), is_given);
    let Some(stepped_in) = seconds.stepped_in(before(facts, t0)) else {
        return Err(nobody(facts, after, t0));
    };
    let since = RunTime(t0.not_before.0.saturating_sub(BEFORE.as_micros() as u64));
    let due = |cell: &&Cell| cell.key.due() >= since && cell.last_end < t0.not_before;
    let share = |part: u64, all: u64| part as f64 / all.max(1) as f64;
    let usual: u64 = facts.cells_in(None).filter(due).map(|cell| cell.count).sum();
    let already: u64 = answers(facts, since).filter(due).map(|cell| cell.count).sum();
    if share(already, usual) > STRAYS {
        let part = percent(share(already, usual));
        let why = format!("a fallback gave {part} of the answers already before the fault acted");
        return Err(Finding::inconclusive(why).on("wire", format!("{already} of {usual} since {since}")));
    }
    let what = "the first answer from a fallback ended";
    let finding = facts.reacts(after, t0, Some(stepped_in), limit, what);
    let n = answers(facts, t0.not_before).map(|cell| cell.count).sum();
    Ok(finding.on("wire", format!("{} from a fallback", counted(n, "answer"))))
}

fn fast(facts: &Facts<'_>, after: Option<&FaultId>, limit: &LatencyThreshold) -> Result<Finding, Finding> {
    let t0 = since(facts, after)?;
    if answers(facts, t0.not_before).next().is_none() {
        return Err(nobody(facts, after, t0));
    }
    let (mut tokens, mut whole) = (Distribution::default(), Distribution::default());
    for cell in answers(facts, t0.not_before) {
        tokens.merge(&cell.service_ttft);
        if matches!(cell.key.outcome, Outcome::Ok | Outcome::Mismatch) {
            whole.merge(&cell.service_e2e);
        }
    }
    // Where there are no tokens, the whole answer has to do.
    let (what, latencies) = if tokens.is_empty() { ("E2E", whole) } else { ("TTFT", tokens) };
    if latencies.is_empty() {
        return Err(Finding::inconclusive(
            "no whole answer came from a fallback, so none tells how fast it is",
        ));
    }
    let finding = latency(&latencies, 0, limit, "fallback answer", Rigour::Reaction);
    Ok(finding.on("wire", format!("{what} from sent, of {}", counted(latencies.len(), "fallback answer"))))
}

fn wrong(facts: &Facts<'_>, after: Option<&FaultId>, limit: &RatioThreshold) -> Result<Finding, Finding> {
    let t0 = since(facts, after)?;
    let golden = answers(facts, t0.not_before).filter(|cell| cell.key.golden);
    let (ok, bad) = golden.fold((0, 0), |(ok, bad), cell| match nonsense(cell.key.outcome) {
        true => (ok, bad + cell.count),
        false => (ok + cell.count, bad),
    });
    if ok + bad == 0 {
        return Err(match answers(facts, t0.not_before).next() {
            Some(_) => Finding::inconclusive("no golden prompt was answered by a fallback"),
            None => nobody(facts, after, t0),
        });
    }
    let finding = ratio(bad, ok + bad, limit, "golden answer", Rigour::Reaction);
    Ok(finding.on("wire", format!("golden prompts answered by a fallback: {ok} right, {bad} wrong")))
}

fn disengages(facts: &Facts<'_>, after: Option<&FaultId>, limit: Span) -> Result<Finding, Finding> {
    let (t0, end) = (facts.effect(after)?, facts.fault_end(after)?);
    let until = facts.undisturbed_until(end.by, after);
    let seconds = Seconds::of(facts.cells_in(None), (t0.not_before, until), is_given);
    let Some(last) = seconds.stepped_back(before(facts, t0)) else {
        return Err(Finding::inconclusive(
            "no answers had come from a fallback, or too few to tell, so it had nothing to step back from",
        ));
    };
    let finding = within(end, Some(last), facts.end, limit, "the last answer from a fallback ended");
    let watched = until.since(end.by).as_secs_f64();
    let after_end = answers(facts, end.by).filter(|cell| cell.first_end > end.by && cell.first_end <= until);
    let after_end: u64 = after_end.map(|cell| cell.count).sum();
    let others = facts.cells_in(None).filter(|cell| {
        cell.key.served.is_own()
            && cell.key.outcome == Outcome::Ok
            && cell.first_end > last.by
            && cell.key.due() < until
    });
    let others: u64 = others.map(|cell| cell.count).sum();
    let finding = match finding.verdict {
        Verdict::Pass if watched < limit.as_secs_f64() => {
            Finding::inconclusive(format!("only {watched:.1} s after the fault's end were undisturbed"))
        }
        // It may have stopped because nobody asked, or nobody answered.
        Verdict::Pass if others < ENOUGH => Finding::inconclusive(format!(
            "after its last one, only {} came from others",
            counted(others, "answer")
        )),
        _ => finding,
    };
    Ok(finding.on("wire", format!("{} from a fallback after the fault's end", counted(after_end, "answer"))))
}
