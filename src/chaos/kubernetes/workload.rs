//! What is behind pods: workloads that are scaled and rolled out, Services
//! that send to them.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1;
use kube::{Api, api::ListParams};
use serde_json::{Value, json};

use super::{
    Effect, Step,
    change::Change,
    edit::{self, Edit, Place, containers},
    look::effect_of,
    reference,
};
use crate::{
    chaos::driver::{ChaosError, Order},
    cluster::{
        Cluster, ClusterError, address, call,
        object::{self, Kind, ObjectRef},
    },
    plan::model::Pod,
    scenario::{
        kubernetes::KubernetesTarget,
        model::{Deploy, Deployed},
        workload_patch::WorkloadPatch,
    },
};

/// An object with all that it says.
#[derive(Debug)]
pub(super) struct Object {
    pub(super) at: ObjectRef,
    pub(super) read: Value,
}

pub(super) async fn object(
    cluster: &Cluster,
    kind: Kind,
    namespace: Option<&str>,
    name: &str,
) -> Result<Object, ChaosError> {
    let read = object::get(cluster, kind, namespace, name).await?;
    let at = object::reference(kind, &read)
        .ok_or_else(|| ChaosError::Unfit(format!("{} {name} has no UID", kind.word())))?;
    Ok(Object { at, read })
}

/// Kind and name of a cluster's object that is deployed. None: it is none.
pub(crate) fn deployed(of: &Deployed) -> Option<(Kind, &str)> {
    Some(match of {
        Deployed::Deployment(name) => (Kind::Deployment, name),
        Deployed::Rollout(name) => (Kind::Rollout, name),
        Deployed::Application(name) => (Kind::Application, name),
        Deployed::HelmRelease(name) => (Kind::HelmRelease, name),
        Deployed::InferenceService(name) => (Kind::InferenceService, name),
        Deployed::Service(name) => (Kind::Service, name),
        Deployed::Mlflow(_) | Deployed::Command(_) => return None,
    })
}

/// What a rollout changes. The target's Service leads to it, or it is named.
pub(super) async fn deploy(
    cluster: &Cluster,
    target: &KubernetesTarget,
    deploy: &Deploy,
) -> Result<Step, ChaosError> {
    let Some((kind, name)) = deploy.of.as_ref().and_then(deployed) else {
        return rollout(&behind(cluster, target).await?, &deploy.patch);
    };
    let namespace = deploy.namespace.as_deref().unwrap_or(&target.namespace);
    let found = object(cluster, kind, Some(namespace), name).await?;
    match &deploy.spec {
        Some(spec) => Ok(respecified(found, spec)),
        None => rollout(&found, &deploy.patch),
    }
}

/// Another spec.
fn respecified(of: Object, spec: &Value) -> Step {
    let Object { at, read } = of;
    let edits = edit::of_spec(spec).into_iter().map(|(place, to)| {
        let from = place.read(at.kind, &read);
        Edit { place, from, to }
    });
    let edits = edits.filter(|edit| edit.from != edit.to).collect();
    Step::change(Change { object: at, edits }, Effect::Said)
}

/// The one workload that a target's Service sends to.
pub(super) async fn behind(cluster: &Cluster, target: &KubernetesTarget) -> Result<Object, ChaosError> {
    let service = address::service(cluster, target).await?;
    let selector = service.spec.and_then(|spec| spec.selector).unwrap_or_default();
    let mut found: BTreeMap<ObjectRef, Value> = BTreeMap::new();
    for pod in selected(cluster, &target.namespace, &selector).await? {
        let read = serde_json::to_value(&pod).unwrap_or_default();
        if let Some(one) = owner_of(cluster, &read, &target.namespace).await? {
            found.insert(one.at, one.read);
        }
    }
    let count = found.len();
    match (found.pop_first(), count) {
        (Some((at, read)), 1) => Ok(Object { at, read }),
        _ => Err(ChaosError::Unfit(format!(
            "{count} workloads are behind the service {}: say which with `deployment:` or `rollout:`",
            target.service
        ))),
    }
}

