//! The load of a whole run.

use std::sync::{
    Arc,
    atomic::{AtomicU32, AtomicU64, Ordering},
    mpsc,
};

use indexmap::IndexMap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    LoadError,
    attack::{self, Squad},
    connection::{Base, Connections, Destination},
    crew::Crew,
    feed::Feed,
    misses::Misses,
    origin::Origins,
    progress::{Progress, Reporter},
    protocol::Protocol,
    record::Recorder,
    request_log::RequestLog,
    schedule::Schedule,
    search::Search,
};
use crate::{
    clock::Clock,
    journal::{Sink, interval::Outcome},
    plan::Plan,
    units::{RunTime, Span},
};

/// Everything that the load needs.
#[derive(Debug)]
pub struct LoadJob {
    /// What to send, and when.
    pub plan: Arc<Plan>,
    /// Where to.
    pub to: Destination,
    /// The run's clock. Let its zero lie half a second ahead
    /// ([`Clock::starting_in`]): then all users are there when it starts.
    pub clock: Clock,
    /// Where intervals and exemplars go.
    pub sink: Sink,
    /// Stops the load at once: nothing more is sent, and what is open ends as
    /// `cancelled`.
    pub cancel: CancellationToken,
    /// The steps of the plan's capacity search, if it has one: whoever adds
    /// them must finish it, too.
    pub search: Arc<Search>,
    /// Where every request is written down, if anywhere.
    pub requests: Option<RequestLog>,
    /// Told about four times a second.
    pub progress: watch::Sender<Progress>,
}

/// What was done in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadSummary {
    /// Arrivals that were due.
    pub due: u64,
    /// Requests sent.
    pub sent: u64,
    /// Requests ended.
    pub done: u64,
    /// Arrivals that had to wait for a free user.
    pub starved: u64,
    /// Users that panicked: above 0, the harness is broken.
    pub panics: u64,
    /// Requests by class.
    pub outcomes: IndexMap<Outcome, u64>,
    /// When the last of them ended.
    pub ended: RunTime,
    /// Whether the load was stopped before its schedule was over.
    pub cancelled: bool,
}

/// Sends the plan's load. Returns when the schedule is over and every request
/// has ended, or soon after `cancel`. Loads in one process run one after the
/// other. Dropping the future stops the load.
///
/// # Errors
/// [`LoadError`], before anything is sent, unless Goose fails on the way.
pub async fn drive(job: LoadJob) -> Result<LoadSummary, LoadError> {
    let base = Base::of(&job.to)?;
    let recorder = Arc::new(Recorder::new(&job.plan));
    let cancel = job.cancel.child_token();
    // Whoever drops this future stops the users, too.
    let _stop = cancel.clone().drop_guard();
    let squads = squads(&job, &recorder, &cancel)?;
    raise_file_limit();

    let crews: Vec<Arc<Crew>> = squads.iter().map(|squad| squad.crew.clone()).collect();
    let reporter = Reporter::new(job.clock, job.sink, recorder.clone(), crews, job.progress);
    let (reporting, over) = mpsc::channel();
    let report = tokio::task::spawn_blocking(move || reporter.run(&over));
    let host = format!("http://{}/", base.authority);
    // A task of its own: should this future be dropped, Goose still winds down.
    let result = tokio::spawn(async move { attack::run(&host, squads).await }).await;
    drop(reporting);
    let reporter = report.await.map_err(|error| LoadError::Report(error.to_string()))?;
    result.map_err(|error| LoadError::Goose(error.to_string()))??;

    let counts = &recorder.counts;
    Ok(LoadSummary {
        due: reporter.due_until(job.clock.now()),
        sent: counts.sent.load(Ordering::Relaxed),
        done: counts.done.load(Ordering::Relaxed),
        starved: counts.starved.load(Ordering::Relaxed),
        panics: counts.panics.load(Ordering::Relaxed),
        outcomes: recorder.outcomes(),
        ended: recorder.last_end(),
        cancelled: job.cancel.is_cancelled(),
    })
}

fn squads(
    job: &LoadJob,
    recorder: &Arc<Recorder>,
    cancel: &CancellationToken,
) -> Result<Vec<Squad>, LoadError> {
    let mut ready = Vec::new();
    for planned in &job.plan.workloads {
        let base = Base::of(&job.to.of(&planned.workload)?)?;
        let protocol = Protocol::new(&base, &planned.workload)?;
        let dialect = protocol.dialect.clone();
        let feed = Feed::new(planned.name.as_str(), &planned.workload, dialect, &base, job.plan.seed)?;
        ready.push((Arc::new(feed), Arc::new(protocol), base));
    }
    let (misses, origins) = (Arc::new(Misses::default()), Arc::new(Origins::default()));
    job.plan
        .load
        .iter()
        .map(|load| {
            let index = job.plan.workloads.iter().position(|w| w.name == load.workload).ok_or_else(|| {
                LoadError::NoWorkload { load: load.name.clone(), workload: load.workload.to_string() }
            })?;
            let (feed, protocol, base) = ready[index].clone();
            let workload = &job.plan.workloads[index].workload;
            let schedule = Schedule::of(&job.plan, load, &job.search);
            let busy = schedule.is_busy() && workload.turns().1 == Span::default();
            let crew = Crew {
                name: load.name.clone(),
                workload: u16::try_from(index)
                    .map_err(|_| LoadError::Workload("there are too many workloads".to_owned()))?,
                workload_name: load.workload.clone(),
                schedule,
                feed,
                protocol,
                connections: Connections::to(
                    base,
                    &workload.connection(),
                    workload.transport.connect_timeout.0,
                    busy,
                )?,
                recorder: recorder.clone(),
                misses: misses.clone(),
                origins: origins.clone(),
                clock: job.clock,
                sink: job.sink.clone(),
                requests: job.requests.clone(),
                // Apart from other runs' in the target's logs.
                id_prefix: format!("fd{}-", std::process::id()),
                cancel: cancel.clone(),
                seats: AtomicU32::new(load.users),
                starved: AtomicU64::new(0),
            };
            Ok(Squad { crew: Arc::new(crew), users: load.users })
        })
        .collect()
}

/// Connections are files: take as many as the system lets us have. Where that
/// fails, requests fail with a message of their own.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
        && let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
    {
        tracing::debug!("raise the limit of open files from {soft}: {error}");
    }
}
