//! The live view as text.

use super::{Frame, Pulse, state::State};
use crate::{
    journal::{
        Event,
        event::{BreakerState, FaultStep, RolloutPhase, Signal},
    },
    report::words,
    units::RunTime,
};

const RESET: &str = "\x1b[0m";
const DIM: &str = "\x1b[2m";
const BOLD: &str = "\x1b[1m";
const ORANGE: &str = "\x1b[38;5;208m";
const BLUE: &str = "\x1b[38;5;39m";

/// Columns of the terminal; 80 if it does not say.
pub(crate) fn width() -> usize {
    std::env::var("COLUMNS").ok().and_then(|text| text.parse().ok()).unwrap_or(80).clamp(60, 120)
}

/// Takes `lines` lines back.
pub(super) fn clear(lines: usize) -> String {
    "\x1b[1A\x1b[2K".repeat(lines)
}

/// One event with its time.
pub(super) fn event(at: RunTime, words: &str, event: &Event, colour: bool) -> String {
    let time = format!("{:>7.2}s", at.as_secs_f64());
    if !colour {
        return format!("{time}  {words}");
    }
    let tint = match event {
        Event::PhaseStarted { .. } => BOLD,
        Event::Fault { step: FaultStep::Recovered { .. }, .. } => BLUE,
        Event::Fault { .. } | Event::StopCondition { .. } | Event::Interrupted => ORANGE,
        Event::Signal { signal: Signal::Breaker { state: BreakerState::Open, .. }, .. } => ORANGE,
        Event::SteadyState { .. } | Event::Signal { .. } | Event::Step { .. } => BLUE,
        Event::RunStarted { .. }
        | Event::PhaseEnded { .. }
        | Event::Exemplar(_)
        | Event::Dropped { .. }
        | Event::RunEnded { .. } => "",
    };
    format!("{DIM}{time}{RESET}  {tint}{words}{RESET}")
}

/// The state in one plain line.
pub(super) fn line(now: RunTime, state: &State, pulse: &Pulse) -> String {
    let phase = state.phase.as_ref().map_or("warm-up", |phase| phase.as_str());
    let faults = match state.faults.len() {
        0 => String::new(),
        n => format!(", {n} active faults"),
    };
    let open = state.breakers.values().filter(|state| **state != BreakerState::Closed).count();
    let breakers = if open == 0 { String::new() } else { format!(", {open} breakers not closed") };
    format!(
        "{:>7.2}s  {phase}: {:.0}/s, TTFT p95 {}, errors {:.1} %, {} in flight{faults}{breakers}",
        now.as_secs_f64(),
        pulse.rate,
        latency(pulse.ttft_p95),
        pulse.error_ratio * 100.0,
        pulse.in_flight,
    )
}

/// The live block, each line ended.
pub(super) fn block(frame: &Frame, now: RunTime, state: &State, pulse: &Pulse, width: usize) -> String {
    let phase = state.phase.as_ref().map_or("warm-up", |phase| phase.as_str());
    let mut out = String::new();
    let mut row = |label: &str, text: String| {
        out.push_str(&format!("  {DIM}{label:<9}{RESET} {text}\n"));
    };
    let done = (now.as_secs_f64() / frame.end.as_secs_f64().max(0.001)).min(1.0);
    let clock = format!("{} / {}", minutes(now), minutes(frame.end));
    let bar = bar(done, width.saturating_sub(frame.name.len() + phase.len() + clock.len() + 20));
    row("drill", format!("{BOLD}{}{RESET}  {BLUE}{phase}{RESET}  {clock}  {bar}", frame.name));
    row(
        "load",
        format!(
            "{:>4.0}/s  {} in flight  {} sent, {} ended",
            pulse.rate, pulse.in_flight, pulse.sent, pulse.done
        ),
    );
    let errors = format!("errors {:.1} % now, {} in all", pulse.error_ratio * 100.0, pulse.errors);
    let errors = if pulse.error_ratio > 0.01 { format!("{ORANGE}{errors}{RESET}") } else { errors };
    row("latency", format!("TTFT p95 {:<9} {errors}", latency(pulse.ttft_p95)));
    for (id, fault) in &state.faults {
        let mark = if fault.proven { "● in effect" } else { "○ no effect seen yet" };
        let since = now.since(fault.since).as_secs();
        row("fault", format!("{ORANGE}{id}{RESET} on {} {mark}, {since} s", words::names(&fault.targets)));
    }
    if !state.breakers.is_empty() {
        let one = |(name, breaker): (&String, &BreakerState)| match breaker {
            BreakerState::Closed => format!("{name} {DIM}closed{RESET}"),
            BreakerState::Open => format!("{name} {ORANGE}OPEN{RESET}"),
            BreakerState::HalfOpen => format!("{name} {BLUE}half-open{RESET}"),
        };
        row("breakers", state.breakers.iter().map(one).collect::<Vec<_>>().join("  "));
    }
    if let Some(rollout) = &state.rollout {
        let candidate = match (&rollout.candidate, rollout.phase) {
            (Some(version), RolloutPhase::Progressing | RolloutPhase::RollingBack) => {
                format!("  {version} at {:.0} %", rollout.weight * 100.0)
            }
            _ => String::new(),
        };
        row("rollout", format!("{} {}{candidate}", rollout.stable, words::rollout(rollout.phase)));
    }
    if !state.pods.is_empty() {
        let ready = state.pods.values().filter(|ready| **ready).count();
        row("pods", format!("{ready} of {} ready", state.pods.len()));
    }
    out
}

fn bar(done: f64, width: usize) -> String {
    let width = width.clamp(10, 50);
    let full = (done * width as f64).round() as usize;
    format!("{BLUE}{}{RESET}{DIM}{}{RESET}", "━".repeat(full), "━".repeat(width - full))
}

fn minutes(at: RunTime) -> String {
    let seconds = at.0 / 1_000_000;
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

fn latency(micros: Option<u64>) -> String {
    micros.map_or_else(|| "–".to_owned(), |us| format!("{:.0} ms", us as f64 / 1e3))
}
