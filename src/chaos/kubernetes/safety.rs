//! What a scenario allows on a cluster: which namespaces are out of bounds,
//! how many pods must stay, how many may be hit.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    chaos::driver::Order,
    plan::model::{PlannedAction, Pod},
    scenario::{
        chaos::{Chaos, KubernetesAction, NetworkEffect},
        kubernetes::KubernetesTarget,
    },
};

/// A pod by namespace and name.
pub(super) type PodKey = (String, String);

pub(super) fn key(pod: &Pod) -> PodKey {
    (pod.namespace.clone(), pod.name.0.clone())
}

/// The protected namespaces that an order would touch, in words.
pub(super) fn out_of_bounds(target: &KubernetesTarget, order: &Order<'_>) -> Vec<String> {
    let namespaces: BTreeSet<&str> = order.targets.iter().map(|pod| pod.namespace.as_str()).collect();
    let protected = namespaces.into_iter().filter(|namespace| target.protects(namespace));
    protected.map(|namespace| format!("the namespace {namespace} is protected")).collect()
}

/// The pods that an order takes away, as far as is known before: those that
/// it selects, or, of a workload that gets fewer replicas, as many as go.
pub(super) fn taken(order: &Order<'_>, pods: &[Pod]) -> Vec<Pod> {
    let chaos = match order.action {
        PlannedAction::Fault(manifest) => &manifest.chaos,
        PlannedAction::Deploy(_) | PlannedAction::Command(_) => return vec![],
    };
    let replicas = match chaos {
        Chaos::KubernetesChaos(spec) => match &spec.action {
            KubernetesAction::Scale { replicas } => Some(*replicas),
            KubernetesAction::Rollout { patch } => patch.replicas,
            // The pods stay.
            KubernetesAction::Cordon => return vec![],
            KubernetesAction::Drain | KubernetesAction::Endpoints { .. } => return order.targets.to_vec(),
        },
        // They serve on, if slower.
        Chaos::StressChaos(_) => return vec![],
        // Behind a proxy they serve on, if slower.
        Chaos::NetworkChaos(spec) if !spec.effects.contains(&NetworkEffect::Partition) => return vec![],
        Chaos::PodChaos(_)
        | Chaos::NetworkChaos(_)
        | Chaos::GpuChaos(_)
        | Chaos::LinkChaos(_)
        | Chaos::Schedule(_)
        | Chaos::Custom(_) => return order.targets.to_vec(),
    };
    // Another version comes pod by pod, at the workload's own pace.
    let Some(replicas) = replicas else { return vec![] };
    let workloads: BTreeSet<_> = order.targets.iter().map(|pod| (&pod.namespace, &pod.owner)).collect();
    let all = workloads.into_iter().flat_map(|workload| {
        pods.iter().filter(move |pod| (&pod.namespace, &pod.owner) == workload).skip(replicas as usize)
    });
    all.cloned().collect()
}

