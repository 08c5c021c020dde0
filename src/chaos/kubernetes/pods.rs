//! A cluster's pods, as they are selected from.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;
use k8s_openapi::{
    api::core::v1::{self, Node},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{Api, api::ListParams};

use super::workload::deployed;
use crate::{
    cluster::{Cluster, ClusterError, PROXY_LABEL, call, object::Kind},
    plan::{
        Plan,
        model::{PlannedAction, Pod},
    },
    scenario::{
        chaos::{Chaos, KubernetesAction},
        custom::CustomKind,
        kubernetes::KubernetesTarget,
    },
    units::PodName,
};

/// Where a plan looks for pods, and whether it asks for labels of nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// The namespaces.
    pub namespaces: BTreeSet<String>,
    /// Kinds of objects that are created for a tool.
    pub handed: Vec<CustomKind>,
    /// Where they are.
    pub created_in: BTreeSet<String>,
    /// Whether labels of nodes must be read.
    pub node_labels: bool,
    /// Whether nodes are looked at at all: to find the Service's node port, or
    /// since they are touched.
    pub nodes: bool,
    /// Objects that are deployed and would not be looked at otherwise: their
    /// kinds, and where they are.
    pub deployed: BTreeSet<(Kind, String)>,
}

impl Reach {
    /// What a plan needs.
    pub fn of(plan: &Plan, target: &KubernetesTarget) -> Self {
        let namespaces = BTreeSet::from([target.namespace.clone()]);
        let mut reach = Self { namespaces, nodes: target.url.is_none(), ..Self::default() };
        for act in &plan.timeline {
            let manifest = match &act.action {
                PlannedAction::Fault(manifest) => manifest,
                PlannedAction::Deploy(deploy) => {
                    let namespace = deploy.namespace.as_ref().unwrap_or(&target.namespace);
                    let kind = deploy.of.as_ref().and_then(deployed).map(|(kind, _)| kind);
                    let seen = |kind: &Kind| kind.is_built_in() && *namespace == target.namespace;
                    let apart = kind.filter(|kind| !seen(kind));
                    reach.deployed.extend(apart.map(|kind| (kind, namespace.clone())));
                    continue;
                }
                PlannedAction::Command(_) => continue,
            };
            reach.namespaces.extend(manifest.namespaces().into_iter().map(str::to_owned));
            if let Chaos::Custom(custom) = &manifest.chaos {
                if !reach.handed.contains(&custom.object) {
                    reach.handed.push(custom.object);
                }
                reach.created_in.insert(manifest.home().to_owned());
            }
            if let Chaos::KubernetesChaos(spec) = &manifest.chaos {
                reach.nodes |= matches!(spec.action, KubernetesAction::Cordon | KubernetesAction::Drain);
            }
            let selector = &manifest.chaos.scope().selector;
            reach.node_labels |= selector.pods.is_empty() && !selector.node_selectors.is_empty();
        }
        reach
    }
}

/// The pods of these namespaces that are not on their way out.
pub async fn list(cluster: &Cluster, reach: &Reach) -> Result<Vec<Pod>, ClusterError> {
    let nodes = if reach.node_labels { node_labels(cluster).await? } else { BTreeMap::new() };
    let mut pods = Vec::new();
    for namespace in &reach.namespaces {
        let api: Api<v1::Pod> = Api::namespaced(cluster.client(), namespace);
        let listed = call(format!("list pods in {namespace}"), api.list(&ListParams::default())).await?;
        let staying = listed.items.into_iter().filter(|pod| {
            let labels = pod.metadata.labels.as_ref();
            let ours = labels.is_some_and(|labels| labels.contains_key(PROXY_LABEL));
            pod.metadata.deletion_timestamp.is_none() && !ours
        });
        pods.extend(staying.map(|pod| of(pod, &nodes)));
    }
    Ok(pods)
}

async fn node_labels(cluster: &Cluster) -> Result<BTreeMap<String, IndexMap<String, String>>, ClusterError> {
    let nodes: Api<Node> = Api::all(cluster.client());
    let nodes = call("list nodes", nodes.list(&ListParams::default())).await?;
    let of = |node: Node| {
        let ObjectMeta { name, labels, .. } = node.metadata;
        (name.unwrap_or_default(), labels.unwrap_or_default().into_iter().collect())
    };
    Ok(nodes.items.into_iter().map(of).collect())
}

fn of(pod: v1::Pod, nodes: &BTreeMap<String, IndexMap<String, String>>) -> Pod {
    let ready = is_ready(&pod);
    let owner = owner(&pod.metadata);
    let meta = pod.metadata;
    let node = pod.spec.and_then(|spec| spec.node_name).unwrap_or_default();
    Pod {
        name: PodName(meta.name.unwrap_or_default()),
        namespace: meta.namespace.unwrap_or_default(),
        labels: meta.labels.unwrap_or_default().into_iter().collect(),
        annotations: meta.annotations.unwrap_or_default().into_iter().collect(),
        phase: pod.status.and_then(|status| status.phase).unwrap_or_default(),
        ready,
        uid: meta.uid,
        owner,
        node_labels: nodes.get(&node).cloned().unwrap_or_default(),
        node,
    }
}

/// Whether a pod's condition `Ready` is true.
pub(crate) fn is_ready(pod: &v1::Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// What keeps a pod there. A Deployment's pods are its ReplicaSets', whose
/// names end in the hash that the pods are labelled with.
fn owner(meta: &ObjectMeta) -> Option<String> {
    let owner = meta.owner_references.iter().flatten().find(|owner| owner.controller == Some(true))?;
    let hash = meta.labels.as_ref().and_then(|labels| labels.get("pod-template-hash"));
    let deployment = hash.and_then(|hash| owner.name.strip_suffix(hash.as_str())?.strip_suffix('-'));
    Some(match deployment {
        Some(name) if owner.kind == "ReplicaSet" => format!("Deployment/{name}"),
        Some(_) | None => format!("{}/{}", owner.kind, owner.name),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_is_read_with_what_keeps_it_there() {
        let pod: v1::Pod = serde_json::from_value(json!({
            "metadata": {
                "name": "llm-5d9-x2", "namespace": "serving", "uid": "u",
                "labels": { "app": "llm", "pod-template-hash": "5d9" },
                "ownerReferences": [
                    { "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "llm-5d9", "uid": "r", "controller": true }
                ],
            },
            "spec": { "nodeName": "node-1", "containers": [] },
            "status": { "phase": "Running", "conditions": [{ "type": "Ready", "status": "True" }] },
        }))
        .expect("a pod");
        let nodes =
            BTreeMap::from([("node-1".to_owned(), IndexMap::from([("gpu".to_owned(), "h100".to_owned())]))]);
        let pod = of(pod, &nodes);
        assert_eq!(pod.owner.as_deref(), Some("Deployment/llm"));
        assert!(pod.ready && pod.node == "node-1" && pod.node_labels["gpu"] == "h100");
        assert_eq!(pod.uid.as_deref(), Some("u"));
    }
}
