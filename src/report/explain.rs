//! `firedrill explain`: the chain of evidence of one check, down to the lines
//! of the journal that it stands on.

mod requests;
mod samples;

use std::fmt::Write as _;

use super::{Input, reactions, text, words};
use crate::{
    journal::{
        Event, Record,
        event::{Evidence, FaultStep, Signal},
    },
    plan::model::{PlannedPhase, Subject},
    scenario::model::Expectation,
    units::{FaultId, PhaseName, RunTime},
    verdict::model::{CheckKind, CheckVerdict, ReactionFigures},
};

/// Lines of the journal that are shown of each kind.
const MOST: usize = 40;

/// The act that a check is about.
pub(super) fn about<'a>(input: &Input<'a>, check: &CheckVerdict) -> Option<&'a FaultId> {
    let planned = input.plan.checks.iter().find(|planned| planned.id == check.id)?;
    match &planned.subject {
        Subject::Fault(id) => Some(id),
        Subject::Slo { .. } | Subject::Generator | Subject::Capacity { .. } => None,
        Subject::Expectation(expectation) => match expectation {
            Expectation::CircuitBreaker(e) => e.after.as_ref(),
            Expectation::Cache(e) => e.fresh_after.as_ref(),
            Expectation::Rollback(e) => e.after.as_ref(),
            Expectation::Fallback(e) => e.after.as_ref(),
            Expectation::Shedding(_) => None,
            Expectation::Retries(e) => e.after.as_ref(),
            Expectation::Pods(e) => e.after.as_ref(),
            Expectation::Recovery(e) => e.after.as_ref(),
            Expectation::Alert(e) => e.after.as_ref(),
            Expectation::Probes(e) => e.after.as_ref(),
            Expectation::Autoscaling(_) => None,
            Expectation::Failover(e) => e.after.as_ref(),
            Expectation::Drift(e) => e.after.as_ref(),
            Expectation::Metric(e) => e.after.as_ref(),
        },
    }
}

/// The chain of evidence of the check with this id. None: there is none; the
/// ids that there are are in the verdict.
pub fn explain(input: &Input<'_>, id: &str) -> Option<String> {
    let check = input.verdict.checks.iter().find(|check| check.id.as_str() == id)?;
    let mut out = String::new();
    let mut line = |text: String| {
        // Writing to a string can't fail.
        let _ = writeln!(out, "{text}");
    };
    line(format!("{} {}  {}", text::sign(check.verdict), text::word(check.verdict), check.id));
    let phase = check.phase.as_ref().map(|phase| format!(" in {phase}")).unwrap_or_default();
    line(format!("  {}: {}{phase}", text::kind(check.kind), check.title));
    line(format!("  wanted:   {}", check.expected));
    let known = text::interval(check).map(|known| format!(", which may be {known}")).unwrap_or_default();
    line(format!("  observed: {}{known}", text::observed(check)));
    line(format!("  {}", check.why));
    let reaction = input.verdict.reactions.iter().find(|reaction| reaction.checks.contains(&check.id));
    if let Some(reaction) = reaction {
        line(format!("\nHow fast it reacted ({})", reaction.id));
        reacted(reaction).into_iter().for_each(&mut line);
    }
    let act = about(input, check);
    if let Some(act) = act {
        line(format!("\nThe act that it is about: {act}"));
        lines(input, |event| matches!(event, Event::Fault { id, .. } if id == act))
            .into_iter()
            .for_each(&mut line);
    }
    line("\nEvidence".to_owned());
    for evidence in &check.evidence {
        line(format!("  {evidence}"));
    }
    if check.evidence.is_empty() {
        line("  none: that is why it is not a pass, or it stands on the requests below".to_owned());
    }
    let (from, to) = window(input, check, act);
    let signals = signals(input, check.kind, from, to);
    if !signals.is_empty() {
        line(format!("\nSignals from {from} to {to}"));
        signals.into_iter().for_each(&mut line);
    }
    let samples = samples::told(input, check, act, (from, to));
    if !samples.is_empty() {
        line(format!("\nSamples from {from} to {to}: the first, the last, and where it changed most"));
        samples.into_iter().for_each(&mut line);
    }
    if let Some(phase) = check.phase.as_ref().filter(|_| check.kind == CheckKind::Slo) {
        line(format!("\nRequests that were due in {phase}"));
        requests::of_phase(input, phase).into_iter().for_each(&mut line);
    } else if requests::are_judged(check.kind) {
        line(format!("\nRequests that were due from {from} to {to}, by how they ended and who answered"));
        requests::between(input, from, to).into_iter().for_each(&mut line);
    }
    Some(out)
}

