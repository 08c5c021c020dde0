//! Plan and record → verdict: each check to its judge.

use super::{
    anomalies, budget, capacity,
    facts::Facts,
    faults, figures,
    finding::Finding,
    generator,
    model::{CheckKind, CheckVerdict, FORMAT, RunVerdict},
    others, reactions, run, slo, timings,
};
use crate::{
    journal::{Cell, RunRecord},
    plan::{
        Plan,
        model::{Check, Subject},
    },
    units::PhaseName,
};

/// Judges a run from its record alone.
pub fn judge(plan: &Plan, record: &RunRecord) -> RunVerdict {
    let facts = Facts::new(plan, record);
    let checks: Vec<CheckVerdict> = plan.checks.iter().map(|check| judge_check(&facts, check)).collect();
    let (verdict, why) = run::judge(&facts, &checks);
    RunVerdict {
        version: FORMAT,
        run: record.run.clone(),
        scenario: plan.name.clone(),
        seed: plan.seed,
        verdict,
        exit_code: run::exit_code(&facts, verdict),
        why,
        checks,
        outcomes: figures::outcomes(&facts),
        latency: figures::phases(&facts),
        generator: figures::generator(&facts),
        faults: faults::figures(&facts),
        capacity: capacity::figures(plan, record),
        budget: budget::figures(&facts),
        reactions: timings::figures(&facts),
        findings: anomalies::find(&facts),
    }
}

/// The steady-state hypothesis: the first phase's SLOs on the cells so far.
/// Gives those that do not hold, in words; too few samples is not holding.
/// Empty: steady.
pub fn steady<'c>(plan: &Plan, cells: impl IntoIterator<Item = &'c Cell>) -> Vec<String> {
    slo::steady(plan, cells)
}

/// JSON Schema of `verdict.json`.
pub fn schema() -> schemars::Schema {
    schemars::schema_for!(RunVerdict)
}

/// A check's name for people: what is judged, and what was to hold.
pub(super) struct Title {
    pub(super) kind: CheckKind,
    pub(super) title: String,
    pub(super) expected: String,
    pub(super) phase: Option<PhaseName>,
}

impl Title {
    pub(super) fn of(kind: CheckKind, title: &str, expected: String) -> Self {
        Self { kind, title: title.to_owned(), expected, phase: None }
    }
}

fn judge_check(facts: &Facts<'_>, check: &Check) -> CheckVerdict {
    let (title, finding) = match &check.subject {
        Subject::Slo { slo, phase } => {
            let (title, expected) = slo::title(slo);
            let title = Title { kind: CheckKind::Slo, title, expected, phase: Some(phase.clone()) };
            (title, slo::judge(facts, slo, phase))
        }
        Subject::Fault(id) => {
            let (title, expected) = faults::title(facts, id);
            (Title { kind: CheckKind::Fault, title, expected, phase: None }, faults::judge(facts, id))
        }
        Subject::Generator => {
            let expected = "every request sent, on time".to_owned();
            let title = "load generator keeps up".to_owned();
            (Title { kind: CheckKind::Generator, title, expected, phase: None }, generator::judge(facts))
        }
        Subject::Expectation(expectation) => {
            let (title, finding) = reactions::judge(facts, expectation);
            (title, others::doubt(facts, expectation, finding))
        }
        Subject::Capacity { slos, .. } => capacity::judge(facts, slos),
    };
    let finding = generator::doubt(facts, &check.subject, finding);
    let Finding { verdict, observed, unit, error, evidence, why } = finding;
    CheckVerdict {
        id: check.id.clone(),
        kind: title.kind,
        title: title.title,
        phase: title.phase,
        verdict,
        expected: title.expected,
        observed,
        unit: unit.to_owned(),
        error,
        evidence,
        why,
    }
}
