//! Chaos Mesh's network faults, and link faults, as toxics.

use std::time::{SystemTime, UNIX_EPOCH};

use super::api::{Stream, Toxic};
use crate::{
    chaos::driver::ChaosError,
    scenario::chaos::{Chaos, Direction, LinkAction, NetworkChaos, NetworkEffect},
    units::Span,
};

/// A toxic on one direction of a link, and which effect of the fault it is.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::chaos) struct Planned {
    pub(in crate::chaos) part: usize,
    pub(in crate::chaos) stream: Stream,
    pub(in crate::chaos) toxic: Toxic,
}

/// The toxics of a network fault.
pub(in crate::chaos) fn of_effects(spec: &NetworkChaos) -> Result<Vec<Planned>, ChaosError> {
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
                why: "TCP hides duplicates, so that it would not be observable on a proxy's links".to_owned(),
            });
        }
        NetworkEffect::Partition => Toxic::Partition,
        NetworkEffect::Bandwidth { bytes_per_second, .. } => {
            Toxic::Bandwidth { bytes_per_second: *bytes_per_second }
        }
    })
}

/// The toxic of a link fault: on answers.
pub(in crate::chaos) fn of_link(action: &LinkAction) -> Planned {
    let toxic = match action {
        LinkAction::Reset { after } => Toxic::ResetPeer { after_ms: ms(*after) },
        LinkAction::LimitData { bytes } => Toxic::LimitData { bytes: *bytes },
        LinkAction::Slice { bytes, delay } => Toxic::Slicer { average_size: *bytes, delay_ms: ms(*delay) },
    };
    Planned { part: 0, stream: Stream::Downstream, toxic }
}

/// Refuses what would do nothing.
pub(in crate::chaos) fn check_link(chaos: &Chaos, action: &LinkAction) -> Result<(), ChaosError> {
    match action {
        LinkAction::Slice { bytes: 0, .. } => Err(ChaosError::unsupported(chaos, "slices of 0 bytes")),
        LinkAction::Slice { .. } | LinkAction::Reset { .. } | LinkAction::LimitData { .. } => Ok(()),
    }
}

/// Tells the toxics of one driver from another's.
pub(in crate::chaos) fn tag() -> String {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    format!("{:x}{nanos:x}", std::process::id())
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

    fn chaos(effects: Vec<NetworkEffect>) -> NetworkChaos {
        let scope = Scope { selector: Selector::default(), mode: Mode::All };
        NetworkChaos { effects, scope, direction: Direction::Both, target: None, duration: None }
    }

    #[test]
    fn what_a_pod_sends_is_downstream() {
        let mut spec = chaos(vec![NetworkEffect::Partition]);
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
        let spec = chaos(vec![NetworkEffect::Corrupt { probability, correlation }]);
        let lossy = Toxic::Loss { probability: 0.25, correlation: 0.5 };
        assert!(of_effects(&spec).expect("supported").iter().all(|planned| planned.toxic == lossy));
        let spec = chaos(vec![NetworkEffect::Duplicate { probability, correlation }]);
        assert!(matches!(of_effects(&spec), Err(ChaosError::Unsupported { .. })));
    }
}
