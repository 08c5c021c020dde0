//! KServe: an InferenceService and its predictor's revisions
//! (`serving.kserve.io/v1beta1`). A new revision that does not load gets no
//! traffic; `canaryTrafficPercent: 0` takes one back.

use serde_json::Value;

use super::{
    super::{condition, number, text},
    Progress, Word,
};

/// What the controller says. None: nothing yet.
pub(in crate::observe::kubernetes::rollouts) fn word(service: &Value) -> Option<Word> {
    let taken_back = service.pointer("/spec/predictor/canaryTrafficPercent") == Some(&Value::from(0));
    let predictor = service.pointer("/status/components/predictor");
    let transition = text(service, "/status/modelStatus/transitionStatus").unwrap_or_default();
    if predictor.is_none() && transition.is_empty() {
        return None;
    }
    let of = |key: &str| predictor.and_then(|one| text(one, key)).unwrap_or_default();
    let traffic = predictor.and_then(|one| one.get("traffic")?.as_array());
    let latest = traffic.and_then(|all| all.iter().find(|one| one["latestRevision"] == true));
    let weight = latest.map(|one| number(one, "/percent") / 100.0);
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
        // All may be well with what was there before.
        _ if !is_fresh(service) => Word::under_way("its status may be of the spec before".to_owned()),
        // Without traffic in its status there is no canary: all or nothing.
        _ if ready && newest && loaded && weight.is_none_or(|weight| weight == 1.0) => Word::done(),
        _ => Word { weight: weight.unwrap_or_default(), ..Word::under_way(transition.to_owned()) },
    })
}

/// Whether the status was written after the spec, by when their fields were last
/// owned anew (`managedFields`, to the second). `status.observedGeneration` does
/// not tell: it is that of what KServe makes of the object.
fn is_fresh(service: &Value) -> bool {
    let all = service.pointer("/metadata/managedFields").and_then(Value::as_array);
    let newest = |of: &dyn Fn(&Value) -> bool| {
        let times = all.into_iter().flatten().filter(|one| of(one)).filter_map(|one| text(one, "/time"));
        times.max().map(str::to_owned)
    };
    let status = newest(&|one| one["subresource"] == "status");
    let spec = newest(&|one| one.pointer("/fieldsV1/f:spec").is_some());
    match (status, spec) {
        (Some(status), Some(spec)) => status > spec,
        // Nobody wrote down when.
        (None, _) | (_, None) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `written`: the second in which the status was; the spec was in second 2.
    fn at(written: u32, canary: Option<u32>, percent: u32, transition: &str) -> Option<Word> {
        word(&json!({
            "metadata": { "managedFields": [
                { "manager": "drill", "time": "2026-01-01T00:00:02Z", "fieldsV1": { "f:spec": {} } },
                { "manager": "kserve", "subresource": "status", "time": format!("2026-01-01T00:00:0{written}Z"), "fieldsV1": { "f:status": {} } },
            ] },
            "spec": { "predictor": { "canaryTrafficPercent": canary } },
            "status": {
                // Of what it makes of the object: not to be believed.
                "observedGeneration": 1,
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
        let stale = at(1, None, 100, "UpToDate").expect("it says so");
        assert_eq!((stale.progress, stale.weight), (Progress::UnderWay, 0.0), "of the spec before");
        assert_ne!(at(2, None, 100, "UpToDate"), Some(Word::done()), "perhaps of the spec before");
        assert_eq!(at(3, None, 100, "UpToDate"), Some(Word::done()));
        let canary = at(3, Some(20), 20, "UpToDate").expect("it says so");
        assert_eq!((canary.progress, canary.weight), (Progress::UnderWay, 0.2));
        assert_eq!(at(2, Some(0), 0, "UpToDate").map(|word| word.progress), Some(Progress::TakenBack));
        let blocked = at(3, Some(20), 20, "BlockedByFailedLoad").expect("it says so");
        assert_eq!(blocked.weight, 0.0);
        assert!(
            blocked.reason.starts_with("BlockedByFailedLoad: out of memory. KServe keeps"),
            "{blocked:?}"
        );
    }
}
