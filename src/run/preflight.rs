//! What must be right before anything is sent or broken. All problems at once.

use http::Uri;

use super::target::{Drivers, Running};
use crate::{
    chaos::{self, LabDriver},
    journal::interval::Outcome,
    load, observe,
    plan::Plan,
};

/// Looks at the endpoint, the sources of signals and the faults' targets.
/// What is wrong, in words; empty where nothing is.
pub(super) async fn preflight(plan: &Plan, target: &Running, run: &str) -> Vec<String> {
    let mut problems = match target.base_uri() {
        Ok(uri) => endpoints(plan, &uri).await,
        Err(error) => vec![error.to_string()],
    };
    problems.extend(match target.on_cluster(plan) {
        Some(on) => observe::kubernetes::preflight(&on).await,
        None => observe::preflight(target.lab()).await,
    });
    let (acts, seed) = (&plan.timeline, plan.seed);
    let found = match target.driver(plan, run) {
        Ok(Drivers::Lab(driver)) => chaos::preflight(Some(&driver), acts, seed).await,
        Ok(Drivers::Kubernetes(driver)) => chaos::preflight(Some(&*driver), acts, seed).await,
        Ok(Drivers::None) => chaos::preflight(None::<&LabDriver>, acts, seed).await,
        Err(error) => {
            problems.push(error.to_string());
            return problems;
        }
    };
    problems.extend(found.iter().map(ToString::to_string));
    problems
}

/// One request of each workload must end as it should.
async fn endpoints(plan: &Plan, uri: &Uri) -> Vec<String> {
    let mut problems = Vec::new();
    for planned in &plan.workloads {
        match load::probe(uri, &planned.workload).await {
            Ok(answer) if answer.outcome == Outcome::Ok => {}
            Ok(answer) => problems.push(format!(
                "workload `{}`: the endpoint {uri} answered a first request with `{}`: {}",
                planned.name,
                answer.outcome.as_str(),
                answer.detail
            )),
            Err(error) => problems.push(format!("workload `{}`: {error}", planned.name)),
        }
    }
    problems
}
