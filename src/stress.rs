//! `firedrill stress`: uses up CPU and memory for a time, tells how much it
//! did, and ends when it is asked to. It runs in a pod, as an ephemeral
//! container, and so has an end of its own: nobody can take it away.

use std::{
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use axum::{Json, Router, routing::get};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeValLike,
};
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, sync::Notify, time::sleep};

use crate::{
    process::ProcessError,
    scenario::stress::{CpuStress, MemoryStress, Stressors},
};

/// A worker computes for its share of this, and sleeps for the rest.
const SLICE: Duration = Duration::from_millis(50);
/// Held memory is touched so often, so that it is not swapped out.
const TOUCH: Duration = Duration::from_secs(1);
const PAGE: usize = 4096;

/// What it is to do.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// What is used up.
    pub stressors: Stressors,
    /// For how long.
    pub lasting: Duration,
    /// Where it tells how much it did (GET /) and is asked to end (POST /stop).
    pub listen: SocketAddr,
}

/// What it did so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Milliseconds since it began.
    pub since_ms: u64,
    /// Milliseconds of CPU that it used.
    pub cpu_ms: u64,
    /// Bytes that it holds, as the kernel counts them.
    pub bytes: u64,
}

/// Runs until its time is over or it is asked to end.
pub async fn run(Wanted { stressors, lasting, listen }: Wanted) -> Result<(), ProcessError> {
    let io = |source| ProcessError::Io { command: "stress".to_owned(), source };
    let listener = TcpListener::bind(listen).await.map_err(io)?;
    let (began, stop) = (Instant::now(), Arc::new(Notify::new()));
    let Stressors { cpu, memory } = stressors;
    if let Some(cpu) = cpu {
        (0..cpu.workers).for_each(|_| drop(thread::spawn(move || burn(cpu))));
    }
    if let Some(memory) = memory {
        thread::spawn(move || hold(memory));
    }
    let wanted = memory.map_or(0, MemoryStress::total);
    let stopped = Arc::clone(&stop);
    let told = move || async move { Json(done(began, wanted)) };
    let router = Router::new().route("/", get(told)).route(
        "/stop",
        axum::routing::post(async move || {
            stopped.notify_one();
        }),
    );
    let server = axum::serve(listener, router);
    tokio::select! {
        served = async { server.await } => served.map_err(io),
        () = sleep(lasting) => Ok(()),
        () = stop.notified() => {
            // The answer is on its way.
            sleep(SLICE).await;
            Ok(())
        }
    }
}

fn done(began: Instant, wanted: u64) -> Done {
    let usage = getrusage(UsageWho::RUSAGE_SELF);
    let used = usage.map(|usage| usage.user_time() + usage.system_time());
    Done {
        since_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        cpu_ms: used.ok().and_then(|used| u64::try_from(used.num_milliseconds()).ok()).unwrap_or(0),
        // The kernel counts in KiB; what it is itself is not asked for.
        bytes: if wanted == 0 {
            0
        } else {
            usage.map_or(0, |usage| u64::try_from(usage.max_rss()).unwrap_or(0) << 10)
        },
    }
}

fn burn(cpu: CpuStress) -> ! {
    let busy = SLICE * u32::from(cpu.load) / 100;
    let mut number = 1_u64;
    loop {
        let began = Instant::now();
        while began.elapsed() < busy {
            for _ in 0..1000 {
                number = std::hint::black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
            }
        }
        thread::sleep(SLICE.saturating_sub(began.elapsed()));
    }
}

fn hold(memory: MemoryStress) -> ! {
    let mut held = vec![0_u8; usize::try_from(memory.total()).unwrap_or(usize::MAX)];
    loop {
        for page in held.chunks_mut(PAGE) {
            page[0] = page[0].wrapping_add(1);
        }
        std::hint::black_box(&held);
        thread::sleep(TOUCH);
    }
}