/// What of a fault on `chosen` is not allowed, in words; empty: nothing.
/// `pods` are all that there are, `hit` those that other faults have now.
pub(super) fn forbidden(
    target: &KubernetesTarget,
    chosen: &[Pod],
    pods: &[Pod],
    hit: &BTreeSet<PodKey>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let faulted: BTreeSet<PodKey> = hit.iter().cloned().chain(chosen.iter().map(key)).collect();
    // Pods that do the same work, by what keeps them there; a bare pod has
    // nobody beside it.
    let mut alike: BTreeMap<(&str, &str), (usize, usize)> = BTreeMap::new();
    for pod in pods {
        let Some(owner) = &pod.owner else { continue };
        let (left, taken) = alike.entry((&pod.namespace, owner)).or_default();
        if chosen.iter().any(|one| key(one) == key(pod)) {
            *taken += 1;
        } else if pod.ready && !faulted.contains(&key(pod)) {
            *left += 1;
        }
    }
    let floor = target.healthy_floor as usize;
    for ((namespace, owner), (left, taken)) in alike {
        if taken > 0 && left < floor {
            problems.push(format!(
                "{left} ready pods of {namespace}/{owner} would stay, and `healthy-floor` wants {floor}"
            ));
        }
    }
    if let Some(ceiling) = target.faulted_ceiling {
        let of: BTreeSet<&str> = chosen.iter().map(|pod| pod.namespace.as_str()).collect();
        let all = pods.iter().filter(|pod| of.contains(pod.namespace.as_str())).count();
        let most = ceiling.of(all);
        if faulted.len() > most {
            problems.push(format!(
                "{} pods would be hit at once, and `faulted-ceiling` ({ceiling} of {all}) allows {most}",
                faulted.len()
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::*;
    use crate::{
        scenario::kubernetes::PodLimit,
        units::{PodName, Ratio},
    };

    fn pod(namespace: &str, name: &str, owner: Option<&str>, ready: bool) -> Pod {
        Pod {
            name: PodName::from(name),
            namespace: namespace.to_owned(),
            labels: IndexMap::new(),
            annotations: IndexMap::new(),
            node: "node-1".to_owned(),
            phase: "Running".to_owned(),
            ready,
            uid: Some(format!("uid-{name}")),
            owner: owner.map(str::to_owned),
            node_labels: IndexMap::new(),
        }
    }

    fn three() -> Vec<Pod> {
        ["a", "b", "c"].map(|name| pod("serving", name, Some("Deployment/llm"), true)).to_vec()
    }

    fn target() -> KubernetesTarget {
        KubernetesTarget::new("serving", "gateway")
    }

    /// What an order on `targets` takes, and what of that is out of bounds.
    fn ordered(action: serde_json::Value, targets: &[Pod], pods: &[Pod]) -> (usize, Vec<String>) {
        let mut spec = serde_json::json!({ "selector": {}, "mode": "one" });
        crate::cluster::object::merge(&mut spec, action);
        let manifest = serde_json::json!({ "kind": "KubernetesChaos", "spec": spec });
        let action = PlannedAction::Fault(serde_json::from_value(manifest).expect("a manifest"));
        let order = Order { id: &"x".into(), action: &action, targets, ttl: None, seed: 1 };
        (taken(&order, pods).len(), out_of_bounds(&target(), &order))
    }

    #[test]
    fn a_protected_namespace_is_out_of_bounds_whatever_is_done() {
        let system = [pod("kube-system", "dns", None, true)];
        let (_, said) = ordered(serde_json::json!({ "action": "cordon" }), &system, &system);
        assert_eq!(said, ["the namespace kube-system is protected"]);
    }

    #[test]
    fn a_scale_takes_pods_that_nobody_selected() {
        let mut pods = three();
        pods.push(pod("serving", "d", Some("Deployment/other"), true));
        let takes = |action| ordered(action, &pods[..1], &pods).0;
        assert_eq!(takes(serde_json::json!({ "action": "scale", "replicas": 0 })), 3);
        assert_eq!(takes(serde_json::json!({ "action": "scale", "replicas": 2 })), 1);
        assert_eq!(takes(serde_json::json!({ "action": "scale", "replicas": 9 })), 0);
        assert_eq!(takes(serde_json::json!({ "action": "rollout", "image": "x" })), 0);
        assert_eq!(takes(serde_json::json!({ "action": "cordon" })), 0);
        assert_eq!(takes(serde_json::json!({ "action": "drain" })), 1);
    }

    #[test]
    fn the_floor_counts_ready_pods_of_the_same_workload_that_nothing_hits() {
        let pods = three();
        let none = BTreeSet::new();
        let hit = |count: usize, floor: u32, others: &BTreeSet<PodKey>, pods: &[Pod]| {
            let target = KubernetesTarget { healthy_floor: floor, ..target() };
            forbidden(&target, &pods[..count], pods, others).len()
        };
        assert_eq!(hit(2, 1, &none, &pods), 0);
        assert_eq!(hit(3, 1, &none, &pods), 1);
        assert_eq!(hit(3, 0, &none, &pods), 0);
        assert_eq!(hit(2, 2, &none, &pods), 1);
        // Another fault has the last one, or it is not ready.
        assert_eq!(hit(2, 1, &BTreeSet::from([key(&pods[2])]), &pods), 1);
        let mut unready = three();
        unready[2].ready = false;
        assert_eq!(hit(2, 1, &none, &unready), 1);
        // Pods of other workloads don't stand in.
        let mut mixed = three();
        mixed.push(pod("serving", "d", Some("Deployment/other"), true));
        assert_eq!(hit(3, 1, &none, &mixed), 1);
    }

    #[test]
    fn the_ceiling_counts_what_other_faults_hit() {
        let pods = three();
        let hit = |count: usize, limit: PodLimit, others: &[&Pod]| {
            let target = KubernetesTarget { healthy_floor: 0, faulted_ceiling: Some(limit), ..target() };
            let others = others.iter().map(|pod| key(pod)).collect();
            forbidden(&target, &pods[..count], &pods, &others).len()
        };
        assert_eq!(hit(1, PodLimit::Pods(1), &[]), 0);
        assert_eq!(hit(2, PodLimit::Pods(1), &[]), 1);
        assert_eq!(hit(1, PodLimit::Pods(1), &[&pods[2]]), 1);
        assert_eq!(hit(1, PodLimit::Pods(1), &[&pods[0]]), 0, "the same pod");
        assert_eq!(hit(1, PodLimit::Share(Ratio(0.5)), &[]), 0);
        assert_eq!(hit(2, PodLimit::Share(Ratio(0.5)), &[]), 1);
    }
}
