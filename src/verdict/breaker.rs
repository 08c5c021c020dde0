//! Circuit breakers: open in time, fail fast, let nothing through, close
//! again, and stay closed where nothing is wrong.

use std::time::Duration;

use super::{
    facts::Facts,
    finding::{Finding, counted, evidence},
    judge::Title,
    leak,
    model::{CheckKind, Verdict},
    rejections,
    states::{self, Met},
    times::{interval, within},
};
use crate::{
    journal::event::{BreakerState, Evidence},
    scenario::model::BreakerExpectation,
    units::{FaultId, PhaseName, RunTime, Seen, Span},
};

/// How long before the fault a breaker that opens without it is noticed.
const BEFORE: Duration = Duration::from_secs(5);

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &BreakerExpectation) -> (Title, Finding) {
    let after = e.after.as_ref();
    let title = |title: &str, expected: String| Title::of(CheckKind::CircuitBreaker, title, expected);
    if let Some(limit) = e.opens_within {
        (title("breaker opens", format!("within {limit}")), opens(facts, after, limit).unwrap_or_else(|f| f))
    } else if let Some(limit) = &e.fails_fast {
        let finding = rejections::judge(facts, after, limit).unwrap_or_else(|f| f);
        (title("open breaker fails fast", limit.to_string()), finding)
    } else if let Some(limit) = &e.leaks {
        let finding = leak::judge(facts, after, limit).unwrap_or_else(|f| f);
        (title("open breaker lets nothing through", format!("{limit} of the usual traffic")), finding)
    } else if let Some(limit) = e.closes_within {
        (
            title("breaker closes", format!("within {limit}")),
            closes(facts, after, limit).unwrap_or_else(|f| f),
        )
    } else if let Some(phase) = &e.quiet_in {
        let title = title("breaker stays closed", format!("never open in {phase}"));
        (Title { phase: Some(phase.clone()), ..title }, quiet(facts, phase))
    } else {
        (title("circuit breaker", String::new()), Finding::inconclusive("it demands nothing"))
    }
}

/// Breakers that guard the fault's targets; all, if none is named so.
pub(super) fn guarding<'a>(facts: &Facts<'a>, after: Option<&FaultId>) -> Vec<&'a str> {
    let targets = after.and_then(|id| facts.faults.get(id)).map_or(&[][..], |history| history.targets);
    let all = facts.breakers.keys().copied();
    let named: Vec<&str> =
        all.clone().filter(|name| targets.iter().any(|pod| pod.as_str() == *name)).collect();
    if named.is_empty() { all.collect() } else { named }
}

pub(super) fn opens(facts: &Facts<'_>, after: Option<&FaultId>, limit: Span) -> Result<Finding, Finding> {
    let t0 = facts.effect(after)?;
    let names = guarding(facts, after);
    let mut first: Option<(Seen, &str)> = None;
    let mut open_already = Vec::new();
    for name in &names {
        let states = &facts.breakers[name];
        if was_open(states, t0) {
            open_already.push(*name);
        }
        let opened =
            states.iter().find(|(seen, state)| *state == BreakerState::Open && seen.by > t0.not_before);
        if let Some((seen, _)) = opened
            && first.is_none_or(|(best, _)| seen.by < best.by)
        {
            first = Some((*seen, name));
        }
    }
    let rejected = first_rejection(facts, t0);
    if let Some((seen, name)) = first.filter(|(_, name)| !open_already.contains(name)) {
        let finding = facts.reacts(after, t0, Some(seen), limit, &format!("breaker {name} opened"));
        return Ok(finding
            .on("breakers", format!("breaker {name} open at {}", interval(seen)))
            .with(rejected.1));
    }
    if !open_already.is_empty() {
        let why =
            format!("{} was open already when the fault acted, or just before", open_already.join(", "));
        return Err(Finding::inconclusive(why));
    }
    let in_time = (t0.not_before, t0.by + limit.0);
    let blind = facts.blind_to_breakers(in_time);
    if let Some(rejection) = rejected.0 {
        if !names.is_empty() && blind.is_none() {
            let why = format!(
                "a request was rejected by an open breaker at {rejection}, yet {} says that it stayed closed",
                names.join(", ")
            );
            return Err(Finding::inconclusive(why).with(rejected.1));
        }
        let earlier = rejected_before(facts, t0);
        if earlier > 0 {
            let why = format!(
                "{} rejected by an open breaker already in the {} before the fault acted",
                counted(earlier, "request was"),
                Span(BEFORE)
            );
            return Err(Finding::inconclusive(why).with(rejected.1));
        }
        // Only the latest instant at which it was open is known.
        let seen = Seen { not_before: t0.not_before, by: rejection };
        return Ok(facts.reacts(after, t0, Some(seen), limit, "a breaker rejected").with(rejected.1));
    }
    let what = if names.is_empty() { "any breaker showed itself" } else { "a breaker opened" };
    if names.is_empty() && !facts.has_samples() {
        let why = "no source of signals answered, and no request was rejected by an open breaker";
        return Err(Finding::inconclusive(why));
    }
    if let Some(blind) = blind {
        return Err(Finding::inconclusive(format!("{blind} did not answer for a while: it may have opened")));
    }
    let finding = facts.reacts(after, t0, None, limit, what);
    Ok(finding.on("breakers", format!("{} seen, none opened", counted(names.len() as u64, "breaker"))))
}

/// Whether a breaker was open when the fault acted, or had just been: what opens
/// without a cause says nothing by opening.
fn was_open(states: &[(Seen, BreakerState)], t0: Seen) -> bool {
    let since = t0.not_before - BEFORE;
    let just = states
        .iter()
        .any(|(seen, state)| *state == BreakerState::Open && seen.by > since && seen.by <= t0.not_before);
    just || states::at(states, t0.not_before).is_some_and(|state| state != BreakerState::Closed)
}

