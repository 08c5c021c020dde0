//! One object of a cluster, read and patched without a type of its own, so
//! that nothing of it is lost that this program does not know.

use std::fmt;

use http::{Method, Request, header::CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Cluster, ClusterError, MANAGER, call};

/// Kinds of objects that faults change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// A pod.
    Pod,
    /// A node; it has no namespace.
    Node,
    /// A Service.
    Service,
    /// A Deployment.
    Deployment,
    /// A StatefulSet.
    StatefulSet,
    /// A ReplicaSet.
    ReplicaSet,
    /// A Rollout of Argo Rollouts.
    Rollout,
    /// A Canary of Flagger; it is only read.
    Canary,
    /// An Application of Argo CD.
    Application,
    /// A HelmRelease of Flux.
    HelmRelease,
    /// An InferenceService of KServe.
    InferenceService,
}

impl Kind {
    /// Those that faults leave marks on.
    pub const MARKED: [Self; 9] = [
        Self::Pod,
        Self::Node,
        Self::Service,
        Self::Deployment,
        Self::StatefulSet,
        Self::Rollout,
        Self::Application,
        Self::HelmRelease,
        Self::InferenceService,
    ];

    /// Whether every cluster has it.
    pub fn is_built_in(self) -> bool {
        match self {
            Self::Pod
            | Self::Node
            | Self::Service
            | Self::Deployment
            | Self::StatefulSet
            | Self::ReplicaSet => true,
            Self::Rollout | Self::Canary | Self::Application | Self::HelmRelease | Self::InferenceService => {
                false
            }
        }
    }

    /// Group of the API; empty: the core.
    pub fn group(self) -> &'static str {
        match self {
            Self::Pod | Self::Node | Self::Service => "",
            Self::Deployment | Self::StatefulSet | Self::ReplicaSet => "apps",
            Self::Rollout | Self::Application => "argoproj.io",
            Self::Canary => "flagger.app",
            Self::HelmRelease => "helm.toolkit.fluxcd.io",
            Self::InferenceService => "serving.kserve.io",
        }
    }

    /// The name in URLs and in roles.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Pod => "pods",
            Self::Node => "nodes",
            Self::Service => "services",
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::ReplicaSet => "replicasets",
            Self::Rollout => "rollouts",
            Self::Canary => "canaries",
            Self::Application => "applications",
            Self::HelmRelease => "helmreleases",
            Self::InferenceService => "inferenceservices",
        }
    }

    fn root(self) -> &'static str {
        match self.group() {
            "" => "/api/v1",
            "argoproj.io" => "/apis/argoproj.io/v1alpha1",
            "flagger.app" => "/apis/flagger.app/v1beta1",
            "helm.toolkit.fluxcd.io" => "/apis/helm.toolkit.fluxcd.io/v2",
            "serving.kserve.io" => "/apis/serving.kserve.io/v1beta1",
            _ => "/apis/apps/v1",
        }
    }

    /// What people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pod => "pod",
            Self::Node => "node",
            Self::Service => "service",
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::ReplicaSet => "replicaset",
            Self::Rollout => "rollout",
            Self::Canary => "canary",
            Self::Application => "application",
            Self::HelmRelease => "helmrelease",
            Self::InferenceService => "inferenceservice",
        }
    }
}

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace; none for a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its UID: another object of that name is not meant.
    pub uid: String,
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{} {namespace}/{}", self.kind.word(), self.name),
            None => write!(f, "{} {}", self.kind.word(), self.name),
        }
    }
}

impl ObjectRef {
    fn path(&self) -> String {
        let (root, resource, name) = (self.kind.root(), self.kind.resource(), &self.name);
        match &self.namespace {
            Some(namespace) => format!("{root}/namespaces/{namespace}/{resource}/{name}"),
            None => format!("{root}/{resource}/{name}"),
        }
    }

