//! What the API server itself shows of a fault that a tool says it did.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{
    chaos::{
        driver::ChaosError,
        kubernetes::{
            containers::{self, ContainerIds},
            look as looks, reference,
        },
        look::Look,
    },
    cluster::{Cluster, ClusterError, object::ObjectRef},
    plan::model::Pod,
    scenario::custom::{CustomChaos, CustomKind},
};

/// What to look at.
#[derive(Debug)]
pub(super) enum Own {
    /// The pod must be gone.
    Gone(ObjectRef),
    /// These containers of the pod must run no more.
    Stopped(ObjectRef, ContainerIds),
    /// No API server shows this.
    Nothing,
}

/// What there is to see of a fault on a pod, and how it is now.
pub(super) async fn before(cluster: &Cluster, chaos: &CustomChaos, pod: &Pod) -> Result<Own, ChaosError> {
    let named = match (chaos.object, chaos.action.as_str()) {
        (CustomKind::PodChaos, "pod-kill") | (CustomKind::ChaosEngine, _) => {
            return Ok(Own::Gone(reference(pod)?));
        }
        (CustomKind::PodChaos, "container-kill") => {
            let names = chaos.spec["containerNames"].as_array().into_iter().flatten();
            Some(names.filter_map(Value::as_str).collect::<BTreeSet<_>>())
        }
        (CustomKind::PodChaos, _) => None,
        (
            CustomKind::NetworkChaos
            | CustomKind::HTTPChaos
            | CustomKind::StressChaos
            | CustomKind::IOChaos
            | CustomKind::DNSChaos
            | CustomKind::TimeChaos,
            _,
        ) => return Ok(Own::Nothing),
    };
    let at = reference(pod)?;
    let read = at.get(cluster).await?.ok_or_else(|| ChaosError::Unfit(format!("{at} is gone")))?;
    let mut ids = containers::ids(&read);
    if let Some(named) = named {
        ids.retain(|name, _| named.contains(name.as_str()));
    }
    Ok(Own::Stopped(at, ids))
}

impl Own {
    /// Looks. None: there is nothing to look at.
    pub(super) async fn look(&self, cluster: &Cluster) -> Result<Option<Look>, ClusterError> {
        Ok(match self {
            Self::Gone(pod) => Some(looks::gone(cluster, pod).await?),
            Self::Stopped(pod, before) => Some(looks::stopped(cluster, pod, before).await?),
            Self::Nothing => None,
        })
    }
}
