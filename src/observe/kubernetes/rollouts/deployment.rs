//! A Deployment on its own: Kubernetes replaces its pods, and takes nothing
//! back by itself.

use serde_json::Value;

use super::{condition, number, resting, versions::Versions, words};
use crate::{
    cluster::object::is_observed, journal::event::RolloutPhase, lab::api::RolloutStatus, units::Version,
};

/// What names a ReplicaSet's turn.
const REVISION: &str = "/metadata/annotations/deployment.kubernetes.io~1revision";

/// Where it is. None: its controller has not seen the latest template yet.
pub(super) fn standing(deployment: &Value, sets: &[&Value], versions: &Versions) -> Option<RolloutStatus> {
    if !is_observed(deployment) {
        return None;
    }
    let wanted = deployment.pointer("/spec/replicas").and_then(Value::as_f64).unwrap_or(1.0);
    let count = |what: &str| number(deployment, &format!("/status/{what}"));
    let candidate = versions.or_hash(&deployment["spec"]["template"], Version::UNNAMED);
    let done = count("updatedReplicas") == wanted
        && count("replicas") == wanted
        && count("availableReplicas") == wanted;
    if done {
        return Some(resting(candidate));
    }
    let newest = deployment.pointer(REVISION);
    let is_new = |set: &&&Value| set.pointer(REVISION) == newest;
    let available = |set: &Value| number(set, "/status/availableReplicas");
    let new = sets.iter().find(is_new).map_or(0.0, |set| available(set));
    let old = sets.iter().filter(|set| !is_new(set) && number(set, "/spec/replicas") > 0.0);
    let old = old.max_by(|a, b| available(a).total_cmp(&available(b)));
    // Its own pods come and go: no other version is there.
    let Some(old) = old else { return Some(resting(candidate)) };
    let late = condition(deployment, "Progressing").filter(|one| one["reason"] == "ProgressDeadlineExceeded");
    Some(RolloutStatus {
        phase: RolloutPhase::Progressing,
        stable: versions.or_hash(&old["spec"]["template"], Version::UNNAMED),
        candidate: Some(candidate),
        weight: new / (new + available(old)).max(1.0),
        reason: late.map_or_else(String::new, |late| {
            format!("{} A Deployment does not roll back by itself.", words(late))
        }),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::observe::kubernetes::rollouts::versions::tests::{drill, template};

    fn set(revision: &str, version: &str, pods: u32, available: u32) -> Value {
        json!({
            "metadata": { "annotations": { "deployment.kubernetes.io/revision": revision } },
            "spec": { "replicas": pods, "template": template(version, if version == "v2" { "1" } else { "0" }) },
            "status": { "availableReplicas": available },
        })
    }

    fn deployment(generation: u32, counts: (u32, u32, u32), reason: &str) -> Value {
        json!({
            "metadata": { "generation": generation, "annotations": { "deployment.kubernetes.io/revision": "2" } },
            "spec": { "replicas": 3, "template": template("v2", "1") },
            "status": {
                "observedGeneration": 2,
                "updatedReplicas": counts.0, "replicas": counts.1, "availableReplicas": counts.2,
                "conditions": [{ "type": "Progressing", "reason": reason, "message": "it has timed out." }],
            },
        })
    }

    #[test]
    fn it_is_never_rolled_back_and_says_why_it_is_stuck() {
        let (old, new) = (set("1", "v1", 3, 3), set("2", "v2", 1, 0));
        let at = |deployment: &Value| standing(deployment, &[&old, &new], &drill());
        assert_eq!(at(&deployment(3, (1, 4, 3), "ReplicaSetUpdated")), None);
        let under_way = at(&deployment(2, (1, 4, 3), "ReplicaSetUpdated")).expect("it says so");
        assert_eq!((under_way.phase, under_way.weight), (RolloutPhase::Progressing, 0.0));
        assert_eq!((under_way.stable.0.as_str(), under_way.reason.as_str()), ("v1", ""));
        let stuck = at(&deployment(2, (1, 4, 3), "ProgressDeadlineExceeded")).expect("it says so");
        assert!(stuck.reason.contains("ProgressDeadlineExceeded: it has timed out. A Deployment does not"));
        assert_eq!(stuck.phase, RolloutPhase::Progressing);
        let done = at(&deployment(2, (3, 3, 3), "NewReplicaSetAvailable")).expect("it says so");
        assert_eq!((done.phase, done.stable.0.as_str()), (RolloutPhase::Stable, "v2"));
    }

    #[test]
    fn a_pod_that_died_is_no_rollout() {
        let (old, new) = (set("1", "v1", 0, 0), set("2", "v2", 3, 2));
        let found = standing(&deployment(2, (3, 3, 2), "NewReplicaSetAvailable"), &[&old, &new], &drill());
        assert_eq!(found.map(|one| one.phase), Some(RolloutPhase::Stable));
    }
}
