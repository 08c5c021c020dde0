//! Chaos Mesh's life cycle: finalizer, targets, injection, records, recovery,
//! release. It changes one thing of an object in each pass.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, Patch, PatchParams},
};
use serde_json::{Value, json};

use super::{Controller, Manners, age, all, api, now, patch, released};

const FINALIZER: &str = "chaos-mesh/records";
/// Kinds with their plurals, and what their records name.
const KINDS: [(&str, &str, &str); 7] = [
    ("PodChaos", "podchaos", ""),
    ("NetworkChaos", "networkchaos", ""),
    ("HTTPChaos", "httpchaos", ""),
    ("StressChaos", "stresschaos", "/server"),
    ("IOChaos", "iochaos", "/server"),
    ("DNSChaos", "dnschaos", "/server"),
    ("TimeChaos", "timechaos", "/server"),
];

/// Acts on the objects of a namespace. `pause` is the image of pod-failure.
/// `mended`: whatever their labels say of its manners, it does as documented.
pub(crate) fn start(namespace: &str, pause: &'static str, mended: bool) -> Controller {
    let namespace = namespace.to_owned();
    Controller::run(move |client| {
        let namespace = namespace.clone();
        async move {
            for (kind, plural, of) in KINDS {
                let api = api(&client, "chaos-mesh.org", kind, plural, &namespace);
                for object in all(&api).await? {
                    let manners = if mended { Manners::Good } else { Manners::of(&object) };
                    Pass { client: &client, api: &api, manners, pause, of }.over(&object).await?;
                }
            }
            Ok(())
        }
    })
}

struct Pass<'a> {
    client: &'a Client,
    api: &'a Api<DynamicObject>,
    manners: Manners,
    pause: &'static str,
    of: &'static str,
}

impl Pass<'_> {
    async fn over(&self, object: &Value) -> Result<(), kube::Error> {
        let deleted = object["metadata"]["deletionTimestamp"].is_string();
        let held = object["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
        let records = object.pointer("/status/experiment/containerRecords").and_then(Value::as_array);
        match (deleted, records) {
            _ if self.manners == Manners::Absent => Ok(()),
            (false, _) if !held => {
                patch(self.api, object, json!({ "metadata": { "finalizers": [FINALIZER] } })).await
            }
            (false, None) => self.select(object).await,
            (true, None) => patch(self.api, object, released()).await,
            (_, Some(records)) => self.act(object, records.clone(), deleted).await,
        }
    }

    /// The targets are chosen once.
    async fn select(&self, object: &Value) -> Result<(), kube::Error> {
        let pods = object["spec"]["selector"]["pods"].as_object().into_iter().flatten();
        let ids = pods.flat_map(|(namespace, names)| {
            let names = names.as_array().into_iter().flatten().filter_map(Value::as_str);
            names.map(move |name| format!("{namespace}/{name}{}", self.of)).collect::<Vec<_>>()
        });
        let records: Vec<Value> = ids
            .map(|id| {
                json!({
                    "id": id, "selectorKey": ".", "phase": "Not Injected", "injectedCount": 0,
                    "recoveredCount": 0, "events": [],
                })
            })
            .collect();
        // Its conditions say that all is recovered before anything began.
        let status = json!({ "status": {
            "experiment": { "desiredPhase": "Run", "containerRecords": records },
            "conditions": [{ "type": "AllRecovered", "status": "True" }],
        } });
        patch(self.api, object, status).await
    }

    async fn act(&self, object: &Value, mut records: Vec<Value>, deleted: bool) -> Result<(), kube::Error> {
        let over = deleted || lasts(object).is_some_and(|lasts| age(object) >= lasts);
        let wanted = if over { "Not Injected" } else { "Injected" };
        let mut changed = false;
        for record in &mut records {
            if record["phase"] == wanted {
                continue;
            }
            let done = match self.manners {
                Manners::Fails if !over => Err("the daemon of the node does not answer"),
                Manners::Hangs if over => Err("the pod could not be recovered"),
                Manners::SaysOnly => Ok(()),
                Manners::Good | Manners::Absent | Manners::Hangs | Manners::Fails | Manners::Discontent => {
                    self.really(object, record, over).await?;
                    Ok(())
                }
            };
            let operation = if over { "Recover" } else { "Apply" };
            let (kind, message) = match done {
                Ok(()) => {
                    let count = if over { "recoveredCount" } else { "injectedCount" };
                    record["phase"] = json!(wanted);
                    record[count] = json!(record[count].as_u64().unwrap_or(0) + 1);
                    ("Succeeded", "")
                }
                Err(why) => ("Failed", why),
            };
            let event =
                json!({ "type": kind, "operation": operation, "message": message, "timestamp": now() });
            record["events"] = json!([event]);
            changed = true;
        }
        if changed {
            let phase = if over { "Stop" } else { "Run" };
            let status = json!({ "experiment": { "desiredPhase": phase, "containerRecords": records } });
            return patch(self.api, object, json!({ "status": status })).await;
        }
        if deleted { patch(self.api, object, released()).await } else { Ok(()) }
    }

    /// Does to a pod what a PodChaos says; nothing for other kinds.
    async fn really(&self, object: &Value, record: &Value, over: bool) -> Result<(), kube::Error> {
        let action = object["spec"]["action"].as_str().unwrap_or_default();
        let Some((namespace, name)) = record["id"].as_str().and_then(|id| id.split_once('/')) else {
            return Ok(());
        };
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        match (object["kind"].as_str(), action) {
            (Some("PodChaos"), "pod-kill") if !over => {
                let how = DeleteParams { grace_period_seconds: Some(0), ..DeleteParams::default() };
                pods.delete(name, &how).await.map(drop)
            }
            (Some("PodChaos"), "pod-failure") => {
                let Some(pod) = pods.get_opt(name).await? else { return Ok(()) };
                let kept = pod.metadata.annotations.as_ref().and_then(|all| all.get("image-before").cloned());
                let image = match (over, kept) {
                    (true, Some(image)) => image,
                    (true, None) => return Ok(()),
                    (false, _) => self.pause.to_owned(),
                };
                let container = &pod.spec.as_ref().expect("a spec").containers[0];
                let before = if over { Value::Null } else { json!(container.image) };
                let change = json!({
                    "metadata": { "annotations": { "image-before": before } },
                    "spec": { "containers": [{ "name": container.name, "image": image }] },
                });
                pods.patch(name, &PatchParams::default(), &Patch::Strategic(change)).await.map(drop)
            }
            _ => Ok(()),
        }
    }
}

/// The object's own duration.
fn lasts(object: &Value) -> Option<Duration> {
    humantime::parse_duration(object["spec"]["duration"].as_str()?).ok()
}
