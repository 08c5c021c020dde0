//! How many requests a half-open breaker lets through. A counter is looked at
//! once a second: where several half-open periods lie between two of its
//! samples, only what they had together is known.

use super::{
    breaker::guarding,
    counters,
    facts::{Facts, Sample},
    finding::{Finding, counted, evidence},
    model::Verdict,
    probes::of_pod,
    times::rank,
};
use crate::{
    journal::event::BreakerState,
    units::{FaultId, FigureThreshold, RunTime, Seen},
};

/// The counter of requests that were let through while half-open, and of
/// nothing else. Counters of all calls can't tell them from those that follow
/// as soon as the breaker has closed.
const COUNTER: &str = "gateway_circuit_breaker_probes_total";

/// A time in which a breaker was half-open. `to`: none, if the record ends
/// before.
#[derive(Debug, Clone, Copy)]
struct Period {
    from: Seen,
    to: Option<Seen>,
}

/// Periods that lie between two samples, and what was let through in all of
/// them together.
#[derive(Debug, Clone, Copy)]
struct Group {
    periods: u64,
    probes: u64,
}

impl Group {
    /// The most that one of them had: at least their mean.
    fn least(self) -> u64 {
        self.probes.div_ceil(self.periods.max(1))
    }

    fn verdict(self, limit: FigureThreshold) -> Verdict {
        match (limit.holds(self.least() as f64), limit.holds(self.probes as f64)) {
            (false, _) => Verdict::Fail,
            (true, true) => Verdict::Pass,
            (true, false) => Verdict::Inconclusive,
        }
    }
}

/// Judges the most that one half-open period let through.
pub(super) fn judge(
    facts: &Facts<'_>,
    after: Option<&FaultId>,
    limit: FigureThreshold,
) -> Result<Finding, Finding> {
    let since = match after {
        Some(_) => facts.effect(after)?.not_before,
        None => RunTime::ZERO,
    };
    let (mut groups, mut shown) = (Vec::new(), Vec::new());
    let (mut periods_seen, mut uncounted) = (0, 0);
    for name in guarding(facts, after) {
        let periods = periods(facts, name, since);
        periods_seen += periods.len();
        let on_wire = periods.iter().filter_map(|period| by_wire(facts, name, *period)).max();
        if let Some(answers) = on_wire.filter(|answers| !limit.holds(*answers as f64)) {
            let said = format!("{name} gave {} in one half-open period", counted(answers, "answer"));
            shown.push(evidence("wire", said));
            groups.push((Group { periods: 1, probes: answers }, name, "the wire".to_owned()));
        }
        let over: Vec<Period> = periods.into_iter().filter(|period| period.to.is_some()).collect();
        let Some((source, of_it)) = by_counter(facts, name, &over) else {
            uncounted += over.len();
            continue;
        };
        uncounted += over.len() - of_it.iter().map(|group| group.periods as usize).sum::<usize>();
        let each = of_it.iter().map(|group| match group.periods {
            1 => group.probes.to_string(),
            n => format!("{} in {n} together", group.probes),
        });
        let each = each.collect::<Vec<_>>().join(", ");
        shown.push(evidence(
            format!("{source} /metrics"),
            format!("{name}: let through in its half-open periods: {each}"),
        ));
        groups.extend(of_it.into_iter().map(|group| (group, name, source.to_owned())));
    }
    if periods_seen == 0 {
        return Err(Finding::inconclusive("no breaker was seen half-open, so none had to probe"));
    }
    let worst = groups.iter().max_by_key(|(group, ..)| (rank(group.verdict(limit)), group.least()));
    let Some((group, name, source)) = worst else {
        let why =
            format!("nobody counted what {} let through", counted(periods_seen as u64, "half-open period"));
        return Err(Finding::inconclusive(why));
    };
    let said = format!("{name} let {}, by {source}", told(*group));
    let finding = match group.verdict(limit) {
        Verdict::Fail | Verdict::Aborted => Finding::fail(format!("{said}, not {limit} in each")),
        Verdict::Inconclusive => Finding::inconclusive(format!("{said}: how many in each is not known")),
        Verdict::Pass if groups.iter().all(|(group, ..)| group.probes == 0) => {
            Finding::inconclusive("half-open breakers let nothing through: nobody asked, or nobody counted")
        }
        Verdict::Pass if uncounted > 0 => {
            let missing = counted(uncounted as u64, "half-open period");
            Finding::inconclusive(format!("at most {said}, but nobody counted what {missing} let through"))
        }
        Verdict::Pass => Finding::pass(format!("at most {said}")),
    };
    let finding = finding.observed(group.least() as f64, "count");
    Ok(finding.error(group.least() as f64, Some(group.probes as f64)).with(shown))
}

