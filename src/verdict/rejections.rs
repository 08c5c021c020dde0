//! Whether an open breaker fails fast: how long what it rejects has to wait for
//! that.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use super::{
    breaker::guarding,
    facts::Facts,
    finding::{Finding, Rigour, counted, latency},
    sent, states,
};
use crate::{
    journal::{
        Distribution,
        event::{BreakerState, Signal},
        interval::Outcome,
    },
    units::{FaultId, LatencyThreshold, RunTime, Seen},
};

/// Judges the time to a rejection.
pub(super) fn judge(
    facts: &Facts<'_>,
    after: Option<&FaultId>,
    limit: &LatencyThreshold,
) -> Result<Finding, Finding> {
    let (rejections, how) = rejections(facts, after)?;
    let shown = latency(&rejections, 0, limit, "rejection", Rigour::Reaction);
    Ok(shown.on("wire", format!("{} {how}", counted(rejections.len(), "rejection"))))
}

/// Latencies of rejections by an open breaker, after the fault if one is named,
/// and how it is known that they are such: they say so themselves, or they
/// were due in whole seconds in which nothing could be let through.
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
    if !open.is_empty() && open.iter().all(|(_, seconds)| seconds.is_empty()) {
        let why = "a breaker was open, but never for the whole of a second on the run's clock, and what is \
                   rejected says of itself nothing: let it stay open for two seconds or longer";
        return Err(Finding::inconclusive(why));
    }
    let failed = facts.cells_in(None).filter(|cell| {
        let may_be = matches!(cell.key.outcome, Outcome::Shed | Outcome::Http5xx | Outcome::Timeout);
        may_be && cell.key.served.is_own() && all_open(facts, &open, cell.key.second)
    });
    failed.for_each(|cell| rejections.merge(&cell.service_e2e));
    if rejections.is_empty() {
        return Err(Finding::inconclusive("no request is known to have been rejected by an open breaker"));
    }
    Ok((
        rejections,
        "while nothing was let through, by the breakers' own word: that they rejected them is inferred",
    ))
}

/// Whole seconds in which each breaker that guards the fault's targets was surely
/// open, after `since`: a range for each time that it opened, which may be empty.
fn open_seconds<'a>(
    facts: &Facts<'a>,
    after: Option<&FaultId>,
    since: RunTime,
) -> Vec<(&'a str, Range<u32>)> {
    let mut all = Vec::new();
    for name in guarding(facts, after) {
        let states = &facts.breakers[name];
        for (i, (seen, state)) in states.iter().enumerate() {
            if *state != BreakerState::Open {
                continue;
            }
            let from = seen.by.max(since);
            let to = states.get(i + 1).map_or(facts.end, |(next, _)| next.not_before);
            all.push((name, from.as_secs_f64().ceil() as u32..to.as_secs_f64().floor() as u32));
        }
    }
    all
}

/// Whether nothing that any of these breakers guards could be reached in a second:
/// each was open, the other servers of their backends were out, too, and so were
/// all hosts of their clusters.
fn all_open(facts: &Facts<'_>, open: &[(&str, Range<u32>)], second: u32) -> bool {
    let shut = |name: &str| open.iter().any(|(of, seconds)| *of == name && seconds.contains(&second));
    let each = !open.is_empty() && open.iter().all(|(name, _)| shut(name));
    let during = |at: RunTime| at.second() == second;
    let hosts = facts
        .samples
        .values()
        .flatten()
        .filter(|(seen, _)| during(seen.by))
        .all(|sample| open.iter().all(|(name, _)| sent::all_shut(sample, name)));
    each && hosts && open.iter().all(|(name, _)| others_out(facts, name, second))
}

/// Whether the other servers of a backend (`backend/server`) were out in all of a
/// second.
fn others_out(facts: &Facts<'_>, name: &str, second: u32) -> bool {
    let Some((backend, _)) = name.split_once('/') else { return true };
    let mut servers: BTreeMap<&str, Vec<(Seen, BreakerState)>> = BTreeMap::new();
    for &(seen, signal) in &facts.signals {
        if let Signal::Breaker { name, state, .. } = signal
            && name.split_once('/').is_some_and(|(of, _)| of == backend)
        {
            servers.entry(name).or_default().push((seen, *state));
        }
    }
    let start = RunTime(u64::from(second) * 1_000_000);
    let end = start + Duration::from_secs(1);
    let open = |state: &BreakerState| *state == BreakerState::Open;
    servers.values().all(|states| {
        let changes =
            states.iter().any(|(seen, state)| !open(state) && seen.by > start && seen.not_before < end);
        !changes && states::at(states, start).is_some_and(|state| open(&state))
    })
}
