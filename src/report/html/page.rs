//! What the template is given: text that is ready to be shown.

use serde::Serialize;

use super::{
    budget::{self, BudgetTable},
    capacity::CapacityView,
    checks::{Card, Cards, SloRow},
    findings::{self, FindingRow},
    reactions::{self, ReactionTable},
    tables::{self, ExemplarRow, FaultRow, LatencyTable, OutcomeTable, Pair},
    timeline::TimelineView,
    warnings::{self, WarningRow},
};
use crate::{
    journal::{Event, event::RunEnd},
    report::{
        Input, ReportError,
        figures::{self, KeyFigure},
        text,
    },
    verdict::model::Verdict,
};

const CSS: &str = include_str!("../../../reports/template/report.css");
const JS: &str = include_str!("../../../reports/template/report.js");

/// A verdict as the template shows it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Mark {
    /// As in JSON; also the CSS class.
    class: &'static str,
    /// Its sign.
    sign: &'static str,
    /// Its word.
    word: &'static str,
}

impl From<Verdict> for Mark {
    fn from(verdict: Verdict) -> Self {
        Self { class: verdict.as_str(), sign: text::sign(verdict), word: text::word(verdict) }
    }
}

/// A check that does not hold, in the banner.
#[derive(Debug, Serialize)]
struct Named {
    anchor: String,
    mark: Mark,
    kind: &'static str,
    title: String,
    after: Option<String>,
    expected: String,
    observed: String,
}

/// A part of the verdict's sentence: what, and why.
#[derive(Debug, Serialize)]
struct Reason<'a> {
    what: Option<&'a str>,
    why: &'a str,
}

impl<'a> Reason<'a> {
    fn of(part: &'a str) -> Self {
        match part.split_once(": ") {
            Some((what, why)) => Self { what: Some(what), why },
            None => Self { what: None, why: part },
        }
    }
}

/// The whole report.
#[derive(Debug, Serialize)]
pub(super) struct Page<'a> {
    css: &'static str,
    js: &'static str,
    run: &'a str,
    name: &'a str,
    description: Option<&'a str>,
    mark: Mark,
    reasons: Vec<Reason<'a>>,
    tally: String,
    exit_code: u8,
    seed: u64,
    when: String,
    duration: String,
    target: String,
    named: Vec<Named>,
    unnamed: usize,
    figures: Vec<KeyFigure>,
    notes: Vec<String>,
    timeline: TimelineView,
    capacity: Option<CapacityView>,
    expectations: Cards,
    reactions: Option<ReactionTable>,
    slos: Vec<SloRow>,
    budget: Option<BudgetTable>,
    findings: Vec<FindingRow>,
    latency: LatencyTable,
    outcomes: OutcomeTable,
    faults: Vec<FaultRow>,
    generator: Vec<Pair>,
    generator_checks: Vec<Card>,
    exemplars: Vec<ExemplarRow>,
    exemplars_left: usize,
    warnings: Vec<WarningRow>,
    warnings_left: usize,
    environment: Vec<Pair>,
    scenario: &'a str,
    again: String,
}

/// Checks that the banner names at most.
const NAMED: usize = 6;

