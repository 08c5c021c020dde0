//! The run itself, from the clock's start to the journal's last line.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    RunError,
    interrupt::{self, Interrupts},
    stop::StopWatch,
    target::Running,
    ui::{self, Pulse, UiMode},
};
use crate::{
    chaos::{self, ActEnd, ActGate, FaultContext},
    clock::Clock,
    journal::{
        self, Event, RunFolder, Sink,
        event::{FORMAT, RunEnd},
        writer::Writer,
    },
    load::{self, LoadError, LoadJob, LoadSummary, Progress},
    observe,
    plan::{Plan, model::PlannedPhase},
    scenario::model::Unsteady,
    verdict,
};

/// What a run leaves behind, beside its folder.
#[derive(Debug)]
pub(super) struct Supervised {
    /// Faults that could not be taken back, in words.
    pub(super) left_behind: Vec<String>,
}

/// Everything that is under way.
struct Drill {
    plan: Arc<Plan>,
    folder: RunFolder,
    clock: Clock,
    sink: Sink,
    gate: watch::Sender<ActGate>,
    stop_load: CancellationToken,
    stop_chaos: CancellationToken,
    stop_watching: CancellationToken,
    progress: watch::Receiver<Progress>,
    load: JoinHandle<Result<LoadSummary, LoadError>>,
    acts: JoinSet<ActEnd>,
    watcher: JoinHandle<()>,
}

/// Runs the plan against a target that is up and has passed the preflight.
pub(super) async fn supervise(
    plan: Arc<Plan>,
    target: &mut Running,
    folder: &RunFolder,
    ui: UiMode,
    mut interrupts: Interrupts,
) -> Result<Supervised, RunError> {
    let clock = Clock::start();
    let (sink, lines) = Sink::new(clock);
    let mut writer = Writer::start(folder, lines)?;
    let (pulse, pulses) = watch::channel(Pulse::default());
    let stop_ui = CancellationToken::new();
    let frame = ui::Frame { name: plan.name.clone(), end: plan.end() };
    let view = tokio::spawn(ui::show(ui, frame, clock, sink.listen(), pulses, stop_ui.clone()));

    sink.event(Event::RunStarted { format: FORMAT, run: folder.id(), wall_clock: wall_clock() });
    let mut drill = Drill::start(&plan, target, folder, clock, sink)?;
    let mut failed = std::pin::pin!(async { (&mut writer.failed).await.ok() });
    let end = tokio::select! {
        end = drill.phases(&pulse) => end,
        () = interrupt::asked(&mut interrupts, 1) => {
            drill.sink.event(Event::Interrupted);
            RunEnd::Aborted
        }
        Some(why) = &mut failed => RunEnd::Broken { why: format!("the journal could not be written: {why}") },
    };
    let recovering = drill.finish(end);
    let supervised = tokio::select! {
        supervised = recovering => supervised,
        () = interrupt::asked(&mut interrupts, 2) => return Err(RunError::LeftAtOnce(folder.path().to_owned())),
    };
    stop_ui.cancel();
    // The view only reads; how it ended is of no consequence.
    let _ = view.await;
    writer.finish().await.or_else(|error| if supervised.is_ok() { Ok(()) } else { Err(error) })?;
    supervised
}

impl Drill {
    fn start(
        plan: &Arc<Plan>,
        target: &Running,
        folder: &RunFolder,
        clock: Clock,
        sink: Sink,
    ) -> Result<Self, RunError> {
        let (gate, gated) = watch::channel(ActGate::Shut);
        let (stop_load, stop_chaos, stop_watching) =
            (CancellationToken::new(), CancellationToken::new(), CancellationToken::new());
        let (report, progress) = watch::channel(Progress::default());
        let load = tokio::spawn(load::drive(LoadJob {
            plan: Arc::clone(plan),
            base_url: target.base_url(),
            clock,
            sink: sink.clone(),
            cancel: stop_load.clone(),
            progress: report,
        }));
        let watcher = tokio::spawn(observe::watch(target.lab(), sink.clone(), stop_watching.clone()));
        let mut acts = JoinSet::new();
        if let Some(driver) = target.driver()? {
            let context = FaultContext::new(driver, folder, sink.clone(), stop_chaos.clone(), plan)?;
            for act in &plan.timeline {
                acts.spawn(chaos::run_act(act.clone(), context.clone(), gated.clone()));
            }
        }
        Ok(Self {
            plan: Arc::clone(plan),
            folder: folder.clone(),
            clock,
            sink,
            gate,
            stop_load,
            stop_chaos,
            stop_watching,
            progress,
            load,
            acts,
            watcher,
        })
    }

    /// Goes through the phases until the load is over, or until something
    /// ends the run before its time.
    async fn phases(&mut self, pulse: &watch::Sender<Pulse>) -> RunEnd {
        let mut stop = StopWatch::new(&self.plan.stop_when);
        let plan = Arc::clone(&self.plan);
        for (index, phase) in plan.phases.iter().enumerate() {
            self.clock.sleep_until(phase.start).await;
            self.sink.event(Event::PhaseStarted { phase: phase.name.clone() });
            if let Some(end) = self.phase(phase, &mut stop, pulse).await {
                return end;
            }
            self.sink.event(Event::PhaseEnded { phase: phase.name.clone() });
            if index == 0 && !self.steady() {
                return RunEnd::NotSteady;
            }
        }
        RunEnd::Completed
    }

    /// One phase. Some: the run ends here.
    async fn phase(
        &mut self,
        phase: &PlannedPhase,
        stop: &mut StopWatch,
        pulse: &watch::Sender<Pulse>,
    ) -> Option<RunEnd> {
        let mut tick = tokio::time::interval(Duration::from_millis(250));
        let mut watched = phase.start.second();
        loop {
            tokio::select! {
                () = self.clock.sleep_until(phase.end) => return None,
                ended = &mut self.load => return self.load_ended(ended),
                _ = tick.tick() => {
                    let progress = self.progress.borrow().clone();
                    pulse.send_replace(pulse_of(&progress));
                    for (second, done, errors) in progress.seconds_after(watched) {
                        watched = second;
                        if let Some(condition) = stop.second(done, errors) {
                            self.sink.event(Event::StopCondition { condition });
                            return Some(RunEnd::Aborted);
                        }
                    }
                }
            }
        }
    }
}
