//! The run itself, from the clock's start to the journal's last line.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinError, JoinHandle},
};
use tokio_util::sync::CancellationToken;

use super::{
    Options, RunError,
    acts::Acts,
    gate,
    interrupt::{self, Interrupts},
    search::Searcher,
    stop::StopWatch,
    target::Running,
    ui::{self, Pulse},
};
use crate::{
    clock::Clock,
    journal::{
        Event, RunFolder, Sink,
        event::{FORMAT, RunEnd},
        interval::Outcome,
        reader,
        writer::Writer,
    },
    load::{self, LoadError, LoadJob, LoadSummary, Progress, RequestLog, Search},
    observe,
    plan::Plan,
    scenario::model::Unsteady,
    units::{FaultId, RunTime},
    verdict,
};

/// Head start of the users before the clock's zero.
const HEAD_START: Duration = Duration::from_millis(500);
/// How often the load's progress is looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Everything that is under way.
struct Drill {
    plan: Arc<Plan>,
    folder: RunFolder,
    clock: Clock,
    sink: Sink,
    acts: Acts,
    stop_load: CancellationToken,
    stop_watching: CancellationToken,
    progress: watch::Receiver<Progress>,
    pulse: watch::Sender<Pulse>,
    load: JoinHandle<Result<LoadSummary, LoadError>>,
    load_is_over: bool,
    /// The last second that the stop conditions were asked about.
    watched: u32,
    watcher: JoinHandle<()>,
    /// A capacity search, if the plan has one.
    searcher: Option<JoinHandle<()>>,
    /// The run ends when this file is there.
    halt: PathBuf,
}

/// Runs the plan against a target that is up and has passed the preflight.
/// What could not be taken back, in words.
pub(super) async fn supervise(
    plan: Arc<Plan>,
    target: &Running,
    folder: &RunFolder,
    options: &Options,
    requests: Option<RequestLog>,
    mut interrupts: Interrupts,
) -> Result<Vec<(FaultId, String)>, RunError> {
    let clock = Clock::starting_in(HEAD_START);
    let (sink, lines) = Sink::new(clock);
    let mut writer = Writer::start(folder, lines)?;
    let (pulse, pulses) = watch::channel(Pulse::default());
    let ui_done = CancellationToken::new();
    let one_shot = plan.timeline.iter().filter(|act| act.until.is_none()).map(|act| act.id.clone()).collect();
    let frame = ui::Frame { name: plan.name.clone(), end: plan.end(), one_shot };
    let view = tokio::spawn(ui::show(options.ui, frame, clock, sink.listen(), pulses, ui_done.clone()));
    sink.event(Event::RunStarted { format: FORMAT, run: folder.id(), wall_clock: clock.zero_by_the_wall() });

    let mut drill =
        Drill::start(&plan, target, folder, sink, requests, pulse, gate::halt_file(&options.runs))?;
    let end = tokio::select! {
        end = drill.phases() => end,
        () = interrupt::asked(&mut interrupts, 1) => {
            drill.sink.event(Event::Interrupted);
            RunEnd::Aborted
        }
        Ok(why) = &mut writer.failed => RunEnd::Broken { why: format!("the journal could not be written: {why}") },
    };
    let left_behind = tokio::select! {
        left_behind = drill.finish(end) => left_behind,
        () = interrupt::asked(&mut interrupts, 2) => return Err(RunError::LeftAtOnce(folder.path().to_owned())),
    };
    ui_done.cancel();
    // The view only reads: however it ended, the run goes on.
    let _ = view.await;
    if let Err(error) = writer.finish().await {
        // The journal itself says that it broke; the verdict will, too.
        eprintln!("error: {error}");
    }
    Ok(left_behind)
}

impl Drill {
    fn start(
        plan: &Arc<Plan>,
        target: &Running,
        folder: &RunFolder,
        sink: Sink,
        requests: Option<RequestLog>,
        pulse: watch::Sender<Pulse>,
        halt: PathBuf,
    ) -> Result<Self, RunError> {
        let clock = sink.clock();
        let (stop_load, stop_watching) = (CancellationToken::new(), CancellationToken::new());
        let (report, progress) = watch::channel(Progress::default());
        let search = Arc::new(Search::default());
        let load = tokio::spawn(load::drive(LoadJob {
            plan: Arc::clone(plan),
            to: target.destination()?,
            clock,
            sink: sink.clone(),
            cancel: stop_load.clone(),
            requests,
            search: Arc::clone(&search),
            progress: report,
        }));
        let searcher = plan.search().map(|_| {
            let (plan, folder, sink) = (Arc::clone(plan), folder.clone(), sink.clone());
            tokio::spawn(Searcher { plan, folder, clock, sink, search, progress: progress.clone() }.run())
        });
        let (watched, stop) = (sink.clone(), stop_watching.clone());
        let (sources, alerts) = (plan.observe.clone(), plan.alerts());
        let declared = observe::declared::watch(sources, alerts, clock, watched.clone(), stop.clone());
        let (of, told, until) = (Arc::clone(plan), watched.clone(), stop.clone());
        let registry = async move { observe::registry::watch(&of.timeline, clock, told, until).await };
        let watcher = match target.on_cluster(plan) {
            Some(on) => {
                let cluster = observe::kubernetes::watch(on, clock, watched, stop);
                tokio::spawn(async { _ = tokio::join!(cluster, declared, registry) })
            }
            None => {
                let lab = observe::watch(target.lab(), clock, watched, stop);
                tokio::spawn(async { _ = tokio::join!(lab, declared, registry) })
            }
        };
        let acts = Acts::start(plan, target, folder, sink.clone())?;
        Ok(Self {
            plan: Arc::clone(plan),
            folder: folder.clone(),
            clock,
            sink,
            acts,
            stop_load,
            stop_watching,
            progress,
            pulse,
            load,
            load_is_over: false,
            watched: 0,
            watcher,
            searcher,
            halt,
        })
    }

