//! Flagger: a Canary, the Deployment that it looks after (the candidate), and
//! that Deployment's primary (what is stable).

use serde_json::Value;

use super::{condition, number, resting, text, versions::Versions};
use crate::{journal::event::RolloutPhase, lab::api::RolloutStatus};

/// The name of the Deployment that serves what is stable.
pub(super) fn primary(name: &str) -> String {
    format!("{name}-primary")
}

/// Whether a Canary looks after the Deployment of this name.
pub(super) fn is_of(canary: &Value, name: &str) -> bool {
    let target = &canary["spec"]["targetRef"];
    target["kind"] == "Deployment" && target["name"] == name
}

/// What was applied last, as far as Flagger knows. It is the only sign that it
/// has seen a template: its phases stay until then.
#[derive(Debug, Default)]
pub(super) struct Noticed {
    template: Value,
    applied: Option<String>,
}

impl Noticed {
    /// Whether it has seen the Deployment's template.
    pub(super) fn has(&mut self, canary: &Value, deployment: &Value) -> bool {
        let template = &deployment["spec"]["template"];
        let applied = text(canary, "/status/lastAppliedSpec").map(str::to_owned);
        if self.applied.is_some() && *template != self.template && applied == self.applied {
            return false;
        }
        *self = Self { template: template.clone(), applied };
        true
    }
}

/// Where it is. None: it has not begun yet.
pub(super) fn standing(
    canary: &Value,
    deployment: &Value,
    primary: &Value,
    versions: &Versions,
) -> Option<RolloutStatus> {
    let stable = versions.or_hash(&primary["spec"]["template"], "primary");
    let candidate = versions.or_hash(&deployment["spec"]["template"], "canary");
    let weight = number(canary, "/status/canaryWeight") / 100.0;
    let (phase, weight) = match text(canary, "/status/phase")? {
        // It failed once, and what failed has been taken back since.
        "Failed" if candidate == stable => return Some(resting(stable)),
        "Initialized" | "Succeeded" => return Some(resting(stable)),
        "Waiting" | "Progressing" | "WaitingPromotion" => (RolloutPhase::Progressing, weight),
        // The primary becomes the candidate.
        "Promoting" | "Finalising" => (RolloutPhase::Progressing, 1.0),
        "Failed" if number(deployment, "/status/replicas") > 0.0 => (RolloutPhase::RollingBack, weight),
        "Failed" => (RolloutPhase::RolledBack, 0.0),
        _ => return None,
    };
    let reason = condition(canary, "Promoted").and_then(|one| one["message"].as_str());
    Some(RolloutStatus {
        phase,
        stable,
        candidate: Some(candidate),
        weight,
        reason: reason.unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::observe::kubernetes::rollouts::versions::tests::{drill, template};

    fn canary(phase: &str, weight: u32, applied: &str) -> Value {
        json!({
            "spec": { "targetRef": { "kind": "Deployment", "name": "ai-model" } },
            "status": {
                "phase": phase, "canaryWeight": weight, "lastAppliedSpec": applied,
                "conditions": [{ "type": "Promoted", "status": "False", "reason": "Failed", "message": "it failed" }],
            },
        })
    }

    /// A Deployment with this version and so many pods.
    fn deployment(version: &str, pods: u32) -> Value {
        let errors = if version == "v2" { "1" } else { "0" };
        json!({ "spec": { "template": template(version, errors) }, "status": { "replicas": pods } })
    }

    #[test]
    fn its_phases_are_told_as_they_were_seen() {
        use RolloutPhase::{Progressing, RolledBack, RollingBack, Stable};
        let at = |phase, weight, pods| {
            let (target, primary) = (deployment("v2", pods), deployment("v1", 3));
            let found = standing(&canary(phase, weight, "1"), &target, &primary, &drill())?;
            Some((found.phase, found.candidate.map(|version| version.0.to_string()), found.weight))
        };
        let v2 = Some("v2".to_owned());
        assert_eq!(at("Initialized", 0, 0), Some((Stable, None, 0.0)));
        assert_eq!(at("Progressing", 10, 1), Some((Progressing, v2.clone(), 0.1)));
        assert_eq!(at("Promoting", 50, 1), Some((Progressing, v2.clone(), 1.0)));
        assert_eq!(at("Failed", 0, 1), Some((RollingBack, v2.clone(), 0.0)));
        assert_eq!(at("Failed", 0, 0), Some((RolledBack, v2, 0.0)));
        assert_eq!(at("Initializing", 0, 1), None);
        assert!(is_of(&canary("Failed", 0, "1"), "ai-model") && !is_of(&canary("Failed", 0, "1"), "other"));
    }

    #[test]
    fn what_it_says_before_it_has_noticed_is_of_the_version_before() {
        let mut noticed = Noticed::default();
        assert!(noticed.has(&canary("Failed", 0, "1"), &deployment("v0", 0)));
        assert!(!noticed.has(&canary("Failed", 0, "1"), &deployment("v2", 0)), "that was another one");
        assert!(noticed.has(&canary("Progressing", 0, "2"), &deployment("v2", 1)));
        assert!(noticed.has(&canary("Failed", 0, "2"), &deployment("v2", 1)));
    }
}
