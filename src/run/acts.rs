//! The acts of a run's timeline: held back until the target is steady, and
//! taken back on every way out.

use std::sync::Arc;

use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    RunError,
    target::{Drivers, Running},
};
use crate::{
    chaos::{ActEnd, ActGate, ActResult, Driver, FaultContext, run_act},
    journal::{RunFolder, Sink},
    plan::Plan,
    units::{FaultId, RunTime},
};

/// The acts that are under way or still to come.
#[derive(Debug)]
pub(super) struct Acts {
    /// For those that come in the first phase.
    early: watch::Sender<ActGate>,
    /// For those that wait until the first phase was found steady.
    late: watch::Sender<ActGate>,
    cancel: CancellationToken,
    tasks: JoinSet<ActEnd>,
}

impl Acts {
    /// Sets every act on its way to its time.
    pub(super) fn start(
        plan: &Arc<Plan>,
        target: &Running,
        folder: &RunFolder,
        sink: Sink,
    ) -> Result<Self, RunError> {
        let mut acts = Self {
            early: watch::Sender::new(ActGate::Open),
            late: watch::Sender::new(ActGate::Shut),
            cancel: CancellationToken::new(),
            tasks: JoinSet::new(),
        };
        let cancel = acts.cancel.clone();
        match target.driver(plan, &folder.id())? {
            Drivers::Url(driver) => {
                acts.spawn(plan, &FaultContext::new(driver, folder, sink, cancel, plan)?);
            }
            Drivers::Lab(driver) => {
                acts.spawn(plan, &FaultContext::new(driver, folder, sink, cancel, plan)?);
            }
            Drivers::Proxy(driver) => {
                acts.spawn(plan, &FaultContext::new(driver, folder, sink, cancel, plan)?);
            }
            Drivers::Kubernetes(driver) => {
                acts.spawn(plan, &FaultContext::new(*driver, folder, sink, cancel, plan)?);
            }
        }
        Ok(acts)
    }

    fn spawn<D: Driver>(&mut self, plan: &Plan, context: &FaultContext<D>) {
        let steady_at = plan.phases.first().map_or(RunTime::ZERO, |phase| phase.end);
        for act in &plan.timeline {
            let gate = if act.at < steady_at { &self.early } else { &self.late };
            self.tasks.spawn(run_act(act.clone(), context.clone(), gate.subscribe()));
        }
    }

    /// The target is steady: faults may begin.
    pub(super) fn begin(&self) {
        self.late.send_replace(ActGate::Open);
    }

    /// Recovers what is in place and begins nothing more. What could not be
    /// taken back, in words.
    pub(super) async fn recover(&mut self) -> Vec<(FaultId, String)> {
        self.cancel.cancel();
        let mut left = Vec::new();
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(ActEnd { id, result: ActResult::LeftBehind { why } }) => left.push((id, why)),
                Ok(ActEnd {
                    result: ActResult::NotStarted | ActResult::Skipped { .. } | ActResult::Done { .. },
                    ..
                }) => {}
                // A panic is a bug of ours; the write-ahead log still knows.
                Err(error) => left.push((FaultId::from("unknown"), error.to_string())),
            }
        }
        left
    }
}
