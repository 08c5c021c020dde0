//! The driver of faults on a cluster that needs nothing there but its API
//! server: no agent, no custom resources.

mod change;
mod containers;
pub(super) mod custom;
mod driver;
mod edit;
pub mod interposed;
mod leftovers;
mod look;
mod needs;
mod pods;
mod refused;
mod rights;
mod role;
mod safety;
mod step;
pub(super) mod stress;
mod workload;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::json;

pub use self::{
    change::{Change, Mark},
    leftovers::{Leftover, clear, leftovers},
    needs::{Need, Needs, Why, needs},
    pods::{Reach, list as list_pods},
    rights::{Gaps, gaps},
    role::{Account, role},
};
use self::{
    custom::CustomFault,
    edit::{Edit, Place},
    refused::{no_container_kill, no_image, refused},
    safety::PodKey,
    step::{Effect, Step},
    stress::Stress,
};
pub(crate) use self::{pods::is_ready, workload::deployed};
use super::{
    driver::{ChaosError, Order},
    proxy::{ProxyDriver, ProxyFault},
};
use crate::{
    cluster::{
        Cluster, ClusterError, RUN_LABEL,
        custom::CustomRef,
        object::{Kind, ObjectRef},
        run_label,
    },
    journal::event::Evidence,
    plan::{
        Plan,
        model::{PlannedAction, Pod},
    },
    scenario::{
        chaos::{Chaos, KubernetesAction, PodAction},
        kubernetes::KubernetesTarget,
    },
    units::FaultId,
};

/// How long pods that were killed count as hit, at least: their replacements
/// are not ready before.
const HIT_FOR: Duration = Duration::from_secs(10);

/// The driver for one run on one cluster.
#[derive(Debug, Clone)]
pub struct KubernetesDriver {
    cluster: Cluster,
    target: KubernetesTarget,
    reach: Reach,
    run: String,
    /// The fault proxy before a Service, once it is there.
    proxy: Option<ProxyDriver>,
    /// Pods that faults have or are about to hit, and until when.
    hit: Arc<Mutex<BTreeMap<PodKey, Instant>>>,
}

/// A fault on a cluster.
#[derive(Debug)]
pub enum KubernetesFault {
    /// Done here, step by step.
    Own(OwnFault),
    /// Done by a tool's controller.
    Handed(CustomFault),
    /// Done by the fault proxy before a Service.
    Proxied(ProxyFault),
}

/// What is changed on a cluster, and whose it is.
#[derive(Debug)]
pub struct OwnFault {
    mark: Mark,
    steps: Vec<Step>,
}

impl KubernetesDriver {
    /// A driver for the run of this name.
    pub fn new(cluster: Cluster, target: KubernetesTarget, plan: &Plan, run: &str) -> Self {
        let reach = Reach::of(plan, &target);
        Self { cluster, target, reach, run: run_label(run), proxy: None, hit: Arc::default() }
    }

    /// The same with a fault proxy before a Service; `upstream` is the Service
    /// that leads to the pods as that one did.
    pub fn through(mut self, proxy: ProxyDriver, upstream: &str) -> Self {
        self.target.lead_to(upstream);
        if let Some(to) = &mut self.target.proxy {
            to.service = Some(upstream.to_owned());
        }
        Self { proxy: Some(proxy), ..self }
    }

    /// A proxy stands before all pods of its Service: it can't hit some.
    async fn whole_service(&self, order: &Order<'_>, pods: &[Pod]) -> Result<(), ChaosError> {
        let Some(name) = self.target.proxied() else { return Ok(()) };
        let service =
            workload::object(&self.cluster, Kind::Service, Some(&self.target.namespace), name).await?;
        let selector = workload::selector(&service);
        let is_behind =
            |pod: &&Pod| pod.namespace == self.target.namespace && workload::selects(&selector, pod);
        let behind: BTreeSet<PodKey> = pods.iter().filter(is_behind).map(safety::key).collect();
        let chosen: BTreeSet<PodKey> = order.targets.iter().map(safety::key).collect();
        if behind == chosen {
            return Ok(());
        }
        let names = |keys: &BTreeSet<PodKey>| {
            keys.iter().map(|(_, name)| name.as_str()).collect::<Vec<_>>().join(", ")
        };
        Err(ChaosError::Unfit(format!(
            "the fault proxy stands before all pods of {} ({}), and this picks {}: select them all (`mode: all`)",
            service.at,
            names(&behind),
            names(&chosen)
        )))
    }

