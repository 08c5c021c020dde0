//! Waits for the lab's pods, and says what they are waiting for.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod};
use kube::{
    Api,
    api::{ListParams, ObjectList},
};
use tokio::time::{Instant, sleep};

use super::{DeployError, manifests::selector};
use crate::cluster::{Cluster, ClusterError, call};

/// How long the lab may take until it serves: images have to be pulled.
const READY_WITHIN: Duration = Duration::from_secs(300);
/// How long pods may take to go: their grace, and what it takes to notice.
const GONE_WITHIN: Duration = Duration::from_secs(90);
/// How long a container may be in a state that seldom ends by itself.
const STUCK_AFTER: Duration = Duration::from_secs(15);
/// How often it is looked.
const EVERY: Duration = Duration::from_millis(500);

fn ours() -> ListParams {
    ListParams::default().labels(&selector())
}

/// Resolves when every Deployment of the lab is as it is to be.
pub(super) async fn wait_ready(cluster: &Cluster, namespace: &str) -> Result<(), DeployError> {
    let deployments: Api<Deployment> = Api::namespaced(cluster.client(), namespace);
    let deadline = Instant::now() + READY_WITHIN;
    let mut said = String::new();
    let mut stuck: Option<(String, Instant)> = None;
    loop {
        let list = call("list deployments", deployments.list(&ours())).await?;
        let states: Vec<State> = list.items.iter().map(State::of).collect();
        say(&mut said, states.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
        if states.iter().all(|state| state.done) {
            return Ok(());
        }
        let why = waiting(&pods(cluster, namespace).await?);
        stuck = match (why, stuck) {
            (None, _) => None,
            (Some(why), Some((before, since))) if why == before => Some((before, since)),
            (Some(why), _) => Some((why, Instant::now())),
        };
        if let Some((why, since)) = &stuck
            && since.elapsed() > STUCK_AFTER
        {
            return Err(DeployError::Stuck(why.clone()));
        }
        if Instant::now() > deadline {
            return Err(DeployError::NotReady { within: READY_WITHIN, state: said });
        }
        sleep(EVERY).await;
    }
}

/// Resolves when no pod of the lab is left.
pub(super) async fn wait_gone(cluster: &Cluster, namespace: &str) -> Result<(), DeployError> {
    let deadline = Instant::now() + GONE_WITHIN;
    let mut said = String::new();
    loop {
        let left = pods(cluster, namespace).await?.items.len();
        if left == 0 {
            return Ok(());
        }
        say(&mut said, format!("{left} pods are ending"));
        if Instant::now() > deadline {
            return Err(DeployError::NotReady { within: GONE_WITHIN, state: said });
        }
        sleep(EVERY).await;
    }
}

async fn pods(cluster: &Cluster, namespace: &str) -> Result<ObjectList<Pod>, ClusterError> {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
    call("list pods", pods.list(&ours())).await
}

fn say(said: &mut String, now: String) {
    if *said != now {
        eprintln!("{now}");
        *said = now;
    }
}

/// How far a Deployment is.
struct State {
    name: String,
    ready: i32,
    wanted: i32,
    done: bool,
}

impl State {
    fn of(deployment: &Deployment) -> Self {
        let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
        let status = deployment.status.clone().unwrap_or_default();
        let seen = status.observed_generation >= deployment.metadata.generation;
        let [all, updated, ready] = [status.replicas, status.updated_replicas, status.available_replicas]
            .map(Option::unwrap_or_default);
        let ready = if seen { ready.min(updated) } else { 0 };
        let done = seen && all == wanted && ready == wanted;
        Self { name: deployment.metadata.name.clone().unwrap_or_default(), ready, wanted, done }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}/{}", self.name, self.ready, self.wanted)
    }
}

/// Why containers don't start, where that seldom passes by itself.
fn waiting(pods: &ObjectList<Pod>) -> Option<String> {
    let mut reasons: BTreeMap<String, String> = BTreeMap::new();
    for pod in pods {
        let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        for status in statuses {
            let Some(waiting) = status.state.as_ref().and_then(|state| state.waiting.as_ref()) else {
                continue;
            };
            let reason = waiting.reason.as_deref().unwrap_or_default();
            let stuck = matches!(
                reason,
                "ErrImageNeverPull"
                    | "ErrImagePull"
                    | "ImagePullBackOff"
                    | "InvalidImageName"
                    | "CrashLoopBackOff"
                    | "CreateContainerConfigError"
                    | "CreateContainerError"
                    | "RunContainerError"
            );
            if stuck {
                // Errors of pulling come in turns and mean the same.
                let reason = if reason == "ErrImagePull" { "ImagePullBackOff" } else { reason };
                reasons.insert(status.name.clone(), format!("{}: {reason} ({})", status.name, status.image));
            }
        }
    }
    let all = reasons.into_values().collect::<Vec<_>>().join("; ");
    (!all.is_empty()).then_some(all)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(status: serde_json::Value) -> State {
        let deployment = json!({
            "metadata": { "name": "llm", "generation": 2 },
            "spec": { "replicas": 3, "selector": {}, "template": {} },
            "status": status,
        });
        State::of(&serde_json::from_value(deployment).expect("a deployment"))
    }

    #[test]
    fn a_deployment_is_done_when_only_its_new_pods_serve() {
        let counts = |seen, all, updated, available| {
            deployment(json!({
                "observedGeneration": seen, "replicas": all,
                "updatedReplicas": updated, "availableReplicas": available,
            }))
        };
        assert!(counts(2, 3, 3, 3).done);
        assert!(!counts(1, 3, 3, 3).done, "of the generation before");
        assert!(!counts(2, 4, 3, 4).done, "an old pod is still there");
        assert!(!counts(2, 3, 3, 2).done);
        assert_eq!(counts(2, 4, 1, 3).to_string(), "llm 1/3");
    }

    #[test]
    fn only_what_seldom_passes_counts_as_stuck() {
        let pod = |reason: &str| {
            let waiting = json!({ "state": { "waiting": { "reason": reason } }, "name": "llm", "image": "x:1",
                "imageID": "", "ready": false, "restartCount": 0 });
            serde_json::from_value::<ObjectList<Pod>>(json!({
                "metadata": {},
                "items": [{ "metadata": {}, "status": { "containerStatuses": [waiting] } }],
            }))
            .expect("pods")
        };
        assert_eq!(waiting(&pod("ContainerCreating")), None);
        assert_eq!(waiting(&pod("ErrImagePull")), waiting(&pod("ImagePullBackOff")));
        assert_eq!(waiting(&pod("CrashLoopBackOff")).as_deref(), Some("llm: CrashLoopBackOff (x:1)"));
    }
}
