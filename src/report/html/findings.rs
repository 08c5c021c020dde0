//! What else was noticed, each on a strip of the run's clock.

use serde::Serialize;

use crate::{
    report::{Input, text},
    verdict::model::{Anomaly, Circumstance},
};

/// A finding.
#[derive(Debug, Serialize)]
pub(super) struct FindingRow {
    /// The circumstance: also the CSS class.
    class: &'static str,
    chip: &'static str,
    /// The sentence, in parts; true: an id.
    text: Vec<(bool, String)>,
    /// Where it was, in percent of the strip.
    at: Bar,
    phases: Vec<Bar>,
    acts: Vec<Bar>,
    /// For those who do not see the strip.
    label: String,
}

/// A part of the strip, in percent.
#[derive(Debug, Clone, Serialize)]
struct Bar {
    left: f64,
    width: f64,
    name: String,
}

/// The findings, as the verdict ranks them.
pub(super) fn findings(input: &Input<'_>) -> Vec<FindingRow> {
    let length = f64::from(input.series.seconds.max(1));
    let bar = |start: f64, end: f64, name: &str| {
        let at = |s: f64| (s / length * 1000.0).round().clamp(0.0, 1000.0) / 10.0;
        Bar { left: at(start), width: at(end) - at(start), name: name.to_owned() }
    };
    let phases: Vec<Bar> =
        input.series.phases.iter().map(|phase| bar(phase.start, phase.end, &phase.name)).collect();
    let acts = input.series.faults.iter().filter_map(|fault| {
        let start = fault.requested.or(fault.injected)?;
        Some(bar(start, fault.bar_end.unwrap_or(start), fault.id.as_str()))
    });
    let acts: Vec<Bar> = acts.collect();
    let row = |finding: &Anomaly| {
        let (class, chip) = match finding.circumstance {
            Circumstance::Quiet => ("quiet", "nothing broken"),
            Circumstance::After { .. } => ("after", "nothing broken any more"),
            Circumstance::During { .. } => ("during", "during a fault or rollout"),
        };
        FindingRow {
            class,
            chip,
            text: finding
                .text
                .split('`')
                .enumerate()
                .map(|(i, part)| (i % 2 == 1, part.to_owned()))
                .collect(),
            at: bar(finding.start, finding.end, &finding.series),
            phases: phases.clone(),
            acts: acts.clone(),
            label: format!(
                "{} to {} of {}",
                text::secs(finding.start),
                text::secs(finding.end),
                text::secs(input.series.end)
            ),
        }
    };
    input.verdict.findings.iter().map(row).collect()
}
