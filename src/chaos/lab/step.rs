//! One thing that is done to one pod (or to the rollout), and how it is seen.

use std::net::SocketAddr;

use super::{
    look::{self, Process},
    proof::{self, Steps},
};
use crate::{
    chaos::{
        driver::ChaosError,
        look::{Look, Timing},
        proxy::fault::LinkToxic,
        undo::Undo,
    },
    lab::{
        api::{DeployRequest, PodStatus},
        client::{ClientError, LabClient},
    },
    scenario::model::Deploy,
    units::{PodName, RunTime, Seen},
};

/// A step and when it was done.
#[derive(Debug)]
pub(super) struct LabStep {
    act: Act,
    pub(super) timing: Timing,
}

#[derive(Debug)]
enum Act {
    /// `old` is the process that must end.
    Kill {
        pod: PodName,
        grace_seconds: u64,
        old: Process,
    },
    KillContainer {
        pod: PodName,
        old: Process,
        restarts: u32,
    },
    Fail {
        pod: PodName,
        old: Process,
    },
    Toxic(LinkToxic),
    Slow {
        pod: PodName,
        address: SocketAddr,
        factor: f64,
        before: Option<Steps>,
        at: Option<Steps>,
    },
    Deploy {
        request: DeployRequest,
        pods: Vec<PodName>,
    },
}

impl Act {
    /// Whether it shows as soon as it acts, so that a look that does not see
    /// it came before. A slow GPU shows only after some steps, and a toxic
    /// knows itself when it first acted.
    fn is_seen_at_once(&self) -> bool {
        match self {
            Self::Kill { .. } | Self::KillContainer { .. } | Self::Fail { .. } | Self::Deploy { .. } => true,
            Self::Toxic(_) | Self::Slow { .. } => false,
        }
    }
}

/// A part of a fault that must be seen to act.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Part {
    /// One of several effects, on any pod.
    Effect(usize),
    /// What happens to this pod.
    Pod(PodName),
}

fn process(status: &PodStatus) -> Result<Process, ChaosError> {
    match (status.pid, status.address) {
        (Some(pid), Some(address)) => Ok(Process { pid, address }),
        _ => Err(ChaosError::Unfit(format!("{} has no process ({})", status.name, status.phase))),
    }
}

impl From<Act> for LabStep {
    fn from(act: Act) -> Self {
        Self { act, timing: Timing::default() }
    }
}

impl LabStep {
    pub(super) fn kill(status: &PodStatus, grace_seconds: u64) -> Result<Self, ChaosError> {
        Ok(Act::Kill { pod: status.name.clone(), grace_seconds, old: process(status)? }.into())
    }

    pub(super) fn kill_container(status: &PodStatus) -> Result<Self, ChaosError> {
        let old = process(status)?;
        Ok(Act::KillContainer { pod: status.name.clone(), old, restarts: status.restarts }.into())
    }

    pub(super) fn fail(status: &PodStatus) -> Result<Self, ChaosError> {
        Ok(Act::Fail { pod: status.name.clone(), old: process(status)? }.into())
    }

    pub(super) fn toxic(toxic: LinkToxic) -> Self {
        Act::Toxic(toxic).into()
    }

    pub(super) fn slow(status: &PodStatus, address: SocketAddr, factor: f64, before: Option<Steps>) -> Self {
        Act::Slow { pod: status.name.clone(), address, factor, before, at: None }.into()
    }

    pub(super) fn deploy(deploy: &Deploy, pods: Vec<PodStatus>) -> Self {
        let request = DeployRequest { version: deploy.version.clone(), defect: deploy.defect };
        Act::Deploy { request, pods: pods.into_iter().map(|pod| pod.name).collect() }.into()
    }

    /// What must be seen: of the steps of one part, one that acts is enough
    /// (a pod may get no traffic); all parts must act.
    pub(super) fn part(&self) -> Part {
        match &self.act {
            Act::Toxic(toxic) => Part::Effect(toxic.part),
            Act::Kill { pod, .. } | Act::KillContainer { pod, .. } | Act::Fail { pod, .. } => {
                Part::Pod(pod.clone())
            }
            Act::Slow { .. } | Act::Deploy { .. } => Part::Effect(0),
        }
    }

    pub(super) fn undo(&self, client: &LabClient) -> Option<Undo> {
        let lab = client.addresses();
        match &self.act {
            Act::Toxic(toxic) => Some(toxic.undo(&client.proxy())),
            Act::Fail { pod, .. } => Some(Undo::Failure { lab, pod: pod.clone() }),
            Act::Slow { pod, address, .. } => {
                Some(Undo::Slowdown { lab, pod: pod.clone(), address: *address })
            }
            Act::Kill { .. } | Act::KillContainer { .. } | Act::Deploy { .. } => None,
        }
    }

    pub(super) async fn inject(&mut self, lab: &LabClient) -> Result<(), ClientError> {
        match &mut self.act {
            Act::Kill { pod, grace_seconds, .. } => lab.delete_pod(pod, *grace_seconds).await,
            Act::KillContainer { pod, .. } => lab.kill_container(pod).await,
            Act::Fail { pod, .. } => lab.fail_pod(pod).await,
            Act::Toxic(toxic) => toxic.inject(&lab.proxy()).await,
            Act::Slow { pod, address, factor, at, .. } => {
                lab.slow_down(pod, *factor).await?;
                *at = proof::steps(&lab.metrics(*address).await?);
                Ok(())
            }
            Act::Deploy { request, .. } => lab.deploy(request).await,
        }
    }

    /// Remembers what a look saw that was begun at `started`. Some: it acts
    /// now, and since when.
    pub(super) fn looked(&mut self, look: &Look, started: RunTime, now: RunTime) -> Option<Seen> {
        self.timing.looked(look, self.act.is_seen_at_once(), started, now)
    }

    /// Looks for its effect.
    pub(super) async fn look(&self, lab: &LabClient) -> Look {
        let looked = match &self.act {
            Act::Kill { pod, grace_seconds, old } => look::killed(lab, pod, *grace_seconds, *old).await,
            Act::KillContainer { pod, old, restarts } => {
                look::container_killed(lab, pod, *old, *restarts).await
            }
            Act::Fail { pod, old } => look::failed(lab, pod, *old).await,
            Act::Toxic(toxic) => toxic.look(&lab.proxy()).await,
            Act::Slow { pod, address, factor, before, at, .. } => {
                let now = lab.metrics(*address).await.map(|metrics| proof::steps(&metrics));
                now.map(|now| look::slowed(pod, proof::slow_acts(*before, *at, now, *factor)))
            }
            Act::Deploy { request, pods } => look::deployed(lab, request, pods).await,
        };
        looked.unwrap_or_else(|error| Look::not(error.to_string(), vec![]))
    }
}
