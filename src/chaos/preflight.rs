//! What can be known of the faults before anything is sent or broken.

use std::fmt;

use super::driver::Driver;
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

/// Everything that is wrong with the acts of a timeline. `driver` is none
/// where the target has no driver of faults (a URL).
pub async fn preflight<D: Driver>(driver: Option<&D>, acts: &[PlannedAct]) -> Vec<PreflightProblem> {
    if acts.is_empty() {
        return vec![];
    }
    let Some(driver) = driver else {
        let what = "target `url` has no fault driver: nothing can be broken there";
        return acts.iter().map(|act| PreflightProblem::of(&act.id, what)).collect();
    };
    match driver.pods().await {
        Ok(pods) => acts.iter().flat_map(|act| problems(driver, act, &pods)).collect(),
        Err(error) => {
            vec![PreflightProblem { id: None, what: format!("the driver does not answer: {error}") }]
        }
    }
}

fn problems<D: Driver>(driver: &D, act: &PlannedAct, pods: &[Pod]) -> Vec<PreflightProblem> {
    let PlannedAction::Fault(manifest) = &act.action else { return vec![] };
    let mut problems = Vec::new();
    let scope = manifest.chaos.scope();
    // The candidates, not the draw: a draw of none (`random-max-percent`) is
    // known when its time has come.
    if plan::candidates(&scope.selector, manifest.home(), pods).is_empty() {
        let there: Vec<String> = pods.iter().map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect();
        let what = format!("its selector selects no pod; there are: {}", there.join(", "));
        problems.push(PreflightProblem::of(&act.id, what));
    }
    if let Err(error) = driver.supports(&manifest.chaos, manifest.home(), pods) {
        problems.push(PreflightProblem::of(&act.id, error.to_string()));
    }
    problems
}
