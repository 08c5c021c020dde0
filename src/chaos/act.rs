//! One act of the timeline, from its time to its end.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    driver::{ChaosError, Driver, LastWord, Order, Proof},
    lab::LabDriver,
    undo::{Undo, take_back},
    wal::{Step, Wal},
};
use crate::{
    clock::Clock,
    journal::{
        Event, RunFolder, Sink,
        event::{FaultStep, ToolVerdict},
    },
    plan::{
        self, Plan,
        model::{PlannedAct, PlannedAction, Pod},
    },
    units::{FaultId, RunTime},
};

/// Time between two looks for the effect of a fault.
const LOOK: Duration = Duration::from_millis(100);
/// How long a one-shot act may take until its effect is seen.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
/// A fault that the harness does not recover ends by itself so much after it
/// should have.
pub(super) const TTL_SLACK: Duration = Duration::from_secs(5);
/// How long a tool's own verdict on its fault is waited for.
const LAST_WORD_WITHIN: Duration = Duration::from_secs(30);
/// How long recovery is tried.
const RECOVER_WITHIN: Duration = Duration::from_secs(8);

/// Whether acts may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActGate {
    /// Not yet: whether the target is steady is not known.
    Shut,
    /// They may, at their time.
    Open,
}

/// How an act ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActEnd {
    /// Which.
    pub id: FaultId,
    /// How.
    pub result: ActResult,
}

/// How an act ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ActResult {
    /// The run ended before its time.
    NotStarted,
    /// It was not injected.
    Skipped {
        /// Why.
        why: String,
    },
    /// It was injected, and nothing of it is left that could be taken back.
    Done {
        /// Whether it was seen to act.
        proven: bool,
    },
    /// It could not be taken back.
    LeftBehind {
        /// Why, and what to do by hand.
        why: String,
    },
}

/// What all acts of a run share. Cheap to clone.
#[derive(Debug)]
pub struct FaultContext<D = LabDriver> {
    driver: Arc<D>,
    wal: Wal,
    sink: Sink,
    cancel: CancellationToken,
    seed: u64,
}

impl<D> Clone for FaultContext<D> {
    fn clone(&self) -> Self {
        Self {
            driver: Arc::clone(&self.driver),
            wal: self.wal.clone(),
            sink: self.sink.clone(),
            cancel: self.cancel.clone(),
            seed: self.seed,
        }
    }
}

/// Why faults can't be injected at all.
#[derive(Debug, thiserror::Error)]
#[error("open the write-ahead log in `{folder}`: {source}")]
pub struct ContextError {
    folder: PathBuf,
    source: io::Error,
}

impl<D: Driver> FaultContext<D> {
    /// Opens the run's write-ahead log. When `cancel` is cancelled, all faults
    /// are recovered and no new ones begin.
    pub fn new(
        driver: D,
        folder: &RunFolder,
        sink: Sink,
        cancel: CancellationToken,
        plan: &Plan,
    ) -> Result<Self, ContextError> {
        let wal = Wal::open(folder.path())
            .map_err(|source| ContextError { folder: folder.path().to_owned(), source })?;
        Ok(Self { driver: Arc::new(driver), wal, sink, cancel, seed: plan.seed })
    }

    fn clock(&self) -> Clock {
        self.sink.clock()
    }
}

/// Does one act: waits for its time and for the gate, injects, proves,
/// recovers. Journals each step. Returns when nothing of it is left, or when
/// everything was tried.
pub async fn run_act<D: Driver>(
    act: PlannedAct,
    context: FaultContext<D>,
    gate: watch::Receiver<ActGate>,
) -> ActEnd {
    let id = act.id.clone();
    let result = if may_begin(&act, &context, gate).await {
        Running { act: &act, context: &context }.run().await
    } else {
        ActResult::NotStarted
    };
    ActEnd { id, result }
}

async fn may_begin<D: Driver>(
    act: &PlannedAct,
    context: &FaultContext<D>,
    mut gate: watch::Receiver<ActGate>,
) -> bool {
    let due = async {
        context.clock().sleep_until(act.at).await;
        gate.wait_for(|gate| *gate == ActGate::Open).await.is_ok()
    };
    tokio::select! {
        biased;
        () = context.cancel.cancelled() => false,
        open = due => open,
    }
}

struct Running<'a, D> {
    act: &'a PlannedAct,
    context: &'a FaultContext<D>,
}

