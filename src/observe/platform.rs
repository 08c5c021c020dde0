//! The controller's pods and its rollout: what changed.

use indexmap::IndexMap;

use crate::{
    journal::event::Signal,
    lab::api::{PodStatus, RolloutStatus},
    units::{PodName, RolloutName},
};

/// What was last seen.
#[derive(Debug, Default)]
pub(super) struct Platform {
    pods: IndexMap<PodName, Signal>,
    rollout: Option<RolloutStatus>,
}

impl Platform {
    /// What changed since the last look; at the first look, everything.
    pub(super) fn changes(&mut self, pods: Vec<PodStatus>, rollout: RolloutStatus) -> Vec<Signal> {
        let pods: IndexMap<PodName, Signal> =
            pods.into_iter().map(|pod| (pod.name.clone(), of_pod(pod))).collect();
        let mut signals: Vec<Signal> = pods
            .iter()
            .filter(|(name, signal)| self.pods.get(*name) != Some(*signal))
            .map(|(_, signal)| signal.clone())
            .collect();
        let gone = self.pods.keys().filter(|name| !pods.contains_key(*name));
        signals.extend(gone.map(|name| Signal::PodGone { name: name.clone() }));
        self.pods = pods;
        if self.rollout.as_ref() != Some(&rollout) {
            signals.push(of_rollout(None, rollout.clone()));
            self.rollout = Some(rollout);
        }
        signals
    }
}

fn of_pod(pod: PodStatus) -> Signal {
    Signal::Pod {
        name: pod.name,
        phase: pod.phase,
        ready: pod.ready,
        version: Some(pod.version),
        restarts: pod.restarts,
    }
}

/// Where a rollout is, as a signal.
pub(super) fn of_rollout(of: Option<RolloutName>, rollout: RolloutStatus) -> Signal {
    let RolloutStatus { phase, stable, candidate, weight, reason } = rollout;
    Signal::Rollout { of, phase, stable, candidate, weight, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{journal::event::RolloutPhase, units::Version};

    fn pod(name: &str, ready: bool) -> PodStatus {
        PodStatus {
            name: PodName::from(name),
            namespace: "default".to_owned(),
            labels: IndexMap::new(),
            annotations: IndexMap::new(),
            node: "node-0".to_owned(),
            phase: "Running".to_owned(),
            ready,
            version: Version::from("v1"),
            restarts: 0,
            pid: None,
            address: None,
            link: None,
            last_exit: None,
        }
    }

    fn rollout(weight: f64) -> RolloutStatus {
        RolloutStatus {
            phase: RolloutPhase::Progressing,
            stable: Version::from("v1"),
            candidate: Some(Version::from("v2")),
            weight,
            reason: String::new(),
        }
    }

    #[test]
    fn changes_are_told_once() {
        let mut platform = Platform::default();
        assert_eq!(platform.changes(vec![pod("a", true), pod("b", true)], rollout(0.1)).len(), 3);
        assert_eq!(platform.changes(vec![pod("a", true), pod("b", true)], rollout(0.1)), []);
        let signals = platform.changes(vec![pod("a", false), pod("c", false)], rollout(0.2));
        assert_eq!(signals.len(), 4, "a is not ready, c is new, b is gone, the weight: {signals:?}");
        assert!(signals.contains(&Signal::PodGone { name: PodName::from("b") }));
        assert!(platform.changes(vec![pod("a", false), pod("c", false)], rollout(0.2)).is_empty());
    }
}
