//! The lab's replica: a simulated GPU inference server that speaks OpenAI's
//! chat completions, completions, responses and embeddings.
//!
//! `sim` decides what is computed when, `driver` lets the time pass,
//! `answer` knows the words, `exchange` accounts for each request, `generate`
//! leads it through the engine, and `http`, `openai`, `responses` and
//! `embeddings` speak to the outside.

mod answer;
mod driver;
mod embeddings;
mod exchange;
mod generate;
mod http;
mod metrics;
mod models;
mod openai;
mod request_log;
mod responses;
mod sim;

use std::{
    net::Ipv4Addr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::serve::ListenerExt as _;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::{net::TcpListener, sync::mpsc};

use crate::{
    lab::{
        api::{Listening, ReplicaConfig, ReplicaLogLine},
        config::{ModelPreset, VersionDefect},
        kubernetes::{
            PodError, ending,
            environment::{self, Serving},
        },
    },
    process::{self, ProcessError},
};

/// How long a version that crashes lives.
const CRASHES_AFTER: Duration = Duration::from_millis(700);

/// SplitMix64's finaliser: spreads the bits of `value`.
pub(super) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a: the same on every machine and in every build, as seeds demand.
pub(super) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A name for metrics and answers.
pub(in crate::lab) fn model_name(model: ModelPreset) -> &'static str {
    match model {
        ModelPreset::Llama8bH100 => "llama-8b",
        ModelPreset::Llama70bH100x8 => "llama-70b",
        ModelPreset::Llama3bL40s => "llama-3b",
    }
}

/// What the replica's tasks share.
#[derive(Debug)]
struct Shared {
    config: ReplicaConfig,
    timing: sim::Timing,
    voice: answer::Voice,
    started: Instant,
    metrics: Mutex<metrics::Metrics>,
    chance: Mutex<ChaCha8Rng>,
    engine: mpsc::UnboundedSender<driver::Command>,
    log: Option<mpsc::UnboundedSender<ReplicaLogLine>>,
    in_flight: AtomicUsize,
    slowdown: driver::SlowdownCell,
    /// What the models that are no language models compute on.
    accelerator: tokio::sync::Semaphore,
}

impl Shared {
    fn metrics(&self) -> MutexGuard<'_, metrics::Metrics> {
        // Figures stay figures, even if a holder panicked.
        self.metrics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something happens that has this probability.
    fn happens(&self, probability: f64) -> bool {
        self.draw() < probability
    }

    /// Uniform in [0, 1).
    fn draw(&self) -> f64 {
        self.chance.lock().unwrap_or_else(PoisonError::into_inner).random()
    }

    /// Whether image, weights and warm-up are done.
    fn is_warm(&self) -> bool {
        // One that crashes does so before.
        !matches!(self.config.defect, VersionDefect::NeverReady | VersionDefect::Crashes)
            && self.started.elapsed() >= Duration::from_millis(self.config.cold_start_ms)
    }
}

/// What a replica consists of, with its engine running.
fn assemble(config: ReplicaConfig) -> std::io::Result<(Arc<Shared>, Option<request_log::Writer>)> {
    let log = config.request_log.as_deref().map(request_log::start).transpose()?;
    let (log, writer) = log.unzip();
    let timing = sim::Timing::of(config.model);
    let (engine, commands) = mpsc::unbounded_channel();
    let shared = Arc::new(Shared {
        timing,
        voice: answer::Voice {
            seed: config.seed,
            version: config.version.clone(),
            defect: config.defect,
            garbage: config.garbage,
        },
        started: Instant::now(),
        metrics: Mutex::default(),
        chance: Mutex::new(ChaCha8Rng::seed_from_u64(mix(config.seed ^ hash(config.pod.as_str())))),
        engine,
        log,
        in_flight: AtomicUsize::new(0),
        slowdown: driver::SlowdownCell::default(),
        accelerator: tokio::sync::Semaphore::new(models::AT_ONCE),
        config,
    });
    tokio::spawn(driver::run(Arc::clone(&shared), commands));
    if shared.config.defect == VersionDefect::Crashes {
        tokio::spawn(async {
            tokio::time::sleep(CRASHES_AFTER).await;
            tracing::error!("the model does not load");
            // It can't fail for the process itself.
            let _ = nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL);
        });
    }
    Ok((shared, writer))
}

/// Runs the replica of a pod, until SIGTERM.
pub async fn serve_in_pod() -> Result<(), PodError> {
    super::log_to_stderr();
    let Serving { config, port, drain } = environment::replica(&environment::variables())?;
    tracing::info!(version = %config.version, defect = ?config.defect, "replica");
    let (shared, _) = assemble(config).map_err(|source| PodError::Serve { port, source })?;
    ending::serve(port, drain, http::router(shared)).await
}

/// Runs the replica until its parent is gone.
pub async fn serve() -> Result<(), ProcessError> {
    super::log_to_stderr();
    let (config, parent_gone) = process::lifeline::<ReplicaConfig>()?;
    let io = |source| ProcessError::Io { command: super::api::command::REPLICA.to_owned(), source };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port.unwrap_or(0))).await.map_err(io)?;
    let address = listener.local_addr().map_err(io)?;
    let (shared, writer) = assemble(config).map_err(io)?;
    process::ready(&Listening { listening: address })?;
    // Tokens are small and must not wait for each other.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let served =
        axum::serve(listener, http::router(Arc::clone(&shared))).with_graceful_shutdown(terminated());
    tokio::select! {
        served = served => served.map_err(io)?,
        _ = parent_gone => {}
    }
    tracing::debug!(in_flight = shared.in_flight.load(Ordering::Relaxed), "replica ends");
    if let Some(writer) = writer {
        writer.finish().await;
    }
    Ok(())
}

/// Resolves at SIGTERM: what is open is finished, nothing new is let in.
async fn terminated() {
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(error) => {
            tracing::warn!(%error, "no SIGTERM handler");
            std::future::pending::<()>().await;
        }
    }
}
