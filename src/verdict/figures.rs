//! The figures that a verdict carries beside its checks.

use indexmap::IndexMap;

use super::{
    facts::Facts,
    model::{GeneratorFigures, PhaseFigures, Quantiles},
    slo::Census,
};
use crate::{
    journal::{Distribution, Interval, event::RunEnd, interval::Outcome},
    units::{PhaseName, RunTime},
};

/// Quantiles that are reported.
const QUANTILES: [(&str, f64); 4] = [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99)];

/// Requests of the judged phases by class; only classes that occur.
pub(super) fn outcomes(facts: &Facts<'_>) -> IndexMap<Outcome, u64> {
    let mut counts: IndexMap<Outcome, u64> = IndexMap::new();
    for cell in facts.cells_in(None) {
        *counts.entry(cell.key.outcome).or_default() += cell.count;
    }
    Outcome::ALL.into_iter().filter_map(|o| counts.get(&o).map(|&n| (o, n))).collect()
}

/// Figures of each phase that was reached, and of all under `all`.
pub(super) fn phases(facts: &Facts<'_>) -> IndexMap<String, PhaseFigures> {
    let phases = facts.plan.phases.iter().filter_map(|phase| {
        let span = facts.phase(&phase.name)?;
        Some((phase.name.to_string(), phase_figures(facts, Some(&phase.name), span)))
    });
    let all = ("all".to_owned(), phase_figures(facts, None, facts.judged()));
    phases.chain([all]).collect()
}

fn phase_figures(
    facts: &Facts<'_>,
    phase: Option<&PhaseName>,
    (start, end): (RunTime, RunTime),
) -> PhaseFigures {
    let aborted = matches!(facts.run_end, Some(RunEnd::Aborted));
    let census = Census::of(facts.cells_in(phase), aborted);
    let share = |part: u64| (census.attempted > 0).then(|| part as f64 / census.attempted as f64);
    let failed = census.failed();
    let measures = [
        ("ttft", &census.ttft, failed),
        ("service_ttft", &census.service_ttft, failed),
        ("itl", &census.itl, 0),
        ("tpot", &census.tpot, 0),
        ("e2e", &census.e2e, failed),
        ("service_e2e", &census.service_e2e, failed),
    ];
    let seconds = end.since(start).as_secs_f64();
    PhaseFigures {
        requests: census.attempted + census.cancelled,
        availability: share(census.ok),
        goodput: share(census.good),
        accuracy: census.accuracy(),
        golden_answers: census.golden(),
        quantiles: measures
            .into_iter()
            .map(|(name, latencies, failures)| (name.to_owned(), quantiles(latencies, failures)))
            .collect(),
        tokens_per_second: if seconds > 0.0 { census.tokens as f64 / seconds } else { 0.0 },
    }
}

fn quantiles(latencies: &Distribution, failures: u64) -> Quantiles {
    let millis = |micros: u64| micros as f64 / 1e3;
    let at = |q, failures| latencies.quantile(q, failures).map(millis);
    Quantiles {
        n: latencies.len(),
        successes: QUANTILES.into_iter().filter_map(|(name, q)| Some((name.to_owned(), at(q, 0)?))).collect(),
        attempts: QUANTILES.into_iter().map(|(name, q)| (name.to_owned(), at(q, failures))).collect(),
        max: latencies.max().map(millis),
    }
}

/// The intervals of the judged phases. An interval is written when it is over:
/// the one that ends with the warm-up is the warm-up's.
pub(super) fn judged_intervals<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a Interval> + use<'a> {
    let (start, _) = facts.judged();
    let counts = move |interval: &&Interval| interval.at.0 > start.0.saturating_add(500_000) || start.0 == 0;
    facts.record.intervals.iter().filter(counts)
}

/// How the generator did in the judged phases.
pub(super) fn generator(facts: &Facts<'_>) -> GeneratorFigures {
    let mut figures = GeneratorFigures { dropped: facts.dropped, ..GeneratorFigures::default() };
    let mut lag = Distribution::default();
    for interval in judged_intervals(facts) {
        figures.due = figures.due.saturating_add(interval.generator.due);
        figures.sent = figures.sent.saturating_add(interval.generator.sent);
        figures.starved = figures.starved.saturating_add(interval.generator.starved);
        lag.merge(&interval.generator.lag);
    }
    for (name, q) in [("p50", 0.5), ("p99", 0.99)] {
        if let Some(micros) = lag.quantile(q, 0) {
            figures.lag_ms.insert(name.to_owned(), micros as f64 / 1e3);
        }
    }
    if let Some(micros) = lag.max() {
        figures.lag_ms.insert("max".to_owned(), micros as f64 / 1e3);
    }
    figures
}
