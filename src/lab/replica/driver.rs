//! Lets the engine's time pass: takes its steps, sleeps as long as the
//! simulated accelerator computes, and hands out the tokens.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::sync::mpsc;

use super::{
    Shared,
    answer::Finish,
    sim::{Engine, Prompt, SequenceId, Step},
};
use crate::lab::config::VersionDefect;

/// How many times as long a slow version's steps take.
pub(super) const SLOW_VERSION: f64 = 7.0;
/// How many times as long a throttled version's steps take, but for those that
/// read prompts.
const THROTTLED_VERSION: f64 = 4.0;
/// Share of the memory that a leaking version loses with each request.
const LEAK: f64 = 0.01;
/// A step that ended this late does not make the next ones hurry.
const CATCH_UP: Duration = Duration::from_millis(50);

/// What the driver is told.
#[derive(Debug)]
pub(super) enum Command {
    /// A new sequence.
    Submit {
        /// Its number.
        id: SequenceId,
        /// Its prompt.
        prompt: Prompt,
        /// Tokens it will have.
        tokens: u32,
        /// Why it will end.
        finish: Finish,
        /// Where its tokens go.
        to: mpsc::UnboundedSender<Event>,
    },
    /// Its client is gone.
    Abort(SequenceId),
}

/// What a sequence's request is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// The queue is full.
    Rejected,
    /// The token at `index` was computed.
    Token {
        /// From 0.
        index: u32,
        /// Whether it is the last one.
        last: bool,
    },
}

/// The slowdown factor, as bits of an `f64`.
#[derive(Debug)]
pub(super) struct SlowdownCell(AtomicU64);

impl Default for SlowdownCell {
    fn default() -> Self {
        Self(AtomicU64::new(1f64.to_bits()))
    }
}

impl SlowdownCell {
    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, factor: f64) {
        self.0.store(factor.to_bits(), Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct Client {
    to: mpsc::UnboundedSender<Event>,
    finish: Finish,
    submitted: Instant,
    admitted: bool,
    last_token: Option<Instant>,
}

struct Driver {
    shared: Arc<Shared>,
    engine: Engine,
    clients: HashMap<SequenceId, Client>,
    random: ChaCha8Rng,
    /// Share of the memory that is lost.
    leaked: f64,
}

/// Runs the engine until nobody can ask anything any more.
pub(super) async fn run(shared: Arc<Shared>, mut commands: mpsc::UnboundedReceiver<Command>) {
    let seed = super::mix(shared.config.seed ^ super::hash(shared.config.pod.as_str()) ^ 1);
    let mut driver = Driver {
        engine: Engine::new(shared.timing.limits()),
        clients: HashMap::new(),
        random: ChaCha8Rng::seed_from_u64(seed),
        leaked: 0.0,
        shared,
    };
    let mut due = Instant::now();
    loop {
        if driver.engine.is_idle() {
            match commands.recv().await {
                Some(command) => driver.take(command),
                None => return,
            }
            due = Instant::now();
        }
        while let Ok(command) = commands.try_recv() {
            driver.take(command);
        }
        if driver.engine.is_idle() {
            continue;
        }
        let step = driver.engine.step();
        let took = driver.duration(&step);
        // By the deadline, not by the sleep: a timer's coarseness must not add up.
        due = due.max(Instant::now().checked_sub(CATCH_UP).unwrap_or(due)) + took;
        tokio::time::sleep_until(due.into()).await;
        driver.hand_out(&step, took);
    }
}

impl Driver {
    fn take(&mut self, command: Command) {
        match command {
            Command::Submit { id, prompt, tokens, finish, to } => {
                let prompt_tokens = prompt.tokens();
                if self.engine.submit(id, prompt, tokens).is_err() {
                    // A client that is gone needs no answer.
                    let _ = to.send(Event::Rejected);
                    return;
                }
                self.shared.metrics().prompt_tokens += u64::from(prompt_tokens);
                let submitted = Instant::now();
                let client = Client { to, finish, submitted, admitted: false, last_token: None };
                self.clients.insert(id, client);
            }
            Command::Abort(id) => {
                self.engine.abort(id);
                if self.clients.remove(&id).is_some() {
                    *self.shared.metrics().finished.entry("abort").or_default() += 1;
                }
            }
        }
        self.gauges();
    }

    /// Share of the memory for keys and values that is taken, and what leaked.
    fn kv_use(&self) -> f64 {
        (self.engine.kv_use() + self.leaked).min(1.0)
    }

    fn gauges(&self) {
        let mut metrics = self.shared.metrics();
        metrics.running = self.engine.running();
        metrics.waiting = self.engine.waiting();
        metrics.kv_use = self.kv_use();
    }

    fn duration(&mut self, step: &Step) -> Duration {
        let slow = match self.shared.config.defect {
            VersionDefect::Slow => SLOW_VERSION,
            // Prompts are read as fast as ever.
            VersionDefect::Throttled if step.prefill_tokens == 0 => THROTTLED_VERSION,
            VersionDefect::None
            | VersionDefect::Errors
            | VersionDefect::Truncates
            | VersionDefect::WrongAnswers
            | VersionDefect::Throttled
            | VersionDefect::Leaks
            | VersionDefect::Short
            | VersionDefect::Skewed
            | VersionDefect::Crashes
            | VersionDefect::NeverReady => 1.0,
        };
        let ms = self.shared.timing.step_ms(step, self.kv_use(), &mut self.random);
        self.gauges();
        Duration::from_secs_f64(ms / 1e3 * slow * self.shared.slowdown.get())
    }

    fn hand_out(&mut self, step: &Step, took: Duration) {
        let now = Instant::now();
        let shared = Arc::clone(&self.shared);
        let mut metrics = shared.metrics();
        metrics.steps += 1;
        metrics.step_seconds += took.as_secs_f64();
        metrics.preemptions += u64::from(step.preempted);
        metrics.prefix_queries += u64::from(step.prefix_queries);
        metrics.prefix_hits += u64::from(step.prefix_hits);
        for id in &step.admitted {
            if let Some(client) = self.clients.get_mut(id)
                && !std::mem::replace(&mut client.admitted, true)
            {
                let waited = now.saturating_duration_since(client.submitted).saturating_sub(took);
                metrics.queue_time.observe(waited);
            }
        }
        for emitted in &step.emitted {
            let Some(client) = self.clients.get_mut(&emitted.id) else { continue };
            let token = Event::Token { index: emitted.index, last: emitted.last };
            if client.to.send(token).is_err() {
                continue; // Its abort is on the way.
            }
            metrics.generation_tokens += 1;
            match client.last_token.replace(now) {
                Some(before) => metrics.inter_token.observe(now.saturating_duration_since(before)),
                None => metrics.ttft.observe(now.saturating_duration_since(client.submitted)),
            }
            if emitted.last {
                metrics.e2e.observe(now.saturating_duration_since(client.submitted));
                *metrics.finished.entry(client.finish.as_str()).or_default() += 1;
                metrics.output_tokens.observe_value(f64::from(emitted.index + 1));
                self.clients.remove(&emitted.id);
                if shared.config.defect == VersionDefect::Leaks {
                    self.leaked = (self.leaked + LEAK).min(1.0);
                }
            }
        }
        metrics.running = self.engine.running();
        metrics.waiting = self.engine.waiting();
        metrics.kv_use = self.kv_use();
    }
}