    fn mark(&self, order: &Order<'_>) -> Mark {
        Mark { run: self.run.clone(), fault: order.id.clone() }
    }

    /// What other faults hit now: by their marks, and by what this driver
    /// remembers.
    fn hit_now(&self, pods: &[Pod]) -> BTreeSet<PodKey> {
        let now = Instant::now();
        let mut hit = self.hit.lock().unwrap_or_else(PoisonError::into_inner);
        hit.retain(|_, until| *until > now);
        let marked = pods.iter().filter(|pod| pod.labels.contains_key(RUN_LABEL)).map(safety::key);
        hit.keys().cloned().chain(marked).collect()
    }

    fn allowed(&self, order: &Order<'_>, pods: &[Pod], hit: &BTreeSet<PodKey>) -> Result<(), ChaosError> {
        let mut problems = safety::forbidden(&self.target, &safety::taken(order, pods), pods, hit);
        problems.extend(safety::out_of_bounds(&self.target, order));
        if problems.is_empty() { Ok(()) } else { Err(ChaosError::Unfit(problems.join("; "))) }
    }

    /// Refuses what is not allowed, and notes who is hit otherwise.
    fn reserve(&self, order: &Order<'_>, pods: &[Pod]) -> Result<(), ChaosError> {
        self.allowed(order, pods, &self.hit_now(pods))?;
        let until = Instant::now() + order.ttl.unwrap_or(HIT_FOR).max(HIT_FOR);
        let mut hit = self.hit.lock().unwrap_or_else(PoisonError::into_inner);
        hit.extend(order.targets.iter().map(|pod| (safety::key(pod), until)));
        Ok(())
    }

    async fn steps(&self, order: &Order<'_>) -> Result<Vec<Step>, ChaosError> {
        let chaos = match order.action {
            PlannedAction::Deploy(deploy) => {
                let floor = self.target.healthy_floor;
                if let Some(stay) = deploy.patch.replicas.filter(|stay| *stay < floor) {
                    let why = format!("{stay} replicas would stay, and `healthy-floor` wants {floor}");
                    return Err(ChaosError::Unfit(why));
                }
                return Ok(vec![workload::deploy(&self.cluster, &self.target, deploy).await?]);
            }
            PlannedAction::Fault(manifest) => &manifest.chaos,
            PlannedAction::Command(command) => {
                return Err(ChaosError::Unfit(format!("`{}` is not run on the cluster", command.run)));
            }
        };
        let mut steps = Vec::new();
        match chaos {
            Chaos::PodChaos(spec) => match &spec.action {
                PodAction::PodKill { grace_period } => {
                    let kill = |pod: &Pod| Ok(Step::kill(reference(pod)?, *grace_period));
                    return order.targets.iter().map(kill).collect();
                }
                PodAction::PodFailure => {
                    for pod in order.targets {
                        steps.push(self.fail(pod).await?);
                    }
                }
                PodAction::ContainerKill { .. } => return Err(no_container_kill(chaos)),
            },
            Chaos::KubernetesChaos(spec) => match &spec.action {
                KubernetesAction::Scale { replicas } => {
                    for one in workload::of(&self.cluster, order.targets).await? {
                        steps.push(workload::scale(&one, *replicas)?);
                    }
                }
                KubernetesAction::Rollout { patch } => {
                    for one in workload::of(&self.cluster, order.targets).await? {
                        steps.push(workload::rollout(&one, patch)?);
                    }
                }
                KubernetesAction::Cordon => steps = self.cordon(order.targets).await?,
                KubernetesAction::Drain => {
                    steps = self.cordon(order.targets).await?;
                    for pod in order.targets {
                        steps.push(Step::evict(reference(pod)?));
                    }
                }
                KubernetesAction::Endpoints { service } => {
                    let service = service.as_deref().unwrap_or(&self.target.service);
                    steps = workload::detach(&self.cluster, order, service).await?;
                }
            },
            Chaos::StressChaos(spec) => {
                let image = self.target.image.as_deref().ok_or_else(|| no_image(chaos))?;
                for pod in order.targets {
                    let (at, mark) = (reference(pod)?, self.mark(order));
                    steps.push(Step::stress(Stress::new(at, &mark, image, spec.stressors, order.ttl)));
                }
            }
            Chaos::NetworkChaos(_)
            | Chaos::GpuChaos(_)
            | Chaos::LinkChaos(_)
            | Chaos::Schedule(_)
            | Chaos::Custom(_) => return Err(refused(chaos)),
        }
        Ok(steps)
    }

