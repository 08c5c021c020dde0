//! A pod's containers, as its status has them: which run, and which run again.

use std::{collections::BTreeMap, fmt};

use serde_json::Value;
use tokio::time::{Duration, Instant, sleep};

use super::{change::Change, edit::Place};
use crate::{
    chaos::driver::evidence,
    cluster::{Cluster, ClusterError},
    journal::event::Evidence,
};

/// How long containers may take to run again after a pod-failure.
const RUNS_WITHIN: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(200);

/// The ids of a pod's containers, by their names. None: it never ran.
pub(super) type ContainerIds = BTreeMap<String, Option<String>>;

/// One container's status.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status<'v>(&'v Value);

impl<'v> Status<'v> {
    /// Those of a pod.
    pub(super) fn all(pod: &'v Value) -> impl Iterator<Item = Self> {
        pod.pointer("/status/containerStatuses").and_then(Value::as_array).into_iter().flatten().map(Self)
    }

    pub(super) fn name(self) -> &'v str {
        self.0["name"].as_str().unwrap_or_default()
    }

    fn id(self) -> Option<&'v str> {
        self.0["containerID"].as_str()
    }

    fn runs(self) -> bool {
        self.0["state"]["running"].is_object()
    }

    /// Whether it runs, and is the very one that had this id.
    pub(super) fn runs_as(self, before: Option<&str>) -> bool {
        self.runs() && self.id() == before
    }
}

impl fmt::Display for Status<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "container {}: ", self.name())?;
        match self.0["state"].as_object().and_then(|state| state.iter().next()) {
            Some((name, detail)) => match detail["reason"].as_str() {
                Some(reason) => write!(f, "{name} ({reason})")?,
                None => f.write_str(name)?,
            },
            None => f.write_str("unknown")?,
        }
        write!(f, ", image {}", self.0["image"].as_str().unwrap_or("none"))
    }
}

/// The ids of a pod's containers.
pub(super) fn ids(pod: &Value) -> ContainerIds {
    Status::all(pod).map(|one| (one.name().to_owned(), one.id().map(str::to_owned))).collect()
}

/// Waits until the containers whose images were put back run again. `before`
/// is what the pod was when that was done now.
pub(super) async fn runs_again(
    cluster: &Cluster,
    change: &Change,
    before: Option<Value>,
) -> Result<Vec<Evidence>, ClusterError> {
    let images = change.edits.iter().filter_map(|edit| match &edit.place {
        Place::Image { container, init: false } => Some(container.as_str()),
        Place::Image { init: true, .. }
        | Place::Env { .. }
        | Place::Replicas
        | Place::Unschedulable
        | Place::Label { .. }
        | Place::Selector { .. }
        | Place::Field { .. } => None,
    });
    let names: Vec<&str> = images.collect();
    let paused = before.as_ref().map(ids).unwrap_or_default();
    let object = &change.object;
    let deadline = Instant::now() + RUNS_WITHIN;
    loop {
        let Some(pod) = object.get(cluster).await? else {
            return Ok(vec![evidence(object.to_string(), "it is gone")]);
        };
        let mut waiting = Vec::new();
        let mut proof = Vec::new();
        for status in Status::all(&pod).filter(|status| names.contains(&status.name())) {
            let is_paused =
                paused.get(status.name()).is_some_and(|id| id.is_some() && id.as_deref() == status.id());
            if is_paused || !status.runs() {
                waiting.push(status.to_string());
            } else {
                proof.push(evidence(object.to_string(), status.to_string()));
            }
        }
        if waiting.is_empty() {
            return Ok(proof);
        }
        if Instant::now() >= deadline {
            let why = format!("{object} has its images again, but {}", waiting.join("; "));
            return Err(ClusterError::Unfit(why));
        }
        sleep(LOOK).await;
    }
}
