//! Whether the load generator can be believed.

use std::time::Duration;

use super::{
    facts::Facts,
    figures,
    finding::{Finding, counted, percent},
    model::Verdict,
};
use crate::{
    journal::{Distribution, Interval, event::RunEnd},
    plan::{
        self,
        model::{PlannedLoad, Subject},
    },
    scenario::model::{Expectation, Objective},
    units::RunTime,
};

/// Share of arrivals that may have waited for a free user.
pub(super) const STARVED: f64 = 0.001;
/// p99 of scheduled → sent that is still no lag, in ms.
pub(super) const LAG_MS: f64 = 50.0;

/// Time between two intervals in which one is missing.
const HOLE: Duration = Duration::from_millis(1900);
/// The same after the last one: it may be written a moment before the load's end.
const TAIL: Duration = Duration::from_millis(500);

/// Judges the generator: pass, or inconclusive with what was wrong.
pub(super) fn judge(facts: &Facts<'_>) -> Finding {
    let figures = figures::generator(facts);
    let lag = figures.lag_ms.get("p99").copied();
    let finding = match trouble(facts) {
        Some(trouble) => Finding::inconclusive(trouble),
        None => Finding::pass(format!(
            "{} sent on time: p99 of the lag {:.1} ms",
            counted(figures.sent, "request"),
            lag.unwrap_or_default()
        )),
    };
    let finding = match lag {
        Some(lag) => finding.observed(lag, "ms"),
        None => finding,
    };
    finding
        .on(
            "generator",
            format!(
                "{} due, {} sent, {} waited for a free user, {} records dropped",
                figures.due, figures.sent, figures.starved, figures.dropped
            ),
        )
        .on("wire", format!("{} with an outcome", counted(outcomes(facts), "request")))
}

/// A failure by a time, or of an objective, is the service's only if the load
/// was what the scenario says. Where the generator was late, it is not known
/// whose it is. What is wrong whenever it comes (a wrong answer, a mechanism
/// that never showed) stays a failure.
pub(super) fn doubt(facts: &Facts<'_>, subject: &Subject, finding: Finding) -> Finding {
    let timed = match subject {
        Subject::Slo { slo, .. } => !matches!(slo.objective, Objective::Accuracy(_)),
        Subject::Expectation(Expectation::Metric(_)) => true,
        Subject::Expectation(_) | Subject::Fault(_) => matches!(finding.unit, "ms" | "s"),
        Subject::Capacity { .. } | Subject::Generator => false,
    };
    if finding.verdict != Verdict::Fail || !timed {
        return finding;
    }
    match late(facts).as_slice() {
        [] => finding,
        late => Finding {
            verdict: Verdict::Inconclusive,
            why: format!("{}, but it may not be the service's: {}", finding.why, late.join("; ")),
            ..finding
        },
    }
}

/// How late the generator was, if it was.
pub(super) fn late(facts: &Facts<'_>) -> Vec<String> {
    // Of a search each step is looked at by itself.
    if facts.plan.search().is_some() {
        return Vec::new();
    }
    let figures = figures::generator(facts);
    let lag = figures.lag_ms.get("p99").copied().unwrap_or_default();
    let mut late = Vec::new();
    if figures.starved as f64 > STARVED * figures.due as f64 {
        let share = percent(figures.starved as f64 / figures.due.max(1) as f64);
        late.push(format!("{share} of the arrivals waited for a free user{}", more_users(facts)));
    }
    if lag > LAG_MS {
        late.push(format!("the generator lagged: p99 {lag:.0} ms behind schedule{}", less_rate(facts)));
    }
    late
}

/// The first stretch of the load of which there is no interval: one is written
/// each second.
fn hole(facts: &Facts<'_>) -> Option<(RunTime, RunTime)> {
    let (start, end) = facts.judged();
    let ends = || facts.record.intervals.iter().map(|interval| interval.at);
    let inside: Vec<RunTime> = std::iter::once(start).chain(ends().filter(|at| *at > start)).collect();
    let between = inside.windows(2).map(|pair| (pair[0], pair[1])).find(|(from, to)| to.since(*from) >= HOLE);
    // What is due in the last second ends later. A search, or a load of so many
    // requests, may end before its time.
    let whole =
        facts.plan.search().is_none() && facts.plan.phases.last().is_some_and(|phase| phase.end <= end);
    let last = ends().max().filter(|last| whole && end.since(*last) >= TAIL);
    between.or(last.map(|last| (last, end)))
}

