//! KServe: an InferenceService and its predictor's revisions
//! (`serving.kserve.io/v1beta1`). A new revision that does not load gets no
//! traffic; `canaryTrafficPercent: 0` takes one back.

use serde_json::Value;

use super::{
    super::{condition, number, text},
    Progress, Word,
};

/// What the controller says. None: nothing of the spec that is there now.
pub(in crate::observe::kubernetes::rollouts) fn word(service: &Value) -> Option<Word> {
    let generation = number(service, "/metadata/generation");
    let observed = service.pointer("/status/observedGeneration").and_then(Value::as_f64);
    if observed.is_some_and(|observed| observed < generation) {
        return None;
    }
    let predictor = service.pointer("/status/components/predictor");
    let transition = text(service, "/status/modelStatus/transitionStatus").unwrap_or_default();
    if predictor.is_none() && transition.is_empty() {
        return None;
    }
    let of = |key: &str| predictor.and_then(|one| text(one, key)).unwrap_or_default();
    let traffic = predictor.and_then(|one| one.get("traffic")?.as_array());
    let latest = traffic.and_then(|all| all.iter().find(|one| one["latestRevision"] == true));
    let weight = latest.map(|one| number(one, "/percent") / 100.0);
    let taken_back = service.pointer("/spec/predictor/canaryTrafficPercent") == Some(&Value::from(0));
    let ready = condition(service, "Ready").is_some_and(|one| one["status"] == "True");
    let newest = of("/latestCreatedRevision") == of("/latestReadyRevision");
    let loaded = matches!(transition, "" | "UpToDate");
    Some(match transition {
        "BlockedByFailedLoad" | "InvalidSpec" => {
            let why = text(service, "/status/modelStatus/lastFailureInfo/message").unwrap_or_default();
            Word::under_way(format!("{transition}: {why}. KServe keeps the last revision that was ready."))
        }
        _ if taken_back && weight.unwrap_or_default() == 0.0 => {
            let reason = "canaryTrafficPercent: 0".to_owned();
            Word { progress: Progress::TakenBack, weight: 0.0, reason }
        }
        // Without traffic in its status there is no canary: all or nothing.
        _ if ready && newest && loaded && weight.is_none_or(|weight| weight == 1.0) => Word::done(),
        _ => Word { weight: weight.unwrap_or_default(), ..Word::under_way(transition.to_owned()) },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn at(observed: u32, canary: Option<u32>, percent: u32, transition: &str) -> Option<Word> {
        word(&json!({
            "metadata": { "generation": 2 },
            "spec": { "predictor": { "canaryTrafficPercent": canary } },
            "status": {
                "observedGeneration": observed,
                "conditions": [{ "type": "Ready", "status": "True" }],
                "components": { "predictor": {
                    "latestCreatedRevision": "llm-00002", "latestReadyRevision": "llm-00002",
                    "traffic": [
                        { "revisionName": "llm-00001", "percent": 100 - percent, "tag": "prev" },
                        { "revisionName": "llm-00002", "percent": percent, "latestRevision": true },
                    ],
                } },
                "modelStatus": { "transitionStatus": transition, "lastFailureInfo": { "message": "out of memory" } },
            },
        }))
    }

    #[test]
    fn its_canary_has_the_traffic_that_it_says() {
        assert_eq!(at(1, None, 0, "UpToDate"), None, "of the spec before");
        assert_eq!(at(2, None, 100, "UpToDate"), Some(Word::done()));
        let canary = at(2, Some(20), 20, "UpToDate").expect("it says so");
        assert_eq!((canary.progress, canary.weight), (Progress::UnderWay, 0.2));
        assert_eq!(at(2, Some(0), 0, "UpToDate").map(|word| word.progress), Some(Progress::TakenBack));
        let blocked = at(2, Some(20), 20, "BlockedByFailedLoad").expect("it says so");
        assert_eq!(blocked.weight, 0.0);
        assert!(
            blocked.reason.starts_with("BlockedByFailedLoad: out of memory. KServe keeps"),
            "{blocked:?}"
        );
    }
}