/// The pods that a Service's selector selects now.
pub(super) async fn selected(
    cluster: &Cluster,
    namespace: &str,
    selector: &BTreeMap<String, String>,
) -> Result<Vec<v1::Pod>, ClusterError> {
    let labels: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let api: Api<v1::Pod> = Api::namespaced(cluster.client(), namespace);
    let how = ListParams::default().labels(&labels.join(","));
    Ok(call("list the service's pods", api.list(&how)).await?.items)
}

/// The workloads of pods, each once.
pub(super) async fn of(cluster: &Cluster, pods: &[Pod]) -> Result<Vec<Object>, ChaosError> {
    let mut found: BTreeMap<ObjectRef, Value> = BTreeMap::new();
    for pod in pods {
        let at = reference(pod)?;
        let Some(read) = at.get(cluster).await? else { continue };
        let Some(one) = owner_of(cluster, &read, &pod.namespace).await? else {
            let why = format!("{at} belongs to no Deployment, StatefulSet or Rollout");
            return Err(ChaosError::Unfit(why));
        };
        found.insert(one.at, one.read);
    }
    Ok(found.into_iter().map(|(at, read)| Object { at, read }).collect())
}

/// The Deployment, StatefulSet or Rollout that an object belongs to.
async fn owner_of(cluster: &Cluster, object_: &Value, namespace: &str) -> Result<Option<Object>, ChaosError> {
    let set;
    let mut of = controller(object_);
    if let Some(("ReplicaSet", name)) = of {
        set = object(cluster, Kind::ReplicaSet, Some(namespace), name).await?;
        of = controller(&set.read);
    }
    let (kind, name) = match of {
        Some(("Deployment", name)) => (Kind::Deployment, name),
        Some(("StatefulSet", name)) => (Kind::StatefulSet, name),
        Some(("Rollout", name)) => (Kind::Rollout, name),
        Some(_) | None => return Ok(None),
    };
    object(cluster, kind, Some(namespace), name).await.map(Some)
}