    /// Reads it. None: it is gone, or another one has its name.
    pub async fn get(&self, cluster: &Cluster) -> Result<Option<Value>, ClusterError> {
        match get(cluster, self.kind, self.namespace.as_deref(), &self.name).await {
            Ok(object) if uid(&object) == Some(&self.uid) => Ok(Some(object)),
            Ok(_) => Ok(None),
            Err(error) if error.is_absence() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Patches a part of it that has a path of its own (`ephemeralcontainers`).
    pub async fn patch_part(
        &self,
        cluster: &Cluster,
        part: &str,
        mut patch: Value,
    ) -> Result<Value, ClusterError> {
        merge(&mut patch, json!({ "metadata": { "uid": self.uid } }));
        let path = format!("{}/{part}?fieldManager={MANAGER}", self.path());
        let what = format!("patch {part} of {self}");
        send(cluster, Method::PATCH, &path, Some(("application/strategic-merge-patch+json", &patch)), what)
            .await
    }

    /// Patches it, if it still is as it was `read` (a conflict, if not).
    pub async fn patch(&self, cluster: &Cluster, read: &Value, patch: Value) -> Result<Value, ClusterError> {
        self.patch_so(cluster, read, patch, "").await
    }

    /// Asks whether it could be patched so, and changes nothing. Fields that its
    /// kind does not know are an error.
    pub async fn rehearse(&self, cluster: &Cluster, read: &Value, patch: Value) -> Result<(), ClusterError> {
        match self.patch_so(cluster, read, patch, "&dryRun=All&fieldValidation=Strict").await {
            // Not every webhook can: what it would say is then not known.
            Err(error) if error.to_string().contains("does not support dry run") => Ok(()),
            asked => asked.map(drop),
        }
    }

    async fn patch_so(
        &self,
        cluster: &Cluster,
        read: &Value,
        mut patch: Value,
        how_far: &str,
    ) -> Result<Value, ClusterError> {
        let version = read.pointer("/metadata/resourceVersion").cloned().unwrap_or_default();
        merge(&mut patch, json!({ "metadata": { "resourceVersion": version, "uid": self.uid } }));
        let path = format!("{}?fieldManager={MANAGER}{how_far}", self.path());
        let what = format!("patch {self}");
        let how = match self.kind {
            kind if kind.is_built_in() => "application/strategic-merge-patch+json",
            Kind::Rollout => {
                // An API server merges lists of its own kinds only.
                spell_out(read, &mut patch);
                "application/merge-patch+json"
            }
            // What is put into their specs is whole.
            _ => "application/merge-patch+json",
        };
        send(cluster, Method::PATCH, &path, Some((how, &patch)), what).await
    }
}

/// Takes away the fields that are null: within lists they would be values.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|_, value| !value.is_null());
            fields.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

/// Makes a merge patch (RFC 7396) of a strategic one: lists whose items have
/// names become whole, with what was `read`.
fn spell_out(read: &Value, patch: &mut Value) {
    match patch {
        Value::Object(fields) => {
            for (key, value) in fields {
                let before = read.get(key.as_str()).unwrap_or(&Value::Null);
                spell_out(before, value);
                // A list that was not there and is empty again is no list.
                if before.is_null() && value.as_array().is_some_and(Vec::is_empty) {
                    *value = Value::Null;
                }
            }
        }
        Value::Array(items) if items.iter().any(|item| item.get("name").is_some()) => {
            let mut whole = read.as_array().cloned().unwrap_or_default();
            for mut item in std::mem::take(items) {
                let name = item.get("name").cloned();
                let known = whole.iter().position(|one| one.get("name") == name.as_ref());
                if item.get("$patch").is_some_and(|what| what == "delete") {
                    whole.retain(|one| one.get("name") != name.as_ref());
                } else if let Some(known) = known {
                    spell_out(&whole[known].clone(), &mut item);
                    merge(&mut whole[known], item);
                } else {
                    whole.push(item);
                }
            }
            *items = whole;
            items.iter_mut().for_each(drop_nulls);
        }
        _ => {}
    }
}

/// Reads an object by its name.
pub async fn get(
    cluster: &Cluster,
    kind: Kind,
    namespace: Option<&str>,
    name: &str,
) -> Result<Value, ClusterError> {
    let object = ObjectRef {
        kind,
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
        uid: String::new(),
    };
    send(cluster, Method::GET, &object.path(), None, format!("get {object}")).await
}

/// Lists objects that carry a label, in one namespace or in all.
pub async fn labelled(
    cluster: &Cluster,
    kind: Kind,
    namespace: Option<&str>,
    selector: &str,
) -> Result<Vec<Value>, ClusterError> {
    let (root, resource) = (kind.root(), kind.resource());
    let path = match namespace.filter(|_| kind != Kind::Node) {
        Some(namespace) => format!("{root}/namespaces/{namespace}/{resource}"),
        None => format!("{root}/{resource}"),
    };
    let what = format!("list {resource}");
    let mut list =
        send(cluster, Method::GET, &format!("{path}?labelSelector={selector}"), None, what).await?;
    match list["items"].take() {
        Value::Array(items) => Ok(items),
        _ => Ok(vec![]),
    }
}

/// The reference to an object that was read.
pub fn reference(kind: Kind, object: &Value) -> Option<ObjectRef> {
    let text = |key: &str| object.pointer(key).and_then(Value::as_str).map(str::to_owned);
    Some(ObjectRef {
        kind,
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name")?,
        uid: text("/metadata/uid")?,
    })
}

/// Whether its controller has seen the object as it is now, so that its status
/// is of it.
pub fn is_observed(object: &Value) -> bool {
    let observed = match object.pointer("/status/observedGeneration") {
        // Argo Rollouts writes it as text.
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(number) => number.as_i64().unwrap_or(0),
        None => 0,
    };
    observed >= object.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0)
}

/// The UID of an object that was read.
pub fn uid(object: &Value) -> Option<&str> {
    object.pointer("/metadata/uid").and_then(Value::as_str)
}

pub(super) async fn send(
    cluster: &Cluster,
    method: Method,
    path: &str,
    body: Option<(&str, &Value)>,
    what: String,
) -> Result<Value, ClusterError> {
    let mut request = Request::builder().method(method).uri(path);
    let body = match body {
        Some((kind, value)) => {
            request = request.header(CONTENT_TYPE, kind);
            serde_json::to_vec(value).map_err(|error| ClusterError::Unfit(format!("{what}: {error}")))?
        }
        None => Vec::new(),
    };
    let request = request.body(body).map_err(|error| ClusterError::Unfit(format!("{what}: {error}")))?;
    call(what, cluster.client().request(request)).await
}

/// Puts `more` into `into`, mapping by mapping.
pub fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an API server makes of a merge patch.
    fn merged(mut into: Value, patch: Value) -> Value {
        fn apply(into: &mut Value, patch: Value) {
            match patch {
                Value::Object(fields) => {
                    if !into.is_object() {
                        *into = json!({});
                    }
                    for (key, value) in fields {
                        if value.is_null() {
                            into.as_object_mut().expect("an object").remove(&key);
                        } else {
                            apply(&mut into[key], value);
                        }
                    }
                }
                other => *into = other,
            }
        }
        apply(&mut into, patch);
        into
    }

