//! What can be known of the faults before anything is sent or broken.

use std::fmt;

use super::driver::{Driver, Order};
use crate::{
    plan::{
        self,
        model::{PlannedAct, PlannedAction, Pod},
    },
    units::FaultId,
};

/// A fault that can't be done as it is planned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PreflightProblem {
    /// Which act; none: all of them.
    pub id: Option<FaultId>,
    /// What is wrong.
    pub what: String,
}

impl PreflightProblem {
    fn of(id: &FaultId, what: impl Into<String>) -> Self {
        Self { id: Some(id.clone()), what: what.into() }
    }
}

impl fmt::Display for PreflightProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.id {
            Some(id) => write!(f, "chaos `{id}`: {}", self.what),
            None => write!(f, "chaos: {}", self.what),
        }
    }
}

/// Everything that is wrong with the acts of a timeline.
pub async fn preflight<D: Driver>(driver: &D, acts: &[PlannedAct], seed: u64) -> Vec<PreflightProblem> {
    if acts.is_empty() {
        return vec![];
    }
    let everywhere = |what: String| PreflightProblem { id: None, what };
    match tokio::join!(driver.pods(), driver.leftovers()) {
        (Ok(pods), Ok(left)) => {
            let mut all: Vec<PreflightProblem> = left.into_iter().map(everywhere).collect();
            for act in acts {
                all.extend(problems(driver, act, &pods, seed).await);
            }
            all
        }
        (Err(error), _) | (_, Err(error)) => {
            vec![everywhere(format!("the driver does not answer: {error}"))]
        }
    }
}

async fn problems<D: Driver>(driver: &D, act: &PlannedAct, pods: &[Pod], seed: u64) -> Vec<PreflightProblem> {
    let mut problems = Vec::new();
    let mut targets = Vec::new();
    if let PlannedAction::Fault(manifest) = &act.action {
        if let Err(error) = driver.supports(&manifest.chaos, manifest.home(), pods) {
            return vec![PreflightProblem::of(&act.id, error.to_string())];
        }
        let scope = manifest.chaos.scope();
        // The candidates, not the draw: a draw of none (`random-max-percent`) is
        // known when its time has come.
        if plan::candidates(&scope.selector, manifest.home(), pods).is_empty() {
            let there: Vec<String> =
                pods.iter().map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect();
            let what = format!("its selector selects no pod; there are: {}", there.join(", "));
            problems.push(PreflightProblem::of(&act.id, what));
        }
        targets = plan::select(scope, manifest.home(), pods, seed, act.id.as_str());
    }
    if problems.is_empty() {
        let order = Order { id: &act.id, action: &act.action, targets: &targets, ttl: None, seed };
        if let Err(error) = driver.rehearse(order, pods).await {
            problems.push(PreflightProblem::of(&act.id, error.to_string()));
        }
    }
    problems
}
