//! Figures that a source shows: they hold in a phase, or hold again after a
//! fault, or grow. What was not seen does not hold: a stretch without a sample
//! makes it inconclusive.

mod growth;

use std::{collections::BTreeSet, time::Duration};

use super::{
    facts::Facts,
    finding::{Finding, counted},
    judge::Title,
    model::{CheckKind, Verdict},
    times::{interval, within},
};
use crate::{
    scenario::metric::{MetricExpectation, say_which},
    units::{FigureThreshold, PhaseName, RunTime, Seen, Span},
};

/// A source may be silent for so many of its periods…
const PERIODS: u32 = 3;
/// …or for so long, where that is longer: a busy machine looks late.
const SILENT: Duration = Duration::from_secs(2);

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &MetricExpectation) -> (Title, Finding) {
    let what = match &e.series {
        Some(series) => format!("{}: {series}", e.source),
        None => e.source.clone(),
    };
    if let (Some(phase), Some(grows)) = (&e.phase, e.grows) {
        let title = Title::of(CheckKind::Metric, &format!("{what} grows"), format!("by {grows}"));
        let finding = growth::judge(facts, e, grows, phase).unwrap_or_else(|finding| finding);
        (Title { phase: Some(phase.clone()), ..title }, finding)
    } else if let (Some(phase), Some(must)) = (&e.phase, e.must) {
        let title = Title::of(CheckKind::Metric, &what, must.to_string());
        let finding = holds(facts, e, must, phase).unwrap_or_else(|finding| finding);
        (Title { phase: Some(phase.clone()), ..title }, finding)
    } else if let (Some(limit), Some(must)) = (e.recovers_within, e.must) {
        let expected = format!("{must} again within {limit}");
        let title = Title::of(CheckKind::Metric, &format!("{what} recovers"), expected);
        (title, recovers(facts, e, must, limit).unwrap_or_else(|finding| finding))
    } else {
        (Title::of(CheckKind::Metric, &what, String::new()), Finding::inconclusive("it demands nothing"))
    }
}

/// One series of a source.
pub(super) struct Watched<'f> {
    source: &'f str,
    series: &'f str,
    /// Its values, in order.
    values: Vec<(Seen, f64)>,
    /// Looks that were answered without it.
    without: Vec<Seen>,
    /// How long it may be without a value.
    patience: Duration,
}

impl<'f> Watched<'f> {
    /// The one that is meant; a finding that says why there is none.
    pub(super) fn of(facts: &'f Facts<'_>, e: &'f MetricExpectation) -> Result<Self, Finding> {
        let samples = facts.samples_of(&e.source);
        let series = chosen(facts, e)?;
        let mut watched =
            Self { source: &e.source, series, values: vec![], without: vec![], patience: SILENT };
        for (seen, values) in samples {
            match values.get(series).filter(|value| value.is_finite()) {
                Some(value) => watched.values.push((*seen, *value)),
                None => watched.without.push(*seen),
            }
        }
        let observed = facts.plan.observe.iter().find(|one| one.name == e.source);
        if let Some(period) = observed.and_then(|observed| observed.period()) {
            watched.patience = SILENT.max(period.0.saturating_mul(PERIODS));
        }
        Ok(watched)
    }

    /// Why it is not known what it was all the time, if it isn't.
    fn silence(&self, from: RunTime, to: RunTime) -> Option<Finding> {
        let mut last = from;
        let ends = self.values.iter().map(|(seen, _)| seen.by).filter(|by| (from..to).contains(by));
        for next in ends.chain([to]) {
            if next.since(last) > self.patience {
                let answered = self.without.iter().any(|seen| (last..next).contains(&seen.by));
                let how = if answered { "showed no value of" } else { "did not tell" };
                return Some(Finding::inconclusive(format!(
                    "{} {how} {} from {last} to {next}",
                    self.source, self.series
                )));
            }
            last = last.max(next);
        }
        None
    }

    /// When it began to hold, and when to break.
    pub(super) fn changes(&self, must: FigureThreshold) -> Vec<(Seen, bool)> {
        let mut changes: Vec<(Seen, bool)> = Vec::new();
        let mut before = RunTime::ZERO;
        for (seen, value) in &self.values {
            let now = must.holds(*value);
            if changes.last().is_none_or(|(_, last)| *last != now) {
                changes.push((Seen { not_before: before, by: seen.by }, now));
            }
            before = seen.not_before;
        }
        changes
    }

    /// The least and the most that it was.
    fn range<'v>(values: impl IntoIterator<Item = &'v (Seen, f64)>) -> Option<(f64, f64)> {
        values.into_iter().fold(None, |range, (_, value)| {
            let (low, high) = range.unwrap_or((*value, *value));
            Some((low.min(*value), high.max(*value)))
        })
    }
}

