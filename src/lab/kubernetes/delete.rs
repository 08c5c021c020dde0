//! `firedrill lab --kubernetes --delete`: takes away all that was applied, and
//! the namespace if it was made for the lab and holds nothing else.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim, Pod, Secret, Service};
use kube::{
    Api, Resource,
    api::{DeleteParams, DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind, NamespaceResourceScope},
};
use serde::de::DeserializeOwned;

use super::{
    DeployError,
    deploy::{api, is_ours},
    manifests::{self, GATEWAY, Wanted},
    progress,
};
use crate::{
    cluster::{Cluster, ClusterError, call},
    scenario::kubernetes::KubernetesTarget,
};

/// Takes the lab away and says what was left, and why.
pub async fn delete(context: Option<String>, wanted: &Wanted) -> Result<(), DeployError> {
    let target = KubernetesTarget { context, ..KubernetesTarget::new(&wanted.namespace, GATEWAY) };
    let cluster = Cluster::connect(&target).await?;
    let mut deleted = 0;
    // What sends requests goes first.
    for manifest in manifests::manifests(wanted)?.iter().rev() {
        let name = manifest.object.metadata.name.as_deref().unwrap_or_default();
        let api = api(&cluster, manifest);
        let Some(found) = call(format!("get {}", manifest.name()), api.get_opt(name)).await? else {
            continue;
        };
        if !is_ours(found.metadata.labels.as_ref()) {
            eprintln!("{} is not the lab's, and is left alone", manifest.name());
            continue;
        }
        // This very object, and nothing that took its name meanwhile.
        let this = kube::api::Preconditions { uid: found.metadata.uid, resource_version: None };
        let how = DeleteParams::background().preconditions(this);
        match call(format!("delete {}", manifest.name()), api.delete(name, &how)).await {
            Ok(_) => deleted += 1,
            Err(error) if error.is_absence() => {}
            Err(error) => return Err(error.into()),
        }
    }
    progress::wait_gone(&cluster, &wanted.namespace).await?;
    println!("{deleted} objects deleted from namespace {}", wanted.namespace);
    delete_namespace(&cluster, &wanted.namespace).await
}

async fn delete_namespace(cluster: &Cluster, name: &str) -> Result<(), DeployError> {
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    let found = call(format!("get namespace {name}"), namespaces.get_opt(name)).await?;
    let Some(namespace) = found.filter(|namespace| is_ours(namespace.metadata.labels.as_ref())) else {
        return Ok(());
    };
    let others = others(cluster, name).await?;
    if let Some(other) = others.first() {
        let more = if others.len() > 1 { " and more" } else { "" };
        println!("namespace {name} is left: it holds {other}{more}");
        return Ok(());
    }
    let this = kube::api::Preconditions { uid: namespace.metadata.uid, resource_version: None };
    let how = DeleteParams::background().preconditions(this);
    call(format!("delete namespace {name}"), namespaces.delete(name, &how)).await?;
    println!("namespace {name} deleted");
    Ok(())
}

/// What somebody put into the namespace beside the lab.
async fn others(cluster: &Cluster, namespace: &str) -> Result<Vec<String>, ClusterError> {
    let mut all = Vec::new();
    for (group, version, kind) in [
        ("apps", "v1", "Deployment"),
        ("apps", "v1", "StatefulSet"),
        ("apps", "v1", "DaemonSet"),
        ("batch", "v1", "Job"),
        ("batch", "v1", "CronJob"),
    ] {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        let api: Api<DynamicObject> = Api::namespaced_with(cluster.client(), namespace, &resource);
        let list = call(format!("list {}", resource.plural), api.list(&ListParams::default())).await?;
        all.extend(
            list.items.iter().filter_map(|object| Some(in_words(kind, object.metadata.name.as_ref()?))),
        );
    }
    all.extend(names::<Pod>(cluster, namespace).await?);
    all.extend(names::<Service>(cluster, namespace).await?);
    all.extend(names::<Secret>(cluster, namespace).await?);
    all.extend(names::<PersistentVolumeClaim>(cluster, namespace).await?);
    // Every namespace has this one.
    let root = in_words("ConfigMap", "kube-root-ca.crt");
    all.extend(names::<ConfigMap>(cluster, namespace).await?.into_iter().filter(|name| *name != root));
    Ok(all)
}

async fn names<K>(cluster: &Cluster, namespace: &str) -> Result<Vec<String>, ClusterError>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = Api::namespaced(cluster.client(), namespace);
    let kind = K::kind(&());
    let list = call(format!("list {}", K::plural(&())), api.list(&ListParams::default())).await?;
    Ok(list.items.iter().filter_map(|object| Some(in_words(&kind, object.meta().name.as_ref()?))).collect())
}

fn in_words(kind: &str, name: &str) -> String {
    format!("{} {name}", kind.to_lowercase())
}
