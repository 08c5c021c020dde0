//! Checks as cards, and the SLOs as a table.

use serde::Serialize;

use super::page::Mark;
use crate::{
    journal::event::Evidence,
    report::{Input, explain, text},
    verdict::model::{CheckKind, CheckVerdict, Verdict},
};

/// The expectations: what is open first, and what holds folded away where
/// there is too much of it.
#[derive(Debug, Serialize)]
pub(super) struct Cards {
    held: usize,
    all: usize,
    shown: Vec<Card>,
    folded: Vec<Card>,
}

/// Cards of checks that hold, beyond which they are folded away.
const UNFOLDED: usize = 30;

/// One check.
#[derive(Debug, Serialize)]
pub(super) struct Card {
    anchor: String,
    id: String,
    kind: &'static str,
    mark: Mark,
    title: String,
    after: Option<String>,
    expected: String,
    observed: String,
    interval: Option<String>,
    why: String,
    ruler: Option<Ruler>,
    evidence: Vec<Evidence>,
}

/// A time on a ruler, in percent of its length.
#[derive(Debug, Serialize)]
struct Ruler {
    /// The limit.
    limit: String,
    limit_at: f64,
    /// From where to where it may have happened.
    low_at: f64,
    high_at: Option<f64>,
    /// What was observed.
    observed: Option<String>,
    observed_at: Option<f64>,
    /// For those who do not see it.
    label: String,
}

/// An SLO in a phase.
#[derive(Debug, Serialize)]
pub(super) struct SloRow {
    anchor: String,
    mark: Mark,
    phase: String,
    title: String,
    expected: String,
    observed: String,
    interval: Option<String>,
    why: String,
}

/// Where a check stands in the page.
pub(super) fn anchor(index: usize) -> String {
    format!("check-{}", index + 1)
}

/// A check's name.
pub(super) fn title(check: &CheckVerdict) -> String {
    match &check.phase {
        Some(phase) => format!("{} in {phase}", check.title),
        None => check.title.clone(),
    }
}

/// The expectations, what failed first.
pub(super) fn expectations(input: &Input<'_>) -> Cards {
    let mut checks: Vec<(usize, &CheckVerdict)> =
        input.verdict.checks.iter().enumerate().filter(|(_, check)| text::is_expectation(check)).collect();
    checks.sort_by_key(|(_, check)| text::rank(check.verdict));
    let held = checks.iter().filter(|(_, check)| check.verdict == Verdict::Pass).count();
    let open = checks.len() - held;
    let mut shown: Vec<Card> = checks.iter().map(|(index, check)| card(input, *index, check)).collect();
    let folded = shown.split_off((open + UNFOLDED).min(shown.len()));
    Cards { held, all: checks.len(), shown, folded }
}

/// The generator's own checks.
pub(super) fn generator(input: &Input<'_>) -> Vec<Card> {
    let checks = input.verdict.checks.iter().enumerate();
    checks
        .filter(|(_, check)| check.kind == CheckKind::Generator)
        .map(|(i, check)| card(input, i, check))
        .collect()
}

/// The card of any check.
pub(super) fn card(input: &Input<'_>, index: usize, check: &CheckVerdict) -> Card {
    Card {
        anchor: anchor(index),
        id: check.id.to_string(),
        kind: text::kind(check.kind),
        mark: check.verdict.into(),
        title: title(check),
        after: after(input, check),
        expected: check.expected.clone(),
        observed: text::observed(check),
        interval: text::interval(check),
        why: check.why.clone(),
        ruler: ruler(check),
        evidence: check.evidence.clone(),
    }
}

/// The act that a check is about.
pub(super) fn after(input: &Input<'_>, check: &CheckVerdict) -> Option<String> {
    explain::about(input, check).map(ToString::to_string)
}

/// Only times with a limit have a ruler.
fn ruler(check: &CheckVerdict) -> Option<Ruler> {
    let limit = text::limit_secs(&check.expected).filter(|limit| *limit > 0.0)?;
    if check.observed.is_none() && check.error.is_none() || !matches!(check.unit.as_str(), "s" | "") {
        return None;
    }
    let (low, high) = check.error.unwrap_or((check.observed.unwrap_or(0.0), check.observed));
    let longest =
        [limit, low, high.unwrap_or(0.0), check.observed.unwrap_or(0.0)].into_iter().fold(0.0, f64::max);
    let length = longest * if longest > limit { 1.06 } else { 1.25 };
    let at = |s: f64| (s / length * 1000.0).round().clamp(0.0, 1000.0) / 10.0;
    let observed = check.observed.map(text::secs);
    let label = format!(
        "limit {}, {}",
        text::secs(limit),
        observed.as_deref().map_or("not observed".to_owned(), |o| format!("observed after {o}"))
    );
    Some(Ruler {
        limit: text::secs(limit),
        limit_at: at(limit),
        low_at: at(low),
        high_at: high.map(at),
        observed,
        observed_at: check.observed.map(at),
        label,
    })
}

/// The SLOs, in the plan's order.
pub(super) fn slos(input: &Input<'_>) -> Vec<SloRow> {
    let checks = input.verdict.checks.iter().enumerate().filter(|(_, check)| check.kind == CheckKind::Slo);
    let row = |(index, check): (usize, &CheckVerdict)| SloRow {
        anchor: anchor(index),
        mark: check.verdict.into(),
        phase: check.phase.as_ref().map_or("all".to_owned(), ToString::to_string),
        title: check.title.clone(),
        expected: check.expected.clone(),
        observed: text::observed(check),
        interval: text::interval(check),
        why: check.why.clone(),
    };
    checks.map(row).collect()
}