/// Requests that an open breaker rejected just before the fault acted.
fn rejected_before(facts: &Facts<'_>, t0: Seen) -> u64 {
    let since = t0.not_before - BEFORE;
    let before = facts.cells_in(None).filter(|cell| facts.rejects(cell));
    before
        .filter(|cell| cell.first_end < t0.not_before && cell.last_end >= since)
        .map(|cell| cell.count)
        .sum()
}

/// The first rejection by an open breaker on the wire.
fn first_rejection(facts: &Facts<'_>, t0: Seen) -> (Option<RunTime>, Option<Evidence>) {
    let rejected = facts.cells_in(None).filter(|cell| facts.rejects(cell));
    let first = rejected.filter(|cell| cell.first_end >= t0.not_before).map(|cell| cell.first_end).min();
    (first, first.map(|at| evidence("wire", format!("first rejection by an open breaker at {at}"))))
}

fn closes(facts: &Facts<'_>, after: Option<&FaultId>, limit: Span) -> Result<Finding, Finding> {
    let (t0, end) = (facts.effect(after)?, facts.fault_end(after)?);
    let quiet_until = facts.undisturbed_until(end.by, after);
    let opened = guarding(facts, after).into_iter().filter(|name| {
        let states = &facts.breakers[name];
        states.iter().any(|(seen, state)| *state == BreakerState::Open && seen.by > t0.not_before)
            || states::at(states, t0.not_before).is_some_and(|state| state != BreakerState::Closed)
    });
    let opened: Vec<&str> = opened.collect();
    if opened.is_empty() {
        return Err(Finding::inconclusive("no breaker had opened, so none had to close"));
    }
    let mut findings = Vec::new();
    let mut last: Option<RunTime> = None;
    for name in &opened {
        let closed = states::settled(&facts.breakers[name], t0.not_before, quiet_until, |state| {
            *state == BreakerState::Closed
        });
        let closed = closed.filter(|seen| seen.by <= quiet_until);
        if closed.is_none() && facts.gone(name).is_some() {
            continue;
        }
        last = last.max(closed.map(|seen| seen.by));
        findings.push(within(end, closed, quiet_until, limit, &format!("breaker {name} closed for good")));
    }
    let unsaid = last.and_then(|closed| reopened(facts, closed, quiet_until));
    let checked = counted(findings.len() as u64, "breaker");
    let worst = super::times::worst(findings);
    worst
        .map(|finding| match (finding.verdict, unsaid) {
            (Verdict::Pass, Some(why)) => Finding::inconclusive(format!("{}, but {why}", finding.why)),
            _ => finding,
        })
        .map(|finding| {
            finding.on("breakers", format!("{checked} that had opened, and whose pod is still there"))
        })
        .ok_or_else(|| Finding::inconclusive(format!("the pods of {} are gone", opened.join(", "))))
}

/// Why it is not known that all breakers stayed closed from here on, if it isn't.
fn reopened(facts: &Facts<'_>, closed: RunTime, until: RunTime) -> Option<String> {
    // What was due before may have met the open breaker.
    let due = |cell: &&crate::journal::Cell| cell.key.due() >= closed && cell.key.due() < until;
    let rejected = facts.cells_in(None).filter(|cell| facts.rejects(cell)).filter(due);
    let rejected: u64 = rejected.map(|cell| cell.count).sum();
    if rejected > 0 {
        let requests = counted(rejected, "request");
        return Some(format!("{requests} due after that were rejected by an open breaker"));
    }
    let blind = facts.blind_to_breakers((closed, until))?;
    Some(format!("{blind} did not answer for a while after that: it may have opened again"))
}

fn quiet(facts: &Facts<'_>, phase: &PhaseName) -> Finding {
    let Some((start, end)) = facts.phase(phase) else {
        return Finding::inconclusive("the phase was not reached");
    };
    let rejected = facts.cells_in(Some(phase)).filter(|cell| facts.rejects(cell));
    let rejected: u64 = rejected.map(|cell| cell.count).sum();
    if rejected > 0 {
        let said = format!("{} rejected by an open breaker", counted(rejected, "request"));
        return Finding::fail(said.clone()).observed(rejected as f64, "count").on("wire", said);
    }
    if facts.breakers.is_empty() {
        return Finding::inconclusive("no breaker showed itself");
    }
    let seen_by_then = |states: &&Vec<(Seen, BreakerState)>| states.iter().any(|(seen, _)| seen.by <= end);
    let watched = facts.breakers.values().filter(seen_by_then).count() as u64;
    let mut maybe = None;
    for (name, states) in &facts.breakers {
        let said = |seen| format!("breaker {name} was open from {}", interval(seen));
        match states::met(states, (start, end), facts.end, |state| *state == BreakerState::Open) {
            Some(Met::Surely(seen)) => {
                let said = said(seen);
                return Finding::fail(said.clone()).observed(1.0, "count").on("breakers", said);
            }
            Some(Met::Perhaps(seen)) => maybe = Some(said(seen)),
            None => {}
        }
    }
    match (maybe, facts.blind_to_breakers((start, end))) {
        (Some(said), _) => Finding::inconclusive(format!("{said}: perhaps in this phase, perhaps not")),
        (None, _) if watched == 0 => Finding::inconclusive("no breaker showed itself in this phase"),
        (None, Some(blind)) => Finding::inconclusive(format!(
            "{blind} did not answer in all of {phase}: a breaker may have opened"
        )),
        (None, None) => Finding::pass(format!("{} stayed closed", counted(watched, "breaker")))
            .observed(0.0, "count")
            .on("breakers", format!("no breaker open between {start} and {end}")),
    }
}
