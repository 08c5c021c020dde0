//! What LitmusChaos writes of an experiment: a ChaosResult beside its engine.

use serde_json::Value;

use super::body::api;
use crate::{
    cluster::custom::CustomRef,
    journal::event::ToolVerdict,
    scenario::custom::{CustomChaos, Tool},
};

/// Where the result of an engine's experiment is.
pub(super) fn result_of(engine: &CustomRef, experiment: &str) -> CustomRef {
    CustomRef {
        api: api(Tool::Litmus),
        resource: "chaosresults".to_owned(),
        kind: "ChaosResult".to_owned(),
        namespace: engine.namespace.clone(),
        name: format!("{}-{experiment}", engine.name),
    }
}

/// The experiment that an engine runs, which must be installed beside it.
pub(super) fn experiment_of(engine: &CustomRef, chaos: &CustomChaos) -> CustomRef {
    CustomRef {
        api: api(Tool::Litmus),
        resource: "chaosexperiments".to_owned(),
        kind: "ChaosExperiment".to_owned(),
        namespace: engine.namespace.clone(),
        name: chaos.action.clone(),
    }
}

/// What a result says so far. None: the verdict is still awaited.
pub(super) fn verdict(result: &Value) -> Option<ToolVerdict> {
    match result.pointer("/status/experimentStatus/verdict").and_then(Value::as_str)? {
        "Pass" => Some(ToolVerdict::Pass),
        "Fail" => Some(ToolVerdict::Fail),
        "Awaited" | "" => None,
        _ => Some(ToolVerdict::Unknown),
    }
}

/// A result in words: phase, verdict, probes, and what went wrong.
pub(super) fn in_words(result: &Value) -> String {
    let text = |path: &str| result.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty());
    let mut words = format!(
        "phase {}, verdict {}",
        text("/status/experimentStatus/phase").unwrap_or("?"),
        text("/status/experimentStatus/verdict").unwrap_or("?")
    );
    if let Some(percent) = text("/status/experimentStatus/probeSuccessPercentage") {
        words += &format!(", probe success {percent} %");
    }
    let probes = result.pointer("/status/probeStatuses").and_then(Value::as_array);
    for probe in probes.into_iter().flatten() {
        let verdict = probe.pointer("/status/verdict").and_then(Value::as_str);
        if let (Some(name), Some(verdict)) = (probe["name"].as_str(), verdict) {
            words += &format!(", probe {name} {verdict}");
        }
    }
    let broken = text("/status/experimentStatus/failStep").filter(|step| *step != "N/A");
    let output = text("/status/experimentStatus/errorOutput/reason");
    if let Some(why) = output.or(broken) {
        words += &format!(": {why}");
    }
    words
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_result_is_told_with_its_probes() {
        let result = json!({ "status": {
            "experimentStatus": {
                "phase": "Completed", "verdict": "Fail", "probeSuccessPercentage": "50", "failStep": "post-chaos",
            },
            "probeStatuses": [{ "name": "ready", "status": { "verdict": "Failed" } }],
        } });
        assert_eq!(verdict(&result), Some(ToolVerdict::Fail));
        assert_eq!(
            in_words(&result),
            "phase Completed, verdict Fail, probe success 50 %, probe ready Failed: post-chaos"
        );
    }

    #[test]
    fn an_awaited_verdict_is_none_and_an_odd_one_is_not_a_pass() {
        let of = |word: &str| verdict(&json!({ "status": { "experimentStatus": { "verdict": word } } }));
        assert_eq!(of("Awaited"), None);
        assert_eq!(of("Pass"), Some(ToolVerdict::Pass));
        assert_eq!(of("Stopped"), Some(ToolVerdict::Unknown));
        assert_eq!(verdict(&json!({})), None);
    }
}
