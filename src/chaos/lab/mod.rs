//! The driver of the lab's faults: signals to real processes through the
//! controller, toxics on real links through the proxy.

mod look;
mod network;
pub(super) mod proof;
mod step;

use indexmap::IndexMap;

use self::step::LabStep;
use super::{
    driver::{ChaosError, Driver, Order, Proof, evidence},
    look::all_parts,
    proxy::{
        fault::LinkToxic,
        network::{check_link, of_effects, of_link, tag},
    },
    undo::Undo,
};
use crate::{
    clock::Clock,
    lab::{
        api::{Addresses, PodStatus},
        client::{ClientError, LabClient},
    },
    plan::model::{PlannedAction, Pod},
    scenario::chaos::{Chaos, PodAction},
    units::Seen,
};

/// Where stress can be had.
const STRESS_ELSEWHERE: &str = "the lab's replicas compute nothing that could be slowed by it: a GPUChaos slows them, and a \
                                cluster's pods can be stressed";

/// The driver of one lab.
#[derive(Debug, Clone)]
pub struct LabDriver {
    lab: LabClient,
    /// Makes the ids of this driver's toxics its own, so that nobody takes
    /// another run's away.
    tag: String,
}

/// A fault on the lab.
#[derive(Debug)]
pub struct LabFault {
    steps: Vec<LabStep>,
    /// Why it can't have an effect, if so.
    idle: Option<String>,
}

impl LabDriver {
    /// A driver of the lab at these addresses.
    pub fn new(at: Addresses) -> Result<Self, ClientError> {
        Ok(Self { lab: LabClient::new(at)?, tag: tag() })
    }
}

impl Driver for LabDriver {
    type Fault = LabFault;

    fn name(&self) -> &'static str {
        "lab"
    }

    async fn pods(&self) -> Result<Vec<Pod>, ChaosError> {
        // A fault in a lab without links could not act.
        self.lab.proxy().links().await?;
        Ok(self.lab.pods().await?.into_iter().map(pod).collect())
    }

    fn supports(&self, chaos: &Chaos, namespace: &str, pods: &[Pod]) -> Result<(), ChaosError> {
        match chaos {
            Chaos::PodChaos(_) => Ok(()),
            Chaos::NetworkChaos(spec) => network::check(spec, namespace, pods),
            Chaos::GpuChaos(spec) if spec.slowdown > 1.0 => Ok(()),
            Chaos::GpuChaos(spec) => {
                Err(ChaosError::unsupported(chaos, format!("slowdown {} slows nothing down", spec.slowdown)))
            }
            Chaos::LinkChaos(spec) => check_link(chaos, &spec.action),
            Chaos::KubernetesChaos(_) => Err(ChaosError::unsupported(chaos, "the lab has no API server")),
            Chaos::Schedule(_) => Err(ChaosError::unsupported(chaos, "a schedule is unrolled by the plan")),
            Chaos::StressChaos(_) => Err(ChaosError::unsupported(chaos, STRESS_ELSEWHERE)),
            Chaos::Custom(custom) => Err(ChaosError::unsupported(chaos, custom.only_on_a_cluster())),
        }
    }

    async fn prepare(&self, order: Order<'_>) -> Result<LabFault, ChaosError> {
        let manifest = match order.action {
            PlannedAction::Deploy(deploy) => {
                let steps = vec![LabStep::deploy(deploy, self.lab.pods().await?)];
                return Ok(LabFault { steps, idle: None });
            }
            PlannedAction::Fault(manifest) => manifest,
            PlannedAction::Command(command) => {
                return Err(ChaosError::Unfit(format!("`{}` is not run by the lab", command.run)));
            }
        };
        let mut steps = Vec::new();
        let mut idle = None;
        for target in order.targets {
            let status = self.lab.pod(&target.name).await?;
            let toxic = |planned| LabStep::toxic(LinkToxic::new(planned, &target.name, &order, &self.tag));
            match &manifest.chaos {
                Chaos::PodChaos(spec) => steps.push(match &spec.action {
                    PodAction::PodKill { grace_period } => LabStep::kill(&status, *grace_period)?,
                    PodAction::ContainerKill { .. } => LabStep::kill_container(&status)?,
                    PodAction::PodFailure => LabStep::fail(&status)?,
                }),
                Chaos::NetworkChaos(spec) if !network::has_peer(spec, manifest.home()) => {
                    idle = Some(network::no_peer());
                }
                Chaos::NetworkChaos(spec) => steps.extend(of_effects(spec)?.into_iter().map(toxic)),
                Chaos::LinkChaos(spec) => steps.push(toxic(of_link(&spec.action))),
                Chaos::GpuChaos(spec) => steps.push(self.slow(&status, spec.slowdown).await?),
                Chaos::StressChaos(_) => {
                    return Err(ChaosError::unsupported(&manifest.chaos, STRESS_ELSEWHERE));
                }
                Chaos::Custom(custom) => {
                    return Err(ChaosError::unsupported(&manifest.chaos, custom.only_on_a_cluster()));
                }
                Chaos::KubernetesChaos(_) => {
                    return Err(ChaosError::unsupported(&manifest.chaos, "the lab has no API server"));
                }
                Chaos::Schedule(_) => {
                    return Err(ChaosError::unsupported(
                        &manifest.chaos,
                        "a schedule is unrolled by the plan",
                    ));
                }
            }
        }
        Ok(LabFault { steps, idle })
    }

    fn undo(&self, fault: &LabFault) -> Vec<Undo> {
        fault.steps.iter().filter_map(|step| step.undo(&self.lab)).collect()
    }

    async fn inject(&self, fault: &mut LabFault, clock: Clock) -> Result<(), ChaosError> {
        for step in &mut fault.steps {
            let asked = clock.now();
            step.inject(&self.lab).await?;
            step.timing.placed(Seen { not_before: asked, by: clock.now() });
        }
        Ok(())
    }

    async fn prove(&self, fault: &mut LabFault, clock: Clock) -> Proof {
        if let Some(why) = &fault.idle {
            return Proof::NotYet { why: why.clone(), proof: vec![] };
        }
        let mut looks = Vec::with_capacity(fault.steps.len());
        for step in &mut fault.steps {
            let started = clock.now();
            let look = step.look(&self.lab).await;
            let seen = step.looked(&look, started, clock.now());
            looks.push((step.part(), look, seen));
        }
        all_parts(looks)
    }
}

impl LabDriver {
    async fn slow(&self, status: &PodStatus, factor: f64) -> Result<LabStep, ChaosError> {
        let address =
            status.address.ok_or_else(|| ChaosError::Unfit(format!("{} has no process", status.name)))?;
        let before = proof::steps(&self.lab.metrics(address).await?);
        Ok(LabStep::slow(status, address, factor, before))
    }
}

fn pod(status: PodStatus) -> Pod {
    let PodStatus { name, namespace, labels, annotations, node, phase, ready, .. } = status;
    Pod {
        name,
        namespace,
        labels,
        annotations,
        node,
        phase,
        ready,
        uid: None,
        owner: None,
        node_labels: IndexMap::new(),
    }
}
