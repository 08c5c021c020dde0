//! What runs left on a cluster: found by their label, taken back by what
//! their annotation says. Nothing but the cluster is needed for it.

use std::{collections::BTreeSet, fmt};

use super::{
    change::{Change, Mark, marked_by, marks},
    custom,
};
use crate::{
    chaos::{
        recover::RecoverReport,
        undo::{Undo, take_back},
    },
    cluster::{
        Cluster, ClusterError, ClusterRef, RUN_LABEL,
        custom::CustomRef,
        object::{Kind, labelled, reference},
    },
    scenario::custom::CustomKind,
    units::FaultId,
};

/// An object that still has faults of a run, or is one.
#[derive(Debug, Clone, PartialEq)]
pub struct Leftover {
    /// The object, in words.
    pub object: String,
    /// The run, as its label.
    pub run: String,
    /// What takes the faults back, in the order in which they have to be.
    pub faults: Vec<(FaultId, Undo)>,
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} has a fault of the run {}", self.object, self.run)?;
        let faults: Vec<&str> = self.faults.iter().map(|(fault, _)| fault.as_str()).collect();
        if faults.is_empty() { Ok(()) } else { write!(f, " ({})", faults.join(", ")) }
    }
}

/// Everything of these kinds with a run's label that was changed, and our own
/// helpers: of nodes, and in these namespaces (none: in all). A kind that may
/// not be listed everywhere is passed over.
pub async fn leftovers(
    cluster: &Cluster,
    namespaces: Option<&BTreeSet<String>>,
    kinds: impl IntoIterator<Item = Kind>,
) -> Result<Vec<Leftover>, ClusterError> {
    let mut found = Vec::new();
    for kind in kinds {
        let places: Vec<Option<&str>> = match namespaces {
            Some(namespaces) if kind != Kind::Node => {
                namespaces.iter().map(|name| Some(name.as_str())).collect()
            }
            Some(_) | None => vec![None],
        };
        for namespace in places {
            match labelled(cluster, kind, namespace, RUN_LABEL).await {
                Ok(objects) => {
                    found.extend(objects.iter().filter_map(|object| of(cluster.at(), kind, object)));
                }
                // A role for one namespace need not know nodes.
                Err(ClusterError::Refused { code: 403, .. }) if namespaces.is_some() => {}
                // Where there are no such objects, nobody may know them.
                Err(ClusterError::Refused { code: 403 | 404, .. }) if !kind.is_built_in() => {}
                Err(error) => return Err(error),
            }
        }
    }
    // Helpers go when nobody needs them any more.
    found.sort_by_key(|left| left.faults.iter().any(|(_, undo)| matches!(undo, Undo::Created { .. })));
    Ok(found)
}

fn of(at: &ClusterRef, kind: Kind, read: &serde_json::Value) -> Option<Leftover> {
    let object = reference(kind, read)?;
    let run = marked_by(read)?.to_owned();
    if let Some(mark) = custom::mark_of(read) {
        // A helper of that run, as a whole.
        let helper = CustomRef {
            api: if kind.group().is_empty() { "v1".to_owned() } else { format!("{}/v1", kind.group()) },
            resource: kind.resource().to_owned(),
            kind: kind.word().to_owned(),
            namespace: object.namespace.clone()?,
            name: object.name.clone(),
        };
        let fault = mark.fault.clone();
        let undo = Undo::Created { cluster: at.clone(), mark, object: helper };
        return Some(Leftover { object: object.to_string(), run, faults: vec![(fault, undo)] });
    }
    // The last that came goes first.
    let faults = marks(read).into_iter().rev().map(|(fault, edits)| {
        let mark = Mark { run: run.clone(), fault: fault.clone() };
        let change = Change { object: object.clone(), edits };
        (fault, Undo::Object { cluster: at.clone(), mark, change })
    });
    let faults = faults.collect();
    Some(Leftover { object: object.to_string(), run, faults })
}

/// Takes all of it back, of one run or of any.
pub async fn clear(
    cluster: &Cluster,
    namespaces: Option<&BTreeSet<String>>,
) -> Result<RecoverReport, ClusterError> {
    let mut report = RecoverReport::default();
    let mut all = leftovers(cluster, namespaces, Kind::MARKED).await?;
    all.extend(custom::leftovers(cluster, &CustomKind::ALL, namespaces).await?);
    for leftover in all {
        if leftover.faults.is_empty() {
            let by_hand =
                format!("its annotation says nothing; look at it, then remove its label {RUN_LABEL}");
            report.failed.push((leftover.run.as_str().into(), format!("{}: {by_hand}", leftover.object)));
        }
        for (id, undo) in leftover.faults {
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
        let at = ClusterRef { kubeconfig: None, context: "c".into(), server: "s".into(), uid: None };
        let leftover = of(&at, Kind::Deployment, &object).expect("it is marked");
        let faults: Vec<_> = leftover.faults.iter().map(|(fault, _)| fault.as_str()).collect();
        assert_eq!(faults, ["second", "first"]);
        assert_eq!(
            leftover.to_string(),
            "deployment serving/llm has a fault of the run run-1 (second, first)"
        );
        assert_eq!(of(&at, Kind::Deployment, &json!({ "metadata": { "name": "llm", "uid": "u" } })), None);
    }
}
