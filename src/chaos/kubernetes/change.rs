//! What a fault changes of one object: put there with the run's mark, and
//! taken back, by this process or another.
//!
//! The mark is a label (whose run it was, so that leftovers can be found) and
//! an annotation (how to take it back, so that nothing but the cluster is
//! needed for it).

use std::time::Duration;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::edit::{Edit, shown, together};
use crate::{
    chaos::driver::evidence,
    cluster::{Cluster, ClusterError, RUN_LABEL, UNDO_ANNOTATION, object::ObjectRef, run_label},
    journal::event::Evidence,
    units::FaultId,
};

/// How long a change is tried while the API server does not answer, or others
/// change the object.
const TRY_FOR: Duration = Duration::from_secs(15);
/// Between two tries.
const PAUSE: Duration = Duration::from_millis(250);

/// Edits of one object, as one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The object.
    pub object: ObjectRef,
    /// The edits.
    pub edits: Vec<Edit>,
}

/// Whose a change is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The run, as a label's value.
    pub run: String,
    /// The fault.
    pub fault: FaultId,
}

impl Mark {
    /// A name on the cluster that no other fault of any run has: small
    /// letters, digits and `-`, 63 at most.
    pub(super) fn name(&self, before: &str) -> String {
        let name = run_label(&format!("{before}{}-{}", self.fault, self.run)).to_lowercase();
        name.replace(['_', '.'], "-").trim_matches('-').to_owned()
    }
}

/// The annotation: for each fault on the object, what it changed.
pub(crate) type Marks = IndexMap<FaultId, Vec<Edit>>;

/// Whose run an object is marked with.
pub(crate) fn marked_by(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("labels")?.get(RUN_LABEL)?.as_str()
}

