//! Values of an object that a fault changes: where each is, what it was, and
//! what it becomes. Both ways are the same patch.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::cluster::object::{Kind, merge};

/// One value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Edit {
    /// Where it is.
    #[serde(flatten)]
    pub place: Place,
    /// What it was. Null: it was not there.
    pub from: Value,
    /// What the fault makes of it. Null: it takes it away.
    pub to: Value,
}

/// Where a value is in an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "at", rename_all = "kebab-case")]
pub enum Place {
    /// Image of a container, in a pod or in a workload's template.
    Image {
        /// The container.
        container: String,
        /// Whether it is one of those that run before the others.
        #[serde(default)]
        init: bool,
    },
    /// A variable of a container's environment, whole (`{name, value, …}`).
    Env {
        /// The container.
        container: String,
        /// The variable.
        name: String,
    },
    /// A workload's number of replicas.
    Replicas,
    /// Whether a node takes no new pods.
    Unschedulable,
    /// A label of the object.
    Label {
        /// Its key.
        key: String,
    },
    /// A label that a Service selects by.
    Selector {
        /// Its key.
        key: String,
    },
    /// A value in the spec, whole.
    Field {
        /// The keys that lead there.
        path: Vec<String>,
    },
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image { container, .. } => write!(f, "image of {container}"),
            Self::Env { container, name } => write!(f, "{name} of {container}"),
            Self::Replicas => f.write_str("replicas"),
            Self::Unschedulable => f.write_str("unschedulable"),
            Self::Label { key } => write!(f, "label {key}"),
            Self::Selector { key } => write!(f, "selector {key}"),
            Self::Field { path } => write!(f, "spec.{}", path.join(".")),
        }
    }
}

/// Where an object keeps its pods' spec.
fn pod_spec(kind: Kind) -> &'static str {
    match kind {
        Kind::Pod => "/spec",
        Kind::Deployment | Kind::StatefulSet | Kind::ReplicaSet | Kind::Rollout => "/spec/template/spec",
        // They have none.
        Kind::Node
        | Kind::Service
        | Kind::Canary
        | Kind::Application
        | Kind::HelmRelease
        | Kind::InferenceService => "/none",
    }
}

fn list(init: bool) -> &'static str {
    if init { "initContainers" } else { "containers" }
}

/// The names of an object's containers, those that run first (`true`) too.
pub(super) fn containers(kind: Kind, object: &Value) -> Vec<(String, bool)> {
    let names = |init: bool| {
        let all = object.pointer(&format!("{}/{}", pod_spec(kind), list(init)));
        let all = all.and_then(Value::as_array).into_iter().flatten();
        all.filter_map(move |one| Some((one["name"].as_str()?.to_owned(), init))).collect::<Vec<_>>()
    };
    [names(false), names(true)].concat()
}

impl Place {
    fn container<'v>(&self, kind: Kind, object: &'v Value, name: &str, init: bool) -> Option<&'v Value> {
        let all = object.pointer(&format!("{}/{}", pod_spec(kind), list(init)))?.as_array()?;
        all.iter().find(|one| one["name"] == name)
    }

    /// The value in an object; null where there is none.
    pub(super) fn read(&self, kind: Kind, object: &Value) -> Value {
        let found = match self {
            Self::Image { container, init } => {
                self.container(kind, object, container, *init).map(|one| &one["image"])
            }
            Self::Env { container, name } => self
                .container(kind, object, container, false)
                .and_then(|one| one["env"].as_array()?.iter().find(|variable| variable["name"] == *name)),
            Self::Replicas => object.pointer("/spec/replicas"),
            Self::Unschedulable => object.pointer("/spec/unschedulable"),
            Self::Label { key } => object.get("metadata").and_then(|meta| meta.get("labels")?.get(key)),
            Self::Selector { key } => object.get("spec").and_then(|spec| spec.get("selector")?.get(key)),
            Self::Field { path } => {
                object.get("spec").and_then(|spec| path.iter().try_fold(spec, |at, key| at.get(key)))
            }
        };
        found.cloned().unwrap_or_default()
    }

    /// The (strategic merge) patch that puts a value there.
    pub(super) fn patch(&self, kind: Kind, value: &Value) -> Value {
        match self {
            Self::Image { container, init } => {
                in_spec(kind, json!({ (list(*init)): [{ "name": container, "image": value }] }))
            }
            Self::Env { container, name } => {
                let variable = match value {
                    Value::Null => json!({ "name": name, "$patch": "delete" }),
                    // What the other form left would stay beside it.
                    one => json!({ "name": name, "value": one["value"], "valueFrom": one["valueFrom"] }),
                };
                in_spec(kind, json!({ "containers": [{ "name": container, "env": [variable] }] }))
            }
            Self::Replicas => json!({ "spec": { "replicas": value } }),
            Self::Unschedulable => json!({ "spec": { "unschedulable": value } }),
            Self::Label { key } => json!({ "metadata": { "labels": { (key): value } } }),
            Self::Selector { key } => json!({ "spec": { "selector": { (key): value } } }),
            Self::Field { path } => {
                let inner = path.iter().rev().fold(value.clone(), |inner, key| json!({ (key): inner }));
                json!({ "spec": inner })
            }
        }
    }
}

fn in_spec(kind: Kind, spec: Value) -> Value {
    match kind {
        Kind::Deployment | Kind::StatefulSet | Kind::ReplicaSet | Kind::Rollout => {
            json!({ "spec": { "template": { "spec": spec } } })
        }
        Kind::Pod
        | Kind::Node
        | Kind::Service
        | Kind::Canary
        | Kind::Application
        | Kind::HelmRelease
        | Kind::InferenceService => json!({ "spec": spec }),
    }
}

