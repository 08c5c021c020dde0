//! Which verbs on which resources a plan needs on its cluster: what a role
//! must allow, and what can be asked about beforehand.

use std::{collections::BTreeSet, fmt};

use super::Reach;
use crate::{
    plan::{Plan, model::PlannedAction},
    scenario::{
        chaos::{Chaos, KubernetesAction, PodAction},
        kubernetes::KubernetesTarget,
    },
};

/// One permission.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Need {
    /// In which namespace. None: in the whole cluster.
    pub namespace: Option<String>,
    /// Group of the API; empty: the core.
    pub group: &'static str,
    /// The resource, with its subresource: `pods`, `pods/eviction`.
    pub resource: &'static str,
    /// `get`, `list`, `watch`, `create`, `patch`, `delete`.
    pub verb: &'static str,
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = if self.group.is_empty() { String::new() } else { format!(".{}", self.group) };
        write!(f, "{} {}{group}", self.verb, self.resource)?;
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => f.write_str(" in the whole cluster"),
        }
    }
}

/// Resources of a namespace that a run's marks are looked for on.
const MARKED: [(&str, &str); 4] =
    [("", "pods"), ("", "services"), ("apps", "deployments"), ("apps", "statefulsets")];

/// All that a plan needs to be watched, done, proven and taken back. What is
/// only nice to have (finding a node's address where the Service has a `url`,
/// telling clusters apart) is not among it.
pub fn needs(plan: &Plan, target: &KubernetesTarget) -> BTreeSet<Need> {
    let reach = Reach::of(plan, target);
    let mut needs = Needs::default();
    for namespace in &reach.namespaces {
        needs.verbs(Some(namespace), "", "pods", &["get", "list", "watch"]);
        if !plan.timeline.is_empty() {
            for (group, resource) in MARKED {
                needs.verbs(Some(namespace), group, resource, &["list"]);
            }
        }
    }
    let home = &target.namespace;
    needs.verbs(Some(home), "", "services", &["get"]);
    needs.verbs(Some(home), "discovery.k8s.io", "endpointslices", &["list", "watch"]);
    if reach.node_labels {
        needs.verbs(None, "", "nodes", &["list"]);
    }
    for act in &plan.timeline {
        let manifest = match &act.action {
            PlannedAction::Deploy(_) => {
                needs.workloads(home);
                continue;
            }
            PlannedAction::Fault(manifest) => manifest,
        };
        let selector = &manifest.chaos.scope().selector;
        let own = [manifest.home().to_owned()];
        let namespaces: Vec<&String> = match (selector.pods.is_empty(), selector.namespaces.is_empty()) {
            (false, _) => selector.pods.keys().collect(),
            (true, false) => selector.namespaces.iter().collect(),
            (true, true) => own.iter().collect(),
        };
        for namespace in namespaces {
            needs.of(&manifest.chaos, namespace);
        }
    }
    needs.0
}

#[derive(Default)]
struct Needs(BTreeSet<Need>);

impl Needs {
    fn verbs(
        &mut self,
        namespace: Option<&str>,
        group: &'static str,
        resource: &'static str,
        verbs: &[&'static str],
    ) {
        let namespace = namespace.map(str::to_owned);
        self.0.extend(verbs.iter().map(|verb| Need { namespace: namespace.clone(), group, resource, verb }));
    }

    fn workloads(&mut self, namespace: &str) {
        for resource in ["deployments", "statefulsets"] {
            self.verbs(Some(namespace), "apps", resource, &["get", "patch"]);
        }
        self.verbs(Some(namespace), "apps", "replicasets", &["get"]);
    }

    fn of(&mut self, chaos: &Chaos, namespace: &str) {
        let at = Some(namespace);
        match chaos {
            Chaos::PodChaos(spec) => match spec.action {
                PodAction::PodKill { .. } => self.verbs(at, "", "pods", &["delete"]),
                PodAction::PodFailure => self.verbs(at, "", "pods", &["patch"]),
                PodAction::ContainerKill { .. } => {}
            },
            Chaos::KubernetesChaos(spec) => match spec.action {
                KubernetesAction::Scale { .. } | KubernetesAction::Rollout { .. } => {
                    self.workloads(namespace)
                }
                KubernetesAction::Cordon => self.verbs(None, "", "nodes", &["get", "list", "patch"]),
                KubernetesAction::Drain => {
                    self.verbs(None, "", "nodes", &["get", "list", "patch"]);
                    self.verbs(at, "", "pods/eviction", &["create"]);
                }
                KubernetesAction::Endpoints { .. } => {
                    self.verbs(at, "", "services", &["get", "patch"]);
                    self.verbs(at, "", "pods", &["patch"]);
                    self.verbs(at, "apps", "replicasets", &["get"]);
                    self.verbs(at, "apps", "statefulsets", &["get"]);
                    self.verbs(at, "discovery.k8s.io", "endpointslices", &["list"]);
                }
            },
            // These are refused.
            Chaos::NetworkChaos(_) | Chaos::GpuChaos(_) | Chaos::LinkChaos(_) | Chaos::Schedule(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{plan, scenario};

    #[test]
    fn a_plan_needs_what_its_faults_do_where_they_do_it() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/valid/kubernetes.yaml");
        let scenario = scenario::load(&path, &[]).expect("it reads").scenario;
        let scenario::model::Target::Kubernetes(target) = &scenario.target else { panic!("a cluster") };
        let plan = plan::resolve(&scenario, 1).expect("a plan");
        let all: Vec<String> = needs(&plan, target).iter().map(ToString::to_string).collect();
        for need in [
            "watch pods in serving",
            "patch deployments.apps in serving",
            "create pods/eviction in serving",
            "patch nodes in the whole cluster",
            "list endpointslices.discovery.k8s.io in serving",
        ] {
            assert!(all.iter().any(|one| one == need), "{need} in {all:#?}");
        }
        assert!(!all.iter().any(|one| one.starts_with("delete")), "nothing is killed: {all:#?}");
    }
}
