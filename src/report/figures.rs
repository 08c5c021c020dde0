//! The figures that a report leads with.

use super::{Input, text};
use crate::{
    journal::Event,
    plan::model::PlannedAction,
    scenario::model::Target,
    verdict::{
        Felt,
        model::{PhaseFigures, Verdict},
    },
};

/// A figure with its name and what it is to be seen beside.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(super) struct KeyFigure {
    /// What it is.
    pub(super) label: &'static str,
    /// The figure with its unit.
    pub(super) value: String,
    /// What it is to be seen beside; may be empty.
    pub(super) note: String,
    /// Whether it tells of something that is not as it should be.
    pub(super) bad: bool,
}

/// How many of something hold.
pub(super) fn held<'a>(checks: impl Iterator<Item = &'a Verdict>) -> (usize, usize) {
    checks.fold((0, 0), |(held, all), verdict| (held + usize::from(*verdict == Verdict::Pass), all + 1))
}

/// What the load's own retries added, if there were any.
fn sent_again(input: &Input<'_>) -> String {
    let cells = input.record.intervals.iter().flat_map(|interval| &interval.cells);
    let (sent, requests) = cells
        .filter(|cell| cell.key.phase.is_some())
        .fold((0, 0), |(sent, requests), cell| (sent + cell.sendings, requests + cell.count));
    if sent <= requests {
        return String::new();
    }
    let times = sent as f64 / requests.max(1) as f64;
    format!("; sent {} times with retries (×{times:.2})", text::count(sent))
}

/// The figures of the banner, the most telling first.
pub(super) fn key_figures(input: &Input<'_>) -> Vec<KeyFigure> {
    let verdict = input.verdict;
    let all = verdict.latency.get("all").cloned().unwrap_or_default();
    let share = |ratio: Option<f64>| ratio.map_or("–".to_owned(), text::percent);
    let mut figures = vec![KeyFigure {
        label: "Requests",
        value: text::count(all.requests),
        note: match verdict.outcomes.iter().filter(|(o, _)| o.as_str() != "ok").map(|(_, n)| n).sum::<u64>() {
            0 => format!("none failed{}", sent_again(input)),
            n => format!("{} did not end ok{}", text::count(n), sent_again(input)),
        },
        bad: false,
    }];
    if let Some(search) = &verdict.capacity {
        figures.push(KeyFigure {
            label: "Capacity",
            value: search.holds.map_or(text::NOTHING.to_owned(), |rate| text::figure(rate, "/s")),
            note: search
                .breaks
                .map_or(String::new(), |rate| format!("breaks at {}", text::figure(rate, "/s"))),
            bad: search.holds.is_none(),
        });
    }
    figures.push(KeyFigure {
        label: "Availability",
        value: share(all.availability),
        note: by_phase(input, |phase| phase.availability),
        bad: false,
    });
    figures.push(latency(input));
    figures.push(KeyFigure {
        label: "Goodput",
        value: share(all.goodput),
        note: by_phase(input, |phase| phase.goodput),
        bad: false,
    });
    // Only where it was measured.
    if let Some(accuracy) = all.accuracy {
        figures.push(KeyFigure {
            label: "Accuracy",
            value: text::percent(accuracy),
            note: format!("of {} golden answers", text::count(all.golden_answers)),
            bad: false,
        });
    }
    let proven = verdict.faults.iter().filter(|fault| fault.proven_at.is_some()).count();
    figures.push(counted("Faults proven", (proven, verdict.faults.len()), "none planned"));
    let of = |wanted: fn(&crate::verdict::model::CheckVerdict) -> bool| {
        held(verdict.checks.iter().filter(|check| wanted(check)).map(|check| &check.verdict))
    };
    figures.push(counted("Expectations met", of(text::is_expectation), "none stated"));
    figures.push(counted(
        "SLOs met",
        of(|check| check.kind == crate::verdict::model::CheckKind::Slo),
        "none stated",
    ));
    // Without tokens there is nothing to say of them.
    if input.series.felt().0 == Felt::Ttft {
        figures.push(KeyFigure {
            label: "Output tokens",
            value: format!(
                "{} /s",
                text::trimmed(all.tokens_per_second, if all.tokens_per_second < 100.0 { 1 } else { 0 })
            ),
            note: "of complete answers".to_owned(),
            bad: false,
        });
    }
    figures
}

