//! What was done, and by whom what was noticed, in plain words.

use super::mechanism::Mechanism;
use crate::{
    plan::model::PlannedAction,
    scenario::chaos::{Chaos, KubernetesAction, LinkAction, NetworkEffect, PodAction},
    units::PodName,
    verdict::{facts::Facts, model::Cause},
};

/// Targets that are named; more are counted.
const NAMED: usize = 2;

/// `network delay on replica-0 (slow)`, `the rollout of v2 (bad)`, `the start of
/// spike`.
pub(super) fn cause(facts: &Facts<'_>, cause: &Cause) -> String {
    let id = match cause {
        Cause::Act(id) => id,
        Cause::Phase(phase) => return format!("the start of `{phase}`"),
    };
    let targets = facts.faults.get(id).map_or(&[][..], |history| history.targets);
    match facts.act(id).map(|act| &act.action) {
        Some(PlannedAction::Fault(manifest)) => format!("{}{} (`{id}`)", fault(&manifest.chaos), on(targets)),
        Some(PlannedAction::Deploy(deploy)) => format!("the rollout of {} (`{id}`)", deploy.version),
        Some(PlannedAction::Command(command)) => {
            format!("the command {}{} (`{id}`)", command.run.name(), on(targets))
        }
        None => format!("`{id}`"),
    }
}

fn on(targets: &[PodName]) -> String {
    match targets {
        [] => String::new(),
        few if few.len() <= NAMED => {
            let names: Vec<&str> = few.iter().map(PodName::as_str).collect();
            format!(" on {}", names.join(" and "))
        }
        many => format!(" on {} targets", many.len()),
    }
}

/// What came to an end. None: it has no end.
pub(super) fn ends(facts: &Facts<'_>, cause: &Cause) -> Option<&'static str> {
    match cause {
        Cause::Phase(_) => Some("the phase"),
        Cause::Act(id) => facts.lasts(Some(id)).then_some("the fault"),
    }
}

fn fault(chaos: &Chaos) -> String {
    let words = match chaos {
        Chaos::PodChaos(spec) => match spec.action {
            PodAction::PodKill { .. } => "a pod kill",
            PodAction::PodFailure => "a pod failure",
            PodAction::ContainerKill { .. } => "a container kill",
        },
        Chaos::NetworkChaos(spec) => match spec.effects.as_slice() {
            [NetworkEffect::Delay { .. }] => "network delay",
            [NetworkEffect::Loss { .. }] => "packet loss",
            [NetworkEffect::Duplicate { .. }] => "duplicate packets",
            [NetworkEffect::Corrupt { .. }] => "corrupt packets",
            [NetworkEffect::Partition] => "a network partition",
            [NetworkEffect::Bandwidth { .. }] => "a bandwidth limit",
            _ => "network trouble",
        },
        Chaos::Schedule(spec) => return fault(&spec.template),
        Chaos::GpuChaos(_) => "a GPU slowdown",
        Chaos::LinkChaos(spec) => match spec.action {
            LinkAction::Reset { .. } => "connection resets",
            LinkAction::LimitData { .. } => "answers that were cut off",
            LinkAction::Slice { .. } => "data in small slices",
        },
        Chaos::KubernetesChaos(spec) => match spec.action {
            KubernetesAction::Scale { .. } => "a change of the replica count",
            KubernetesAction::Cordon => "a node cordon",
            KubernetesAction::Drain => "a node drain",
            KubernetesAction::Rollout { .. } => "a rollout",
            KubernetesAction::Endpoints { .. } => "a loss of endpoints",
        },
        Chaos::StressChaos(spec) => match (spec.stressors.cpu, spec.stressors.memory) {
            (Some(_), Some(_)) => "CPU and memory stress",
            (None, Some(_)) => "memory stress",
            (Some(_) | None, None) => "CPU stress",
        },
        Chaos::Custom(spec) => return format!("{} {}", spec.object.name(), spec.action),
    };
    words.to_owned()
}

impl Mechanism<'_> {
    /// Who did what first, and the same as an infinitive.
    pub(super) fn deed(self) -> (String, &'static str, &'static str) {
        let (who, did, to_do) = match self {
            Self::Breaker(_) => ("the circuit breaker", "opened", "open"),
            Self::Cache(_) => ("the cache", "answered", "answer"),
            Self::Fallback(_) => ("the fallback", "answered", "answer"),
            Self::Shedding(_) => ("load shedding", "began", "begin"),
            Self::Retries(_) => ("the first retry", "was made", "be made"),
            Self::Failover(_) => ("a stand-in", "answered", "answer"),
            Self::Autoscaling(_) => ("an additional replica", "was ready", "be ready"),
            Self::Rollback(_) => ("the rollback", "began", "begin"),
            Self::Promotion(_) => ("the promotion", "was done", "be done"),
            Self::Probes(_) | Self::Pods(_) => ("the loss of the pod", "was noticed", "be noticed"),
            Self::Recovery(_) => ("the service", "reacted", "react"),
            Self::Alert(e) => return (format!("the alert {}", e.name), "fired", "fire"),
            Self::Metric(e) => {
                let wanted = e.must.map(|must| format!(" (wanted {must})")).unwrap_or_default();
                return (format!("{}{wanted}", e.source), "left its range", "leave its range");
            }
        };
        (who.to_owned(), did, to_do)
    }
}
