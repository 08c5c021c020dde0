//! The object that is handed to a tool: what the user wrote, with the targets
//! pinned, the run's mark, and an end of its own.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::{
    chaos::kubernetes::Mark,
    cluster::{FAULT_ANNOTATION, RUN_LABEL, custom::CustomRef, object::merge},
    plan::model::Pod,
    scenario::custom::{CustomChaos, Tool},
};

/// The version of both tools' kinds.
const VERSION: &str = "v1alpha1";

/// Group and version of a tool's kinds.
pub(super) fn api(tool: Tool) -> String {
    format!("{}/{VERSION}", tool.group())
}

/// Which object a fault is. Its name is no other run's and no other fault's.
pub(super) fn at(chaos: &CustomChaos, namespace: &str, mark: &Mark) -> CustomRef {
    CustomRef {
        api: api(chaos.object.tool()),
        resource: chaos.object.resource().to_owned(),
        kind: chaos.object.name().to_owned(),
        namespace: namespace.to_owned(),
        name: mark.name(""),
    }
}

/// The object. `targets` are the pods that were chosen; `lasting` is after
/// how long the tool is to end it by itself.
pub(super) fn body(
    chaos: &CustomChaos,
    at: &CustomRef,
    mark: &Mark,
    targets: &[Pod],
    lasting: Option<Duration>,
) -> Value {
    let mut metadata = if chaos.metadata.is_object() { chaos.metadata.clone() } else { json!({}) };
    merge(
        &mut metadata,
        json!({
            "name": at.name, "namespace": at.namespace,
            "labels": { (RUN_LABEL): mark.run }, "annotations": { (FAULT_ANNOTATION): mark.fault.as_str() },
        }),
    );
    let mut spec = chaos.spec.as_object().cloned().unwrap_or_default();
    match chaos.object.tool() {
        Tool::Litmus => engine(&mut spec, &at.namespace, lasting),
        Tool::ChaosMesh => mesh(&mut spec, chaos.is_one_shot(), targets, lasting),
    }
    json!({ "apiVersion": at.api, "kind": at.kind, "metadata": metadata, "spec": spec })
}

/// Who is hit is chosen here, so that it is known beforehand, and drawn from
/// the seed. The duration is a dead man's switch.
fn mesh(spec: &mut Map<String, Value>, is_one_shot: bool, targets: &[Pod], lasting: Option<Duration>) {
    if !targets.is_empty() {
        let mut pods: Map<String, Value> = Map::new();
        for pod in targets {
            let names = pods.entry(pod.namespace.clone()).or_insert_with(|| json!([]));
            if let Some(names) = names.as_array_mut() {
                names.push(json!(pod.name.as_str()));
            }
        }
        spec.insert("selector".to_owned(), json!({ "pods": pods }));
        spec.insert("mode".to_owned(), json!("all"));
        spec.remove("value");
    }
    match lasting.filter(|_| !is_one_shot) {
        Some(lasting) => {
            drop(spec.insert("duration".to_owned(), json!(format!("{}ms", lasting.as_millis()))))
        }
        None => drop(spec.remove("duration")),
    }
}

/// LitmusChaos chooses by itself, as often as its interval says; it ends by
/// itself after its own duration.
fn engine(spec: &mut Map<String, Value>, namespace: &str, lasting: Option<Duration>) {
    spec.insert("engineState".to_owned(), json!("active"));
    if let Some(app) = spec.get_mut("appinfo").and_then(Value::as_object_mut) {
        app.entry("appns").or_insert_with(|| json!(namespace));
    }
    let Some(lasting) = lasting else { return };
    let seconds = lasting.as_millis().div_ceil(1000).max(1).to_string();
    let experiments = spec.get_mut("experiments").and_then(Value::as_array_mut);
    for experiment in experiments.into_iter().flatten() {
        let mut env = match experiment.pointer_mut("/spec/components/env").map(Value::take) {
            Some(Value::Array(env)) => env,
            _ => Vec::new(),
        };
        env.retain(|variable| variable["name"] != "TOTAL_CHAOS_DURATION");
        env.push(json!({ "name": "TOTAL_CHAOS_DURATION", "value": seconds }));
        merge(experiment, json!({ "spec": { "components": { "env": env } } }));
    }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::*;
    use crate::units::PodName;

    fn chaos(object: &str, action: &str, spec: Value) -> CustomChaos {
        let scope = json!({ "selector": {}, "mode": "one" });
        let text = json!({ "object": object, "action": action, "scope": scope, "spec": spec });
        serde_json::from_value(text).expect("a CustomChaos")
    }

    fn made(chaos: &CustomChaos, targets: &[&str], lasting: Option<Duration>) -> Value {
        let mark = Mark { run: "2026-01-01T000000Z-a_b-00ff00".to_owned(), fault: "Cut#2".into() };
        let at = at(chaos, "serving", &mark);
        let pods: Vec<Pod> = targets
            .iter()
            .map(|name| Pod::running("serving", PodName::from(*name), IndexMap::new()))
            .collect();
        body(chaos, &at, &mark, &pods, lasting)
    }

    #[test]
    fn targets_are_pinned_and_the_end_is_the_tools_own() {
        let spec = json!({
            "action": "delay", "mode": "fixed", "value": "2", "selector": { "labelSelectors": { "a": "b" } },
            "delay": { "latency": "1s" }, "duration": "3s", "externalTargets": ["x"],
        });
        let chaos = chaos("NetworkChaos", "delay", spec);
        let made = made(&chaos, &["p", "q"], Some(Duration::from_millis(8500)));
        assert_eq!(made["metadata"]["name"], "cut-2-2026-01-01t000000z-a-b-00ff00");
        assert_eq!(made["metadata"]["labels"][RUN_LABEL], "2026-01-01T000000Z-a_b-00ff00");
        assert_eq!(made["metadata"]["annotations"][FAULT_ANNOTATION], "Cut#2");
        let wanted = json!({
            "action": "delay", "mode": "all", "selector": { "pods": { "serving": ["p", "q"] } },
            "delay": { "latency": "1s" }, "duration": "8500ms", "externalTargets": ["x"],
        });
        assert_eq!(made["spec"], wanted);
    }

    #[test]
    fn a_kill_has_no_duration() {
        let spec = json!({ "action": "pod-kill", "mode": "one", "selector": {}, "duration": "3s" });
        let made = made(&chaos("PodChaos", "pod-kill", spec), &["p"], None);
        assert_eq!(made["spec"]["duration"], Value::Null);
    }

    #[test]
    fn an_engine_keeps_its_variables_and_gets_the_runs_duration() {
        let spec = json!({
            "engineState": "stop", "appinfo": { "applabel": "app=llm" },
            "experiments": [{ "name": "pod-delete", "spec": { "components": { "env": [
                { "name": "FORCE", "value": "true" }, { "name": "TOTAL_CHAOS_DURATION", "value": "90" },
            ] } } }],
        });
        let made =
            made(&chaos("ChaosEngine", "pod-delete", spec), &["p"], Some(Duration::from_millis(20_500)));
        assert_eq!(made["spec"]["engineState"], "active");
        assert_eq!(made["spec"]["appinfo"]["appns"], "serving");
        let wanted =
            json!([{ "name": "FORCE", "value": "true" }, { "name": "TOTAL_CHAOS_DURATION", "value": "21" }]);
        assert_eq!(made.pointer("/spec/experiments/0/spec/components/env"), Some(&wanted));
        assert_eq!(made["spec"]["selector"], Value::Null);
    }
}