    #[test]
    fn a_spelled_out_patch_and_the_one_back_leave_nothing() {
        let object =
            |containers: Value| json!({ "spec": { "template": { "spec": { "containers": containers } } } });
        let env = |name: &str, value: Option<&str>| {
            let one = match value {
                Some(value) => json!({ "name": name, "value": value, "valueFrom": null }),
                None => json!({ "name": name, "$patch": "delete" }),
            };
            object(json!([{ "name": "model", "env": [one] }]))
        };
        let read = object(json!([
            { "name": "model", "image": "a", "env": [{ "name": "VERSION", "value": "v1" }] },
            { "name": "side", "image": "b" },
        ]));
        let patched = |read: &Value, mut patch: Value| {
            spell_out(read, &mut patch);
            merged(read.clone(), patch)
        };
        let changed = patched(&patched(&read, env("VERSION", Some("v2"))), env("NEW", Some("x")));
        let expected = object(json!([
            { "name": "model", "image": "a", "env": [{ "name": "VERSION", "value": "v2" }, { "name": "NEW", "value": "x" }] },
            { "name": "side", "image": "b" },
        ]));
        assert_eq!(changed, expected);
        assert_eq!(patched(&patched(&changed, env("NEW", None)), env("VERSION", Some("v1"))), read);
        let bare = object(json!([{ "name": "model", "image": "a" }]));
        let changed = patched(&bare, env("NEW", Some("x")));
        assert_eq!(
            patched(&changed, env("NEW", None))["spec"]["template"]["spec"]["containers"][0]["env"],
            json!([])
        );
    }

    #[test]
    fn paths_are_those_of_the_api() {
        let at = |kind, namespace: Option<&str>| {
            ObjectRef { kind, namespace: namespace.map(str::to_owned), name: "x".into(), uid: "u".into() }
                .path()
        };
        assert_eq!(at(Kind::Pod, Some("a")), "/api/v1/namespaces/a/pods/x");
        assert_eq!(at(Kind::Node, None), "/api/v1/nodes/x");
        assert_eq!(at(Kind::Deployment, Some("a")), "/apis/apps/v1/namespaces/a/deployments/x");
    }

    #[test]
    fn merging_keeps_what_is_beside() {
        let mut value = json!({ "metadata": { "labels": { "a": "b" } } });
        merge(&mut value, json!({ "metadata": { "uid": "u" }, "spec": 1 }));
        assert_eq!(value, json!({ "metadata": { "labels": { "a": "b" }, "uid": "u" }, "spec": 1 }));
    }
}
