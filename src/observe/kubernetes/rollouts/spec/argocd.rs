//! Argo CD: an Application, as its controller's status tells of it
//! (`argoproj.io/v1alpha1`). It takes nothing back by itself: somebody, or
//! another automation, changes the source.

use serde_json::Value;

use super::{
    super::{text, words},
    Word,
};

/// What the controller says. None: of another source than the one that is
/// there now.
pub(in crate::observe::kubernetes::rollouts) fn word(application: &Value) -> Option<Word> {
    let compared = application.pointer("/status/sync/comparedTo")?;
    let same = ["source", "sources"].iter().all(|key| compared.get(*key) == application["spec"].get(*key));
    if !same {
        return None;
    }
    let part = |path: &str| text(application, path).unwrap_or_default();
    let (sync, health) = (part("/status/sync/status"), part("/status/health/status"));
    let operation = part("/status/operationState/phase");
    Some(match (operation, sync, health) {
        ("Running", _, _) => Word::under_way(part("/status/operationState/message").to_owned()),
        ("Failed" | "Error", _, _) => Word::under_way(format!(
            "sync {operation}: {}. Argo CD takes nothing back by itself.",
            part("/status/operationState/message")
        )),
        (_, "Synced", "Healthy") => Word::done(),
        // Of a source that can't be had, what was there before is healthy.
        (_, "Unknown", _) => Word::under_way(told("sync Unknown", &why(application))),
        (_, _, "Degraded" | "Missing") => Word::under_way(told(health, &why(application))),
        (_, sync, health) => Word::under_way(format!("{sync}, {health}")),
    })
}

/// What is wrong, and why where that is told.
fn told(what: &str, why: &str) -> String {
    let why = if why.is_empty() { String::new() } else { format!(": {why}") };
    format!("{what}{why}. Argo CD takes nothing back by itself.")
}

/// Why, as far as the controller says: health has no message in the versions of
/// today, that of a resource is written where the controller is told to.
fn why(application: &Value) -> String {
    let health = text(application, "/status/health/message").unwrap_or_default();
    if !health.is_empty() {
        return health.to_owned();
    }
    let resources = application.pointer("/status/resources").and_then(Value::as_array);
    let ill = resources.into_iter().flatten().find_map(|one| text(one, "/health/message"));
    ill.map(str::to_owned).unwrap_or_else(|| condition(application))
}

/// The first of what the controller complains of.
fn condition(application: &Value) -> String {
    let first = application.pointer("/status/conditions/0");
    first.map_or_else(String::new, |one| {
        words(&serde_json::json!({ "reason": one["type"], "message": one["message"] }))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{super::Progress, *};

    #[test]
    fn what_is_wrong_is_told_by_whoever_knows_it() {
        let at = |sync: &str, health: &str, more: serde_json::Value| {
            let source = json!({ "targetRevision": "v2" });
            let mut status = json!({
                "sync": { "status": sync, "comparedTo": { "source": source } },
                "health": { "status": health },
                "operationState": { "phase": "Succeeded" },
            });
            status.as_object_mut().expect("it is one").extend(more.as_object().cloned().unwrap_or_default());
            word(&json!({ "spec": { "source": source }, "status": status })).expect("it says so").reason
        };
        let back = "Argo CD takes nothing back by itself.";
        assert_eq!(at("Synced", "Degraded", json!({})), format!("Degraded. {back}"));
        let late = json!({ "resources": [{ "kind": "Service" }, { "health": { "message": "it is late" } }] });
        assert_eq!(at("Synced", "Degraded", late), format!("Degraded: it is late. {back}"));
        // What can't be had leaves what is there as healthy as it was.
        let unknown = json!({ "conditions": [{ "type": "ComparisonError", "message": "no such revision" }] });
        let told = at("Unknown", "Healthy", unknown);
        assert!(told.starts_with("sync Unknown: ") && told.contains("no such revision"), "{told}");
    }

    #[test]
    fn it_is_done_when_it_is_synced_and_healthy() {
        let at = |compared: &str, operation: &str, sync: &str, health: &str| {
            word(&json!({
                "spec": { "source": { "targetRevision": "v2", "repoURL": "r" } },
                "status": {
                    "sync": { "status": sync, "comparedTo": { "source": { "targetRevision": compared, "repoURL": "r" } } },
                    "health": { "status": health, "message": "it is ill" },
                    "operationState": { "phase": operation, "message": "m" },
                },
            }))
        };
        assert_eq!(at("v1", "Succeeded", "Synced", "Healthy"), None, "of the source before");
        assert_eq!(at("v2", "Succeeded", "Synced", "Healthy"), Some(Word::done()));
        let progress = |operation, sync, health| at("v2", operation, sync, health).map(|word| word.progress);
        assert_eq!(progress("Running", "OutOfSync", "Healthy"), Some(Progress::UnderWay));
        assert_eq!(progress("Succeeded", "Synced", "Progressing"), Some(Progress::UnderWay));
        let ill = at("v2", "Succeeded", "Synced", "Degraded").expect("it says so").reason;
        assert_eq!(ill, "Degraded: it is ill. Argo CD takes nothing back by itself.");
        assert!(
            at("v2", "Failed", "OutOfSync", "Healthy")
                .expect("it says so")
                .reason
                .starts_with("sync Failed: m.")
        );
    }
}
