//! `firedrill lab --kubernetes`: applies the manifests, waits until all pods
//! serve, and says where.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use serde_json::json;

use super::{
    DeployError,
    manifests::{self, GATEWAY, Manifest, PART_OF, Wanted, is_ours},
    progress,
};
use crate::{
    cluster::{Cluster, ClusterError, MANAGER, address, call},
    lab::golden::GOLDEN,
    scenario::kubernetes::KubernetesTarget,
};

/// Brings the lab to what is wanted; says on standard error how far it is, and
/// on standard output where it is.
pub async fn deploy(context: Option<String>, wanted: &Wanted) -> Result<(), DeployError> {
    let target = KubernetesTarget { context, ..KubernetesTarget::new(&wanted.namespace, GATEWAY) };
    let cluster = Cluster::connect(&target).await?;
    let all = manifests::manifests(wanted)?;
    eprintln!("the lab goes into namespace {} of {}", wanted.namespace, cluster.at().context);
    make_namespace(&cluster, &wanted.namespace).await?;
    refuse_foreign(&cluster, &all).await?;
    for manifest in &all {
        apply(&cluster, manifest).await?;
    }
    eprintln!("{} objects applied", all.len());
    progress::wait_ready(&cluster, &wanted.namespace).await?;
    let url = address::address(&cluster, &target).await?;
    print!("{}", in_words(&url, &wanted.namespace));
    Ok(())
}

/// Makes the namespace if there is none, labelled, so that only such a one is
/// ever deleted.
async fn make_namespace(cluster: &Cluster, name: &str) -> Result<(), DeployError> {
    let namespaces: Api<Namespace> = Api::all(cluster.client());
    let found = call(format!("get namespace {name}"), namespaces.get_opt(name)).await?;
    if found.is_some() {
        return Ok(());
    }
    let labels = [(PART_OF.0.to_owned(), PART_OF.1.to_owned())].into();
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(name.to_owned());
    namespace.metadata.labels = Some(labels);
    let how = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
    call(format!("create namespace {name}"), namespaces.create(&how, &namespace)).await?;
    Ok(())
}

/// Somebody else's `gateway` is not taken over.
async fn refuse_foreign(cluster: &Cluster, all: &[Manifest]) -> Result<(), DeployError> {
    let mut foreign = Vec::new();
    for manifest in all {
        if manifest.found(cluster).await?.is_some_and(|object| !is_ours(&object)) {
            foreign.push(manifest.to_string());
        }
    }
    if foreign.is_empty() { Ok(()) } else { Err(DeployError::Foreign(foreign)) }
}

async fn apply(cluster: &Cluster, manifest: &Manifest) -> Result<(), ClusterError> {
    // By force: what somebody changed for a drill is set back.
    let as_firedrill = PatchParams::apply(MANAGER).force();
    let patch = Patch::Apply(&manifest.object);
    let api = manifest.api(cluster);
    call(format!("apply {manifest}"), api.patch(manifest.name(), &as_firedrill, &patch)).await?;
    Ok(())
}

fn in_words(url: &str, namespace: &str) -> String {
    let ask = json!({
        "model": "demo",
        "stream": true,
        "messages": [{ "role": "user", "content": GOLDEN[0].0 }],
    });
    format!(
        "{url}

try:
  curl -N {url}/v1/chat/completions -H 'content-type: application/json' -d '{ask}'
  curl {url}/admin/upstreams
  kubectl -n {namespace} set env deployment/llm LAB_VERSION=v2 LAB_DEFECT=errors
  kubectl -n {namespace} rollout undo deployment/llm
  firedrill lab --kubernetes --namespace {namespace} --delete
"
    )
}
