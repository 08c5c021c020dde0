//! By how much a counter grew in a phase. What it was before the drill is no matter.

use super::Watched;
use crate::{
    scenario::metric::MetricExpectation,
    units::{FigureThreshold, PhaseName, RunTime, Seen},
    verdict::{facts::Facts, finding::Finding, times::interval},
};

/// By how much it grew in a phase: surely, and at the most.
struct Growth {
    low: f64,
    /// Without an end, if something was not seen.
    high: f64,
    /// When it was less than before: it began anew, or is no counter.
    fell: Option<Seen>,
}

impl Growth {
    /// Between the looks of the phase, and between those around it.
    fn of(values: &[(Seen, f64)], (start, end): (RunTime, RunTime)) -> Self {
        let first = values.iter().position(|(seen, _)| seen.not_before >= start).unwrap_or(values.len());
        let last = values.iter().rposition(|(seen, _)| seen.by <= end).map_or(0, |last| last + 1);
        let before = values.iter().rposition(|(seen, _)| seen.by <= start).unwrap_or(0);
        let after = values.iter().position(|(seen, _)| seen.not_before >= end);
        let after = after.map_or(values.len(), |after| after + 1);
        let around = values.get(before..after).unwrap_or_default();
        let fell = around.windows(2).find_map(|pair| match pair {
            [(_, was), (seen, is)] if is < was => Some(*seen),
            _ => None,
        });
        Self {
            low: grown(values.get(first..last).unwrap_or_default()),
            high: if fell.is_some() { f64::INFINITY } else { grown(around) },
            fell,
        }
    }
}

/// By how much it grew from look to look. Where it fell, nobody knows what was lost.
fn grown(values: &[(Seen, f64)]) -> f64 {
    let steps = values.windows(2).map(|pair| match pair {
        [(_, was), (_, is)] => (is - was).max(0.0),
        _ => 0.0,
    });
    steps.sum()
}

/// Judges the growth in a phase: both ends of what it may be have to agree.
pub(super) fn judge(
    facts: &Facts<'_>,
    e: &MetricExpectation,
    limit: FigureThreshold,
    phase: &PhaseName,
) -> Result<Finding, Finding> {
    let Some((start, end)) = facts.phase(phase) else {
        return Err(Finding::inconclusive("the phase was not reached"));
    };
    let watched = Watched::of(facts, e)?;
    let series = watched.series;
    let touches = |seen: &Seen| seen.by >= start && seen.not_before <= end;
    if watched.values.len() < 2 || !watched.values.iter().any(|(seen, _)| touches(seen)) {
        let why = format!("{} has too few samples of {series} to tell how much it grew in {phase}", e.source);
        return Err(watched.silence(start, end).unwrap_or_else(|| Finding::inconclusive(why)));
    }
    let growth = Growth::of(&watched.values, (start, end));
    let silent = watched.silence(start, end);
    let (low, high) = (growth.low, if silent.is_some() { f64::INFINITY } else { growth.high });
    let shown = if high <= low {
        format!("{series} grew by {low}")
    } else if high.is_finite() {
        format!("{series} grew by {low} to {high}")
    } else {
        format!("{series} grew by {low} at least")
    };
    let finding = match (limit.holds(low), limit.holds(high)) {
        (true, true) => Finding::pass(shown.clone()),
        (false, false) => Finding::fail(format!("{shown}, not {limit}")),
        _ => match (silent, growth.fell) {
            (Some(silent), _) => return Err(silent),
            (None, Some(seen)) => Finding::inconclusive(format!(
                "{shown}, and it fell at {}: it began anew, or is no counter",
                interval(seen)
            )),
            (None, None) => Finding::inconclusive(format!("{shown}: some of it at the very edge of {phase}")),
        },
    };
    let finding = finding.observed(low, "").error(low, Some(high).filter(|high| high.is_finite()));
    Ok(finding.on(watched.source, format!("{shown} between {start} and {end}")))
}
