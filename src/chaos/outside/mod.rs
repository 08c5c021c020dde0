//! What is done by other means than a target's own driver, whatever the
//! target is: programs of the user's, and MLflow's registry.

pub(crate) mod alias;
mod nothing;
pub(super) mod programs;

pub use self::nothing::NothingDriver;
use self::{alias::Turned, programs::Programs};
use super::{
    driver::{ChaosError, Driver, LastWord, Order, Proof},
    look::{Look, Timing, all_parts},
    undo::Undo,
};
use crate::{
    clock::Clock,
    plan::model::{PlannedAction, Pod},
    scenario::{
        chaos::Chaos,
        model::{Deploy, Deployed},
    },
    units::RunTime,
};

/// A target's driver, and beside it what needs none.
#[derive(Debug)]
pub struct Outside<D> {
    inner: D,
}

impl<D> Outside<D> {
    /// Leaves to `inner` what is its own.
    pub fn beside(inner: D) -> Self {
        Self { inner }
    }
}

/// A fault of either.
#[derive(Debug)]
pub enum OutsideFault<F> {
    /// The target's driver does it.
    Inner(F),
    /// Programs do.
    Programs(Programs),
    /// An alias is turned.
    Turned(Turned),
}

/// What needs no driver of the target, without anything changed. None: it does.
async fn own<F>(order: &Order<'_>) -> Option<Result<OutsideFault<F>, ChaosError>> {
    match order.action {
        PlannedAction::Command(command) => {
            Some(Programs::breaking(order.id, command).await.map(OutsideFault::Programs))
        }
        PlannedAction::Deploy(Deploy { of: Some(Deployed::Command(command)), .. }) => {
            Some(Ok(OutsideFault::Programs(Programs::deploying(command))))
        }
        PlannedAction::Deploy(Deploy { of: Some(Deployed::Mlflow(alias)), version, .. }) => {
            Some(Turned::prepare(alias, version).await.map(OutsideFault::Turned))
        }
        PlannedAction::Deploy(_) | PlannedAction::Fault(_) => None,
    }
}

/// What a look at a fault that shows as soon as it acts says of it, which was
/// begun at `started`.
fn proven(timing: &mut Timing, look: Look, started: RunTime, clock: Clock) -> Proof {
    let seen = timing.looked(&look, true, started, clock.now());
    all_parts(vec![(0, look, seen)])
}

impl<D: Driver> Driver for Outside<D> {
    type Fault = OutsideFault<D::Fault>;

    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn pods(&self) -> Result<Vec<Pod>, ChaosError> {
        self.inner.pods().await
    }

    async fn leftovers(&self) -> Result<Vec<String>, ChaosError> {
        self.inner.leftovers().await
    }

    fn supports(&self, chaos: &Chaos, namespace: &str, pods: &[Pod]) -> Result<(), ChaosError> {
        self.inner.supports(chaos, namespace, pods)
    }

    async fn rehearse(&self, order: Order<'_>, pods: &[Pod]) -> Result<(), ChaosError> {
        match own::<D::Fault>(&order).await {
            Some(prepared) => prepared.map(drop),
            None => self.inner.rehearse(order, pods).await,
        }
    }

    async fn prepare(&self, order: Order<'_>) -> Result<Self::Fault, ChaosError> {
        match own(&order).await {
            Some(prepared) => prepared,
            None => self.inner.prepare(order).await.map(OutsideFault::Inner),
        }
    }

    fn undo(&self, fault: &Self::Fault) -> Vec<Undo> {
        match fault {
            OutsideFault::Inner(fault) => self.inner.undo(fault),
            OutsideFault::Programs(fault) => fault.undo(),
            OutsideFault::Turned(fault) => vec![fault.undo()],
        }
    }

    fn one_shot(&self, fault: &Self::Fault) -> bool {
        match fault {
            OutsideFault::Inner(fault) => self.inner.one_shot(fault),
            OutsideFault::Programs(fault) => fault.undo().is_empty(),
            OutsideFault::Turned(_) => false,
        }
    }

    async fn inject(&self, fault: &mut Self::Fault, clock: Clock) -> Result<(), ChaosError> {
        match fault {
            OutsideFault::Inner(fault) => self.inner.inject(fault, clock).await,
            OutsideFault::Programs(fault) => fault.inject(clock).await,
            OutsideFault::Turned(fault) => fault.inject(clock).await,
        }
    }

    async fn prove(&self, fault: &mut Self::Fault, clock: Clock) -> Proof {
        match fault {
            OutsideFault::Inner(fault) => self.inner.prove(fault, clock).await,
            OutsideFault::Programs(fault) => fault.prove(clock).await,
            OutsideFault::Turned(fault) => fault.prove(clock).await,
        }
    }

    async fn last_word(&self, fault: &Self::Fault) -> LastWord {
        match fault {
            OutsideFault::Inner(fault) => self.inner.last_word(fault).await,
            OutsideFault::Programs(_) | OutsideFault::Turned(_) => LastWord::None,
        }
    }
}