    /// Goes through the phases, and waits for the requests that are open when
    /// the last one ends. Returns earlier if something ends the run.
    async fn phases(&mut self) -> RunEnd {
        let mut stop = StopWatch::new(&self.plan.stop_when);
        let plan = Arc::clone(&self.plan);
        for (index, phase) in plan.phases.iter().enumerate() {
            if !self.load_is_over {
                let begins = Event::PhaseStarted { phase: phase.name.clone() };
                if let Some(end) = self.watch_until(phase.start, &mut stop).await {
                    return end;
                }
                self.sink.event(begins);
                if let Some(end) = self.watch_until(phase.end, &mut stop).await {
                    return end;
                }
                self.sink.event(Event::PhaseEnded { phase: phase.name.clone() });
            }
            // A search judges its own steps. With nothing to hold back, a first
            // phase that breaks its SLOs is not unsteady: it fails.
            if index == 0
                && self.searcher.is_none()
                && !plan.timeline.is_empty()
                && let Some(end) = self.steady_state()
            {
                return end;
            }
        }
        let drained = self.watch_until(RunTime(u64::MAX), &mut stop).await;
        drained.unwrap_or(RunEnd::Completed)
    }

    /// Watches the load until `until`. Some: the run ends here.
    async fn watch_until(&mut self, until: RunTime, stop: &mut StopWatch) -> Option<RunEnd> {
        loop {
            let look = (self.clock.now() + LOOK).min(until);
            if self.load_is_over {
                return None;
            }
            tokio::select! {
                biased;
                ended = &mut self.load => {
                    self.load_is_over = true;
                    if let Some(end) = broken(ended) {
                        return Some(end);
                    }
                }
                () = self.clock.sleep_until(look) => {}
            }
            if let Some(condition) = self.look(stop) {
                self.sink.event(Event::StopCondition { condition });
                return Some(RunEnd::Aborted);
            }
            if self.clock.now() >= until {
                return None;
            }
        }
    }

    /// Shows the load's progress, and asks the stop conditions about every
    /// second that is over.
    fn look(&mut self, stop: &mut StopWatch) -> Option<String> {
        let progress = self.progress.borrow().clone();
        self.pulse.send_replace(pulse(&progress));
        if self.halt.exists() {
            return Some(format!("the halt file {} is there", self.halt.display()));
        }
        let whole = self.watched + 1..progress.at.second();
        for one in progress.seconds.iter().filter(|one| whole.contains(&one.second)) {
            self.watched = one.second;
            if let Some(condition) = stop.second(one.ended, one.failed) {
                return Some(condition);
            }
        }
        None
    }

    /// Judges the first phase from the journal as it stands, and lets the
    /// faults begin if it holds. Some: the run ends here.
    fn steady_state(&mut self) -> Option<RunEnd> {
        let broken = match reader::read(&self.folder) {
            Ok(record) => {
                verdict::steady(&self.plan, record.intervals.iter().flat_map(|interval| &interval.cells))
            }
            Err(error) => vec![error.to_string()],
        };
        let holds = broken.is_empty();
        self.sink.event(Event::SteadyState { holds, broken });
        match (holds, self.plan.unless_steady) {
            (true, _) | (false, Unsteady::Continue) => {
                self.acts.begin();
                None
            }
            (false, Unsteady::Stop) => Some(RunEnd::NotSteady),
        }
    }

    /// The one way out: faults first, then the load, then the watchers, then
    /// the journal's last line.
    async fn finish(mut self, end: RunEnd) -> Vec<(FaultId, String)> {
        let left_behind = self.acts.recover().await;
        self.stop_load.cancel();
        if let Some(searcher) = &self.searcher {
            searcher.abort();
        }
        if !self.load_is_over
            && let Err(error) = (&mut self.load).await
        {
            tracing::error!("the load's task: {error}");
        }
        self.stop_watching.cancel();
        if let Err(error) = self.watcher.await {
            tracing::error!("the observers' task: {error}");
        }
        match self.sink.dropped() {
            0 => {}
            records => self.sink.event(Event::Dropped { records }),
        }
        self.sink.event(Event::RunEnded { end });
        left_behind
    }
}

/// What a load that ended says of the run. None: it ended as it should.
fn broken(ended: Result<Result<LoadSummary, LoadError>, JoinError>) -> Option<RunEnd> {
    let why = match ended {
        Ok(Ok(summary)) if summary.panics == 0 => return None,
        Ok(Ok(summary)) => format!("{} of the load's users panicked", summary.panics),
        Ok(Err(error)) => format!("the load failed: {error}"),
        Err(error) => format!("the load failed: {error}"),
    };
    Some(RunEnd::Broken { why })
}

fn pulse(progress: &Progress) -> Pulse {
    let second = progress.at.second().checked_sub(1);
    let last = progress.seconds.iter().rev().find(|one| Some(one.second) == second);
    let failed = |(outcome, count): (&Outcome, &u64)| match outcome {
        Outcome::Ok => 0,
        _ => *count,
    };
    Pulse {
        sent: progress.sent,
        done: progress.done,
        errors: progress.outcomes.iter().map(failed).sum(),
        in_flight: progress.in_flight,
        rate: last.map_or(0.0, |second| second.ended as f64),
        error_ratio: last.and_then(|second| second.error_ratio()).unwrap_or(0.0),
        ttft_p95: progress.ttft_p95,
        lag_p99: progress.lag_p99,
    }
}