fn told(group: Group) -> String {
    let requests = counted(group.probes, "request");
    match group.periods {
        1 => format!("{requests} through in a half-open period"),
        n => format!("{requests} through in {n} half-open periods together"),
    }
}

/// The half-open periods of a breaker that began after `since`.
fn periods(facts: &Facts<'_>, name: &str, since: RunTime) -> Vec<Period> {
    let states = &facts.breakers[name];
    let half_open = states
        .iter()
        .enumerate()
        // The first that is known of it is no change: nobody saw when that began.
        .filter(|(i, (seen, state))| *i > 0 && *state == BreakerState::HalfOpen && seen.by > since);
    half_open.map(|(i, (from, _))| Period { from: *from, to: states.get(i + 1).map(|(to, _)| *to) }).collect()
}

/// What was counted between the last sample that surely came before a period
/// and the first that surely came after it, by the first source that counts
/// this breaker's probes.
fn by_counter<'f>(facts: &'f Facts<'_>, name: &str, periods: &[Period]) -> Option<(&'f str, Vec<Group>)> {
    let mine = |series: &str| {
        counters::name(series) == COUNTER && counters::label(series, "name").as_deref() == Some(name)
    };
    let (source, samples) = facts
        .samples
        .iter()
        .find(|(_, samples)| samples.iter().any(|(_, values)| values.keys().any(|s| mine(s))))?;
    // Each with the samples around it; those that share some are one group.
    let mut around: Vec<(usize, usize, u64)> = Vec::new();
    for period in periods {
        let Some((first, last)) = samples_around(samples, *period) else { continue };
        match around.last_mut() {
            Some((_, end, n)) if first < *end => (*end, *n) = (last.max(*end), *n + 1),
            _ => around.push((first, last, 1)),
        }
    }
    let groups = around.into_iter().filter_map(|(first, last, periods)| {
        let ((from, _), (to, values)) = (samples.get(first)?, samples.get(last)?);
        // A counter that is gone by then says nothing of what came before.
        if !values.keys().any(|series| mine(series)) {
            return None;
        }
        let probes = counters::inside(samples, from.by, to.by, mine)?.by.round() as u64;
        Some(Group { periods, probes })
    });
    Some((source, groups.collect()))
}

fn samples_around(samples: &[Sample<'_>], period: Period) -> Option<(usize, usize)> {
    let to = period.to?;
    let first = samples.partition_point(|(seen, _)| seen.by <= period.from.not_before).checked_sub(1)?;
    let last = samples.iter().position(|(seen, _)| seen.not_before >= to.by)?;
    (first < last).then_some((first, last))
}

/// Answers that name the pod and were due and ended while it was half-open: it
/// had at least so many requests. That there are none proves nothing.
fn by_wire(facts: &Facts<'_>, pod: &str, period: Period) -> Option<u64> {
    let end = period.to.map_or(facts.end, |to| to.not_before);
    let cells = of_pod(facts, pod).filter(|cell| cell.key.due() >= period.from.by && cell.last_end <= end);
    Some(cells.map(|cell| cell.count).sum()).filter(|answers| *answers > 0)
}
