//! Circuit breakers: open in time, fail fast, let nothing through, close
//! again, and stay closed where nothing is wrong.

use super::{
    facts::Facts,
    finding::{Finding, Rigour, counted, evidence, latency},
    judge::Title,
    leak,
    model::{CheckKind, Verdict},
    states::{self, Met},
    times::{interval, within},
};
use crate::{
    journal::{
        Distribution,
        event::{BreakerState, Evidence},
        interval::Outcome,
    },
    scenario::model::BreakerExpectation,
    units::{FaultId, PhaseName, RunTime, Seen, Span},
};

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &BreakerExpectation) -> (Title, Finding) {
    let after = e.after.as_ref();
    let title = |title: &str, expected: String| Title::of(CheckKind::CircuitBreaker, title, expected);
    if let Some(limit) = e.opens_within {
        (title("breaker opens", format!("within {limit}")), opens(facts, after, limit).unwrap_or_else(|f| f))
    } else if let Some(limit) = &e.fails_fast {
        let finding = rejections(facts, after).map(|(rejections, how)| {
            let shown = latency(&rejections, 0, limit, "rejection", Rigour::Reaction);
            shown.on("wire", format!("{} {how}", counted(rejections.len(), "rejection")))
        });
        (title("open breaker fails fast", limit.to_string()), finding.unwrap_or_else(|f| f))
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
        if states::at(states, t0.not_before).is_some_and(|state| state != BreakerState::Closed) {
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
    if let Some((seen, name)) = first {
        let finding = within(t0, Some(seen), facts.end, limit, &format!("breaker {name} opened"));
        return Ok(finding
            .on("breakers", format!("breaker {name} open at {}", interval(seen)))
            .with(rejected.1));
    }
    if !open_already.is_empty() {
        let why = format!("{} was open already when the fault acted", open_already.join(", "));
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
        // Only the latest instant at which it was open is known.
        let seen = Seen { not_before: t0.not_before, by: rejection };
        return Ok(within(t0, Some(seen), facts.end, limit, "a breaker rejected").with(rejected.1));
    }
    let what = if names.is_empty() { "any breaker showed itself" } else { "a breaker opened" };
    if names.is_empty() && !facts.has_samples() {
        let why = "no source of signals answered, and no request was rejected by an open breaker";
        return Err(Finding::inconclusive(why));
    }
    if let Some(blind) = blind {
        return Err(Finding::inconclusive(format!("{blind} did not answer for a while: it may have opened")));
    }
    let finding = within(t0, None, facts.end, limit, what);
    Ok(finding.on("breakers", format!("{} seen, none opened", counted(names.len() as u64, "breaker"))))
}

/// The first rejection by an open breaker on the wire.
fn first_rejection(facts: &Facts<'_>, t0: Seen) -> (Option<RunTime>, Option<Evidence>) {
    let rejected = facts.cells_in(None).filter(|cell| facts.rejects(cell));
    let first = rejected.filter(|cell| cell.first_end >= t0.not_before).map(|cell| cell.first_end).min();
    (first, first.map(|at| evidence("wire", format!("first rejection by an open breaker at {at}"))))
}

/// Latencies of rejections by an open breaker, after the fault if one is named,
/// and how it is known that they are such: they say so themselves, or they
/// were due in whole seconds in which a breaker was open.
fn rejections(facts: &Facts<'_>, after: Option<&FaultId>) -> Result<(Distribution, &'static str), Finding> {
    let since = match after {
        Some(_) => facts.effect(after)?.not_before,
        None => RunTime::ZERO,
    };
    let mut rejections = Distribution::default();
    let cells = facts.cells_in(None).filter(|cell| facts.rejects(cell) && cell.last_end >= since);
    cells.for_each(|cell| rejections.merge(&cell.service_e2e));
    if !rejections.is_empty() {
        return Ok((rejections, "by an open breaker"));
    }
    let open = open_seconds(facts, after, since);
    if !open.is_empty() && open.iter().all(std::ops::Range::is_empty) {
        let why = "a breaker was open, but never for the whole of a second on the run's clock, and what is \
                   rejected says of itself nothing: let it stay open for two seconds or longer";
        return Err(Finding::inconclusive(why));
    }
    let failed = facts.cells_in(None).filter(|cell| cell.key.outcome != Outcome::Ok);
    let failed = failed.filter(|cell| open.iter().any(|seconds| seconds.contains(&cell.key.second)));
    failed.for_each(|cell| rejections.merge(&cell.service_e2e));
    if rejections.is_empty() {
        return Err(Finding::inconclusive("no request was rejected by an open breaker"));
    }
    Ok((rejections, "while a breaker was open, by its own word: that it rejected them is inferred"))
}

/// Whole seconds in which a breaker that guards the fault's targets was surely
/// open, after `since`: a range for each time that it opened, which may be empty.
fn open_seconds(facts: &Facts<'_>, after: Option<&FaultId>, since: RunTime) -> Vec<std::ops::Range<u32>> {
    let mut all = Vec::new();
    for name in guarding(facts, after) {
        let states = &facts.breakers[name];
        for (i, (seen, state)) in states.iter().enumerate() {
            if *state != BreakerState::Open {
                continue;
            }
            let from = seen.by.max(since);
            let to = states.get(i + 1).map_or(facts.end, |(next, _)| next.not_before);
            all.push(from.as_secs_f64().ceil() as u32..to.as_secs_f64().floor() as u32);
        }
    }
    all
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
