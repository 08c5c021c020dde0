//! Argo Rollouts: a Rollout and its ReplicaSets, which have the versions.

use serde_json::Value;

use super::{number, resting, text, versions::Versions};
use crate::{cluster::object::is_observed, journal::event::RolloutPhase, lab::api::RolloutStatus};

/// Where it is. None: the controller has not seen the latest template yet, so
/// that what it says is of the one before.
pub(super) fn standing(rollout: &Value, sets: &[&Value], versions: &Versions) -> Option<RolloutStatus> {
    if !is_observed(rollout) {
        return None;
    }
    let current = text(rollout, "/status/currentPodHash")?;
    let stable = text(rollout, "/status/stableRS")?;
    let set = |hash: &str| {
        let is = |set: &&&Value| text(set, "/metadata/labels/rollouts-pod-template-hash") == Some(hash);
        sets.iter().find(is).copied()
    };
    let version = |hash: &str| versions.or_hash(&set(hash).unwrap_or(&Value::Null)["spec"]["template"], hash);
    let stable_version = version(stable);
    if current == stable {
        return Some(resting(stable_version));
    }
    let pods = set(current).map_or(0.0, |set| number(set, "/status/replicas"));
    let aborted = rollout.pointer("/status/abort") == Some(&Value::Bool(true));
    let phase = match aborted {
        true if pods > 0.0 => RolloutPhase::RollingBack,
        true => RolloutPhase::RolledBack,
        // `Degraded` alone is a deadline that has passed: its pods stay.
        false => RolloutPhase::Progressing,
    };
    Some(RolloutStatus {
        phase,
        stable: stable_version,
        candidate: Some(version(current)),
        weight: set(current).map_or(0.0, |set| number(set, "/status/availableReplicas"))
            / number(rollout, "/spec/replicas").max(1.0),
        reason: match (text(rollout, "/status/message"), text(rollout, "/status/abortedAt")) {
            (Some(message), Some(at)) => format!("{message} (abortedAt {at})"),
            (message, _) => message.unwrap_or_default().to_owned(),
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::observe::kubernetes::rollouts::versions::tests::{drill, template};

    fn set(hash: &str, version: &str, pods: u32) -> Value {
        json!({
            "metadata": { "labels": { "rollouts-pod-template-hash": hash } },
            "spec": { "template": template(version, if version == "v2" { "1" } else { "0" }) },
            "status": { "replicas": pods, "availableReplicas": pods },
        })
    }

    fn at(
        generation: u32,
        observed: &str,
        status: Value,
        old: u32,
        new: u32,
    ) -> Option<(RolloutPhase, String, f64)> {
        let mut rollout = json!({
            "metadata": { "generation": generation },
            "spec": { "replicas": 4 },
            "status": { "observedGeneration": observed, "stableRS": "aaa" },
        });
        for (key, value) in status.as_object().expect("an object") {
            rollout["status"][key] = value.clone();
        }
        let (old, new) = (set("aaa", "v1", old), set("bbb", "v2", new));
        let found = standing(&rollout, &[&old, &new], &drill())?;
        Some((found.phase, format!("{} {:?}", found.stable, found.candidate.map(|v| v.0)), found.weight))
    }

    #[test]
    fn its_phases_are_told_as_they_were_seen() {
        use RolloutPhase::{Progressing, RolledBack, RollingBack, Stable};
        let both = "v1 Some(\"v2\")".to_owned();
        let healthy = json!({ "phase": "Healthy", "currentPodHash": "aaa" });
        assert_eq!(at(2, "2", healthy.clone(), 4, 0), Some((Stable, "v1 None".to_owned(), 0.0)));
        assert_eq!(at(3, "2", healthy, 4, 0), None, "of the template before");
        let canary = json!({ "phase": "Progressing", "currentPodHash": "bbb" });
        assert_eq!(at(3, "3", canary, 3, 1), Some((Progressing, both.clone(), 0.25)));
        let late =
            json!({ "phase": "Degraded", "currentPodHash": "bbb", "message": "ProgressDeadlineExceeded: …" });
        assert_eq!(at(3, "3", late, 4, 1), Some((Progressing, both.clone(), 0.25)), "that is no rollback");
        let aborted = json!({ "phase": "Degraded", "currentPodHash": "bbb", "abort": true, "message": "RolloutAborted: …" });
        assert_eq!(at(3, "3", aborted.clone(), 3, 1), Some((RollingBack, both.clone(), 0.25)));
        assert_eq!(at(3, "3", aborted, 4, 0), Some((RolledBack, both, 0.0)));
        let promoted = json!({ "phase": "Healthy", "currentPodHash": "bbb", "stableRS": "bbb" });
        assert_eq!(at(3, "3", promoted, 0, 4), Some((Stable, "v2 None".to_owned(), 0.0)));
    }
}
