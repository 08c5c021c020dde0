//! Argo CD, Flux and KServe as far as their documentation tells how the status
//! of their objects follows the spec. What they deploy is a Deployment of the
//! object's name, whose variables are those of the version ([`release`]).
//!
//! An object's label `guard: "yes"` adds what none of them has: somebody who
//! puts the spec back when a bad version has been out for some seconds.

use std::{collections::HashMap, sync::Arc, time::Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kube::{
    Api, Client,
    api::{ApiResource, DynamicObject, GroupVersionKind, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use super::{Controller, all, name};

/// How long a bad version is out before a guard puts the spec back.
const GUARD_AFTER: u64 = 4;

/// What a version is made of.
fn release(version: &str) -> Value {
    let on = |name: &str| json!({ "name": name, "value": "1" });
    let mut env = vec![json!({ "name": "VERSION", "value": version })];
    match version {
        "v2" => env.push(on("FAIL")),
        "v4" => env.push(on("NEVER_READY")),
        _ => {}
    }
    Value::Array(env)
}

fn is_bad(version: &str) -> bool {
    version == "v2"
}

/// Since when each object has been at its version.
type Since = Arc<Mutex<HashMap<String, (String, Instant)>>>;

/// One kind of object, and who looks after it.
struct Kind {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    /// Whether its status is a resource of its own.
    apart: bool,
}

pub(crate) fn argocd(namespace: &str) -> Controller {
    let kind = Kind {
        group: "argoproj.io",
        version: "v1alpha1",
        kind: "Application",
        plural: "applications",
        apart: false,
    };
    start(namespace, kind, "/spec/source/targetRevision", |object, wanted, state| {
        let compared = json!({ "source": object["spec"]["source"] });
        let (sync, health, phase) = match state {
            State::Applied => ("OutOfSync", "Healthy", "Running"),
            State::Rolling => ("Synced", "Progressing", "Succeeded"),
            State::Late => ("Synced", "Degraded", "Succeeded"),
            State::Done => ("Synced", "Healthy", "Succeeded"),
        };
        json!({
            "sync": { "status": sync, "revision": wanted, "comparedTo": compared },
            "health": { "status": health, "message": "Deployment exceeded its progress deadline" },
            "operationState": { "phase": phase, "message": "" },
        })
    })
}

pub(crate) fn flux(namespace: &str) -> Controller {
    let kind = Kind {
        group: "helm.toolkit.fluxcd.io",
        version: "v2",
        kind: "HelmRelease",
        plural: "helmreleases",
        apart: true,
    };
    start(namespace, kind, "/spec/values/version", |object, wanted, state| {
        let generation = &object["metadata"]["generation"];
        let one = |kind: &str, status: &str, reason: &str, message: &str| json!({ "type": kind, "status": status, "reason": reason, "message": message, "observedGeneration": generation });
        let tests = object.pointer("/spec/test/enable") == Some(&Value::Bool(true));
        if is_failed(object) {
            // The rollback waits for its pods, as the upgrade did.
            let mut conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            if remediates(object) && state == State::Done && conditions.len() == 2 {
                conditions.push(one(
                    "Remediated",
                    "True",
                    "RollbackSucceeded",
                    "Helm rollback to previous release succeeded",
                ));
            }
            return json!({ "conditions": conditions });
        }
        let failed = match state {
            State::Late => Some("context deadline exceeded"),
            State::Done if tests && is_bad(wanted) => Some("test hooks failed"),
            State::Applied | State::Rolling | State::Done => None,
        };
        match (failed, state) {
            (Some(why), _) => {
                let message = format!("Helm upgrade failed for release default/ai-model: {why}");
                json!({ "conditions": [
                    one("Ready", "False", "UpgradeFailed", &message),
                    one("Released", "False", "UpgradeFailed", &message),
                ] })
            }
            (None, State::Done) => json!({
                "conditions": [one("Ready", "True", "UpgradeSucceeded", "Helm upgrade succeeded")],
                "history": [{ "appVersion": wanted }],
            }),
            (None, _) => json!({
                "conditions": [one("Ready", "Unknown", "Progressing", "Running 'upgrade' action")],
            }),
        }
    })
}

/// Whether Flux' release of the spec that is there now has failed.
fn is_failed(object: &Value) -> bool {
    let generation = &object["metadata"]["generation"];
    let conditions = object.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|one| {
        one["type"] == "Released" && one["status"] == "False" && one["observedGeneration"] == *generation
    })
}

fn remediates(object: &Value) -> bool {
    object.pointer("/spec/upgrade/remediation").is_some()
}

/// The version that Flux released last and well.
fn before(object: &Value) -> String {
    object.pointer("/status/history/0/appVersion").and_then(Value::as_str).unwrap_or("v1").to_owned()
}

pub(crate) fn kserve(namespace: &str) -> Controller {
    let kind = Kind {
        group: "serving.kserve.io",
        version: "v1beta1",
        kind: "InferenceService",
        plural: "inferenceservices",
        apart: true,
    };
    start(namespace, kind, "/spec/predictor/model/storageUri", |object, wanted, state| {
        let ready = |done: bool| if done { "True" } else { "False" };
        let (done, transition) = match state {
            State::Done => (true, "UpToDate"),
            State::Late => (false, "BlockedByFailedLoad"),
            State::Applied | State::Rolling => (false, "InProgress"),
        };
        // The revision before keeps all of the traffic until the next is ready.
        let (latest, previous) = if done { (100, 0) } else { (0, 100) };
        json!({
            "observedGeneration": object["metadata"]["generation"],
            "conditions": [{ "type": "Ready", "status": ready(done) }],
            "components": { "predictor": {
                "latestCreatedRevision": wanted,
                "latestReadyRevision": if done { wanted } else { "before" },
                "traffic": [
                    { "revisionName": "before", "percent": previous },
                    { "revisionName": wanted, "percent": latest, "latestRevision": true },
                ],
            } },
            "modelStatus": { "transitionStatus": transition, "lastFailureInfo": { "message": "the model does not load" } },
        })
    })
}

/// How far what is deployed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It was applied just now.
    Applied,
    /// Its pods are being replaced.
    Rolling,
    /// They are too late.
    Late,
    Done,
}

/// Looks after the objects of a kind; the version is what ends the text at `path`.
fn start(
    namespace: &str,
    kind: Kind,
    path: &'static str,
    tell: impl Fn(&Value, &str, State) -> Value + Send + Sync + 'static,
) -> Controller {
    let (namespace, since) = (namespace.to_owned(), Since::default());
    let (kind, tell) = (Arc::new(kind), Arc::new(tell));
    Controller::run(move |client| {
        let (namespace, since, kind, tell) =
            (namespace.clone(), Arc::clone(&since), Arc::clone(&kind), Arc::clone(&tell));
        async move {
            let gvk = GroupVersionKind::gvk(kind.group, kind.version, kind.kind);
            let resource = ApiResource::from_gvk_with_plural(&gvk, kind.plural);
            let objects: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, &resource);
            let deployments: Api<Deployment> = Api::namespaced(client, &namespace);
            for object in all(&objects).await? {
                let text = object.pointer(path).and_then(Value::as_str).expect("a version").to_owned();
                let wanted = text.rsplit('/').next().expect("a word").to_owned();
                let state = apply(&deployments, name(&object), &deployed(&object, &wanted)).await?;
                let status = tell(&object, &wanted, state);
                if status != object["status"] {
                    let patch = Patch::Merge(json!({ "status": status }));
                    let how = PatchParams::default();
                    if kind.apart {
                        objects.patch_status(name(&object), &how, &patch).await?;
                    } else {
                        objects.patch(name(&object), &how, &patch).await?;
                    }
                }
                let mut since = since.lock().await;
                let out =
                    since.entry(name(&object).to_owned()).or_insert_with(|| (wanted.clone(), Instant::now()));
                if out.0 != wanted {
                    *out = (wanted.clone(), Instant::now());
                }
                let guarded = object["metadata"]["labels"]["guard"] == "yes" && is_bad(&wanted);
                if guarded && out.1.elapsed().as_secs() >= GUARD_AFTER {
                    let back = text.strip_suffix(&wanted).expect("its end").to_owned() + "v1";
                    let keys: Vec<&str> = path.trim_start_matches('/').split('/').collect();
                    let patch = keys.iter().rev().fold(json!(back), |inner, key| json!({ (*key): inner }));
                    objects.patch(name(&object), &PatchParams::default(), &Patch::Merge(patch)).await?;
                }
            }
            Ok(())
        }
    })
}

