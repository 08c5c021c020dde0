//! What runs left on a cluster: found by their label, taken back by what
//! their annotation says. Nothing but the cluster is needed for it.

use std::{collections::BTreeSet, fmt};

use super::change::{Change, Mark, marked_by, marks};
use crate::{
    chaos::{
        recover::RecoverReport,
        undo::{Undo, take_back},
    },
    cluster::{
        Cluster, ClusterError, RUN_LABEL,
        object::{Kind, ObjectRef, labelled, reference},
    },
};

/// An object that still has faults of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Leftover {
    /// The object.
    pub object: ObjectRef,
    /// The run, as its label.
    pub run: String,
    /// What takes the faults back, in the order in which they have to be.
    pub changes: Vec<(Mark, Change)>,
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has a fault of the run {}", self.object, self.run)?;
        let faults: Vec<&str> = self.changes.iter().map(|(mark, _)| mark.fault.as_str()).collect();
        if faults.is_empty() { Ok(()) } else { write!(f, " ({})", faults.join(", ")) }
    }
}

/// Everything with a run's label: of nodes, and in these namespaces (none: in
/// all). A kind that may not be listed everywhere is passed over.
pub async fn leftovers(
    cluster: &Cluster,
    namespaces: Option<&BTreeSet<String>>,
) -> Result<Vec<Leftover>, ClusterError> {
    let mut found = Vec::new();
    for kind in Kind::MARKED {
        let places: Vec<Option<&str>> = match namespaces {
            Some(namespaces) if kind != Kind::Node => {
                namespaces.iter().map(|name| Some(name.as_str())).collect()
            }
            Some(_) | None => vec![None],
        };
        for namespace in places {
            match labelled(cluster, kind, namespace, RUN_LABEL).await {
                Ok(objects) => found.extend(objects.iter().filter_map(|object| of(kind, object))),
                // A role for one namespace need not know nodes.
                Err(ClusterError::Refused { code: 403, .. }) if namespaces.is_some() => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(found)
}

fn of(kind: Kind, read: &serde_json::Value) -> Option<Leftover> {
    let object = reference(kind, read)?;
    let run = marked_by(read)?.to_owned();
    // The last that came goes first.
    let changes = marks(read)
        .into_iter()
        .rev()
        .map(|(fault, edits)| (Mark { run: run.clone(), fault }, Change { object: object.clone(), edits }));
    let changes = changes.collect();
    Some(Leftover { object, run, changes })
}

/// Takes all of it back, of one run or of any.
pub async fn clear(
    cluster: &Cluster,
    namespaces: Option<&BTreeSet<String>>,
) -> Result<RecoverReport, ClusterError> {
    let mut report = RecoverReport::default();
    for leftover in leftovers(cluster, namespaces).await? {
        if leftover.changes.is_empty() {
            let by_hand =
                format!("its annotation says nothing; look at it, then remove its label {RUN_LABEL}");
            report.failed.push((leftover.run.as_str().into(), format!("{}: {by_hand}", leftover.object)));
        }
        for (mark, change) in leftover.changes {
            let id = mark.fault.clone();
            let undo = Undo::Object { cluster: cluster.at().clone(), mark, change };
            match take_back(&[undo], std::time::Duration::ZERO).await {
                Ok(proof) => report.recovered.push((id, proof)),
                Err(why) => report.failed.push((id, why)),
            }
        }
    }
    Ok(report)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::UNDO_ANNOTATION;

    #[test]
    fn a_leftover_says_whose_it_is_and_how_it_goes() {
        let undo = r#"{"first":[{"at":"replicas","from":3,"to":0}],"second":[]}"#;
        let object = json!({ "metadata": {
            "name": "llm", "namespace": "serving", "uid": "u",
            "labels": { (RUN_LABEL): "run-1" }, "annotations": { (UNDO_ANNOTATION): undo },
        } });
        let leftover = of(Kind::Deployment, &object).expect("it is marked");
        let faults: Vec<_> = leftover.changes.iter().map(|(mark, _)| mark.fault.0.as_str()).collect();
        assert_eq!(faults, ["second", "first"]);
        assert_eq!(
            leftover.to_string(),
            "deployment serving/llm has a fault of the run run-1 (second, first)"
        );
        assert_eq!(of(Kind::Deployment, &json!({ "metadata": { "name": "llm", "uid": "u" } })), None);
    }
}