impl<D: Driver> Running<'_, D> {
    fn journal(&self, step: FaultStep) {
        self.context.sink.event(Event::Fault { id: self.act.id.clone(), step });
    }

    fn skipped(&self, why: String) -> ActResult {
        self.journal(FaultStep::Skipped { why: why.clone() });
        ActResult::Skipped { why }
    }

    async fn run(&self) -> ActResult {
        let targets = match self.targets().await {
            Ok(targets) => targets,
            Err(error) => return self.skipped(format!("the pods could not be listed: {error}")),
        };
        let names = targets.iter().map(|pod| pod.name.clone()).collect();
        self.journal(FaultStep::Requested { targets: names });
        if targets.is_empty() && matches!(self.act.action, PlannedAction::Fault(_)) {
            return self.skipped("its selector and mode pick no pod now".to_owned());
        }
        let (mut fault, undo) = match self.prepare(&targets).await {
            Ok(prepared) => prepared,
            Err(error) => return self.skipped(error.to_string()),
        };
        if let Err(error) = self.context.driver.inject(&mut fault, self.context.clock()).await {
            let skipped = self.skipped(format!("it could not be injected: {error}"));
            // A part of it may be in place.
            return if undo.is_empty() { skipped } else { self.recover(&undo).await.unwrap_or(skipped) };
        }
        // The fault is in place: a log that can't be written is no reason not
        // to go on to its recovery, and the intent is on the disk.
        let _ = self.context.wal.write(&self.act.id, Step::Injected).await;
        self.journal(FaultStep::Injected);
        let one_shot = self.context.driver.one_shot(&fault);
        let proven = self.prove(&mut fault, one_shot).await;
        if undo.is_empty() {
            return ActResult::Done { proven };
        }
        if !one_shot {
            self.until_its_end().await;
            self.last_word(&fault).await;
        }
        self.recover(&undo).await.unwrap_or(ActResult::Done { proven })
    }

    async fn targets(&self) -> Result<Vec<Pod>, ChaosError> {
        match &self.act.action {
            PlannedAction::Deploy(_) | PlannedAction::Command(_) => Ok(vec![]),
            PlannedAction::Fault(manifest) => {
                let pods = self.context.driver.pods().await?;
                let scope = manifest.chaos.scope();
                Ok(plan::select(scope, manifest.home(), &pods, self.context.seed, self.act.id.as_str()))
            }
        }
    }

    /// Decides, and writes down what is about to happen. Nothing has happened
    /// when it returns.
    async fn prepare(&self, targets: &[Pod]) -> Result<(D::Fault, Vec<Undo>), ChaosError> {
        let driver = &self.context.driver;
        let ttl = self.act.until.map(|until| self.context.clock().until(until) + TTL_SLACK);
        let order =
            Order { id: &self.act.id, action: &self.act.action, targets, ttl, seed: self.context.seed };
        let fault = driver.prepare(order).await?;
        let undo = driver.undo(&fault);
        let intent = Step::Intent {
            driver: driver.name().to_owned(),
            action: self.act.action.clone(),
            targets: targets.iter().map(|pod| pod.name.clone()).collect(),
            undo: undo.clone(),
            ttl_ms: ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)),
        };
        self.context.wal.write(&self.act.id, intent).await?;
        Ok((fault, undo))
    }

    /// Looks for the effect until it is seen or the act is over. Journals what
    /// came out.
    async fn prove(&self, fault: &mut D::Fault, one_shot: bool) -> bool {
        let clock = self.context.clock();
        let last = match self.act.until {
            Some(until) => Some(until),
            None if one_shot => Some(clock.now() + SEEN_WITHIN),
            None => None,
        };
        loop {
            // The last look comes after the last moment.
            let over = self.context.cancel.is_cancelled() || last.is_some_and(|last| clock.now() >= last);
            match self.context.driver.prove(fault, clock).await {
                Proof::Seen { effect, proof } => {
                    self.journal(FaultStep::Proven { effect, proof });
                    return true;
                }
                Proof::NotYet { why, proof } if over => {
                    self.journal(FaultStep::Unproven { why, proof });
                    return false;
                }
                Proof::NotYet { .. } => {}
            }
            let pause = last.map_or(LOOK, |last: RunTime| LOOK.min(clock.until(last)));
            tokio::select! {
                () = sleep(pause) => {}
                () = self.context.cancel.cancelled() => {}
            }
        }
    }

    async fn until_its_end(&self) {
        let end = async {
            match self.act.until {
                Some(until) => self.context.clock().sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = end => {}
            () = self.context.cancel.cancelled() => {}
        }
    }

    /// Journals what the tool that does it says of it, if it is one that does.
    async fn last_word(&self, fault: &D::Fault) {
        let deadline = self.context.clock().now() + LAST_WORD_WITHIN;
        loop {
            let over = self.context.cancel.is_cancelled() || self.context.clock().now() >= deadline;
            match self.context.driver.last_word(fault).await {
                LastWord::None => return,
                LastWord::Given { by, verdict, said } => {
                    return self.journal(FaultStep::Judged { by, verdict, why: said });
                }
                LastWord::Awaited { by, said } if over => {
                    let why = format!("it was still awaited ({said})");
                    return self.journal(FaultStep::Judged { by, verdict: ToolVerdict::Unknown, why });
                }
                LastWord::Awaited { .. } => {}
            }
            tokio::select! {
                () = sleep(LOOK) => {}
                () = self.context.cancel.cancelled() => {}
            }
        }
    }

    /// Takes everything back, with some patience. Some: it stays behind.
    async fn recover(&self, undo: &[Undo]) -> Option<ActResult> {
        if matches!(self.act.action, PlannedAction::Deploy(_)) {
            self.journal(FaultStep::Withdrawing);
        }
        let taken = take_back(undo, RECOVER_WITHIN).await;
        // If this can't be written, `firedrill recover` finds nothing left to do.
        let _ = self.context.wal.write(&self.act.id, Step::taken_back(&taken)).await;
        match taken {
            Ok(proof) => {
                self.journal(FaultStep::Recovered { proof });
                None
            }
            Err(why) => {
                self.journal(FaultStep::RecoveryFailed { why: why.clone() });
                Some(ActResult::LeftBehind { why })
            }
        }
    }
}
