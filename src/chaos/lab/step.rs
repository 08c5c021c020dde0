//! One thing that is done to one pod (or to the rollout), and how it is seen.

use std::{net::SocketAddr, time::Duration};

use rand::RngExt;

use super::{
    evidence,
    network::Planned,
    proof::{self, Steps},
};
use crate::{
    chaos::{
        driver::{ChaosError, Order},
        proxy::api::{NewToxic, Stream},
        undo::Undo,
    },
    journal::event::{Evidence, RolloutPhase},
    lab::{
        api::{Addresses, DeployRequest, PodStatus, RolloutStatus},
        client::{ClientError, LabClient},
    },
    plan,
    scenario::model::Deploy,
    units::{PodName, RunTime, Seen},
};

/// A step and when it was done.
#[derive(Debug)]
pub(super) struct LabStep {
    act: Act,
    /// Between asking for it and the answer that it is done.
    placed: Option<Seen>,
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
    Toxic {
        pod: PodName,
        id: String,
        part: usize,
        toxic: NewToxic,
    },
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

/// A pod's process.
#[derive(Debug, Clone, Copy)]
struct Process {
    pid: u32,
    address: SocketAddr,
}

/// A part of a fault that must be seen to act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part<'a> {
    /// One of several effects, on any pod.
    Effect(usize),
    /// What happens to this pod.
    Pod(&'a PodName),
}

/// What was seen of a step.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) acts: bool,
    pub(super) missing: String,
    pub(super) evidence: Vec<Evidence>,
    /// Time from its being in place to its first effect, where that was measured.
    first: Option<Duration>,
}

impl Look {
    fn acts(evidence: Vec<Evidence>) -> Self {
        Self { acts: true, missing: String::new(), evidence, first: None }
    }

    fn not(missing: impl Into<String>, evidence: Vec<Evidence>) -> Self {
        Self { acts: false, missing: missing.into(), evidence, first: None }
    }
}

fn process(status: &PodStatus) -> Result<Process, ChaosError> {
    match (status.pid, status.address) {
        (Some(pid), Some(address)) => Ok(Process { pid, address }),
        _ => Err(ChaosError::Unfit(format!("{} has no process ({})", status.name, status.phase))),
    }
}

impl From<Act> for LabStep {
    fn from(act: Act) -> Self {
        Self { act, placed: None }
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

    pub(super) fn toxic(planned: Planned, status: &PodStatus, order: &Order<'_>, tag: &str) -> Self {
        let Planned { part, stream, toxic } = planned;
        let way = match stream {
            Stream::Upstream => "up",
            Stream::Downstream => "down",
        };
        // Some characters of an act's id mean something in a URL.
        let safe: String = order.id.as_str().replace(|c: char| !(c.is_ascii_alphanumeric() || c == '-'), "-");
        let id = format!("{safe}.{part}.{way}.{tag}");
        let seed =
            plan::stream(order.seed, &format!("chaos/{}/{}/{part}/{way}", order.id, status.name)).random();
        let ttl_ms = order.ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        let toxic = NewToxic { stream, toxic, ttl_ms, seed };
        Act::Toxic { pod: status.name.clone(), id, part, toxic }.into()
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
    pub(super) fn part(&self) -> Part<'_> {
        match &self.act {
            Act::Toxic { part, .. } => Part::Effect(*part),
            Act::Kill { pod, .. } | Act::KillContainer { pod, .. } | Act::Fail { pod, .. } => Part::Pod(pod),
            Act::Slow { .. } | Act::Deploy { .. } => Part::Effect(0),
        }
    }

    pub(super) fn undo(&self, lab: Addresses) -> Option<Undo> {
        match &self.act {
            Act::Toxic { pod, id, .. } => Some(Undo::Toxic { lab, link: pod.0.clone(), id: id.clone() }),
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
            Act::Toxic { pod, id, toxic, .. } => lab.put_toxic(pod.as_str(), id, toxic).await,
            Act::Slow { pod, address, factor, at, .. } => {
                lab.slow_down(pod, *factor).await?;
                *at = proof::steps(&lab.metrics(*address).await?);
                Ok(())
            }
            Act::Deploy { request, .. } => lab.deploy(request).await,
        }
    }

    pub(super) fn placed(&mut self, seen: Seen) {
        self.placed = Some(seen);
    }

    /// When the effect that was seen began, given when it was looked at.
    pub(super) fn effect(&self, look: &Look, looked: RunTime, now: RunTime) -> Seen {
        let placed = self.placed.unwrap_or(Seen { not_before: looked, by: now });
        match look.first {
            Some(first) => {
                // Whole milliseconds, rounded down.
                let by = placed.by + first + Duration::from_millis(1);
                Seen { not_before: placed.not_before + first, by: by.min(now) }
            }
            None => Seen { not_before: placed.not_before, by: now },
        }
    }

    /// Looks for its effect.
    pub(super) async fn look(&self, lab: &LabClient) -> Look {
        let looked = match &self.act {
            Act::Kill { pod, grace_seconds, old } => killed(lab, pod, *grace_seconds, *old).await,
            Act::KillContainer { pod, old, restarts } => container_killed(lab, pod, *old, *restarts).await,
            Act::Fail { pod, old } => failed(lab, pod, *old).await,
            Act::Toxic { pod, id, .. } => toxic(lab, pod, id).await,
            Act::Slow { pod, address, factor, before, at, .. } => {
                let now = lab.metrics(*address).await.map(|metrics| proof::steps(&metrics));
                now.map(|now| slowed(pod, proof::slow_acts(*before, *at, now, *factor)))
            }
            Act::Deploy { request, pods } => deployed(lab, request, pods).await,
        };
        looked.unwrap_or_else(|error| Look::not(error.to_string(), vec![]))
    }
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

async fn killed(
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

async fn container_killed(
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

async fn failed(lab: &LabClient, pod: &PodName, old: Process) -> Result<Look, ClientError> {
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

async fn toxic(lab: &LabClient, pod: &PodName, id: &str) -> Result<Look, ClientError> {
    let link = lab.link(pod.as_str()).await?;
    let Some(status) = link.toxics.iter().find(|toxic| toxic.id == id) else {
        return Ok(Look::not(format!("link {pod} does not list the toxic"), vec![]));
    };
    let figures = match status.affected + status.held + status.untouched {
        0 => "no traffic since the fault".to_owned(),
        _ => proof::figures(status),
    };
    let way = match status.stream {
        Stream::Upstream => "requests",
        Stream::Downstream => "answers",
    };
    let evidence = vec![evidence(format!("proxy link {pod} ({way})"), figures)];
    Ok(match proof::toxic_acts(&link, status) {
        Ok(()) => Look { first: status.first_affected_ms.map(Duration::from_millis), ..Look::acts(evidence) },
        Err(missing) => Look::not(missing, evidence),
    })
}

fn slowed(pod: &PodName, figures: Result<String, String>) -> Look {
    let source = format!("{pod} /metrics");
    match figures {
        Ok(figures) => Look::acts(vec![evidence(source, figures)]),
        Err(missing) => Look::not(format!("{pod}: {missing}"), vec![evidence(source, missing)]),
    }
}

async fn deployed(lab: &LabClient, request: &DeployRequest, before: &[PodName]) -> Result<Look, ClientError> {
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
