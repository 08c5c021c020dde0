//! What Chaos Mesh's controller writes of a fault: a record for each target.

use serde_json::Value;

use crate::{
    chaos::{driver::evidence, look::Look},
    plan::model::Pod,
};

/// Whether the object's records say that `pod` is injected.
///
/// The conditions are not asked: they have no times, lag behind the records,
/// and `AllRecovered` is true also before the first injection.
pub(super) fn look(source: &str, object: &Value, pod: &Pod) -> Look {
    let key = format!("{}/{}", pod.namespace, pod.name);
    let all = object.pointer("/status/experiment/containerRecords").and_then(Value::as_array);
    let Some(all) = all.filter(|all| !all.is_empty()) else {
        let why =
            "Chaos Mesh has no record of it: does its controller run, and does it manage this namespace?";
        return Look::not(why, vec![evidence(source, "no status.experiment.containerRecords")]);
    };
    // A pod's, or those of its containers.
    let is_its = |record: &&Value| {
        let id = record["id"].as_str().unwrap_or_default();
        id == key || id.strip_prefix(&key).is_some_and(|rest| rest.starts_with('/'))
    };
    let records: Vec<&Value> = all.iter().filter(is_its).collect();
    if records.is_empty() {
        let said = format!("Chaos Mesh did not choose {key}");
        return Look::not(said.clone(), vec![evidence(source, said)]);
    }
    let said = records.iter().map(|record| evidence(source, in_words(record))).collect();
    let waiting = records.iter().find(|record| {
        record["injectedCount"].as_u64().unwrap_or(0) < 1 || record["phase"].as_str() != Some("Injected")
    });
    match waiting {
        None => Look::acts(said),
        Some(record) => {
            let why = match failure(record) {
                Some(message) => format!("Chaos Mesh failed on {key}: {message}"),
                None => format!("Chaos Mesh has not injected {key}: {}", in_words(record)),
            };
            Look::not(why, said)
        }
    }
}

/// A record, with the time of its last event on the controller's clock.
fn in_words(record: &Value) -> String {
    let last = record["events"].as_array().and_then(|events| events.last());
    let at = last.and_then(|event| event["timestamp"].as_str()).map(|at| format!(", last at {at}"));
    format!(
        "{} is {}, injected {} and recovered {} times{}",
        record["id"].as_str().unwrap_or("?"),
        record["phase"].as_str().unwrap_or("?"),
        record["injectedCount"].as_u64().unwrap_or(0),
        record["recoveredCount"].as_u64().unwrap_or(0),
        at.unwrap_or_default()
    )
}

/// What went wrong with a target last, if the last thing that happened to it
/// went wrong.
fn failure(record: &Value) -> Option<&str> {
    let last = record["events"].as_array()?.last()?;
    (last["type"] == "Failed").then(|| last["message"].as_str().unwrap_or("it does not say why"))
}

/// What is still injected, in words, of an object that is on its way out.
pub(super) fn not_recovered(object: &Value) -> Vec<String> {
    let all = object.pointer("/status/experiment/containerRecords").and_then(Value::as_array);
    let left = all.into_iter().flatten().filter(|record| record["phase"].as_str() != Some("Not Injected"));
    left.map(|record| {
        let why = failure(record).map(|message| format!(" ({message})")).unwrap_or_default();
        format!(
            "{} is {}{why}",
            record["id"].as_str().unwrap_or("?"),
            record["phase"].as_str().unwrap_or("?")
        )
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;
    use serde_json::json;

    use super::*;
    use crate::units::PodName;

    fn seen(records: Value) -> Look {
        let pod = Pod::running("serving", PodName::from("llm-1"), IndexMap::new());
        let object = json!({ "status": {
            "conditions": [{ "type": "AllRecovered", "status": "True" }],
            "experiment": { "desiredPhase": "Run", "containerRecords": records },
        } });
        look("PodChaos serving/x", &object, &pod)
    }

    fn record(id: &str, phase: &str, injected: u64, failed: Option<&str>) -> Value {
        let kind = if failed.is_some() { "Failed" } else { "Succeeded" };
        let event = json!({
            "type": kind, "operation": "Apply", "message": failed, "timestamp": "2026-01-01T00:00:01Z",
        });
        json!({
            "id": id, "selectorKey": ".", "phase": phase, "injectedCount": injected, "recoveredCount": 0,
            "events": [event],
        })
    }

    #[test]
    fn a_target_acts_when_each_of_its_records_is_injected() {
        assert!(seen(json!([record("serving/llm-1", "Injected", 1, None)])).acts);
        let both = |second: Value| json!([record("serving/llm-1/a", "Injected", 1, None), second]);
        assert!(seen(both(record("serving/llm-1/b", "Injected", 1, None))).acts);
        assert!(!seen(both(record("serving/llm-1/b", "Not Injected", 0, None))).acts);
    }

    #[test]
    fn what_is_missing_is_said() {
        for (records, why) in [
            (json!([]), "has no record"),
            (json!([record("serving/llm-10", "Injected", 1, None)]), "did not choose serving/llm-1"),
            (json!([record("serving/llm-1", "Not Injected", 0, None)]), "has not injected"),
            (
                json!([record("serving/llm-1", "Not Injected", 0, Some("no tc"))]),
                "failed on serving/llm-1: no tc",
            ),
            (json!([record("serving/llm-1", "Not Injected/Wait", 0, None)]), "Not Injected/Wait"),
            // Injected before, and recovered.
            (json!([record("serving/llm-1", "Not Injected", 1, None)]), "injected 1 and recovered 0"),
        ] {
            let look = seen(records);
            assert!(!look.acts && look.missing.contains(why), "{why}: {}", look.missing);
        }
    }
}
