//! Objects that runs created for a tool and left: found by their label, of
//! the kinds that the API server knows.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{body::api, engine, mark_of, undo::Handed};
use crate::{
    chaos::{kubernetes::Leftover, undo::Undo},
    cluster::{
        Cluster, ClusterError, RUN_LABEL,
        custom::{CustomRef, labelled, served},
    },
    scenario::custom::{CustomKind, Tool},
};

/// Those of these kinds in these namespaces (none: in all). A kind that may not
/// be listed is passed over where namespaces are named.
pub(in crate::chaos::kubernetes) async fn leftovers(
    cluster: &Cluster,
    kinds: &[CustomKind],
    namespaces: Option<&BTreeSet<String>>,
) -> Result<Vec<Leftover>, ClusterError> {
    let mut found = Vec::new();
    for tool in [Tool::ChaosMesh, Tool::Litmus] {
        let api = api(tool);
        if !kinds.iter().any(|kind| kind.tool() == tool) {
            continue;
        }
        let Some(known) = served(cluster, &api).await? else { continue };
        let of_tool = kinds.iter().copied().filter(|kind| kind.tool() == tool);
        for kind in of_tool.filter(|kind| known.iter().any(|one| one == kind.resource())) {
            let places: Vec<Option<&str>> = match namespaces {
                Some(namespaces) => namespaces.iter().map(|name| Some(name.as_str())).collect(),
                None => vec![None],
            };
            for namespace in places {
                match labelled(cluster, &api, kind.resource(), namespace, RUN_LABEL).await {
                    Ok(objects) => {
                        found.extend(objects.iter().filter_map(|object| of(cluster, kind, &api, object)));
                    }
                    Err(ClusterError::Refused { code: 403, .. }) if namespaces.is_some() => {}
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(found)
}

fn of(cluster: &Cluster, kind: CustomKind, api: &str, read: &Value) -> Option<Leftover> {
    let text = |path: &str| read.pointer(path).and_then(Value::as_str).map(str::to_owned);
    let at = CustomRef {
        api: api.to_owned(),
        resource: kind.resource().to_owned(),
        kind: kind.name().to_owned(),
        namespace: text("/metadata/namespace")?,
        name: text("/metadata/name")?,
    };
    let object = at.to_string();
    let Some(mark) = mark_of(read) else {
        let run = read["metadata"]["labels"][RUN_LABEL].as_str().unwrap_or_default().to_owned();
        return Some(Leftover { object, run, faults: vec![] });
    };
    let result = match kind.tool() {
        Tool::ChaosMesh => None,
        Tool::Litmus => text("/spec/experiments/0/name").map(|name| engine::result_of(&at, &name)),
    };
    let (run, fault) = (mark.run.clone(), mark.fault.clone());
    let handed = Handed { tool: kind.tool(), at, result };
    let undo = Undo::Handed { cluster: cluster.at().clone(), mark, handed };
    Some(Leftover { object, run, faults: vec![(fault, undo)] })
}
