//! LitmusChaos' life cycle: an engine gets a ChaosResult, which is awaited
//! while pods are deleted, and then has a verdict.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{DeleteParams, DynamicObject, ListParams, PostParams},
};
use serde_json::{Value, json};

use super::{Controller, Manners, age, all, api, name, patch, released};

const FINALIZER: &str = "chaosengine.litmuschaos.io/finalizer";

/// Acts on the engines of a namespace.
pub(crate) fn start(namespace: &str) -> Controller {
    let namespace = namespace.to_owned();
    Controller::run(move |client| {
        let namespace = namespace.clone();
        async move {
            let engines = api(&client, "litmuschaos.io", "ChaosEngine", "chaosengines", &namespace);
            let results = api(&client, "litmuschaos.io", "ChaosResult", "chaosresults", &namespace);
            for engine in all(&engines).await? {
                over(&client, &engines, &results, &engine, Manners::of(&engine)).await?;
            }
            Ok(())
        }
    })
}

async fn over(
    client: &Client,
    engines: &Api<DynamicObject>,
    results: &Api<DynamicObject>,
    engine: &Value,
    manners: Manners,
) -> Result<(), kube::Error> {
    if manners == Manners::Absent {
        return Ok(());
    }
    let held = engine["metadata"]["finalizers"].as_array().is_some_and(|all| !all.is_empty());
    if engine["metadata"]["deletionTimestamp"].is_string() {
        return if manners == Manners::Hangs { Ok(()) } else { patch(engines, engine, released()).await };
    }
    if !held {
        return patch(engines, engine, json!({ "metadata": { "finalizers": [FINALIZER] } })).await;
    }
    let result = format!("{}-pod-delete", name(engine));
    let status = |phase: &str, verdict: &str, probes: &str, targets: Value| {
        json!({
            "experimentStatus": { "phase": phase, "verdict": verdict, "probeSuccessPercentage": probes },
            "history": { "targets": targets },
        })
    };
    let Some(found) = results.get_opt(&result).await? else {
        if manners != Manners::SaysOnly {
            kill(client, engine).await?;
        }
        let object = json!({
            "apiVersion": "litmuschaos.io/v1alpha1", "kind": "ChaosResult", "metadata": { "name": result },
            "spec": { "engine": name(engine), "experiment": "pod-delete" },
            "status": status("Running", "Awaited", "Awaited", json!([])),
        });
        let object: DynamicObject = serde_json::from_value(object).expect("an object");
        return results.create(&PostParams::default(), &object).await.map(drop);
    };
    let found = serde_json::to_value(&found).expect("JSON");
    if found["status"]["experimentStatus"]["phase"] == "Running" && age(engine) >= lasts(engine) {
        let (verdict, probes) = if manners == Manners::Discontent { ("Fail", "50") } else { ("Pass", "100") };
        let status = status("Completed", verdict, probes, json!([{ "chaosStatus": "reverted" }]));
        return patch(results, &found, json!({ "status": status })).await;
    }
    Ok(())
}

/// Deletes one of the engine's pods.
async fn kill(client: &Client, engine: &Value) -> Result<(), kube::Error> {
    let app = &engine["spec"]["appinfo"];
    let pods: Api<Pod> = Api::namespaced(client.clone(), app["appns"].as_str().expect("a namespace"));
    let labels = app["applabel"].as_str().expect("labels");
    let found = pods.list(&ListParams::default().labels(labels)).await?;
    let name = found.items[0].metadata.name.clone().expect("a name");
    pods.delete(&name, &DeleteParams::default()).await.map(drop)
}

fn lasts(engine: &Value) -> Duration {
    let env = engine.pointer("/spec/experiments/0/spec/components/env").and_then(Value::as_array);
    let wanted = env.into_iter().flatten().find(|one| one["name"] == "TOTAL_CHAOS_DURATION");
    let seconds = wanted.and_then(|one| one["value"].as_str()?.parse().ok()).unwrap_or(15);
    Duration::from_secs(seconds)
}