/// The version that is to be out: of a release that failed, the one before.
fn deployed(object: &Value, wanted: &str) -> String {
    if is_failed(object) && remediates(object) { before(object) } else { wanted.to_owned() }
}

/// Makes the Deployment that version. How far it is.
async fn apply(deployments: &Api<Deployment>, name: &str, version: &str) -> Result<State, kube::Error> {
    let found = serde_json::to_value(deployments.get(name).await?).expect("JSON");
    let container = &found["spec"]["template"]["spec"]["containers"][0];
    if container["env"] != release(version) {
        let mut whole = container.clone();
        whole["env"] = release(version);
        let patch = json!({ "spec": { "template": { "spec": { "containers": [whole] } } } });
        deployments.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
        return Ok(State::Applied);
    }
    let status = |key: &str| found["status"][key].as_i64().unwrap_or(0);
    let wanted = found["spec"]["replicas"].as_i64().unwrap_or(1);
    let done = found["status"]["observedGeneration"] == found["metadata"]["generation"]
        && ["updatedReplicas", "replicas", "availableReplicas"].iter().all(|key| status(key) == wanted);
    let conditions = found["status"]["conditions"].as_array();
    let late = conditions.into_iter().flatten().any(|one| one["reason"] == "ProgressDeadlineExceeded");
    Ok(match (done, late) {
        (true, _) => State::Done,
        (false, true) => State::Late,
        (false, false) => State::Rolling,
    })
}

/// Has the Service of a namespace sent back to the pods of `slot`, or of any,
/// when it has sent to green ones for some seconds.
pub(crate) fn switch(namespace: &str, service: &'static str, slot: Option<&'static str>) -> Controller {
    let (namespace, since) = (namespace.to_owned(), Arc::new(Mutex::new(None)));
    Controller::run(move |client: Client| {
        let (namespace, since) = (namespace.clone(), Arc::clone(&since));
        async move {
            let services: Api<k8s_openapi::api::core::v1::Service> = Api::namespaced(client, &namespace);
            let found = serde_json::to_value(services.get(service).await?).expect("JSON");
            let mut since = since.lock().await;
            if found["spec"]["selector"]["slot"] != "green" {
                *since = None;
                return Ok(());
            }
            if since.get_or_insert_with(Instant::now).elapsed().as_secs() >= GUARD_AFTER {
                let patch = json!({ "spec": { "selector": { "slot": slot } } });
                services.patch(service, &PatchParams::default(), &Patch::Merge(patch)).await?;
            }
            Ok(())
        }
    })
}
