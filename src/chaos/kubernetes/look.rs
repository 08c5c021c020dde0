//! How it is seen that a step acts: what the API server says of the pods, and
//! what is enough.

use k8s_openapi::api::discovery::v1::{Endpoint, EndpointSlice};
use kube::{Api, api::ListParams};
use serde_json::Value;

use super::{
    change::Change,
    containers::{ContainerIds, Status},
    edit::{Place, shown},
    step::Effect,
};
use crate::{
    chaos::{driver::evidence, look::Look},
    cluster::{
        Cluster, ClusterError, SERVICE_NAME_LABEL, call,
        object::{ObjectRef, is_observed},
    },
    journal::event::Evidence,
};

/// A pod that must be gone, by its UID.
pub(super) async fn gone(cluster: &Cluster, pod: &ObjectRef) -> Result<Look, ClusterError> {
    let source = "API server /pods";
    Ok(match pod.get(cluster).await? {
        None => Look::acts(vec![evidence(source, format!("no {pod} with UID {} any more", pod.uid))]),
        Some(found) => {
            let deleted = found.pointer("/metadata/deletionTimestamp").and_then(Value::as_str);
            let said = match deleted {
                Some(at) => format!("{pod} is terminating until {at}"),
                None => format!("{pod} with UID {} is still there", pod.uid),
            };
            Look::not(said.clone(), vec![evidence(source, said)])
        }
    })
}

/// An object that was changed.
pub(super) async fn changed(
    cluster: &Cluster,
    change: &Change,
    effect: &Effect,
) -> Result<Look, ClusterError> {
    let object = &change.object;
    let Some(now) = object.get(cluster).await? else {
        return Ok(Look::not(format!("{object} is gone"), vec![]));
    };
    let source = object.to_string();
    let mut said = Vec::new();
    for edit in &change.edits {
        let value = edit.place.read(object.kind, &now);
        said.push(evidence(&source, format!("{} is {}", edit.place, shown(&value))));
        if value != edit.to {
            return Ok(Look::not(format!("{object}: {} was changed by somebody else", edit.place), said));
        }
    }
    let number = |path: &str| now.pointer(path).and_then(Value::as_i64).unwrap_or(0);
    let observed = is_observed(&now);
    let missing = match effect {
        Effect::Said => None,
        Effect::Stopped(before) => still_runs(&now, before, &source, &mut said),
        Effect::Scaled { from, to } => {
            let (pods, ready) = (number("/status/replicas"), number("/status/readyReplicas"));
            said.push(evidence(&source, format!("{pods} replicas, {ready} ready")));
            let there = if to < from { pods <= *to } else { ready >= *to };
            (!(observed && there)).then(|| format!("{object} has {pods} replicas, {ready} of them ready"))
        }
        Effect::Updated => {
            let (updated, ready) = (number("/status/updatedReplicas"), number("/status/readyReplicas"));
            said.push(evidence(
                &source,
                format!("{updated} replicas of the new template, {ready} ready in all"),
            ));
            (!(observed && updated > 0)).then(|| format!("{object} has no pod of the new template"))
        }
        Effect::NoEndpoints { service, pods } => no_endpoints(cluster, service, pods, &mut said).await?,
    };
    Ok(match missing {
        None => Look::acts(said),
        Some(missing) => Look::not(missing, said),
    })
}

/// Whether these containers of a pod run no more.
pub(super) async fn stopped(
    cluster: &Cluster,
    pod: &ObjectRef,
    before: &ContainerIds,
) -> Result<Look, ClusterError> {
    let Some(now) = pod.get(cluster).await? else {
        return Ok(Look::not(format!("{pod} is gone"), vec![]));
    };
    let mut said = Vec::new();
    Ok(match still_runs(&now, before, &pod.to_string(), &mut said) {
        None => Look::acts(said),
        Some(missing) => Look::not(missing, said),
    })
}

/// A container that runs as before. None: there is none.
fn still_runs(pod: &Value, before: &ContainerIds, source: &str, said: &mut Vec<Evidence>) -> Option<String> {
    let mut missing = None;
    for status in Status::all(pod) {
        let Some(id) = before.get(status.name()) else { continue };
        said.push(evidence(source, status.to_string()));
        if status.runs_as(id.as_deref()) {
            missing = Some(format!("container {} still runs as before", status.name()));
        }
    }
    missing
}

/// All endpoints of a Service, whether they are ready or not.
pub(super) async fn endpoints(
    cluster: &Cluster,
    namespace: &str,
    service: &str,
) -> Result<Vec<Endpoint>, ClusterError> {
    let slices: Api<EndpointSlice> = Api::namespaced(cluster.client(), namespace);
    let of = ListParams::default().labels(&format!("{SERVICE_NAME_LABEL}={service}"));
    let listed =
        call(format!("list endpointslices of service {namespace}/{service}"), slices.list(&of)).await?;
    Ok(listed.items.into_iter().flat_map(|slice| slice.endpoints).collect())
}

/// Whether none of the pods is among the Service's endpoints. None: so it is.
async fn no_endpoints(
    cluster: &Cluster,
    service: &ObjectRef,
    pods: &[String],
    said: &mut Vec<Evidence>,
) -> Result<Option<String>, ClusterError> {
    let namespace = service.namespace.as_deref().unwrap_or_default();
    let endpoints = endpoints(cluster, namespace, &service.name).await?;
    let left: Vec<String> = endpoints
        .iter()
        .filter_map(|endpoint| endpoint.target_ref.as_ref())
        .filter(|target| target.uid.as_ref().is_some_and(|uid| pods.contains(uid)))
        .filter_map(|target| target.name.clone())
        .collect();
    let what = format!("{} endpoints, {} of the {} pods among them", endpoints.len(), left.len(), pods.len());
    said.push(evidence(format!("endpoints of {service}"), what));
    Ok((!left.is_empty()).then(|| format!("{service} still sends to {}", left.join(", "))))
}

/// What a workload's change must show.
pub(super) fn effect_of(change: &Change) -> Effect {
    let replicas = change.edits.iter().find(|edit| edit.place == Place::Replicas);
    let template =
        change.edits.iter().any(|edit| matches!(edit.place, Place::Image { .. } | Place::Env { .. }));
    match replicas {
        _ if template => Effect::Updated,
        Some(edit) => {
            Effect::Scaled { from: edit.from.as_i64().unwrap_or(1), to: edit.to.as_i64().unwrap_or_default() }
        }
        None => Effect::Said,
    }
}
