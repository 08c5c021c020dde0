//! The driver of faults on a fault proxy's links: what is broken is the way
//! to a service, whatever the service is.

use indexmap::IndexMap;

use super::{
    ProxyClient,
    fault::LinkToxic,
    network::{Planned, check_link, of_effects, of_link, tag},
    own::LINK,
};
use crate::{
    api_client::ClientError,
    chaos::{
        driver::{ChaosError, Driver, Order, Proof},
        look::{Look, Timing, all_parts},
        undo::Undo,
    },
    clock::Clock,
    plan::model::{PlannedAction, Pod},
    scenario::chaos::Chaos,
    units::{PodName, Seen},
};

/// The namespace that links count as being in.
const NAMESPACE: &str = "default";

/// The driver of one proxy. A link is selected as if it were a pod of its
/// name, with the label `app` of that name.
#[derive(Debug, Clone)]
pub struct ProxyDriver {
    proxy: ProxyClient,
    tag: String,
}

/// A fault on links.
#[derive(Debug)]
pub struct ProxyFault(Vec<(LinkToxic, Timing)>);

impl ProxyDriver {
    /// A driver of this proxy's links.
    pub fn new(proxy: ProxyClient) -> Self {
        Self { proxy, tag: tag() }
    }
}

impl Driver for ProxyDriver {
    type Fault = ProxyFault;

    fn name(&self) -> &'static str {
        "proxy"
    }

    async fn pods(&self) -> Result<Vec<Pod>, ChaosError> {
        Ok(self.proxy.links().await?.into_iter().map(|link| pod(link.name)).collect())
    }

    async fn leftovers(&self) -> Result<Vec<String>, ChaosError> {
        let links = self.proxy.links().await?;
        let toxics = links.iter().flat_map(|link| link.toxics.iter().map(move |toxic| (link, toxic)));
        let how = "take it off with `firedrill recover RUN`";
        Ok(toxics.map(|(link, toxic)| format!("link {} has toxic {}: {how}", link.name, toxic.id)).collect())
    }

    fn supports(&self, chaos: &Chaos, _: &str, _: &[Pod]) -> Result<(), ChaosError> {
        can(chaos)
    }

    async fn rehearse(&self, order: Order<'_>, _: &[Pod]) -> Result<(), ChaosError> {
        self.toxics(&order).map(drop)
    }

    async fn prepare(&self, order: Order<'_>) -> Result<ProxyFault, ChaosError> {
        let toxics = self.toxics(&order)?;
        Ok(ProxyFault(toxics.into_iter().map(|toxic| (toxic, Timing::default())).collect()))
    }

    fn undo(&self, fault: &ProxyFault) -> Vec<Undo> {
        fault.0.iter().map(|(toxic, _)| toxic.undo(&self.proxy)).collect()
    }

    async fn inject(&self, fault: &mut ProxyFault, clock: Clock) -> Result<(), ChaosError> {
        for (toxic, timing) in &mut fault.0 {
            let asked = clock.now();
            toxic.inject(&self.proxy).await?;
            timing.placed(Seen { not_before: asked, by: clock.now() });
        }
        Ok(())
    }

    async fn prove(&self, fault: &mut ProxyFault, clock: Clock) -> Proof {
        let mut looks = Vec::with_capacity(fault.0.len());
        for (toxic, timing) in &mut fault.0 {
            let started = clock.now();
            let look = toxic.look(&self.proxy).await;
            let look = look.unwrap_or_else(|error: ClientError| Look::not(error.to_string(), vec![]));
            // A toxic knows itself when it first acted.
            let seen = timing.looked(&look, false, started, clock.now());
            looks.push((toxic.part, look, seen));
        }
        all_parts(looks)
    }
}

impl ProxyDriver {
    fn toxics(&self, order: &Order<'_>) -> Result<Vec<LinkToxic>, ChaosError> {
        let manifest = match order.action {
            PlannedAction::Fault(manifest) => manifest,
            PlannedAction::Deploy(_) | PlannedAction::Command(_) => {
                let why = "a proxy deploys nothing: deploy by a `command:`, or by `mlflow:`";
                return Err(ChaosError::Unsupported { what: "deploy".to_owned(), why: why.to_owned() });
            }
        };
        let planned = planned(&manifest.chaos)?;
        let on = |link: &Pod| {
            let toxic = |planned| LinkToxic::new(planned, &link.name, order, &self.tag);
            planned.iter().cloned().map(toxic).collect::<Vec<_>>()
        };
        Ok(order.targets.iter().flat_map(on).collect())
    }
}

/// Whether a proxy can do this.
pub(in crate::chaos) fn can(chaos: &Chaos) -> Result<(), ChaosError> {
    planned(chaos).map(drop)
}

/// The toxics of a fault for each link that it hits.
fn planned(chaos: &Chaos) -> Result<Vec<Planned>, ChaosError> {
    match chaos {
        Chaos::NetworkChaos(spec) if spec.target.is_some() => {
            Err(ChaosError::unsupported(chaos, "a link has one peer, so `target` can't choose any"))
        }
        Chaos::NetworkChaos(spec) => of_effects(spec),
        Chaos::LinkChaos(spec) => {
            check_link(chaos, &spec.action)?;
            Ok(vec![of_link(&spec.action)])
        }
        Chaos::Custom(custom) => Err(ChaosError::unsupported(chaos, custom.only_on_a_cluster())),
        Chaos::PodChaos(_)
        | Chaos::GpuChaos(_)
        | Chaos::KubernetesChaos(_)
        | Chaos::StressChaos(_)
        | Chaos::Schedule(_) => {
            let why = "a proxy can only break the way to a service: use NetworkChaos or LinkChaos";
            Err(ChaosError::unsupported(chaos, why))
        }
    }
}

/// The link of a run's own proxy, to select from.
pub fn own_link() -> Pod {
    pod(LINK.to_owned())
}

fn pod(link: String) -> Pod {
    let labels = IndexMap::from([("app".to_owned(), link.clone())]);
    Pod::running(NAMESPACE, PodName(link), labels)
}
