//! Taking back what was handed to a tool: its object is deleted, and is gone
//! only when the tool let it go. Nothing is ever forced.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use super::{mark_of, records};
use crate::{
    chaos::{driver::evidence, kubernetes::Mark},
    cluster::{Cluster, ClusterError, custom::CustomRef},
    journal::event::Evidence,
    scenario::custom::Tool,
};

/// How long one try waits for the tool.
const GONE_WITHIN: Duration = Duration::from_secs(15);
const LOOK: Duration = Duration::from_millis(100);

/// An object that was created for a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Handed {
    /// Which tool acts on it.
    pub tool: Tool,
    /// Which object.
    pub at: CustomRef,
    /// What the tool makes beside it and leaves there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<CustomRef>,
}

/// Deletes it, and what the tool made beside it. Can be done again.
pub(in crate::chaos) async fn take_back(
    cluster: &Cluster,
    mark: &Mark,
    handed: &Handed,
) -> Result<Vec<Evidence>, ClusterError> {
    let mut proof = vec![gone(cluster, mark, &handed.at, |read| hung(handed, read)).await?];
    // Its name is made from the object's, which nobody else has.
    if let Some(result) = &handed.result {
        if let Some(read) = result.get(cluster).await? {
            result.delete(cluster, &read).await?;
        }
        proof.push(evidence(result.to_string(), "it is deleted"));
    }
    Ok(proof)
}

/// Deletes an object with these marks, and waits until it is gone. `hung` says
/// why it is not.
pub(in crate::chaos::kubernetes) async fn gone(
    cluster: &Cluster,
    mark: &Mark,
    at: &CustomRef,
    hung: impl Fn(&Value) -> String,
) -> Result<Evidence, ClusterError> {
    let source = at.to_string();
    let deadline = Instant::now() + GONE_WITHIN;
    let mut last = None;
    loop {
        let Some(read) = at.get(cluster).await? else {
            let how = last.map_or("it is gone", |()| "deleted, and nothing holds it");
            return Ok(evidence(source, how));
        };
        if mark_of(&read).as_ref() != Some(mark) {
            return Ok(evidence(source, "another one has its name now, without this run's marks"));
        }
        if read.pointer("/metadata/deletionTimestamp").is_none() {
            match at.delete(cluster, &read).await {
                Err(error) if error.is_absence() || error.is_conflict() => {}
                other => other?,
            }
        }
        last = Some(());
        if Instant::now() >= deadline {
            return Err(ClusterError::Unfit(hung(&read)));
        }
        sleep(LOOK).await;
    }
}

/// Why an object that was deleted is still there.
fn hung(handed: &Handed, read: &Value) -> String {
    let finalizers = read.pointer("/metadata/finalizers").and_then(Value::as_array);
    let names: Vec<&str> = finalizers.into_iter().flatten().filter_map(Value::as_str).collect();
    let left = records::not_recovered(read);
    let targets = if left.is_empty() { String::new() } else { format!("; its records: {}", left.join(", ")) };
    format!(
        "{} is deleted, but {} has not let it go (finalizer {}): the fault may still act{targets}",
        handed.at,
        handed.tool.name(),
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    )
}

/// What a person can do. Chaos Mesh's own `cleanFinalizer=forced` is not
/// offered: it does nothing while its controller keeps failing on a target.
pub(in crate::chaos) fn by_hand(mark: &Mark, handed: &Handed) -> String {
    let Handed { tool, at, .. } = handed;
    let CustomRef { resource, namespace, name, api, .. } = at;
    let group = api.split('/').next().unwrap_or_default();
    let what = format!("{resource}.{group} {name}");
    format!(
        "see to it that {}'s controller runs and reaches the targets; only if it can't, take the fault from them \
         (delete the pods), and let go of the object, which recovers nothing: kubectl -n {namespace} patch {what} \
         --type merge --patch '{{\"metadata\":{{\"finalizers\":null}}}}' (fault {} of the run {})",
        tool.name(),
        mark.fault,
        mark.run
    )
}
