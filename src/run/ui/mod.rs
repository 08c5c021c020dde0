//! What a person sees while a run goes on, on standard error: a live view on
//! a terminal, plain lines elsewhere, JSON lines for programs. It never holds
//! up the run: a slow terminal misses events, the journal does not.

mod draw;
mod state;

pub(crate) use draw::width;

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use tokio::sync::{broadcast, watch};
use tokio_util::sync::CancellationToken;

use self::state::State;
use crate::{
    clock::Clock,
    journal::Record,
    report::words,
    units::{FaultId, RunTime},
};

/// How to show progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum UiMode {
    /// Live on a terminal, plain elsewhere.
    #[default]
    Auto,
    /// A line for each thing that happens, and one every five seconds.
    Plain,
    /// The journal's events as JSON lines.
    Json,
    /// Nothing.
    None,
}

/// How the load is doing, for the view.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Pulse {
    /// Requests sent so far.
    pub sent: u64,
    /// Requests that ended so far.
    pub done: u64,
    /// Of those, other than `ok`.
    pub errors: u64,
    /// Requests open now.
    pub in_flight: u64,
    /// Requests that ended in the last second.
    pub rate: f64,
    /// Share of requests that ended other than `ok` in the last second.
    pub error_ratio: f64,
    /// p95 of the scheduled TTFT over the last seconds, µs.
    pub ttft_p95: Option<u64>,
    /// p99 of the generator's lag, µs.
    pub lag_p99: Option<u64>,
}

/// What the view needs to know from the start.
#[derive(Debug, Clone)]
pub struct Frame {
    /// The scenario's name.
    pub name: String,
    /// When the last phase ends.
    pub end: RunTime,
    /// Acts that happen at an instant.
    pub one_shot: Vec<FaultId>,
}

/// Shows a run until `done` is cancelled.
pub async fn show(
    mode: UiMode,
    frame: Frame,
    clock: Clock,
    events: broadcast::Receiver<Record>,
    pulse: watch::Receiver<Pulse>,
    done: CancellationToken,
) {
    let live = mode == UiMode::Auto && std::io::stderr().is_terminal();
    match mode {
        UiMode::None => {}
        UiMode::Json => json(events, done).await,
        UiMode::Auto | UiMode::Plain => text(live, &frame, clock, events, pulse, done).await,
    }
}

async fn text(
    live: bool,
    frame: &Frame,
    clock: Clock,
    mut events: broadcast::Receiver<Record>,
    pulse: watch::Receiver<Pulse>,
    done: CancellationToken,
) {
    let mut state = State::new(frame.one_shot.clone());
    let mut drawn = 0;
    let period = if live { Duration::from_millis(250) } else { Duration::from_secs(5) };
    let mut tick = tokio::time::interval(period);
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(record) => {
                    state.take(&record);
                    if let Some(words) = words::in_words(&record.event) {
                        let line = draw::event(record.at, &words, &record.event, live);
                        print(&draw::clear(drawn));
                        print(&format!("{line}\n"));
                        drawn = 0;
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => break,
            },
            () = done.cancelled() => break,
            _ = tick.tick() => {
                let now = clock.now();
                let pulse = pulse.borrow().clone();
                if live {
                    let width = draw::width();
                    let block = draw::block(frame, now, &state, &pulse, width);
                    print(&draw::clear(drawn));
                    print(&block);
                    drawn = block.matches('\n').count();
                } else if pulse.sent > 0 {
                    print(&format!("{}\n", draw::line(now, &state, &pulse)));
                }
            }
        }
    }
    print(&draw::clear(drawn));
}

async fn json(mut events: broadcast::Receiver<Record>, done: CancellationToken) {
    loop {
        tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(record) => {
                    if let Ok(line) = serde_json::to_string(&record) {
                        print(&format!("{line}\n"));
                    }
                }
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => break,
            },
            () = done.cancelled() => break,
        }
    }
}

/// To standard error. A terminal that has gone away is no reason to stop.
fn print(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
