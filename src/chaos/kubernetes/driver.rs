//! The driver's side of a fault: each is done here step by step, by a tool's
//! controller, or by the fault proxy before a Service.

use std::collections::BTreeSet;

use super::{
    KubernetesDriver, KubernetesFault, OwnFault, Reach, custom, leftovers, pods,
    refused::{no_container_kill, no_image, refused},
    step::Step,
};
use crate::{
    chaos::{
        driver::{ChaosError, Driver, LastWord, Order, Proof},
        look::all_parts,
        proxy,
        undo::Undo,
    },
    clock::Clock,
    cluster::object::Kind,
    plan::model::{PlannedAction, Pod},
    scenario::{
        chaos::{Chaos, Manifest, PodAction},
        custom::CustomChaos,
    },
    units::Seen,
};

impl Driver for KubernetesDriver {
    type Fault = KubernetesFault;

    fn name(&self) -> &'static str {
        "kubernetes"
    }

    async fn leftovers(&self) -> Result<Vec<String>, ChaosError> {
        let Reach { namespaces, handed, created_in, deployed, .. } = &self.reach;
        // Of what this plan deploys and hands to tools: for more it needs no right.
        let kinds = Kind::MARKED.into_iter().filter(|kind| kind.is_built_in());
        let mut found = leftovers(&self.cluster, Some(namespaces), kinds).await?;
        for (kind, namespace) in deployed {
            let namespace = BTreeSet::from([namespace.clone()]);
            found.extend(leftovers(&self.cluster, Some(&namespace), [*kind]).await?);
        }
        found.extend(custom::leftovers(&self.cluster, handed, Some(created_in)).await?);
        let how = "take it back with `firedrill recover RUN`, or `firedrill recover --leftovers`";
        Ok(found.iter().map(|leftover| format!("{leftover}: {how}")).collect())
    }

    async fn pods(&self) -> Result<Vec<Pod>, ChaosError> {
        Ok(pods::list(&self.cluster, &self.reach).await?)
    }

    fn supports(&self, chaos: &Chaos, _: &str, _: &[Pod]) -> Result<(), ChaosError> {
        match chaos {
            Chaos::PodChaos(spec) => match spec.action {
                PodAction::PodKill { .. } | PodAction::PodFailure => Ok(()),
                PodAction::ContainerKill { .. } => Err(no_container_kill(chaos)),
            },
            Chaos::KubernetesChaos(_) | Chaos::Custom(_) => Ok(()),
            Chaos::StressChaos(_) if self.target.image.is_some() => Ok(()),
            Chaos::StressChaos(_) => Err(no_image(chaos)),
            Chaos::NetworkChaos(_) | Chaos::LinkChaos(_) if self.target.proxy.is_some() => proxy::can(chaos),
            Chaos::NetworkChaos(_) | Chaos::GpuChaos(_) | Chaos::LinkChaos(_) | Chaos::Schedule(_) => {
                Err(refused(chaos))
            }
        }
    }

    async fn rehearse(&self, order: Order<'_>, pods: &[Pod]) -> Result<(), ChaosError> {
        self.allowed(&order, pods, &BTreeSet::new())?;
        match handed(&order) {
            Some((manifest, chaos)) => {
                custom::rehearse(&self.cluster, &order, manifest, chaos, &self.mark(&order)).await
            }
            None if is_proxied(&order) => self.whole_service(&order, pods).await,
            None => {
                // What users wrote, the API server may refuse; better now than then.
                for step in self.steps(&order).await? {
                    step.rehearse(&self.cluster).await?;
                }
                Ok(())
            }
        }
    }

    async fn prepare(&self, order: Order<'_>) -> Result<KubernetesFault, ChaosError> {
        let mark = self.mark(&order);
        if let Some((manifest, chaos)) = handed(&order) {
            let pods = self.pods().await?;
            let fault = custom::prepare(&self.cluster, &order, manifest, chaos, mark, &pods).await?;
            self.reserve(&order, &pods)?;
            return Ok(KubernetesFault::Handed(fault));
        }
        if let Some(proxy) = self.proxy.as_ref().filter(|_| is_proxied(&order)) {
            let pods = self.pods().await?;
            self.whole_service(&order, &pods).await?;
            let links = proxy.pods().await?;
            let fault = proxy.prepare(Order { targets: &links, ..order }).await?;
            self.reserve(&order, &pods)?;
            return Ok(KubernetesFault::Proxied(fault));
        }
        let steps = self.steps(&order).await?;
        if let Some(idle) = steps.iter().find_map(Step::idle) {
            return Err(ChaosError::Unfit(format!("{idle} is so already: nothing would change")));
        }
        let pods = self.pods().await?;
        self.reserve(&order, &pods)?;
        Ok(KubernetesFault::Own(OwnFault { mark, steps }))
    }

    fn undo(&self, fault: &KubernetesFault) -> Vec<Undo> {
        match fault {
            KubernetesFault::Own(OwnFault { mark, steps }) => {
                steps.iter().filter_map(|step| step.undo(&self.cluster, mark)).collect()
            }
            KubernetesFault::Handed(fault) => vec![fault.undo(&self.cluster)],
            KubernetesFault::Proxied(fault) => {
                self.proxy.iter().flat_map(|proxy| proxy.undo(fault)).collect()
            }
        }
    }

    fn one_shot(&self, fault: &KubernetesFault) -> bool {
        match fault {
            KubernetesFault::Own(_) => self.undo(fault).is_empty(),
            KubernetesFault::Handed(fault) => fault.one_shot(),
            KubernetesFault::Proxied(_) => false,
        }
    }

    async fn inject(&self, fault: &mut KubernetesFault, clock: Clock) -> Result<(), ChaosError> {
        let (mark, steps) = match fault {
            KubernetesFault::Own(OwnFault { mark, steps }) => (mark, steps),
            KubernetesFault::Handed(fault) => return fault.inject(&self.cluster, clock).await,
            KubernetesFault::Proxied(fault) => {
                return match &self.proxy {
                    Some(proxy) => proxy.inject(fault, clock).await,
                    None => Ok(()),
                };
            }
        };
        for step in steps {
            let asked = clock.now();
            step.inject(&self.cluster, mark).await?;
            step.timing.placed(Seen { not_before: asked, by: clock.now() });
        }
        Ok(())
    }

    /// All of its steps must act; the effect is there with the first.
    async fn prove(&self, fault: &mut KubernetesFault, clock: Clock) -> Proof {
        let steps = match fault {
            KubernetesFault::Own(OwnFault { steps, .. }) => steps,
            KubernetesFault::Handed(fault) => return fault.prove(&self.cluster, clock).await,
            KubernetesFault::Proxied(fault) => {
                return match &self.proxy {
                    Some(proxy) => proxy.prove(fault, clock).await,
                    None => Proof::NotYet { why: "there is no proxy".to_owned(), proof: vec![] },
                };
            }
        };
        let mut looks = Vec::with_capacity(steps.len());
        for (part, step) in steps.iter_mut().enumerate() {
            let started = clock.now();
            let look = step.look(&self.cluster).await;
            let seen = step.timing.looked(&look, true, started, clock.now());
            looks.push((part, look, seen));
        }
        all_parts(looks)
    }

    async fn last_word(&self, fault: &KubernetesFault) -> LastWord {
        match fault {
            KubernetesFault::Own(_) | KubernetesFault::Proxied(_) => LastWord::None,
            KubernetesFault::Handed(fault) => fault.last_word(&self.cluster).await,
        }
    }
}

/// What is to be handed to a tool, if so.
fn handed<'a>(order: &Order<'a>) -> Option<(&'a Manifest, &'a CustomChaos)> {
    match order.action {
        PlannedAction::Fault(manifest) => match &manifest.chaos {
            Chaos::Custom(chaos) => Some((manifest, chaos)),
            _ => None,
        },
        PlannedAction::Deploy(_) | PlannedAction::Command(_) => None,
    }
}

/// Whether it is one for a fault proxy.
fn is_proxied(order: &Order<'_>) -> bool {
    match order.action {
        PlannedAction::Fault(manifest) => {
            matches!(manifest.chaos, Chaos::NetworkChaos(_) | Chaos::LinkChaos(_))
        }
        PlannedAction::Deploy(_) | PlannedAction::Command(_) => false,
    }
}
