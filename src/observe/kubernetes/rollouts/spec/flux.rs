//! Flux: a HelmRelease, as the helm-controller's conditions tell of it
//! (`helm.toolkit.fluxcd.io/v2`). With `upgrade.remediation` it goes back to
//! the last release that was well.

use serde_json::Value;

use super::{
    super::{condition, words},
    Progress, Word,
};

/// What the controller says. None: nothing of the spec that is there now.
pub(in crate::observe::kubernetes::rollouts) fn word(release: &Value) -> Option<Word> {
    let generation = release.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0);
    let of_now = |kind: &str| {
        let one = condition(release, kind)?;
        (one["observedGeneration"].as_i64().unwrap_or(0) >= generation).then_some(one)
    };
    let is = |one: &Value, status: &str| one["status"] == status;
    if let Some(remediated) = of_now("Remediated") {
        return Some(match is(remediated, "True") {
            true => Word { progress: Progress::TakenBack, weight: 0.0, reason: words(remediated) },
            false => Word::under_way(words(remediated)),
        });
    }
    let ready = of_now("Ready")?;
    if is(ready, "True") {
        return Some(Word::done());
    }
    let released = of_now("Released").filter(|one| is(one, "False"));
    Some(Word::under_way(words(released.unwrap_or(ready))))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_is_taken_back_when_it_is_remediated() {
        let one = |kind: &str, status: &str, reason: &str| json!({ "type": kind, "status": status, "reason": reason, "message": "m", "observedGeneration": 2 });
        let at = |generation: u32, conditions: Vec<Value>| {
            word(&json!({ "metadata": { "generation": generation }, "status": { "conditions": conditions } }))
        };
        let ready = one("Ready", "True", "UpgradeSucceeded");
        assert_eq!(at(3, vec![ready.clone()]), None, "of the spec before");
        assert_eq!(at(2, vec![ready]), Some(Word::done()));
        let (failed, unready) =
            (one("Released", "False", "UpgradeFailed"), one("Ready", "False", "UpgradeFailed"));
        let under_way = at(2, vec![unready.clone(), failed.clone()]).expect("it says so");
        assert_eq!(under_way, Word::under_way("UpgradeFailed: m".to_owned()));
        let back = one("Remediated", "True", "RollbackSucceeded");
        let back = at(2, vec![unready.clone(), failed.clone(), back]).expect("it says so");
        assert_eq!((back.progress, back.reason.as_str()), (Progress::TakenBack, "RollbackSucceeded: m"));
        let stuck =
            at(2, vec![unready, failed, one("Remediated", "False", "RollbackFailed")]).expect("it says so");
        assert_eq!(stuck.progress, Progress::UnderWay);
    }
}
