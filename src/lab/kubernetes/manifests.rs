//! The files of `deploy/`, and what is asked of them: another namespace,
//! another image, another number of replicas.

use std::fmt;

use kube::{
    Api, ResourceExt,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

use super::DeployError;
use crate::cluster::{Cluster, ClusterError, call};

/// The files, in the order in which they are applied. The kustomization lists
/// the same.
const FILES: [(&str, &str); 4] = [
    ("account.yaml", include_str!("../../../deploy/account.yaml")),
    ("llm.yaml", include_str!("../../../deploy/llm.yaml")),
    ("fallback.yaml", include_str!("../../../deploy/fallback.yaml")),
    ("gateway.yaml", include_str!("../../../deploy/gateway.yaml")),
];

/// The label of all that belongs to the lab, and its value.
pub(super) const PART_OF: (&str, &str) = ("app.kubernetes.io/part-of", "firedrill-lab");
/// The Deployment of the replicas.
pub(super) const REPLICAS: &str = "llm";
/// The Service under test.
pub(super) const GATEWAY: &str = "gateway";

/// What the lab is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Where.
    pub namespace: String,
    /// The image of all its pods; none takes the files'.
    pub image: Option<String>,
    /// How many replicas; none takes the files'.
    pub replicas: Option<u16>,
}

/// An object to be, with its kind.
#[derive(Debug, Clone)]
pub(super) struct Manifest {
    pub(super) resource: ApiResource,
    pub(super) object: DynamicObject,
}

/// `deployment llm`
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.resource.kind.to_lowercase(), self.name())
    }
}

impl Manifest {
    pub(super) fn name(&self) -> &str {
        self.object.metadata.name.as_deref().unwrap_or_default()
    }

    pub(super) fn api(&self, cluster: &Cluster) -> Api<DynamicObject> {
        let namespace = self.object.metadata.namespace.as_deref().unwrap_or_default();
        Api::namespaced_with(cluster.client(), namespace, &self.resource)
    }

    /// The object of this name on the cluster, whosever it is.
    pub(super) async fn found(&self, cluster: &Cluster) -> Result<Option<DynamicObject>, ClusterError> {
        call(format!("get {self}"), self.api(cluster).get_opt(self.name())).await
    }
}

/// Selects all that is the lab's.
pub(in crate::lab) fn selector() -> String {
    format!("{}={}", PART_OF.0, PART_OF.1)
}

/// Whether something is the lab's.
pub(super) fn is_ours(object: &impl ResourceExt) -> bool {
    object.labels().get(PART_OF.0).is_some_and(|value| value == PART_OF.1)
}

/// All objects of the lab.
pub(super) fn manifests(wanted: &Wanted) -> Result<Vec<Manifest>, DeployError> {
    let mut all = Vec::new();
    for (file, text) in FILES {
        let wrong = |why: String| DeployError::Manifest { file, why };
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(text).map_err(|why| wrong(why.to_string()))?;
        for mut document in documents {
            adapt(&mut document, wanted);
            let object: DynamicObject =
                serde_json::from_value(document).map_err(|why| wrong(why.to_string()))?;
            let types = object.types.as_ref().ok_or_else(|| wrong("an object has no kind".to_owned()))?;
            let kind = GroupVersionKind::try_from(types).map_err(|why| wrong(why.to_string()))?;
            all.push(Manifest { resource: ApiResource::from_gvk(&kind), object });
        }
    }
    Ok(all)
}

