//! What happened in a run, in words: the same while it goes on and when it is
//! explained.

use crate::{
    journal::{
        Event,
        event::{BreakerState, FaultStep, RolloutPhase, Signal, StepChange},
    },
    plan::capacity::StepResult,
    units::PodName,
};

/// An event in words, where people would want to read it as it happens.
pub(crate) fn in_words(event: &Event) -> Option<String> {
    let text = match event {
        Event::PhaseStarted { phase } => format!("phase {phase}"),
        Event::SteadyState { holds: true, .. } => "steady: the baseline keeps its SLOs".to_owned(),
        Event::SteadyState { holds: false, broken } => format!("not steady: {}", broken.join("; ")),
        Event::Fault { id, step } => format!("{id}: {}", step_in_words(step)?),
        Event::Signal { signal, .. } => signal_in_words(signal)?,
        Event::Step { number, rate, change } => match change {
            StepChange::Started { due, .. } => format!("step {number}: {rate}, {due} requests judged"),
            StepChange::Judged { result: StepResult::Holds, .. } => format!("step {number}: {rate} holds"),
            StepChange::Judged { result: StepResult::Breaks, why } => {
                format!("step {number}: {rate} breaks: {why}")
            }
            StepChange::Judged { result: StepResult::Undecided, why } => {
                format!("step {number}: {rate} is undecided: {why}")
            }
            StepChange::Judged { result: StepResult::Invalid, why } => {
                format!("step {number}: {rate} does not count: {why}")
            }
        },
        Event::StopCondition { condition } => format!("stop condition met: {condition}"),
        Event::Interrupted => "interrupted: recovering (once more to leave at once)".to_owned(),
        Event::RunStarted { .. }
        | Event::PhaseEnded { .. }
        | Event::Exemplar(_)
        | Event::Dropped { .. }
        | Event::RunEnded { .. } => return None,
    };
    Some(text)
}

fn step_in_words(step: &FaultStep) -> Option<String> {
    Some(match step {
        FaultStep::Requested { targets } if targets.is_empty() => "requested".to_owned(),
        FaultStep::Requested { targets } => format!("requested on {}", names(targets)),
        FaultStep::Skipped { why } => format!("skipped: {why}"),
        FaultStep::Injected => return None,
        FaultStep::Proven { proof, .. } => {
            let first = proof.first().map_or(String::new(), |e| format!(" ({}: {})", e.source, e.what));
            format!("took effect{first}")
        }
        FaultStep::Unproven { why, .. } => format!("not proven: {why}"),
        FaultStep::Judged { by, why, .. } => format!("{by} says: {why}"),
        FaultStep::Withdrawing => "taken back by the run".to_owned(),
        FaultStep::Recovered { .. } => "recovered".to_owned(),
        FaultStep::RecoveryFailed { why } => format!("NOT RECOVERED: {why}"),
    })
}

fn signal_in_words(signal: &Signal) -> Option<String> {
    Some(match signal {
        Signal::Breaker { name, state, .. } => format!("breaker {name} is {}", breaker(*state)),
        Signal::Alert { source, name, firing } => {
            format!("alert {name} {}, says {source}", if *firing { "fires" } else { "is quiet" })
        }
        Signal::Rollout { of, phase, stable, candidate, weight, reason } => {
            let candidate =
                candidate.as_ref().map_or(String::new(), |v| format!(", {v} at {:.0} %", weight * 100.0));
            let reason = if reason.is_empty() { String::new() } else { format!(" ({reason})") };
            let of = of.as_ref().map_or(String::new(), |of| format!(" of {of}"));
            format!("rollout{of} {}: stable {stable}{candidate}{reason}", rollout(*phase))
        }
        Signal::Source { source, up: false, why } => format!("{source} does not answer: {why}"),
        Signal::Source { source, up: true, .. } => format!("{source} answers"),
        Signal::PodGone { name } => format!("pod {name} is gone"),
        Signal::Pod { name, ready: true, .. } => format!("pod {name} is ready"),
        Signal::Pod { name, phase, ready: false, .. } => format!("pod {name} is not ready ({phase})"),
        Signal::Note { about, reason, text, warning: true } => format!("{about}: {reason}: {text}"),
        Signal::Note { .. } | Signal::Sample { .. } => return None,
    })
}

/// Names, comma-separated.
pub(crate) fn names(pods: &[PodName]) -> String {
    pods.iter().map(PodName::as_str).collect::<Vec<_>>().join(", ")
}

/// A breaker's state in words.
pub(crate) fn breaker(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half-open",
    }
}

/// A rollout's phase in words.
pub(crate) fn rollout(phase: RolloutPhase) -> &'static str {
    match phase {
        RolloutPhase::Stable => "stable",
        RolloutPhase::Progressing => "progressing",
        RolloutPhase::RollingBack => "rolling back",
        RolloutPhase::RolledBack => "rolled back",
        RolloutPhase::Promoted => "promoted",
    }
}
