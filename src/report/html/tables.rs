//! The figures behind the first screen.

use serde::Serialize;
use serde_json::Value;

use super::page::Mark;
use crate::{
    journal::{Event, event::Evidence, interval::Outcome},
    report::{Input, text},
    verdict::model::{CheckKind, CheckVerdict, FaultFigures, Verdict},
};

/// Exemplars that are shown.
const EXEMPLARS: usize = 60;

/// A name and its value.
#[derive(Debug, Serialize)]
pub(super) struct Pair {
    name: String,
    value: String,
}

/// Quantiles by measure and phase.
#[derive(Debug, Serialize)]
pub(super) struct LatencyTable {
    rows: Vec<LatencyRow>,
}

#[derive(Debug, Serialize)]
struct LatencyRow {
    measure: &'static str,
    hint: &'static str,
    phase: String,
    /// Whether it is the first of its measure, of so many.
    span: Option<usize>,
    n: String,
    /// Of successes, and with failures as endless.
    quantiles: Vec<(String, String)>,
    max: String,
}

/// Requests by phase and class.
#[derive(Debug, Serialize)]
pub(super) struct OutcomeTable {
    classes: Vec<&'static str>,
    /// Whether golden prompts were answered.
    golden: bool,
    rows: Vec<OutcomeRow>,
}

#[derive(Debug, Serialize)]
struct OutcomeRow {
    phase: String,
    total: String,
    availability: String,
    goodput: String,
    accuracy: String,
    tokens: String,
    counts: Vec<Option<String>>,
}

/// An act of the timeline.
#[derive(Debug, Serialize)]
pub(super) struct FaultRow {
    id: String,
    what: String,
    targets: String,
    state: String,
    mark: Mark,
    requested: String,
    injected: String,
    proven: String,
    recovered: String,
    proof: Vec<Evidence>,
    why: Option<String>,
    manifest: String,
}

/// A request that did not end ok.
#[derive(Debug, Serialize)]
pub(super) struct ExemplarRow {
    at: String,
    took: String,
    phase: String,
    workload: String,
    outcome: &'static str,
    status: String,
    pod: String,
    version: String,
    detail: String,
}

const MEASURES: [(&str, &str, &str); 6] = [
    ("ttft", "TTFT", "scheduled → first token"),
    ("service_ttft", "Service TTFT", "sent → first token"),
    ("itl", "ITL", "gap between chunks"),
    ("tpot", "TPOT", "mean time per output token"),
    ("e2e", "E2E", "scheduled → last content"),
    ("service_e2e", "Service E2E", "sent → last content"),
];

/// Latency quantiles by measure and phase.
pub(super) fn latency(input: &Input<'_>) -> LatencyTable {
    let mut rows = Vec::new();
    for (key, measure, hint) in MEASURES {
        let start = rows.len();
        for (phase, figures) in &input.verdict.latency {
            let Some(quantiles) = figures.quantiles.get(key).filter(|q| q.n > 0) else { continue };
            let shown = ["p50", "p90", "p95", "p99"].map(|q| {
                let of_successes = quantiles.successes.get(q).map_or("–".to_owned(), |&v| text::ms(v));
                let of_all = match quantiles.attempts.get(q) {
                    Some(Some(value)) => text::ms(*value),
                    Some(None) => "∞".to_owned(),
                    None => "–".to_owned(),
                };
                (of_successes, of_all)
            });
            rows.push(LatencyRow {
                measure,
                hint,
                phase: phase.clone(),
                span: None,
                n: text::count(quantiles.n),
                quantiles: shown.into(),
                max: quantiles.max.map_or("–".to_owned(), text::ms),
            });
        }
        let span = rows.len() - start;
        if let Some(first) = rows.get_mut(start) {
            first.span = Some(span);
        }
    }
    LatencyTable { rows }
}

/// Outcomes by phase.
pub(super) fn outcomes(input: &Input<'_>) -> OutcomeTable {
    let classes: Vec<Outcome> =
        Outcome::ALL.into_iter().filter(|outcome| input.verdict.outcomes.contains_key(outcome)).collect();
    let count_in = |phase: &str, outcome: Outcome| -> u64 {
        if phase == "all" {
            return input.verdict.outcomes.get(&outcome).copied().unwrap_or(0);
        }
        let cells = input.record.cells().filter(|cell| {
            cell.key.outcome == outcome && cell.key.phase.as_ref().is_some_and(|p| p.as_str() == phase)
        });
        cells.map(|cell| cell.count).sum()
    };
    let share = |ratio: Option<f64>| ratio.map_or("–".to_owned(), text::percent);
    let rows = input.verdict.latency.iter().map(|(phase, figures)| OutcomeRow {
        phase: phase.clone(),
        total: text::count(figures.requests),
        availability: share(figures.availability),
        goodput: share(figures.goodput),
        accuracy: share(figures.accuracy),
        tokens: text::trimmed(figures.tokens_per_second, 1),
        counts: classes
            .iter()
            .map(|&outcome| Some(count_in(phase, outcome)).filter(|&n| n > 0).map(text::count))
            .collect(),
    });
    OutcomeTable {
        classes: classes.iter().map(|outcome| outcome.as_str()).collect(),
        golden: input.verdict.latency.values().any(|figures| figures.accuracy.is_some()),
        rows: rows.collect(),
    }
}

