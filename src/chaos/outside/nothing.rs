//! The driver of a target of which nothing is known but its URL.

use crate::{
    chaos::{
        driver::{ChaosError, Driver, Order, Proof},
        undo::Undo,
    },
    clock::Clock,
    plan::model::Pod,
    scenario::chaos::Chaos,
};

const WHY: &str = "nothing can be broken at a URL alone: say `url: { at: …, proxy: on }` to break the way to it, or \
                   break it by a `command:`";

/// It can do nothing.
#[derive(Debug, Clone, Copy)]
pub struct NothingDriver;

fn refused() -> ChaosError {
    ChaosError::Unfit(WHY.to_owned())
}

impl Driver for NothingDriver {
    type Fault = std::convert::Infallible;

    fn name(&self) -> &'static str {
        "none"
    }

    async fn pods(&self) -> Result<Vec<Pod>, ChaosError> {
        Ok(vec![])
    }

    fn supports(&self, _: &Chaos, _: &str, _: &[Pod]) -> Result<(), ChaosError> {
        Err(refused())
    }

    async fn rehearse(&self, _: Order<'_>, _: &[Pod]) -> Result<(), ChaosError> {
        Err(refused())
    }

    async fn prepare(&self, _: Order<'_>) -> Result<Self::Fault, ChaosError> {
        Err(refused())
    }

    fn undo(&self, fault: &Self::Fault) -> Vec<Undo> {
        match *fault {}
    }

    async fn inject(&self, fault: &mut Self::Fault, _: Clock) -> Result<(), ChaosError> {
        match *fault {}
    }

    async fn prove(&self, fault: &mut Self::Fault, _: Clock) -> Proof {
        match *fault {}
    }
}
