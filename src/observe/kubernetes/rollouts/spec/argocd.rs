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
        (_, _, "Degraded" | "Missing") => {
            let why = part("/status/health/message");
            let said = if why.is_empty() { condition(application) } else { why.to_owned() };
            Word::under_way(format!("{health}: {said}. Argo CD takes nothing back by itself."))
        }
        (_, sync, health) => Word::under_way(format!("{sync}, {health}")),
    })
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