/// The acts of the timeline with their proofs.
pub(super) fn faults(input: &Input<'_>) -> Vec<FaultRow> {
    input.verdict.faults.iter().map(|fault| fault_row(input, fault)).collect()
}

fn fault_row(input: &Input<'_>, fault: &FaultFigures) -> FaultRow {
    let at = |time: Option<f64>| time.map_or("–".to_owned(), text::secs);
    let bar = input.series.faults.iter().find(|bar| bar.id == fault.id);
    let check = fault_check(input, fault);
    let proven = match bar.and_then(|bar| bar.effect) {
        Some((from, to)) if to - from > 0.005 => format!("{} – {}", text::secs(from), text::secs(to)),
        _ => at(fault.proven_at),
    };
    let targets: Vec<&str> = fault.targets.iter().map(|pod| pod.as_str()).collect();
    let mark = check
        .map_or(if fault.proven_at.is_some() { Verdict::Pass } else { Verdict::Inconclusive }, |c| c.verdict);
    FaultRow {
        id: fault.id.to_string(),
        what: fault.what.clone(),
        targets: targets.join(", "),
        state: bar.map_or("", |bar| bar.state.as_str()).replace('-', " "),
        mark: mark.into(),
        requested: at(fault.requested_at),
        injected: at(fault.injected_at),
        proven,
        recovered: at(fault.recovered_at),
        proof: fault.proof.clone(),
        why: check.map(|check| check.why.clone()),
        manifest: serde_json::to_string_pretty(&fault.manifest).unwrap_or_default(),
    }
}

fn fault_check<'a>(input: &Input<'a>, fault: &FaultFigures) -> Option<&'a CheckVerdict> {
    use crate::plan::model::Subject;
    let planned = input
        .plan
        .checks
        .iter()
        .find(|check| matches!(&check.subject, Subject::Fault(id) if *id == fault.id))?;
    input.verdict.checks.iter().find(|check| check.kind == CheckKind::Fault && check.id == planned.id)
}

/// How the generator did.
pub(super) fn generator(input: &Input<'_>) -> Vec<Pair> {
    let figures = &input.verdict.generator;
    let mut pairs = vec![
        ("Arrivals due", text::count(figures.due)),
        ("Requests sent", text::count(figures.sent)),
        ("Waited for a free user", text::count(figures.starved)),
        ("Records dropped", text::count(figures.dropped)),
    ]
    .into_iter()
    .map(|(name, value)| Pair { name: name.to_owned(), value })
    .collect::<Vec<_>>();
    for (name, value) in &figures.lag_ms {
        pairs.push(Pair { name: format!("Lag {name} (scheduled → sent)"), value: text::ms(*value) });
    }
    pairs
}

/// The first failures, and how many more there are.
pub(super) fn exemplars(input: &Input<'_>) -> (Vec<ExemplarRow>, usize) {
    let all = input.record.events.iter().filter_map(|record| match &record.event {
        Event::Exemplar(exemplar) => Some(exemplar),
        _ => None,
    });
    let rows: Vec<ExemplarRow> = all
        .clone()
        .take(EXEMPLARS)
        .map(|e| ExemplarRow {
            at: text::secs(e.scheduled.as_secs_f64()),
            took: text::ms(e.ended.since(e.scheduled).as_secs_f64() * 1e3),
            phase: e.phase.as_ref().map_or("warm-up".to_owned(), ToString::to_string),
            workload: e.workload.to_string(),
            outcome: e.outcome.as_str(),
            status: e.status.map_or("–".to_owned(), |status| status.to_string()),
            pod: e.pod.as_ref().map_or("–".to_owned(), ToString::to_string),
            version: e.version.as_ref().map_or("–".to_owned(), ToString::to_string),
            detail: e.detail.clone(),
        })
        .collect();
    let left = all.count() - rows.len();
    (rows, left)
}

/// What the run ran on.
pub(super) fn environment(environment: &Value) -> Vec<Pair> {
    let Value::Object(fields) = environment else { return Vec::new() };
    let show = |value: &Value| match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => {
            let words =
                items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), ToOwned::to_owned));
            Some(words.collect::<Vec<_>>().join(" "))
        }
        Value::Bool(_) | Value::Number(_) | Value::Object(_) => Some(value.to_string()),
    };
    let pairs = fields
        .iter()
        .filter_map(|(name, value)| Some(Pair { name: name.replace(['_', '-'], " "), value: show(value)? }));
    pairs.collect()
}
