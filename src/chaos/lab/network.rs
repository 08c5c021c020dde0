//! Peers of network faults in the lab. A replica's only peer is the gateway,
//! so its link is all of its network.

use indexmap::IndexMap;

use crate::{
    chaos::{driver::ChaosError, proxy::network::of_effects},
    plan::{self, model::Pod},
    scenario::chaos::NetworkChaos,
    units::PodName,
};

/// The gateway as a pod, for selectors of peers.
fn gateway() -> Pod {
    let labels = IndexMap::from([("app".to_owned(), "gateway".to_owned())]);
    Pod { node: "node-0".to_owned(), ..Pod::running("platform", PodName::from("gateway"), labels) }
}

/// Refuses what the lab can't do, before anything is broken.
pub(super) fn check(spec: &NetworkChaos, namespace: &str, pods: &[Pod]) -> Result<(), ChaosError> {
    of_effects(spec)?;
    let Some(target) = &spec.target else { return Ok(()) };
    let mut peers = pods.to_vec();
    peers.push(gateway());
    if plan::candidates(&target.selector, namespace, &peers).is_empty() {
        return Err(ChaosError::Unfit(
            "its target selects no pod (in the lab: the replicas, and the gateway in namespace `platform`)"
                .to_owned(),
        ));
    }
    Ok(())
}

/// Whether its target, if it has one, selects the pods' only peer.
pub(super) fn has_peer(spec: &NetworkChaos, namespace: &str) -> bool {
    spec.target
        .as_ref()
        .is_none_or(|target| !plan::candidates(&target.selector, namespace, &[gateway()]).is_empty())
}

/// What is said when it does not.
pub(super) fn no_peer() -> String {
    "its target does not select the gateway (namespace `platform`, `app: gateway`), and the lab's pods speak to \
     nobody else"
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::chaos::{Direction, Mode, NetworkEffect, Scope, Selector};

    fn chaos(effects: Vec<NetworkEffect>, target: Option<&str>) -> NetworkChaos {
        let scope = |app: Option<&str>| Scope {
            selector: Selector {
                namespaces: vec!["default".to_owned(), "platform".to_owned()],
                label_selectors: app.map(|app| ("app".to_owned(), app.to_owned())).into_iter().collect(),
                ..Selector::default()
            },
            mode: Mode::All,
        };
        NetworkChaos {
            effects,
            scope: scope(None),
            direction: Direction::Both,
            target: target.map(|app| scope(Some(app))),
            duration: None,
        }
    }

    #[test]
    fn the_gateway_is_the_only_peer() {
        let gateway = chaos(vec![NetworkEffect::Partition], Some("gateway"));
        assert!(check(&gateway, "default", &[]).is_ok() && has_peer(&gateway, "default"));
        let nobody = chaos(vec![NetworkEffect::Partition], Some("redis"));
        assert!(check(&nobody, "default", &[]).is_err() && !has_peer(&nobody, "default"));
        assert!(has_peer(&chaos(vec![NetworkEffect::Partition], None), "default"));
    }
}