fn counted(label: &'static str, (held, all): (usize, usize), none: &str) -> KeyFigure {
    let note = match all - held {
        _ if all == 0 => none.to_owned(),
        0 => "all of them".to_owned(),
        open => format!("{open} not"),
    };
    KeyFigure { label, value: format!("{held} / {all}"), note, bad: held < all }
}

/// A share in the first phase and where it was lowest.
fn by_phase(input: &Input<'_>, share: fn(&PhaseFigures) -> Option<f64>) -> String {
    let phases: Vec<(&str, f64)> = input
        .plan
        .phases
        .iter()
        .filter_map(|phase| {
            Some((phase.name.as_str(), share(input.verdict.latency.get(phase.name.as_str())?)?))
        })
        .collect();
    match phases.iter().min_by(|a, b| a.1.total_cmp(&b.1)) {
        Some((name, lowest)) if phases.len() > 1 => {
            format!("lowest {} in {}", text::percent(*lowest), text::clipped(&text::printable(name), 18))
        }
        _ => String::new(),
    }
}

/// The first phase in which a fault was due, that is not the first phase.
pub(super) fn fault_phase<'a>(input: &Input<'a>) -> Option<&'a str> {
    let is_fault =
        |action: &PlannedAction| matches!(action, PlannedAction::Fault(_) | PlannedAction::Command(_));
    let timeline = &input.plan.timeline;
    let first = timeline.iter().find(|act| is_fault(&act.action)).or(timeline.first())?;
    let phases = input.plan.phases.iter().skip(1);
    phases.into_iter().find(|phase| phase.start <= first.at && first.at < phase.end).map(|p| p.name.as_str())
}

fn latency(input: &Input<'_>) -> KeyFigure {
    let (label, measure) = match input.series.felt().0 {
        Felt::Ttft => ("TTFT p95", "ttft"),
        Felt::E2e => ("E2E p95", "e2e"),
    };
    let p95 = |phase: &str| -> Option<Option<f64>> {
        let quantiles = input.verdict.latency.get(phase)?.quantiles.get(measure)?;
        quantiles.successes.get("p95").copied().map(Some)
    };
    let show = |value: Option<Option<f64>>| match value {
        Some(Some(ms)) => text::ms(ms),
        Some(None) => "∞".to_owned(),
        None => "–".to_owned(),
    };
    let baseline = input.plan.phases.first().map_or("all", |phase| phase.name.as_str());
    let (value, note) = match fault_phase(input) {
        Some(fault) => (
            format!("{} → {}", show(p95(baseline)), show(p95(fault))),
            format!(
                "{} → {}",
                text::clipped(&text::printable(baseline), 14),
                text::clipped(&text::printable(fault), 14)
            ),
        ),
        None => (show(p95("all")), "of what succeeded".to_owned()),
    };
    KeyFigure { label, value, note, bad: false }
}

/// What was drilled, in a few words.
pub(super) fn target(input: &Input<'_>) -> String {
    match &input.plan.target {
        Target::Lab(_) => "the built-in lab".to_owned(),
        Target::Url(url) => url.at.clone(),
        Target::Kubernetes(at) => format!("service {}/{} on Kubernetes", at.namespace, at.service),
    }
}

/// The wall clock at the run's zero, without its fraction.
pub(super) fn when(input: &Input<'_>) -> String {
    let wall = input.record.events.iter().find_map(|record| match &record.event {
        Event::RunStarted { wall_clock, .. } => Some(wall_clock.as_str()),
        _ => None,
    });
    match wall {
        None => "unknown".to_owned(),
        Some(wall) => {
            let whole = wall.split_once('.').map_or_else(|| wall.trim_end_matches('Z'), |(whole, _)| whole);
            format!("{} UTC", whole.replacen('T', " ", 1))
        }
    }
}
