//! All that a namespace holds, and all that belongs to no namespace, without
//! what changes by itself.

use std::{
    collections::BTreeMap,
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::Value;

use super::rig::{PATIENCE, Rig, kubectl, plain};

/// Objects by kind and name; what controllers make, by what it is like, with
/// how many there are.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Snapshot(BTreeMap<String, Value>);

/// They tell of what happens, of who is alive, or of which Service has an
/// address, other tests' among them.
const NEWS: [&str; 3] = ["events", "leases", "ipaddresses"];
/// What nodes and pods use: figures, and no objects that anybody keeps.
const USED: &str = ".metrics.k8s.io";

/// Every resource that can be listed, in a namespace or outside of all.
fn resources(namespaced: bool) -> String {
    let flag = format!("--namespaced={namespaced}");
    let all = kubectl(&["api-resources", "--verbs=list", "--output=name", &flag]);
    let all = all.lines().filter(|name| !NEWS.iter().any(|news| name.split('.').next() == Some(news)));
    let all = all.filter(|name| !name.ends_with(USED));
    all.collect::<Vec<_>>().join(",")
}

fn list(arguments: &[&str]) -> Vec<Value> {
    let text = kubectl(&[arguments, &["--output=json", "--ignore-not-found"]].concat());
    let list: Value = serde_json::from_str(if text.trim().is_empty() { "{}" } else { &text }).expect("JSON");
    list["items"].as_array().cloned().unwrap_or_default()
}

impl Snapshot {
    pub(super) fn take(rig: &Rig) -> Self {
        let mut all = list(&["-n", &rig.namespace, "get", &resources(true)]);
        // Other tests' namespaces come and go.
        all.extend(
            list(&["get", &resources(false)]).into_iter().filter(|object| object["kind"] != "Namespace"),
        );
        let mut found = BTreeMap::new();
        for object in all {
            let (name, what) = compared(object);
            if what.is_null() {
                continue;
            }
            if let Some(count) = name.strip_suffix('#').and_then(|_| found.get_mut(&name)) {
                *count = Value::from(Value::as_u64(count).unwrap_or(0) + 1);
            } else {
                found.insert(name, what);
            }
        }
        Self(found)
    }

    /// Waits until the cluster is as it was here, or says what differs.
    pub(super) fn comes_back(&self, rig: &Rig, what: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let different = self.differences(&Self::take(rig));
            if different.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {}", different.join("\n"));
            sleep(Duration::from_millis(300));
        }
    }

    /// How many objects carry a run's mark.
    pub(super) fn marked(rig: &Rig) -> usize {
        let label = ["-l", "firedrill.dev/run"];
        let ours = list(&[&["-n", &rig.namespace, "get", &resources(true)], &label[..]].concat());
        ours.len() + list(&[&["get", "nodes"], &label[..]].concat()).len()
    }

    /// What is another way now, in words.
    fn differences(&self, now: &Self) -> Vec<String> {
        let names = self.0.keys().chain(now.0.keys().filter(|name| !self.0.contains_key(*name)));
        let different = names.filter(|name| self.0.get(*name) != now.0.get(*name));
        let show = |value: Option<&Value>| value.map_or("nothing".to_owned(), Value::to_string);
        different
            .map(|name| format!("{name}: was {}, is {}", show(self.0.get(name)), show(now.0.get(name))))
            .collect()
    }
}

/// A name to compare under, and what is compared: null for what says nothing.
fn compared(mut object: Value) -> (String, Value) {
    let kind = object["kind"].as_str().unwrap_or_default().to_owned();
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let owners = object["metadata"]["ownerReferences"].as_array();
    let is_made = owners.is_some_and(|owners| owners.iter().any(|owner| owner["controller"] == true));
    if is_made {
        return made(&kind, &object);
    }
    plain(&mut object);
    let meta = object["metadata"].as_object_mut().expect("metadata");
    if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
        // When an endpoint last changed.
        annotations.remove("endpoints.kubernetes.io/last-change-trigger-time");
        if annotations.is_empty() {
            meta.remove("annotations");
        }
    }
    if kind == "Endpoints" {
        // Which pods they are is for its controller to say.
        object["subsets"] = Value::Null;
    }
    (format!("{kind} {name}"), object)
}

/// What a controller made has a name and an age of its own.
fn made(kind: &str, object: &Value) -> (String, Value) {
    let meta = &object["metadata"];
    let like = match kind {
        "Pod" => {
            let images: Vec<&Value> = object["spec"]["containers"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|container| &container["image"])
                .collect();
            format!("{kind} like {} {} {images:?}#", meta["labels"], meta["annotations"])
        }
        // The history of a Deployment is its own.
        "ReplicaSet" if object["spec"]["replicas"] == 0 => return (String::new(), Value::Null),
        "ReplicaSet" => format!("{kind} like {} {}#", meta["labels"], object["spec"]["replicas"]),
        "EndpointSlice" => {
            let ready = object["endpoints"].as_array().into_iter().flatten();
            let ready = ready.filter(|endpoint| endpoint["conditions"]["ready"] == true).count();
            format!("{kind} with {ready} ready#")
        }
        _ => format!("{kind} like {}#", meta["labels"]),
    };
    (like, Value::from(1))
}