/// What is wrong with the generator, if anything is.
fn trouble(facts: &Facts<'_>) -> Option<String> {
    let figures = figures::generator(facts);
    let whole = facts.run_end == Some(&RunEnd::Completed);
    let mut troubles = Vec::new();
    if figures.sent == 0 {
        troubles.push("nothing was sent".to_owned());
    }
    troubles.extend(late(facts));
    if figures.dropped > 0 {
        troubles.push(format!("{} of the journal dropped", counted(figures.dropped, "record")));
    }
    if whole && let Some((from, to)) = hole(facts) {
        troubles.push(format!("the journal has no figures of {from} to {to}"));
    }
    // Both of these are of the whole record, with the warm-up.
    let (due, sent) = facts.record.intervals.iter().fold((0u64, 0u64), |(due, sent), interval| {
        (due.saturating_add(interval.generator.due), sent.saturating_add(interval.generator.sent))
    });
    if whole && due != sent {
        troubles.push(format!("{due} arrivals were due, {sent} requests were sent"));
    }
    if whole && outcomes(facts) != sent {
        troubles.push(format!("{sent} requests were sent, {} have an outcome", outcomes(facts)));
    }
    (!troubles.is_empty()).then(|| troubles.join("; "))
}

/// Which loads ran out of users, and what would help, in words.
fn more_users(facts: &Facts<'_>) -> String {
    let mut starved: indexmap::IndexMap<&str, u64> = indexmap::IndexMap::new();
    for interval in figures::judged_intervals(facts) {
        for (load, count) in &interval.generator.starved_by_load {
            *starved.entry(load).or_default() += count;
        }
    }
    let loads = starved.into_iter().filter_map(|(name, count)| {
        let load = facts.plan.load.iter().find(|load| load.name == name)?;
        Some(advice(facts, load, count))
    });
    loads.map(|advice| format!("; {advice}")).collect()
}

fn advice(facts: &Facts<'_>, load: &PlannedLoad, starved: u64) -> String {
    let mut took = Distribution::default();
    for cell in facts.cells_in(None).filter(|cell| cell.key.workload == load.workload) {
        took.merge(&cell.service_e2e);
    }
    let (name, users) = (&load.name, load.users);
    let short = format!("load `{name}`: {} found its {users} users busy", counted(starved, "arrival"));
    let (Some(mean), Some(p99)) = (took.mean(), took.quantile(0.99, 0)) else { return short };
    let peak = plan::peak_rate(&load.executor).unwrap_or_default();
    // Little's law, with the slow ones for a peak, and some room.
    let busy = peak * p99 as f64 / 1e6;
    if busy < f64::from(users) / 2.0 {
        let late = counted(starved, "arrival");
        return format!(
            "load `{name}`: {late} were late though half of its {users} users were free: a slow machine"
        );
    }
    let enough = two_digits((busy * 1.2).max(f64::from(users) * 1.5));
    let carried = f64::from(users) * 1e6 / mean.max(1.0);
    format!(
        "{short}; its requests took {:.2} s on average, so they carry about {carried:.0}/s of its up to {peak:.0}/s: \
         give it more (`users: {enough}`), or a lower rate",
        mean / 1e6
    )
}

/// Rounded up to two digits.
fn two_digits(value: f64) -> u64 {
    let step = 10f64.powf((value.max(10.0).log10().floor()) - 1.0);
    ((value / step).ceil() * step) as u64
}

/// What the generator can do, in words.
fn less_rate(facts: &Facts<'_>) -> String {
    let on_time = |interval: &&Interval| {
        interval.generator.lag.quantile(0.99, 0).is_some_and(|micros| micros as f64 / 1e3 <= LAG_MS)
    };
    let sent = figures::judged_intervals(facts).filter(on_time).map(|interval| interval.generator.sent).max();
    let names: Vec<String> = facts.plan.load.iter().map(|load| format!("`{}`", load.name)).collect();
    let names = names.join(", ");
    match sent {
        Some(sent) => format!(
            "; on time it sent up to {sent} in a second: keep the rates of {names} below that together, or drive from a faster machine"
        ),
        None => format!("; lower the rates of {names}, or drive from a faster machine"),
    }
}

/// Requests that have an outcome, with the warm-up's.
fn outcomes(facts: &Facts<'_>) -> u64 {
    facts.record.cells().fold(0, |sum, cell| sum.saturating_add(cell.count))
}
