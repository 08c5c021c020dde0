//! Chaos Mesh's network faults as toxics. A replica's only peer is the
//! gateway, so its link is all of its network.

use indexmap::IndexMap;

use crate::{
    chaos::{
        driver::ChaosError,
        proxy::api::{Stream, Toxic},
    },
    plan::{self, model::Pod},
    scenario::chaos::{Direction, LinkAction, NetworkChaos, NetworkEffect},
    units::{PodName, Span},
};

/// A toxic on one direction of a link, and which effect of the fault it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Planned {
    pub(super) part: usize,
    pub(super) stream: Stream,
    pub(super) toxic: Toxic,
}

/// The gateway as a pod, for selectors of peers.
fn gateway() -> Pod {
    Pod {
        name: PodName::from("gateway"),
        namespace: "platform".to_owned(),
        labels: IndexMap::from([("app".to_owned(), "gateway".to_owned())]),
        annotations: IndexMap::new(),
        node: "node-0".to_owned(),
        phase: "Running".to_owned(),
        ready: true,
        uid: None,
        owner: None,
        node_labels: IndexMap::new(),
    }
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

/// The toxics of a network fault.
pub(super) fn of_effects(spec: &NetworkChaos) -> Result<Vec<Planned>, ChaosError> {
    // What a pod sends is what the link's client, the gateway, receives.
    let streams: &[Stream] = match spec.direction {
        Direction::To => &[Stream::Downstream],
        Direction::From => &[Stream::Upstream],
        Direction::Both => &[Stream::Downstream, Stream::Upstream],
    };
    let mut planned = Vec::new();
    for (part, effect) in spec.effects.iter().enumerate() {
        let toxic = of_effect(effect)?;
        planned.extend(streams.iter().map(|&stream| Planned { part, stream, toxic: toxic.clone() }));
    }
    Ok(planned)
}

fn of_effect(effect: &NetworkEffect) -> Result<Toxic, ChaosError> {
    Ok(match effect {
        NetworkEffect::Delay { latency, jitter, correlation } => {
            Toxic::Latency { latency_ms: ms(*latency), jitter_ms: ms(*jitter), correlation: correlation.0 }
        }
        // TCP's checksum drops what is garbled, so that it is lost.
        NetworkEffect::Loss { probability, correlation }
        | NetworkEffect::Corrupt { probability, correlation } => {
            Toxic::Loss { probability: probability.0, correlation: correlation.0 }
        }
        NetworkEffect::Duplicate { .. } => {
            return Err(ChaosError::Unsupported {
                what: "NetworkChaos duplicate".to_owned(),
                why: "TCP hides duplicates, so that it would not be observable on the lab's links".to_owned(),
            });
        }
        NetworkEffect::Partition => Toxic::Partition,
        NetworkEffect::Bandwidth { bytes_per_second, .. } => {
            Toxic::Bandwidth { bytes_per_second: *bytes_per_second }
        }
    })
}

/// The toxic of a link fault: on answers.
pub(super) fn of_link(action: &LinkAction) -> Planned {
    let toxic = match action {
        LinkAction::Reset { after } => Toxic::ResetPeer { after_ms: ms(*after) },
        LinkAction::LimitData { bytes } => Toxic::LimitData { bytes: *bytes },
        LinkAction::Slice { bytes, delay } => Toxic::Slicer { average_size: *bytes, delay_ms: ms(*delay) },
    };
    Planned { part: 0, stream: Stream::Downstream, toxic }
}

fn ms(span: Span) -> u64 {
    u64::try_from(span.0.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        scenario::chaos::{Mode, Scope, Selector},
        units::Ratio,
    };

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
    fn what_a_pod_sends_is_downstream() {
        let mut spec = chaos(vec![NetworkEffect::Partition], None);
        spec.direction = Direction::To;
        let streams = |spec: &NetworkChaos| -> Vec<_> {
            of_effects(spec).expect("supported").into_iter().map(|planned| planned.stream).collect()
        };
        assert_eq!(streams(&spec), [Stream::Downstream]);
        spec.direction = Direction::From;
        assert_eq!(streams(&spec), [Stream::Upstream]);
    }

    #[test]
    fn corruption_is_loss_and_duplicates_are_refused() {
        let (probability, correlation) = (Ratio(0.25), Ratio(0.5));
        let spec = chaos(vec![NetworkEffect::Corrupt { probability, correlation }], None);
        let lossy = Toxic::Loss { probability: 0.25, correlation: 0.5 };
        assert!(of_effects(&spec).expect("supported").iter().all(|planned| planned.toxic == lossy));
        let spec = chaos(vec![NetworkEffect::Duplicate { probability, correlation }], None);
        assert!(matches!(check(&spec, "default", &[]), Err(ChaosError::Unsupported { .. })));
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
