//! Rollouts on a cluster: what the thing that a drill deploys shows of its old
//! and its new version, and what those say who look after it.
//!
//! Each is read again and again, and what is new lies between two reads.

mod argo;
mod deployment;
mod flagger;
mod spec;
mod versions;

use std::time::Duration;

use serde_json::Value;
use tokio_util::sync::CancellationToken;

use self::versions::Versions;
use super::super::{
    Look, every,
    platform::of_rollout,
    source::Source,
    source::tell,
    standing::{Standing, resting},
};
use crate::{
    chaos::kubernetes::deployed,
    clock::Clock,
    cluster::{
        Cluster, ClusterError,
        object::{self, Kind},
    },
    journal::Sink,
    lab::api::RolloutStatus,
    scenario::model::Deploy,
    units::RolloutName,
};

/// Between two reads.
const READ: Duration = Duration::from_millis(500);

/// What a drill deploys: where it is, and all the versions that it gets.
struct Deploys {
    kind: Kind,
    namespace: String,
    name: String,
    /// What its signals call it.
    rollout: RolloutName,
    versions: Vec<Deploy>,
}

/// What a drill deploys on a cluster, each once.
fn all_of(deploys: &[Deploy], home: &str) -> Vec<Deploys> {
    let mut all: Vec<Deploys> = Vec::new();
    for deploy in deploys {
        let Some((kind, name)) = deploy.of.as_ref().and_then(deployed) else { continue };
        let Some(rollout) = deploy.rollout(home) else { continue };
        match all.iter_mut().find(|one| one.rollout == rollout) {
            Some(known) => known.versions.push(deploy.clone()),
            None => all.push(Deploys {
                kind,
                namespace: deploy.namespace.as_deref().unwrap_or(home).to_owned(),
                name: name.to_owned(),
                rollout,
                versions: vec![deploy.clone()],
            }),
        }
    }
    all
}

/// Watches them until `cancel`, then reads a last time.
pub(super) async fn watch(
    cluster: &Cluster,
    namespace: &str,
    deploys: &[Deploy],
    clock: Clock,
    sink: &Sink,
    cancel: &CancellationToken,
) {
    let watchers =
        all_of(deploys, namespace).into_iter().map(|Deploys { kind, namespace, name, rollout, versions }| {
            let watcher = Watcher {
                source: Source::expected(&format!("rollout of {namespace}/{name}")),
                cluster: cluster.clone(),
                kind,
                namespace,
                name,
                rollout,
                versions: Versions(versions),
                clock,
                sink,
                noticed: flagger::Noticed::default(),
                standing: Standing::default(),
                told: None,
            };
            every(READ, cancel, watcher)
        });
    futures::future::join_all(watchers).await;
}

struct Watcher<'a> {
    cluster: Cluster,
    kind: Kind,
    namespace: String,
    name: String,
    rollout: RolloutName,
    versions: Versions,
    clock: Clock,
    sink: &'a Sink,
    source: Source,
    noticed: flagger::Noticed,
    standing: Standing,
    told: Option<RolloutStatus>,
}

impl Look for Watcher<'_> {
    async fn look(&mut self) {
        let started = self.clock.now();
        let read = self.read().await;
        let Some((standing, seen)) = self.source.heard(read, started, self.clock.now(), self.sink) else {
            return;
        };
        // A controller that has not looked yet says nothing.
        let Some(standing) = standing.filter(|standing| self.told.as_ref() != Some(standing)) else { return };
        self.told = Some(standing.clone());
        tell(self.sink, seen, of_rollout(Some(self.rollout.clone()), standing));
    }
}

impl Watcher<'_> {
    async fn read(&mut self) -> Result<Option<RolloutStatus>, ClusterError> {
        let (cluster, namespace) = (&self.cluster, Some(self.namespace.as_str()));
        let get = |kind, name| object::get(cluster, kind, namespace, name);
        let list = |kind| object::labelled(cluster, kind, namespace, "");
        let name = self.name.as_str();
        match self.kind {
            Kind::Rollout => {
                let (rollout, sets) = tokio::try_join!(get(Kind::Rollout, name), list(Kind::ReplicaSet))?;
                Ok(argo::standing(&rollout, &owned(&rollout, &sets), &self.versions))
            }
            Kind::Deployment => {
                let canaries = async {
                    match list(Kind::Canary).await {
                        // Without Flagger there are none.
                        Err(ClusterError::Refused { code: 404, .. }) => Ok(vec![]),
                        canaries => canaries,
                    }
                };
                let (deployment, canaries) = tokio::try_join!(get(Kind::Deployment, name), canaries)?;
                let Some(canary) = canaries.iter().find(|canary| flagger::is_of(canary, name)) else {
                    let sets = list(Kind::ReplicaSet).await?;
                    return Ok(deployment::standing(&deployment, &owned(&deployment, &sets), &self.versions));
                };
                if !self.noticed.has(canary, &deployment) {
                    return Ok(None);
                }
                match get(Kind::Deployment, &flagger::primary(name)).await {
                    Ok(primary) => Ok(flagger::standing(canary, &deployment, &primary, &self.versions)),
                    // It has not begun yet.
                    Err(error) if error.is_absence() => Ok(None),
                    Err(error) => Err(error),
                }
            }
            kind => {
                let read = get(kind, name).await?;
                let word = match kind {
                    Kind::Application => spec::argocd::word(&read),
                    Kind::HelmRelease => spec::flux::word(&read),
                    Kind::InferenceService => spec::kserve::word(&read),
                    _ => Some(spec::switched()),
                };
                let wanted = self.versions.of_spec(&read);
                let ours = self.versions.has(&wanted);
                Ok(word.map(|word| self.standing.of(wanted, ours, word)))
            }
        }
    }
}

/// The ReplicaSets of a workload.
fn owned<'v>(workload: &Value, sets: &'v [Value]) -> Vec<&'v Value> {
    let uid = object::uid(workload);
    let ours = |set: &&Value| {
        let owners = set.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        owners.into_iter().flatten().any(|owner| owner["uid"].as_str() == uid)
    };
    sets.iter().filter(ours).collect()
}

fn text<'v>(object: &'v Value, path: &str) -> Option<&'v str> {
    object.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty())
}

fn number(object: &Value, path: &str) -> f64 {
    object.pointer(path).and_then(Value::as_f64).unwrap_or(0.0)
}

/// A condition of a workload's status, by its type.
fn condition<'v>(object: &'v Value, kind: &str) -> Option<&'v Value> {
    let all = object.pointer("/status/conditions").and_then(Value::as_array)?;
    all.iter().find(|one| one["type"] == kind)
}

/// Reason and message of a condition.
fn words(condition: &Value) -> String {
    let part = |key: &str| condition[key].as_str().unwrap_or_default();
    format!("{}: {}", part("reason"), part("message"))
}