/// Kind and name of what keeps an object.
fn controller(object: &Value) -> Option<(&str, &str)> {
    let owners = object.pointer("/metadata/ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    Some((owner["kind"].as_str()?, owner["name"].as_str()?))
}

/// Another number of replicas.
pub(super) fn scale(workload: &Object, replicas: u32) -> Result<Step, ChaosError> {
    rollout(workload, &WorkloadPatch { replicas: Some(replicas), ..WorkloadPatch::default() })
}

/// Another version.
pub(super) fn rollout(workload: &Object, patch: &WorkloadPatch) -> Result<Step, ChaosError> {
    let Object { at, read } = workload;
    if patch.is_empty() {
        let why = "on a cluster a rollout needs `image:`, `env:` or `replicas:`, to say what the version is";
        return Err(ChaosError::Unfit(why.to_owned()));
    }
    let mut edits = Vec::new();
    let mut edit = |place: Place, to: Value| {
        let from = place.read(at.kind, read);
        if from != to {
            edits.push(Edit { place, from, to });
        }
    };
    if let Some(replicas) = patch.replicas {
        edit(Place::Replicas, json!(replicas));
    }
    if patch.image.is_some() || !patch.env.is_empty() {
        let container = container(workload, patch.container.as_deref())?;
        if let Some(image) = &patch.image {
            edit(Place::Image { container: container.clone(), init: false }, json!(image));
        }
        for (name, value) in &patch.env {
            let place = Place::Env { container: container.clone(), name: name.clone() };
            edit(place, json!({ "name": name, "value": value }));
        }
    }
    let change = Change { object: at.clone(), edits };
    let effect = effect_of(&change);
    Ok(Step::change(change, effect))
}

fn container(workload: &Object, wanted: Option<&str>) -> Result<String, ChaosError> {
    let all = containers(workload.at.kind, &workload.read);
    let own: Vec<&str> = all.iter().filter(|(_, init)| !init).map(|(name, _)| name.as_str()).collect();
    let unfit = |why: String| ChaosError::Unfit(format!("{}: {why}", workload.at));
    match (wanted, own.as_slice()) {
        (Some(wanted), own) if own.contains(&wanted) => Ok(wanted.to_owned()),
        (Some(wanted), own) => Err(unfit(format!("no container {wanted}; it has {}", own.join(", ")))),
        (None, [only]) => Ok((*only).to_owned()),
        (None, own) => Err(unfit(format!("say which `container:`, of {}", own.join(", ")))),
    }
}

/// What is wrong with a Service that selects nothing.
pub(super) const NO_SELECTOR: &str = "it has no selector, so that its endpoints are kept by somebody else";

/// What a Service selects its pods by.
pub(super) fn selector(service: &Object) -> BTreeMap<String, String> {
    serde_json::from_value(service.read["spec"]["selector"].clone()).unwrap_or_default()
}

/// Whether a pod of its namespace has all that a Service selects by.
pub(super) fn selects(selector: &BTreeMap<String, String>, pod: &Pod) -> bool {
    selector.iter().all(|(key, value)| pod.labels.get(key) == Some(value))
}

/// A Service sends nothing more to some of its pods: to all, by its own
/// selector; to some, by a label that only the Service selects by.
pub(super) async fn detach(
    cluster: &Cluster,
    order: &Order<'_>,
    service: &str,
) -> Result<Vec<Step>, ChaosError> {
    let Some(namespace) = order.targets.first().map(|pod| pod.namespace.as_str()) else { return Ok(vec![]) };
    let service = object(cluster, Kind::Service, Some(namespace), service).await?;
    let selector = selector(&service);
    let unfit = |why: &str| ChaosError::Unfit(format!("{}: {why}", service.at));
    let Some((first, _)) = selector.first_key_value() else {
        return Err(unfit(NO_SELECTOR));
    };
    let cut: Vec<&Pod> = order.targets.iter().filter(|pod| selects(&selector, pod)).collect();
    if cut.is_empty() {
        return Err(unfit("it sends to none of these pods"));
    }
    let pods: Vec<String> = cut.iter().filter_map(|pod| pod.uid.clone()).collect();
    let effect = Effect::NoEndpoints { service: service.at.clone(), pods };
    let all = selected(cluster, namespace, &selector).await?;
    let nobody = json!(format!("cut-by-{}", order.id).replace(|c: char| !c.is_ascii_alphanumeric(), "-"));
    if all.len() == cut.len() {
        let place = Place::Selector { key: first.clone() };
        let edit = Edit { from: place.read(Kind::Service, &service.read), place, to: nobody };
        return Ok(vec![Step::change(Change { object: service.at, edits: vec![edit] }, effect)]);
    }
    let mut steps = Vec::new();
    for pod in cut {
        let at = reference(pod)?;
        let Some(read) = at.get(cluster).await? else { continue };
        let owned = owner_selector(cluster, &read, namespace).await?;
        let Some(key) = selector.keys().find(|key| !owned.contains(key)) else {
            return Err(unfit(
                "what keeps these pods selects them by the same labels, so that a pod that is taken from the \
                 Service would be replaced; give the Service's selector and the pods a label of their own, or \
                 cut all of its pods (`mode: all`)",
            ));
        };
        let place = Place::Label { key: key.clone() };
        let edit = Edit { from: place.read(Kind::Pod, &read), place, to: nobody.clone() };
        steps.push(Step::change(Change { object: at, edits: vec![edit] }, effect.clone()));
    }
    Ok(steps)
}

/// The labels that a pod's controller selects by.
async fn owner_selector(cluster: &Cluster, pod: &Value, namespace: &str) -> Result<Vec<String>, ChaosError> {
    let (kind, name) = match controller(pod) {
        Some(("ReplicaSet", name)) => (Kind::ReplicaSet, name),
        Some(("StatefulSet", name)) => (Kind::StatefulSet, name),
        Some((other, _)) => {
            return Err(ChaosError::Unfit(format!("pods of a {other} can't be cut one by one")));
        }
        None => return Ok(vec![]),
    };
    let set = object(cluster, kind, Some(namespace), name).await?;
    let labels = set.read.pointer("/spec/selector/matchLabels").and_then(Value::as_object);
    let expressions = set.read.pointer("/spec/selector/matchExpressions").and_then(Value::as_array);
    let keys = expressions.into_iter().flatten().filter_map(|one| one["key"].as_str().map(str::to_owned));
    Ok(labels.into_iter().flatten().map(|(key, _)| key.clone()).chain(keys).collect())
}