impl<'a> Page<'a> {
    pub(super) fn of(input: &Input<'a>) -> Result<Self, ReportError> {
        let verdict = input.verdict;
        let (exemplars, exemplars_left) = tables::exemplars(input);
        let (warnings, warnings_left) = warnings::warnings(input);
        let mut open: Vec<(usize, &crate::verdict::model::CheckVerdict)> =
            verdict.checks.iter().enumerate().filter(|(_, check)| check.verdict != Verdict::Pass).collect();
        open.sort_by_key(|(_, check)| (text::rank(check.verdict), !text::is_expectation(check)));
        let named = open.iter().take(NAMED).map(|(index, check)| Named {
            anchor: super::checks::anchor(*index),
            mark: check.verdict.into(),
            kind: text::kind(check.kind),
            title: super::checks::title(check),
            after: super::checks::after(input, check),
            expected: check.expected.clone(),
            observed: match text::observed(check) {
                nothing if nothing == text::NOTHING => nothing,
                observed => format!("observed {observed}"),
            },
        });
        Ok(Self {
            css: CSS,
            js: JS,
            run: &verdict.run,
            name: &verdict.scenario,
            description: input.plan.description.as_deref(),
            mark: verdict.verdict.into(),
            reasons: verdict.why.split(" · ").map(Reason::of).collect(),
            tally: tally(input),
            exit_code: verdict.exit_code,
            seed: verdict.seed,
            when: figures::when(input),
            duration: text::secs(input.series.end),
            target: figures::target(input),
            named: named.collect(),
            unnamed: open.len().saturating_sub(NAMED),
            figures: figures::key_figures(input),
            notes: notes(input),
            timeline: TimelineView::of(input)?,
            capacity: CapacityView::of(input),
            expectations: super::checks::expectations(input),
            reactions: reactions::table(input),
            slos: super::checks::slos(input),
            budget: budget::table(input),
            findings: findings::findings(input),
            latency: tables::latency(input),
            outcomes: tables::outcomes(input),
            faults: tables::faults(input),
            generator: tables::generator(input),
            generator_checks: super::checks::generator(input),
            exemplars,
            exemplars_left,
            warnings,
            warnings_left,
            environment: tables::environment(input.environment),
            scenario: input.scenario_yaml,
            again: again(input),
        })
    }
}

/// How many checks hold, in one line.
fn tally(input: &Input<'_>) -> String {
    let count = |wanted| input.verdict.checks.iter().filter(|check| check.verdict == wanted).count();
    let parts =
        [(Verdict::Fail, "failed"), (Verdict::Inconclusive, "inconclusive"), (Verdict::Pass, "passed")];
    let parts: Vec<String> = parts
        .into_iter()
        .filter_map(|(verdict, word)| match count(verdict) {
            0 => None,
            n => Some(format!("{n} {word}")),
        })
        .collect();
    match input.verdict.checks.len() {
        0 => "no checks".to_owned(),
        n => format!("{n} checks: {}", parts.join(", ")),
    }
}

/// What a reader must know before the figures.
fn notes(input: &Input<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    for planned in &input.plan.workloads {
        let tls = planned.workload.transport.connection.tls.as_ref();
        if tls.is_some_and(|tls| tls.insecure) {
            notes.push(format!(
                "Workload `{}` took any certificate (insecure: true): who answered is not known.",
                planned.name
            ));
        }
    }
    for record in &input.record.events {
        match &record.event {
            Event::StopCondition { condition } => {
                notes.push(format!(
                    "Stop condition `{condition}` was met at {}.",
                    text::secs(record.at.as_secs_f64())
                ));
            }
            Event::Interrupted => {
                notes.push(format!("Interrupted by a person at {}.", text::secs(record.at.as_secs_f64())));
            }
            Event::SteadyState { holds: false, broken } => {
                notes.push(format!("The baseline was not steady: {}.", broken.join("; ")));
            }
            Event::Dropped { records } => notes.push(format!("{records} records were dropped.")),
            Event::RunEnded { end: RunEnd::Broken { why } } => {
                notes.push(format!("The run broke off: {why}."))
            }
            Event::SteadyState { holds: true, .. }
            | Event::RunStarted { .. }
            | Event::PhaseStarted { .. }
            | Event::PhaseEnded { .. }
            | Event::Fault { .. }
            | Event::Signal { .. }
            | Event::Exemplar(_)
            | Event::Step { .. }
            | Event::RunEnded { end: RunEnd::Completed | RunEnd::NotSteady | RunEnd::Aborted } => {}
        }
    }
    if input.record.run_end().is_none() {
        notes.push("The journal stops before the run's end.".to_owned());
    }
    notes.extend(input.record.warnings.iter().map(|warning| format!("Journal: {warning}.")));
    notes
}

/// The command that runs the same again.
fn again(input: &Input<'_>) -> String {
    format!("firedrill run scenario.yaml --seed {}", input.verdict.seed)
}