/// What a merge patch of a spec changes, value by value. Lists are values.
pub(super) fn of_spec(patch: &Value) -> Vec<(Place, Value)> {
    fn walk(at: &mut Vec<String>, value: &Value, all: &mut Vec<(Place, Value)>) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                for (key, value) in fields {
                    at.push(key.clone());
                    walk(at, value, all);
                    at.pop();
                }
            }
            value => all.push((Place::Field { path: at.clone() }, value.clone())),
        }
    }
    let mut all = Vec::new();
    walk(&mut Vec::new(), patch, &mut all);
    all
}

/// One patch of several: lists of containers and variables are put together.
pub(super) fn together(patches: impl IntoIterator<Item = Value>) -> Value {
    let mut all = Value::Object(Map::new());
    for patch in patches {
        join(&mut all, patch);
    }
    all
}

fn join(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                match into.get_mut(&key) {
                    Some(known) => join(known, value),
                    None => {
                        into.insert(key, value);
                    }
                }
            }
        }
        (Value::Array(into), Value::Array(more)) => {
            for item in more {
                let same = |known: &&mut Value| !item["name"].is_null() && known["name"] == item["name"];
                match into.iter_mut().find(same) {
                    Some(known) => join(known, item),
                    None => into.push(item),
                }
            }
        }
        (into, more) => merge(into, more),
    }
}

/// A value in words.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "not set".to_owned(),
        Value::String(text) => format!("`{text}`"),
        Value::Object(object) => {
            // A variable's value may be a secret.
            let from = if object.contains_key("valueFrom") { " from elsewhere" } else { "" };
            format!("set{from}")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deployment() -> Value {
        json!({ "spec": { "replicas": 3, "template": { "spec": {
            "containers": [
                { "name": "server", "image": "a:1", "env": [{ "name": "KEY", "valueFrom": { "x": 1 } }] },
                { "name": "sidecar", "image": "b:1" },
            ],
            "initContainers": [{ "name": "first", "image": "c:1" }],
        } } } })
    }

    fn at(container: &str, init: bool) -> Place {
        Place::Image { container: container.into(), init }
    }

    #[test]
    fn values_are_found_where_they_are() {
        let object = deployment();
        let read = |place: &Place| place.read(Kind::Deployment, &object);
        assert_eq!(read(&at("sidecar", false)), "b:1");
        assert_eq!(read(&at("first", true)), "c:1");
        assert_eq!(read(&at("first", false)), Value::Null);
        assert_eq!(read(&Place::Replicas), 3);
        let env = |name: &str| Place::Env { container: "server".into(), name: name.into() };
        assert_eq!(read(&env("KEY"))["valueFrom"]["x"], 1);
        assert_eq!(read(&env("OTHER")), Value::Null);
        assert_eq!(Place::Replicas.read(Kind::Pod, &json!({})), Value::Null);
        assert_eq!(
            containers(Kind::Deployment, &object),
            [("server".into(), false), ("sidecar".into(), false), ("first".into(), true)]
        );
    }

    #[test]
    fn patches_are_put_together_by_the_names_in_their_lists() {
        let env = |name: &str, value: Value| {
            Place::Env { container: "server".into(), name: name.into() }.patch(Kind::Deployment, &value)
        };
        let all = together([
            at("server", false).patch(Kind::Deployment, &json!("a:2")),
            at("sidecar", false).patch(Kind::Deployment, &json!("b:2")),
            env("A", json!({ "name": "A", "value": "1" })),
            env("B", Value::Null),
            Place::Replicas.patch(Kind::Deployment, &json!(0)),
        ]);
        assert_eq!(
            all,
            json!({ "spec": { "replicas": 0, "template": { "spec": { "containers": [
                { "name": "server", "image": "a:2", "env": [
                    { "name": "A", "value": "1", "valueFrom": null },
                    { "name": "B", "$patch": "delete" },
                ] },
                { "name": "sidecar", "image": "b:2" },
            ] } } } })
        );
    }

    #[test]
    fn an_edit_reads_back_as_written() {
        let edit = Edit { place: Place::Label { key: "app".into() }, from: Value::Null, to: json!("x") };
        let text = serde_json::to_string(&edit).expect("JSON");
        assert_eq!(serde_json::from_str::<Edit>(&text).expect("an edit"), edit, "{text}");
    }

    #[test]
    fn a_specs_patch_is_its_values_there_and_back() {
        let object = json!({ "spec": { "source": { "targetRevision": "v1", "path": "." }, "list": [1] } });
        let wanted =
            json!({ "source": { "targetRevision": "v2", "helm": { "values": "x" } }, "list": [2, 3] });
        let edits = of_spec(&wanted);
        let paths: Vec<String> = edits.iter().map(|(place, _)| place.to_string()).collect();
        assert_eq!(paths, ["spec.source.targetRevision", "spec.source.helm.values", "spec.list"]);
        let kind = Kind::Application;
        let from: Vec<Value> = edits.iter().map(|(place, _)| place.read(kind, &object)).collect();
        assert_eq!(from, [json!("v1"), Value::Null, json!([1])]);
        let patch = together(edits.iter().map(|(place, to)| place.patch(kind, to)));
        assert_eq!(patch, json!({ "spec": wanted }));
        let back = together(edits.iter().zip(&from).map(|((place, _), from)| place.patch(kind, from)));
        assert_eq!(back["spec"]["source"], json!({ "targetRevision": "v1", "helm": { "values": null } }));
    }
}