/// What kustomize does with `namespace:` and `images:`, and the replicas.
fn adapt(document: &mut Value, wanted: &Wanted) {
    document["metadata"]["namespace"] = json!(wanted.namespace);
    let kind = document["kind"].as_str().unwrap_or_default().to_owned();
    match kind.as_str() {
        "RoleBinding" => {
            for subject in document["subjects"].as_array_mut().into_iter().flatten() {
                subject["namespace"] = json!(wanted.namespace);
            }
        }
        "Deployment" => {
            if let Some(replicas) = wanted.replicas.filter(|_| document["metadata"]["name"] == REPLICAS) {
                document["spec"]["replicas"] = json!(replicas);
            }
            let containers = &mut document["spec"]["template"]["spec"]["containers"];
            for container in containers.as_array_mut().into_iter().flatten() {
                if let Some(image) = &wanted.image {
                    container["image"] = json!(image);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn wanted() -> Wanted {
        Wanted { namespace: "game-day".into(), image: Some("localhost/x:1".into()), replicas: Some(5) }
    }

    fn document(manifest: &Manifest) -> Value {
        serde_json::to_value(&manifest.object).expect("JSON")
    }

    #[test]
    fn the_kustomization_lists_the_same_files() {
        let kustomization: Value =
            serde_saphyr::from_str(include_str!("../../../deploy/kustomization.yaml")).expect("valid");
        let files: Vec<&str> = FILES.iter().map(|(file, _)| *file).collect();
        assert_eq!(kustomization["resources"], json!(files));
    }

    #[test]
    fn everything_is_labelled_and_in_the_namespace() {
        let all = manifests(&wanted()).expect("valid");
        let names: BTreeSet<String> = all.iter().map(ToString::to_string).collect();
        let expected = [
            "deployment fallback",
            "deployment gateway",
            "deployment llm",
            "role gateway",
            "rolebinding gateway",
            "service fallback",
            "service gateway",
            "service llm",
            "serviceaccount gateway",
        ];
        assert_eq!(names, expected.map(str::to_owned).into());
        for manifest in &all {
            let labels = manifest.object.metadata.labels.clone().unwrap_or_default();
            assert_eq!(labels.get(PART_OF.0).map(String::as_str), Some(PART_OF.1), "{manifest}");
            assert_eq!(manifest.object.metadata.namespace.as_deref(), Some("game-day"));
        }
    }

    #[test]
    fn image_replicas_and_subjects_are_what_is_wanted() {
        let all = manifests(&wanted()).expect("valid");
        let mut images = 0;
        for manifest in &all {
            let object = document(manifest);
            if let Some(image) = object.pointer("/spec/template/spec/containers/0/image") {
                assert_eq!(image, "localhost/x:1");
                images += 1;
            }
            match manifest.to_string().as_str() {
                "deployment llm" => assert_eq!(object["spec"]["replicas"], 5),
                "deployment gateway" => assert_eq!(object["spec"]["replicas"], 1),
                "rolebinding gateway" => assert_eq!(object["subjects"][0]["namespace"], "game-day"),
                _ => {}
            }
        }
        assert_eq!(images, 3);
    }

    #[test]
    fn what_is_not_asked_for_stays_as_in_the_files() {
        let wanted = Wanted { namespace: "default".into(), image: None, replicas: None };
        let all = manifests(&wanted).expect("valid");
        let llm = all.iter().find(|manifest| manifest.to_string() == "deployment llm").expect("it is there");
        let llm = document(llm);
        assert_eq!(llm["spec"]["replicas"], 3);
        assert_eq!(llm["spec"]["template"]["spec"]["containers"][0]["image"], "firedrill:dev");
        let port = llm.pointer("/spec/template/metadata/annotations/prometheus.io~1port");
        assert_eq!(port, Some(&json!("8000")), "a quoted number stays a text");
    }

    /// The chaos manifests select the replicas as they do in the lab.
    #[test]
    fn the_pods_have_the_labs_labels() {
        let all = manifests(&wanted()).expect("valid");
        let of = |name: &str| {
            let manifest = all.iter().find(|manifest| manifest.to_string() == name).expect("it is there");
            document(manifest).pointer("/spec/template/metadata/labels").cloned().expect("labels")
        };
        let lab = crate::plan::lab_pods(&crate::lab::config::LabConfig::default());
        for (deployment, pod) in [("deployment llm", "replica-0"), ("deployment fallback", "fallback-0")] {
            let pod = lab.iter().find(|each| each.name.as_str() == pod).expect("a pod");
            for (key, value) in &pod.labels {
                assert_eq!(of(deployment)[key], json!(value), "{deployment} {key}");
            }
        }
        assert_eq!(of("deployment gateway")["app"], "gateway");
    }
}