/// The times of a reaction, with all that is known of them, and its sentence.
fn reacted(reaction: &ReactionFigures) -> Vec<String> {
    let times = reactions::COLUMNS.iter().zip(reactions::times(reaction));
    let mut out: Vec<String> = times
        .map(|((name, words), timing)| {
            let why = reactions::why(timing).map(|why| format!(": {why}")).unwrap_or_default();
            format!("  {name:<6} ({words}): {}{why}", reactions::short(timing))
        })
        .collect();
    out.push(format!("  {}", reaction.text));
    out.extend(reaction.evidence.iter().map(|evidence| format!("  {evidence}")));
    out
}

/// All checks, a line each.
pub fn list(input: &Input<'_>) -> String {
    let line = |check: &CheckVerdict| {
        format!(
            "{} {:<13} {}: {}\n",
            text::sign(check.verdict),
            text::word(check.verdict),
            check.id,
            check.why
        )
    };
    input.verdict.checks.iter().map(line).collect()
}

/// When what the check asks about may have happened.
fn window(input: &Input<'_>, check: &CheckVerdict, act: Option<&FaultId>) -> (RunTime, RunTime) {
    let steps = input.record.events.iter().filter_map(|record| match &record.event {
        Event::Fault { id, step } if Some(id) == act => Some((record.at, step)),
        _ => None,
    });
    let from = steps.clone().find(|(_, step)| matches!(step, FaultStep::Requested { .. })).map(|(at, _)| at);
    let phase = |name: &PhaseName| input.plan.phases.iter().find(|phase| &phase.name == name);
    match (from, check.phase.as_ref().and_then(phase)) {
        (Some(from), _) => (from, input.record.end()),
        (None, Some(PlannedPhase { start, end, .. })) => (*start, *end),
        (None, None) => (RunTime::ZERO, input.record.end()),
    }
}

/// Events in words, with the lines of the journal that hold them.
fn lines(input: &Input<'_>, wanted: impl Fn(&Event) -> bool) -> Vec<String> {
    let all = input.record.events.iter().enumerate().filter(|(_, record)| wanted(&record.event));
    listed(all.map(|(index, record)| told(index, record)).collect())
}

fn listed(mut all: Vec<String>) -> Vec<String> {
    if all.len() > MOST {
        let more = all.len() - MOST;
        all.truncate(MOST);
        all.push(format!("  … and {more} more in events.jsonl"));
    }
    all
}

fn told(index: usize, Record { at, event, .. }: &Record) -> String {
    let words = match event {
        Event::Fault { step: FaultStep::Injected, .. } => Some("injected, says the driver".to_owned()),
        Event::Fault { step: FaultStep::Recovered { proof }, .. } => {
            Some(format!("recovered: {}", proofs(proof)))
        }
        Event::Fault { step: FaultStep::Proven { effect, proof }, .. } => {
            Some(format!("seen to act between {} and {}: {}", effect.not_before, effect.by, proofs(proof)))
        }
        Event::Signal { seen, .. } => words::in_words(event)
            .map(|words| format!("{words} (came true between {} and {})", seen.not_before, seen.by)),
        other => words::in_words(other),
    };
    format!("  events.jsonl:{:<5} {at}  {}", index + 1, words.unwrap_or_default())
}

fn proofs(proof: &[Evidence]) -> String {
    proof.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Signals of the kind that a check stands on.
fn signals(input: &Input<'_>, kind: CheckKind, from: RunTime, to: RunTime) -> Vec<String> {
    let is_its = |signal: &Signal| match (kind, signal) {
        // Whoever did not look can't have seen anything.
        (_, Signal::Source { .. })
        | (CheckKind::CircuitBreaker, Signal::Breaker { .. })
        | (CheckKind::Rollback | CheckKind::Drift, Signal::Rollout { .. })
        | (CheckKind::Alert, Signal::Alert { .. })
        | (CheckKind::Metric | CheckKind::CircuitBreaker, Signal::Note { warning: true, .. })
        | (
            CheckKind::Pods | CheckKind::Probes | CheckKind::Autoscaling | CheckKind::Failover,
            Signal::Pod { .. } | Signal::PodGone { .. } | Signal::Note { warning: true, .. },
        ) => true,
        _ => false,
    };
    let all = input.record.events.iter().enumerate().filter(|(_, record)| match &record.event {
        Event::Signal { seen, signal } => seen.by >= from && seen.not_before <= to && is_its(signal),
        Event::Dropped { .. } => true,
        _ => false,
    });
    listed(all.map(|(index, record)| told(index, record)).collect())
}
