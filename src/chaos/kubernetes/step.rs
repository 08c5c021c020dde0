//! One thing that is done to one object of a cluster, and how it is seen.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{DeleteParams, EvictParams, Preconditions},
};

use super::{
    change::{Change, Mark, Tries},
    containers::ContainerIds,
    look,
    stress::Stress,
};
use crate::{
    chaos::{
        look::{Look, Timing},
        undo::Undo,
    },
    cluster::{Cluster, ClusterError, call, object::ObjectRef},
};

/// A step and when it was done.
#[derive(Debug)]
pub(super) struct Step {
    act: Act,
    pub(super) timing: Timing,
}

#[derive(Debug)]
enum Act {
    /// Deletes this pod, and no other of its name.
    Kill { pod: ObjectRef, grace_seconds: u32 },
    /// Asks for its eviction, as often as disruption budgets refuse it.
    Evict { pod: ObjectRef, accepted: bool },
    /// Uses up what a pod has.
    Stress(Stress),
    /// Changes an object.
    Change { change: Change, effect: Effect },
}

/// How it is seen that a change acts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Effect {
    /// The object says so.
    Said,
    /// These containers of the pod run no more.
    Stopped(ContainerIds),
    /// The workload has (at most, at least) so many pods.
    Scaled {
        /// How many it had.
        from: i64,
        /// How many it must get.
        to: i64,
    },
    /// The workload has a pod of its new template.
    Updated,
    /// None of these pods (by UID) is an endpoint of the Service any more.
    NoEndpoints {
        /// The Service.
        service: ObjectRef,
        /// The pods.
        pods: Vec<String>,
    },
}

impl From<Act> for Step {
    fn from(act: Act) -> Self {
        Self { act, timing: Timing::default() }
    }
}

impl Step {
    pub(super) fn kill(pod: ObjectRef, grace_seconds: u64) -> Self {
        Act::Kill { pod, grace_seconds: u32::try_from(grace_seconds).unwrap_or(u32::MAX) }.into()
    }

    pub(super) fn evict(pod: ObjectRef) -> Self {
        Act::Evict { pod, accepted: false }.into()
    }

    pub(super) fn stress(stress: Stress) -> Self {
        Act::Stress(stress).into()
    }

    pub(super) fn change(change: Change, effect: Effect) -> Self {
        Act::Change { change, effect }.into()
    }

    pub(super) fn undo(&self, cluster: &Cluster, mark: &Mark) -> Option<Undo> {
        match &self.act {
            Act::Change { change, .. } => Some(Undo::Object {
                cluster: cluster.at().clone(),
                mark: mark.clone(),
                change: change.clone(),
            }),
            Act::Stress(stress) => {
                Some(Undo::Stress { cluster: cluster.at().clone(), stressed: stress.at.clone() })
            }
            Act::Kill { .. } | Act::Evict { .. } => None,
        }
    }

    /// The object that would be as it is, if so.
    pub(super) fn idle(&self) -> Option<&ObjectRef> {
        match &self.act {
            Act::Change { change, .. } if change.edits.is_empty() => Some(&change.object),
            Act::Change { .. } | Act::Kill { .. } | Act::Evict { .. } | Act::Stress(_) => None,
        }
    }

    /// Asks whether the API server would take what it changes.
    pub(super) async fn rehearse(&self, cluster: &Cluster) -> Result<(), ClusterError> {
        match &self.act {
            Act::Change { change, .. } => change.rehearse(cluster).await,
            Act::Kill { .. } | Act::Evict { .. } | Act::Stress(_) => Ok(()),
        }
    }

    /// Does it.
    pub(super) async fn inject(&mut self, cluster: &Cluster, mark: &Mark) -> Result<(), ClusterError> {
        match &mut self.act {
            Act::Kill { pod, grace_seconds } => kill(cluster, pod, *grace_seconds).await,
            Act::Evict { pod, accepted } => {
                *accepted = evict(cluster, pod).await?;
                Ok(())
            }
            Act::Stress(stress) => stress.inject(cluster).await,
            Act::Change { change, .. } => change.apply(cluster, mark).await,
        }
    }

    /// Looks for its effect.
    pub(super) async fn look(&mut self, cluster: &Cluster) -> Look {
        let looked = match &mut self.act {
            Act::Kill { pod, .. } => look::gone(cluster, pod).await,
            Act::Evict { pod, accepted } => {
                match *accepted {
                    true => look::gone(cluster, pod).await,
                    // A budget may allow it by now.
                    false => match evict(cluster, pod).await {
                        Ok(now) => {
                            *accepted = now;
                            let why = format!("{pod}: a disruption budget does not allow its eviction");
                            if now { look::gone(cluster, pod).await } else { Ok(Look::not(why, vec![])) }
                        }
                        Err(error) => Err(error),
                    },
                }
            }
            Act::Stress(stress) => stress.look(cluster).await,
            Act::Change { change, effect } => look::changed(cluster, change, effect).await,
        };
        looked.unwrap_or_else(|error| Look::not(error.to_string(), vec![]))
    }
}

fn pods(cluster: &Cluster, pod: &ObjectRef) -> Api<Pod> {
    Api::namespaced(cluster.client(), pod.namespace.as_deref().unwrap_or_default())
}

/// A plain delete, which is past any disruption budget. Asked for again where
/// the answer was lost: by its UID, no pod is killed twice.
async fn kill(cluster: &Cluster, pod: &ObjectRef, grace_seconds: u32) -> Result<(), ClusterError> {
    let only = Preconditions { uid: Some(pod.uid.clone()), resource_version: None };
    let how = DeleteParams {
        grace_period_seconds: Some(grace_seconds),
        preconditions: Some(only),
        ..DeleteParams::default()
    };
    let tries = Tries::begin();
    let mut again = false;
    loop {
        let answer = call(format!("delete {pod}"), pods(cluster, pod).delete(&pod.name, &how)).await;
        match answer {
            Ok(_) => return Ok(()),
            Err(error) if error.is_absence() || error.is_conflict() => {
                // It went by the first of our calls, or by somebody else's.
                let why = format!("{pod} is gone already ({error})");
                return if again { Ok(()) } else { Err(ClusterError::Unfit(why)) };
            }
            Err(error) if tries.again(&error).await => again = true,
            Err(error) => return Err(error),
        }
    }
}

/// Whether the eviction was accepted (or is not needed any more).
async fn evict(cluster: &Cluster, pod: &ObjectRef) -> Result<bool, ClusterError> {
    let only = Preconditions { uid: Some(pod.uid.clone()), resource_version: None };
    let delete = DeleteParams { preconditions: Some(only), ..DeleteParams::default() };
    let how = EvictParams { delete_options: Some(delete), ..EvictParams::default() };
    match call(format!("evict {pod}"), pods(cluster, pod).evict(&pod.name, &how)).await {
        Ok(_) => Ok(true),
        Err(ClusterError::Refused { code: 429, .. }) => Ok(false),
        Err(error) if error.is_absence() || error.is_conflict() => Ok(true),
        Err(error) => Err(error),
    }
}
