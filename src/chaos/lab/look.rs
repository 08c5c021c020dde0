//! How it is seen that a step acts: who is asked, and what is enough.

use std::net::SocketAddr;

use super::{evidence, proof};
use crate::{
    chaos::look::Look,
    journal::event::{Evidence, RolloutPhase},
    lab::{
        api::{DeployRequest, PodStatus, RolloutStatus},
        client::{ClientError, LabClient},
    },
    units::PodName,
};

/// A pod's process.
#[derive(Debug, Clone, Copy)]
pub(super) struct Process {
    pub(super) pid: u32,
    pub(super) address: SocketAddr,
}

/// A process that must be gone: by the kernel, and by nobody listening.
async fn ended(pod: &PodName, old: Process) -> Result<Vec<Evidence>, String> {
    if proof::is_alive(old.pid) {
        return Err(format!("{pod}: process {} is still there", old.pid));
    }
    if proof::accepts(old.address).await {
        return Err(format!("{pod}: somebody still listens on {}", old.address));
    }
    Ok(vec![
        evidence("kill(2)", format!("{pod}: no process {} any more", old.pid)),
        evidence("connect(2)", format!("{pod}: {} accepts no connection", old.address)),
    ])
}

/// How the controller says that a pod's process ended. None: not yet.
fn last_exit(
    status: Result<PodStatus, ClientError>,
    pod: &PodName,
    old: Process,
) -> Result<Option<String>, ClientError> {
    match status {
        Err(ClientError::NotFound { .. }) => Ok(Some(format!("{pod} is no longer listed"))),
        Err(error) => Err(error),
        Ok(status) if status.pid == Some(old.pid) => Ok(None),
        Ok(status) => Ok(status.last_exit.map(|exit| format!("{pod} ended with {exit}"))),
    }
}

pub(super) async fn killed(
    lab: &LabClient,
    pod: &PodName,
    grace_seconds: u64,
    old: Process,
) -> Result<Look, ClientError> {
    let Some(exit) = last_exit(lab.pod(pod).await, pod, old)? else {
        return Ok(Look::not(format!("the controller still lists process {} of {pod}", old.pid), vec![]));
    };
    let said = evidence("controller /pods", exit.clone());
    if grace_seconds == 0 && exit.contains(" ended with ") && !exit.ends_with("signal 9") {
        return Ok(Look::not(format!("{exit}, not signal 9"), vec![said]));
    }
    Ok(match ended(pod, old).await {
        Ok(mut evidence) => {
            evidence.insert(0, said);
            Look::acts(evidence)
        }
        Err(missing) => Look::not(missing, vec![said]),
    })
}

pub(super) async fn container_killed(
    lab: &LabClient,
    pod: &PodName,
    old: Process,
    restarts: u32,
) -> Result<Look, ClientError> {
    let status = lab.pod(pod).await?;
    let said = evidence(
        "controller /pods",
        format!(
            "{pod}: restarts {} (before {restarts}), last exit {}",
            status.restarts,
            status.last_exit.as_deref().unwrap_or("none")
        ),
    );
    if proof::is_alive(old.pid) {
        return Ok(Look::not(format!("{pod}: process {} is still there", old.pid), vec![said]));
    }
    if status.last_exit.as_deref() != Some("signal 9") {
        return Ok(Look::not(format!("{pod}: its process did not end by signal 9"), vec![said]));
    }
    Ok(Look::acts(vec![said, evidence("kill(2)", format!("{pod}: no process {} any more", old.pid))]))
}

pub(super) async fn failed(lab: &LabClient, pod: &PodName, old: Process) -> Result<Look, ClientError> {
    let status = lab.pod(pod).await?;
    let said = evidence("controller /pods", format!("{pod}: {}, ready {}", status.phase, status.ready));
    if status.ready {
        return Ok(Look::not(format!("{pod} still says that it is ready"), vec![said]));
    }
    Ok(match ended(pod, old).await {
        Ok(mut evidence) => {
            evidence.insert(0, said);
            Look::acts(evidence)
        }
        Err(missing) => Look::not(missing, vec![said]),
    })
}

pub(super) fn slowed(pod: &PodName, figures: Result<String, String>) -> Look {
    let source = format!("{pod} /metrics");
    match figures {
        Ok(figures) => Look::acts(vec![evidence(source, figures)]),
        Err(missing) => Look::not(format!("{pod}: {missing}"), vec![evidence(source, missing)]),
    }
}

pub(super) async fn deployed(
    lab: &LabClient,
    request: &DeployRequest,
    before: &[PodName],
) -> Result<Look, ClientError> {
    let rollout = lab.rollout().await?;
    let pods = lab.pods().await?;
    let RolloutStatus { phase, candidate, stable, weight, .. } = &rollout;
    let on_trial = candidate.as_ref() == Some(&request.version) && *weight > 0.0;
    let promoted = *phase == RolloutPhase::Promoted && *stable == request.version;
    let said = evidence(
        "controller /rollout",
        format!(
            "candidate {}, weight {:.0} %, stable {stable}",
            candidate.as_ref().map_or("none", |version| version.as_str()),
            weight * 100.0
        ),
    );
    if !on_trial && !promoted {
        return Ok(Look::not(format!("{} is no candidate with traffic", request.version), vec![said]));
    }
    let new: Vec<_> = pods
        .iter()
        .filter(|pod| pod.version == request.version && pod.ready && !before.contains(&pod.name))
        .map(|pod| pod.name.as_str())
        .collect();
    if new.is_empty() {
        return Ok(Look::not(format!("no new pod of {} is ready", request.version), vec![said]));
    }
    let ready = evidence("controller /pods", format!("{} of {} ready", new.join(", "), request.version));
    Ok(Look::acts(vec![said, ready]))
}