/// What the annotation of an object says. Empty: nothing that can be read.
pub(crate) fn marks(object: &Value) -> Marks {
    let text =
        object.get("metadata").and_then(|meta| meta.get("annotations")?.get(UNDO_ANNOTATION)?.as_str());
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// Label and annotation as a patch. No marks: both go.
fn marking(run: &str, marks: &Marks) -> Value {
    let (label, annotation) = match marks.is_empty() {
        true => (Value::Null, Value::Null),
        false => (json!(run), json!(serde_json::to_string(marks).unwrap_or_default())),
    };
    json!({ "metadata": { "labels": { (RUN_LABEL): label }, "annotations": { (UNDO_ANNOTATION): annotation } } })
}

impl Change {
    /// Does it. What is done already is not done again, so that an answer
    /// that was lost does no harm.
    pub(super) async fn apply(&self, cluster: &Cluster, mark: &Mark) -> Result<(), ClusterError> {
        let tries = Tries::begin();
        loop {
            match self.apply_once(cluster, mark).await {
                Err(error) if tries.again(&error).await => {}
                ended => return ended,
            }
        }
    }

    /// Asks the API server whether it would take it. Nothing is changed.
    pub(super) async fn rehearse(&self, cluster: &Cluster) -> Result<(), ClusterError> {
        let Self { object, edits } = self;
        let Some(read) = object.get(cluster).await? else { return Ok(()) };
        let patch = together(edits.iter().map(|edit| edit.place.patch(object.kind, &edit.to)));
        object.rehearse(cluster, &read, patch).await
    }

    async fn apply_once(&self, cluster: &Cluster, mark: &Mark) -> Result<(), ClusterError> {
        let Self { object, edits } = self;
        let found = object.get(cluster).await?;
        let read = found.ok_or_else(|| ClusterError::Unfit(format!("{object} is gone")))?;
        let mut marks = marks(&read);
        match marked_by(&read) {
            Some(run) if run != mark.run => {
                return Err(ClusterError::Unfit(format!("{object} still has a fault of the run {run}")));
            }
            Some(_) if marks.contains_key(&mark.fault) => return Ok(()),
            Some(_) | None => {}
        }
        for edit in edits {
            let now = edit.place.read(object.kind, &read);
            if now != edit.from {
                let was = shown(&edit.from);
                let why = format!("{object}: {} is {}, not {was} any more", edit.place, shown(&now));
                return Err(ClusterError::Unfit(why));
            }
        }
        marks.insert(mark.fault.clone(), edits.clone());
        let patches = edits.iter().map(|edit| edit.place.patch(object.kind, &edit.to));
        let patch = together(patches.chain([marking(&mark.run, &marks)]));
        object.patch(cluster, &read, patch).await.map(drop)
    }

    /// Takes it back. What somebody else has changed since is not ours any
    /// more and is left alone. Can be done again. Returns what the object
    /// was like before, if it was changed now.
    pub(super) async fn take_back(
        &self,
        cluster: &Cluster,
        mark: &Mark,
    ) -> Result<(Vec<Evidence>, Option<Value>), ClusterError> {
        let tries = Tries::begin();
        loop {
            match self.take_back_once(cluster, mark).await {
                Err(error) if tries.again(&error).await => {}
                ended => return ended,
            }
        }
    }

    async fn take_back_once(
        &self,
        cluster: &Cluster,
        mark: &Mark,
    ) -> Result<(Vec<Evidence>, Option<Value>), ClusterError> {
        let Self { object, edits } = self;
        let source = object.to_string();
        let Some(read) = object.get(cluster).await? else {
            return Ok((vec![evidence(&source, "it is gone")], None));
        };
        let is_ours = marked_by(&read) == Some(&mark.run);
        let mut marks = marks(&read);
        let marked = marks.shift_remove(&mark.fault).is_some() && is_ours;
        let ours: Vec<&Edit> =
            edits.iter().filter(|edit| edit.place.read(object.kind, &read) == edit.to).collect();
        let now = if ours.is_empty() && !marked {
            read.clone()
        } else {
            let mut patches: Vec<Value> =
                ours.iter().map(|edit| edit.place.patch(object.kind, &edit.from)).collect();
            if marked {
                patches.push(marking(&mark.run, &marks));
            }
            object.patch(cluster, &read, together(patches)).await?
        };
        let mut proof = Vec::new();
        for edit in edits {
            let value = edit.place.read(object.kind, &now);
            if value == edit.to && edit.to != edit.from {
                let why = format!("{object}: {} is still {}", edit.place, shown(&value));
                return Err(ClusterError::Unfit(why));
            }
            let words = if same(&value, &edit.from) { "again" } else { "now, by somebody else" };
            proof.push(evidence(&source, format!("{} is {} {words}", edit.place, shown(&value))));
        }
        Ok((proof, (!ours.is_empty()).then_some(read)))
    }
}

/// Whether a value is what it was. An API server leaves out what is false.
fn same(value: &Value, from: &Value) -> bool {
    let plain = |value: &Value| if *value == Value::Bool(false) { Value::Null } else { value.clone() };
    plain(value) == plain(from)
}

/// Tries of one thing, as long as others change the object or nothing is
/// heard.
pub(super) struct Tries {
    deadline: Instant,
}

impl Tries {
    pub(super) fn begin() -> Self {
        Self { deadline: Instant::now() + TRY_FOR }
    }

    /// Whether to try again after this error; waits a little if so.
    pub(super) async fn again(&self, error: &ClusterError) -> bool {
        let again = (error.is_conflict() || error.is_passing()) && Instant::now() < self.deadline;
        if again {
            sleep(PAUSE).await;
        }
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::kubernetes::edit::Place;

    fn edits() -> Vec<Edit> {
        vec![Edit { place: Place::Replicas, from: json!(3), to: json!(0) }]
    }

    #[test]
    fn a_mark_can_be_read_back_and_goes_with_its_last_fault() {
        let mut marks_: Marks = IndexMap::from([(FaultId::from("scale"), edits())]);
        let object = marking("run-1", &marks_);
        assert_eq!(marked_by(&object), Some("run-1"));
        assert_eq!(marks(&object), marks_);
        marks_.clear();
        let gone = marking("run-1", &marks_);
        assert_eq!(gone["metadata"]["labels"][RUN_LABEL], Value::Null);
        assert_eq!(
            marks(&json!({ "metadata": { "annotations": { (UNDO_ANNOTATION): "?" } } })),
            Marks::new()
        );
    }

    #[test]
    fn what_is_false_and_what_is_absent_are_the_same() {
        assert!(same(&Value::Null, &json!(false)) && same(&json!(false), &Value::Null));
        assert!(!same(&Value::Null, &json!(true)) && !same(&json!(1), &json!(2)));
    }
}
