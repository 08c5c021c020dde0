//! What must be right before anything is sent or broken. All problems at once.

use http::Uri;

use super::target::Running;
use crate::{chaos, journal::interval::Outcome, load, observe, plan::Plan};

/// Looks at the endpoint, the sources of signals and the faults' targets.
/// What is wrong, in words; empty where nothing is.
pub(super) async fn preflight(plan: &Plan, target: &Running) -> Vec<String> {
    let mut problems = match target.base_uri() {
        Ok(uri) => endpoints(plan, &uri).await,
        Err(error) => vec![error.to_string()],
    };
    problems.extend(observe::preflight(target.lab()).await);
    match target.driver() {
        Ok(driver) => {
            let found = chaos::preflight(driver.as_ref(), &plan.timeline).await;
            problems.extend(found.iter().map(ToString::to_string));
        }
        Err(error) => problems.push(error.to_string()),
    }
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
