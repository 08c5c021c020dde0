//! `firedrill lab --kubernetes --delete`: takes away all that was applied, and
//! the namespace if it was made for the lab and holds nothing else.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Preconditions},
    core::{ApiResource, GroupVersionKind},
};

use super::{
    DeployError,
    manifests::{self, GATEWAY, Wanted, is_ours},
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
        let Some(found) = manifest.found(&cluster).await? else { continue };
        if !is_ours(&found) {
            eprintln!("{manifest} is not the lab's, and is left alone");
            continue;
        }
        let api = manifest.api(&cluster);
        match call(format!("delete {manifest}"), api.delete(manifest.name(), &this(&found))).await {
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
    let Some(namespace) = found.filter(is_ours) else {
        return Ok(());
    };
    let others = others(cluster, name).await?;
    if let Some(other) = others.first() {
        let more = if others.len() > 1 { " and more" } else { "" };
        println!("namespace {name} is left: it holds {other}{more}");
        return Ok(());
    }
    call(format!("delete namespace {name}"), namespaces.delete(name, &this(&namespace))).await?;
    println!("namespace {name} deleted");
    Ok(())
}

/// How this very object is deleted, and nothing that took its name meanwhile.
fn this(object: &impl ResourceExt) -> DeleteParams {
    DeleteParams::background().preconditions(Preconditions { uid: object.uid(), resource_version: None })
}

/// What somebody put into the namespace beside the lab.
async fn others(cluster: &Cluster, namespace: &str) -> Result<Vec<String>, ClusterError> {
    let mut all = Vec::new();
    for (group, kind) in [
        ("apps", "Deployment"),
        ("apps", "StatefulSet"),
        ("apps", "DaemonSet"),
        ("batch", "Job"),
        ("batch", "CronJob"),
        ("", "Pod"),
        ("", "Service"),
        ("", "Secret"),
        ("", "PersistentVolumeClaim"),
        ("", "ConfigMap"),
    ] {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, "v1", kind));
        let api: Api<DynamicObject> = Api::namespaced_with(cluster.client(), namespace, &resource);
        let list = call(format!("list {}", resource.plural), api.list(&ListParams::default())).await?;
        // Every namespace has this one.
        let theirs = list.iter().map(ResourceExt::name_any).filter(|name| name != "kube-root-ca.crt");
        all.extend(theirs.map(|name| format!("{} {name}", kind.to_lowercase())));
    }
    Ok(all)
}