/// The series that is meant.
fn chosen<'f>(facts: &'f Facts<'_>, e: &MetricExpectation) -> Result<&'f str, Finding> {
    let samples = facts.samples_of(&e.source);
    if samples.is_empty() {
        return Err(Finding::inconclusive(format!("{} left no sample", e.source)));
    }
    let all: BTreeSet<&str> =
        samples.iter().flat_map(|(_, values)| values.keys()).map(String::as_str).collect();
    match (e.meant(&all).as_slice(), &e.series) {
        ([only], _) => Ok(only),
        ([], Some(series)) => Err(Finding::inconclusive(format!("{} never showed {series}", e.source))),
        ([], None) => Err(Finding::inconclusive(format!("{} never showed a value", e.source))),
        (many, _) => Err(Finding::inconclusive(say_which(&e.source, many))),
    }
}

fn holds(
    facts: &Facts<'_>,
    e: &MetricExpectation,
    must: FigureThreshold,
    phase: &PhaseName,
) -> Result<Finding, Finding> {
    let Some((start, end)) = facts.phase(phase) else {
        return Err(Finding::inconclusive("the phase was not reached"));
    };
    let watched = Watched::of(facts, e)?;
    let within = |seen: &Seen| seen.not_before >= start && seen.by <= end;
    let inside: Vec<&(Seen, f64)> = watched.values.iter().filter(|(seen, _)| within(seen)).collect();
    let Some((low, high)) = Watched::range(inside.iter().copied()) else {
        let why = format!("{} has no sample of {} in {phase}", e.source, watched.series);
        return Err(watched.silence(start, end).unwrap_or_else(|| Finding::inconclusive(why)));
    };
    let worst = if must.op.is_ceiling() { high } else { low };
    let told = |finding: Finding| {
        let shown =
            format!("{} is {low} to {high} in {}", watched.series, counted(inside.len() as u64, "sample"));
        finding.observed(worst, "").on(watched.source, shown)
    };
    let broken: Vec<&&(Seen, f64)> = inside.iter().filter(|(_, value)| !must.holds(*value)).collect();
    if let Some((seen, value)) = broken.first() {
        let why = format!(
            "{} of {} not {}, the first at {}: {value}",
            broken.len(),
            counted(inside.len() as u64, "sample"),
            must,
            interval(*seen)
        );
        return Ok(told(Finding::fail(why)));
    }
    let touches = |seen: &Seen| seen.not_before < end && seen.by > start;
    let maybe = watched.values.iter().find(|(seen, value)| touches(seen) && !must.holds(*value));
    if let Some((seen, value)) = maybe {
        let why = format!("{} was {value} at {}, perhaps in {phase}", watched.series, interval(*seen));
        return Err(Finding::inconclusive(why));
    }
    match watched.silence(start, end) {
        Some(silent) => Err(silent),
        None => Ok(told(Finding::pass(format!(
            "{} hold, the {} is {worst}",
            counted(inside.len() as u64, "sample"),
            if must.op.is_ceiling() { "highest" } else { "lowest" }
        )))),
    }
}

fn recovers(
    facts: &Facts<'_>,
    e: &MetricExpectation,
    must: FigureThreshold,
    limit: Span,
) -> Result<Finding, Finding> {
    let (t0, end) = (facts.effect(e.after.as_ref())?, facts.fault_end(e.after.as_ref())?);
    let until = facts.undisturbed_until(end.by, e.after.as_ref());
    let watched = Watched::of(facts, e)?;
    let (source, series) = (watched.source, watched.series);
    let seen: Vec<&(Seen, f64)> = watched.values.iter().filter(|(seen, _)| seen.by <= until).collect();
    let Some((last, value)) = seen.last().filter(|(seen, _)| seen.by > end.by) else {
        let why = format!("{source} has no sample of {series} between the fault's end and {until}");
        return Err(Finding::inconclusive(why));
    };
    let what = format!("{series} was {must} again");
    let changes = watched.changes(must);
    // Changes alternate: the last one decides.
    let latest = changes.iter().rev().find(|(seen, _)| seen.by <= until);
    let Some(settled) = latest.filter(|(_, holds)| *holds).map(|(seen, _)| *seen) else {
        // Up to here it is known not to hold; later it may have, unseen.
        let finding = within(end, None, last.not_before, limit, &what);
        return Ok(finding.on(source, format!("{series} is {value} at {}", interval(*last))));
    };
    // What was not looked at meanwhile may have been broken.
    let unseen = watched.silence(t0.not_before, until).is_some();
    let finding = if settled.by <= t0.not_before && unseen {
        let first = seen.iter().map(|(seen, _)| *seen).find(|seen| seen.by > end.by);
        let first = first.map(|seen| Seen { not_before: end.not_before.min(seen.by), by: seen.by });
        within(end, first, until, limit, &what)
    } else if settled.by <= t0.not_before {
        let why = format!("{series} was {must} all the time: there was nothing to recover from");
        Finding::pass(why).observed(0.0, "s")
    } else {
        within(end, Some(settled), until, limit, &what)
    };
    if finding.verdict == Verdict::Pass
        && let Some(silent) = watched.silence(settled.by.max(end.by), until)
    {
        return Err(silent);
    }
    let shown = format!("{series} is {must} from {} to {until}", interval(settled));
    Ok(finding.on(source, shown))
}
