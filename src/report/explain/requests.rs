//! Requests that a check stands on: how they ended, who answered, and where they
//! are in the journal.

use indexmap::IndexMap;

use crate::{
    journal::{Cell, interval::CacheUse},
    report::{Input, text},
    units::{PhaseName, RunTime},
    verdict::model::CheckKind,
};

/// Ways to end that are shown.
const MOST: usize = 16;

/// Whether a mechanism is judged by what users get.
pub(super) fn are_judged(kind: CheckKind) -> bool {
    match kind {
        CheckKind::CircuitBreaker
        | CheckKind::Cache
        | CheckKind::Rollback
        | CheckKind::Fallback
        | CheckKind::Shedding
        | CheckKind::Retries
        | CheckKind::Pods
        | CheckKind::Recovery
        | CheckKind::Probes
        | CheckKind::Autoscaling
        | CheckKind::Failover
        | CheckKind::Drift => true,
        CheckKind::Slo
        | CheckKind::Fault
        | CheckKind::Generator
        | CheckKind::Alert
        | CheckKind::Metric
        | CheckKind::Capacity => false,
    }
}

/// Those that were due in a time.
pub(super) fn between(input: &Input<'_>, from: RunTime, to: RunTime) -> Vec<String> {
    let due = |cell: &Cell| cell.key.phase.is_some() && cell.key.due() >= from && cell.key.due() <= to;
    let mut by: IndexMap<String, u64> = IndexMap::new();
    for cell in input.record.cells().filter(|cell| due(cell)) {
        *by.entry(how(cell)).or_default() += cell.count;
    }
    by.sort_by(|_, a, _, b| b.cmp(a));
    let more = by.len().saturating_sub(MOST);
    let mut out: Vec<String> =
        by.iter().take(MOST).map(|(how, count)| format!("  {how}: {}", text::count(*count))).collect();
    if more > 0 {
        out.push(format!("  … and {more} ways more"));
    }
    out.extend(where_it_is(input, due));
    out
}

/// How a request ended, and what the answer said of who gave it.
fn how(cell: &Cell) -> String {
    let served = &cell.key.served;
    let cache = match served.cache {
        CacheUse::Hit => Some("a cache's hit".to_owned()),
        CacheUse::Collapsed => Some("shared with another request".to_owned()),
        CacheUse::Miss => Some("a miss".to_owned()),
        CacheUse::Bypass => Some("past the cache".to_owned()),
        CacheUse::Unknown => None,
    };
    let marks = [
        cache,
        served.fallback.then(|| "by a fallback".to_owned()),
        served.breaker_open.then(|| "rejected by a breaker".to_owned()),
        served.version.as_ref().map(|version| format!("of {version}")),
        served.pod.as_ref().map(|pod| format!("from {pod}")),
    ];
    let marks = marks.into_iter().flatten().map(|mark| format!(", {mark}"));
    std::iter::once(cell.key.outcome.as_str().to_owned()).chain(marks).collect()
}

/// The lines of the journal that have such cells.
fn where_it_is(input: &Input<'_>, wanted: impl Fn(&Cell) -> bool) -> Option<String> {
    let lines = input.record.intervals.iter().enumerate();
    let found: Vec<usize> =
        lines.filter(|(_, line)| line.cells.iter().any(&wanted)).map(|(index, _)| index + 1).collect();
    let (first, last) = (found.first()?, found.last()?);
    Some(format!("  intervals.jsonl:{first}–{last}, {} lines", found.len()))
}

/// A phase's requests by how they ended, and where they are in the journal.
pub(super) fn of_phase(input: &Input<'_>, phase: &PhaseName) -> Vec<String> {
    let mut out = Vec::new();
    let mut by: IndexMap<&str, u64> = IndexMap::new();
    let cells = input.record.cells().filter(|cell| cell.key.phase.as_ref() == Some(phase));
    for cell in cells {
        *by.entry(cell.key.outcome.as_str()).or_default() += cell.count;
    }
    for (outcome, count) in by {
        out.push(format!("  {outcome}: {}", text::count(count)));
    }
    if let Some(figures) = input.verdict.latency.get(phase.as_str()) {
        for (measure, quantiles) in &figures.quantiles {
            let all = quantiles.successes.iter().map(|(name, ms)| format!("{name} {}", text::ms(*ms)));
            let all: Vec<String> = all.collect();
            if !all.is_empty() {
                out.push(format!("  {measure} of {}: {}", text::count(quantiles.n), all.join(", ")));
            }
        }
    }
    out.extend(where_it_is(input, |cell| cell.key.phase.as_ref() == Some(phase)));
    out
}
