//! What must be right before anything is sent or broken. All problems at once.

use http::Uri;

use super::target::Running;
use crate::{chaos, journal::interval::Outcome, load, observe, plan::Plan};

/// Looks at the endpoint, the sources of signals and the faults' targets.
/// What is wrong, in words; empty where nothing is.
pub(super) async fn preflight(plan: &Plan, target: &Running) -> Vec<String> {
    let mut problems = endpoints(plan, &target.base_url()).await;
    problems.extend(observe::preflight(target.lab()).await);
    problems.extend(chaos::preflight(target.lab(), plan).await);
    problems
}

/// One request of each workload must end as it should.
async fn endpoints(plan: &Plan, base_url: &str) -> Vec<String> {
    let uri: Uri = match base_url.parse() {
        Ok(uri) => uri,
        Err(error) => return vec![format!("target: `{base_url}` is no URL: {error}")],
    };
    let mut problems = Vec::new();
    for planned in &plan.workloads {
        match load::probe(&uri, &planned.workload).await {
            Ok(answer) if answer.outcome == Outcome::Ok => {}
            Ok(answer) => problems.push(format!(
                "workload `{}`: the endpoint {base_url} answered a first request with `{}`: {}",
                planned.name,
                answer.outcome.as_str(),
                answer.detail
            )),
            Err(error) => problems.push(format!("workload `{}`: {error}", planned.name)),
        }
    }
    problems
}
