//! What must be right before anything is sent or broken. All problems at once.

use super::target::{Drivers, Running};
use crate::{
    chaos,
    journal::interval::Outcome,
    load::{self, Destination},
    observe,
    plan::Plan,
};

/// Looks at the endpoint, the sources of signals and the faults' targets.
/// What is wrong, in words; empty where nothing is.
pub(super) async fn preflight(plan: &Plan, target: &Running, run: &str) -> Vec<String> {
    let mut problems = match target.destination() {
        Ok(to) => endpoints(plan, &to).await,
        Err(error) => vec![error.to_string()],
    };
    problems.extend(match target.on_cluster(plan) {
        Some(on) => observe::kubernetes::preflight(&on).await,
        None => observe::preflight(target.lab()).await,
    });
    problems.extend(observe::declared::preflight(&plan.observe, &plan.metrics()).await);
    let (acts, seed) = (&plan.timeline, plan.seed);
    let found = match target.driver(plan, run) {
        Ok(Drivers::Url(driver)) => chaos::preflight(&driver, acts, seed).await,
        Ok(Drivers::Lab(driver)) => chaos::preflight(&driver, acts, seed).await,
        Ok(Drivers::Proxy(driver)) => chaos::preflight(&driver, acts, seed).await,
        Ok(Drivers::Kubernetes(driver)) => chaos::preflight(&*driver, acts, seed).await,
        Err(error) => {
            problems.push(error.to_string());
            return problems;
        }
    };
    problems.extend(found.iter().map(ToString::to_string));
    problems
}

/// One request of each workload must end as it should.
async fn endpoints(plan: &Plan, to: &Destination) -> Vec<String> {
    let mut problems = Vec::new();
    for planned in &plan.workloads {
        match load::probe(to, &planned.workload).await {
            Ok(answer) if answer.outcome == Outcome::Ok => {}
            Ok(answer) => problems.push(format!(
                "workload `{}`: the endpoint {} answered a first request with `{}`: {}",
                planned.name,
                to.of(&planned.workload).map_or_else(|_| to.url.clone(), |own| own.url),
                answer.outcome.as_str(),
                answer.detail
            )),
            Err(error) => problems.push(format!("workload `{}`: {error}", planned.name)),
        }
    }
    problems
}