    /// Every container's image becomes one that does nothing.
    async fn fail(&self, pod: &Pod) -> Result<Step, ChaosError> {
        let object = reference(pod)?;
        let read = object.get(&self.cluster).await?;
        let read = read.ok_or_else(|| ChaosError::Unfit(format!("{object} is gone")))?;
        let edits = edit::containers(Kind::Pod, &read).into_iter().map(|(container, init)| {
            let place = Place::Image { container, init };
            let from = place.read(Kind::Pod, &read);
            Edit { place, from, to: json!(self.target.pause_image()) }
        });
        let edits = edits.collect();
        let before = containers::ids(&read);
        Ok(Step::change(Change { object, edits }, Effect::Stopped(before)))
    }

    /// The nodes of these pods take no new ones.
    async fn cordon(&self, pods: &[Pod]) -> Result<Vec<Step>, ChaosError> {
        let names: BTreeSet<&str> = pods.iter().map(|pod| pod.node.as_str()).collect();
        let mut steps = Vec::new();
        for name in names.into_iter().filter(|name| !name.is_empty()) {
            let node = workload::object(&self.cluster, Kind::Node, None, name).await?;
            let from = Place::Unschedulable.read(Kind::Node, &node.read);
            if from == json!(true) {
                return Err(ChaosError::Unfit(format!("{} is cordoned already", node.at)));
            }
            let edit = Edit { place: Place::Unschedulable, from, to: json!(true) };
            steps.push(Step::change(Change { object: node.at, edits: vec![edit] }, Effect::Said));
        }
        Ok(steps)
    }
}

fn reference(pod: &Pod) -> Result<ObjectRef, ChaosError> {
    let uid = pod.uid.clone().ok_or_else(|| ChaosError::Unfit(format!("{} has no UID", pod.name)))?;
    Ok(ObjectRef { kind: Kind::Pod, namespace: Some(pod.namespace.clone()), name: pod.name.0.clone(), uid })
}

impl From<ClusterError> for ChaosError {
    fn from(error: ClusterError) -> Self {
        Self::Cluster(error)
    }
}

/// Takes one change back, as what is written ahead says.
pub(super) async fn take_back(
    cluster: &Cluster,
    mark: &Mark,
    change: &Change,
) -> Result<Vec<Evidence>, ClusterError> {
    let (mut proof, before) = change.take_back(cluster, mark).await?;
    if change.object.kind == Kind::Pod {
        proof.extend(containers::runs_again(cluster, change, before).await?);
    }
    Ok(proof)
}

/// Deletes what was created for a run, and waits until it is gone.
pub(super) async fn delete(
    cluster: &Cluster,
    mark: &Mark,
    object: &CustomRef,
) -> Result<Vec<Evidence>, ClusterError> {
    let hung = |_: &serde_json::Value| format!("{object} is deleted, but something holds it");
    Ok(vec![custom::gone(cluster, mark, object, hung).await?])
}

/// What a person can do where that fails.
pub(super) fn by_hand(mark: &Mark, change: &Change) -> String {
    let Change { object, edits } = change;
    let namespace = object.namespace.as_ref().map(|name| format!(" -n {name}")).unwrap_or_default();
    let patches = edits.iter().map(|edit| edit.place.patch(object.kind, &edit.from));
    let patch = edit::together(patches);
    let how = if object.kind.is_built_in() { "" } else { " --type merge" };
    let FaultId(fault) = &mark.fault;
    format!(
        "kubectl{namespace} patch {} {}{how} --patch '{patch}' (fault {fault} of the run {})",
        object.kind.word(),
        object.name,
        mark.run
    )
}
