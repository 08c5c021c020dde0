//! Which verbs on which resources a plan needs on its cluster: what a role
//! must allow, and what can be asked about beforehand.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use super::{Reach, workload::deployed};
use crate::{
    cluster::object::Kind,
    plan::{Plan, model::PlannedAction},
    scenario::{
        chaos::{Chaos, KubernetesAction, PodAction},
        custom::{CustomChaos, Tool},
        kubernetes::KubernetesTarget,
        model::Deploy,
    },
    units::FaultId,
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

/// What a permission is needed for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Why {
    /// To find where the Service is reached.
    Address,
    /// To observe.
    Signals,
    /// To choose pods.
    Choice,
    /// To put a fault proxy before a Service, and to tell it what to do.
    Proxy,
    /// To refuse to start over what other runs left.
    Leftovers,
    /// For an act: to do it, to prove it, to take it back. A schedule's acts
    /// have one id.
    Act(FaultId),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("address of the Service"),
            Self::Signals => f.write_str("signals"),
            Self::Choice => f.write_str("choice of pods"),
            Self::Proxy => f.write_str("the fault proxy"),
            Self::Leftovers => f.write_str("leftovers of other runs"),
            Self::Act(id) => write!(f, "chaos `{id}`"),
        }
    }
}

/// Several of them, in words.
pub(super) fn reasons<'a>(why: impl IntoIterator<Item = &'a Why>) -> String {
    let mut words: Vec<String> = Vec::new();
    let mut acts = 0;
    for one in why {
        match one {
            Why::Act(id) if acts > 0 => words.push(format!("`{id}`")),
            Why::Address | Why::Signals | Why::Choice | Why::Proxy | Why::Leftovers | Why::Act(_) => {
                words.push(one.to_string());
            }
        }
        acts += usize::from(matches!(one, Why::Act(_)));
    }
    words.join(", ")
}

/// Permissions, and what each is needed for.
pub type Needs = BTreeMap<Need, BTreeSet<Why>>;

/// All that a plan needs to be watched, done, proven and taken back. What is
/// only nice to have (telling clusters apart) is not among it.
pub fn needs(plan: &Plan, target: &KubernetesTarget) -> Needs {
    let reach = Reach::of(plan, target);
    let home = &target.namespace;
    let mut needs = Collector { all: Needs::new(), why: Why::Address };
    if target.url.is_none() {
        needs.verbs(Some(home), "", "services", &["get"]);
        // For the Service's node port.
        needs.verbs(None, "", "nodes", &["list"]);
    }
    needs.why = Why::Signals;
    for namespace in &reach.namespaces {
        for (group, resource) in [
            ("", "pods"),
            ("", "events"),
            ("apps", "deployments"),
            ("apps", "replicasets"),
            ("apps", "statefulsets"),
            ("autoscaling", "horizontalpodautoscalers"),
        ] {
            needs.verbs(Some(namespace), group, resource, &["list", "watch"]);
        }
    }
    if reach.nodes {
        needs.verbs(None, "", "nodes", &["list", "watch"]);
    }
    needs.verbs(Some(home), "discovery.k8s.io", "endpointslices", &["list", "watch"]);
    if plan.timeline.is_empty() {
        return needs.all;
    }
    needs.why = Why::Leftovers;
    for namespace in &reach.namespaces {
        let marked = Kind::MARKED.into_iter().filter(|kind| *kind != Kind::Node && kind.is_built_in());
        for kind in marked {
            needs.verbs(Some(namespace), kind.group(), kind.resource(), &["list"]);
        }
    }
    needs.why = Why::Choice;
    for namespace in &reach.namespaces {
        needs.verbs(Some(namespace), "", "pods", &["list"]);
    }
    if reach.node_labels {
        needs.verbs(None, "", "nodes", &["list"]);
    }
    if target.proxied().is_some() {
        needs.why = Why::Proxy;
        needs.verbs(Some(home), "", "services", &["get", "patch", "create", "delete"]);
        needs.verbs(Some(home), "apps", "deployments", &["get", "create", "delete"]);
        needs.verbs(Some(home), "", "pods", &["list"]);
        needs.verbs(Some(home), "discovery.k8s.io", "endpointslices", &["list"]);
        needs.verbs(Some(home), "", "pods/proxy", &["get", "update", "delete"]);
    }
    for act in &plan.timeline {
        needs.why = Why::Act(entry(&act.id));
        match &act.action {
            PlannedAction::Deploy(deploy) => {
                needs.deploy(deploy, deploy.namespace.as_deref().unwrap_or(home));
            }
            PlannedAction::Command(_) => {}
            PlannedAction::Fault(manifest) => {
                for namespace in manifest.namespaces() {
                    needs.of(&manifest.chaos, namespace);
                }
                if let Chaos::Custom(chaos) = &manifest.chaos {
                    needs.handed(chaos, manifest.home());
                }
            }
        }
    }
    needs.all
}

/// The scenario's entry that an act comes from: those of a schedule are
/// numbered.
fn entry(id: &FaultId) -> FaultId {
    id.as_str().split_once('#').map_or_else(|| id.clone(), |(entry, _)| FaultId::from(entry))
}

/// Needs, as they are found.
struct Collector {
    all: Needs,
    /// What those are for that are found now.
    why: Why,
}

impl Collector {
    fn verbs(
        &mut self,
        namespace: Option<&str>,
        group: &'static str,
        resource: &'static str,
        verbs: &[&'static str],
    ) {
        for verb in verbs {
            let need = Need { namespace: namespace.map(str::to_owned), group, resource, verb };
            self.all.entry(need).or_default().insert(self.why.clone());
        }
    }

    /// The workloads of pods: which kind they are is not known before.
    fn workloads(&mut self, namespace: &str) {
        for resource in ["deployments", "statefulsets"] {
            self.verbs(Some(namespace), "apps", resource, &["get", "patch"]);
        }
        self.verbs(Some(namespace), "apps", "replicasets", &["get"]);
    }

    fn deploy(&mut self, deploy: &Deploy, home: &str) {
        let at = Some(home);
        match deploy.of.as_ref().map(deployed) {
            Some(Some((Kind::Deployment, _))) => {
                self.verbs(at, "apps", "deployments", &["get", "patch"]);
                // Who looks after it is found among them.
                self.verbs(at, Kind::Canary.group(), Kind::Canary.resource(), &["list"]);
            }
            Some(Some((kind, _))) => {
                let (group, resource) = (kind.group(), kind.resource());
                self.verbs(at, group, resource, &["get", "patch"]);
                self.leftovers(at, group, resource);
            }
            // It is not on the cluster.
            Some(None) => {}
            None => {
                self.verbs(at, "", "services", &["get"]);
                self.verbs(at, "", "pods", &["list"]);
                self.workloads(home);
            }
        }
    }

    fn of(&mut self, chaos: &Chaos, namespace: &str) {
        let at = Some(namespace);
        match chaos {
            Chaos::PodChaos(spec) => match spec.action {
                PodAction::PodKill { .. } => self.verbs(at, "", "pods", &["get", "delete"]),
                PodAction::PodFailure => self.verbs(at, "", "pods", &["get", "patch"]),
                PodAction::ContainerKill { .. } => {}
            },
            Chaos::KubernetesChaos(spec) => match spec.action {
                KubernetesAction::Scale { .. } | KubernetesAction::Rollout { .. } => {
                    self.verbs(at, "", "pods", &["get"]);
                    self.workloads(namespace);
                }
                KubernetesAction::Cordon => self.cordon(),
                KubernetesAction::Drain => {
                    self.cordon();
                    self.verbs(at, "", "pods", &["get"]);
                    self.verbs(at, "", "pods/eviction", &["create"]);
                }
                KubernetesAction::Endpoints { .. } => {
                    // Which of the two is changed depends on the pods.
                    self.verbs(at, "", "services", &["get", "patch"]);
                    self.verbs(at, "", "pods", &["get", "list", "patch"]);
                    self.verbs(at, "apps", "replicasets", &["get"]);
                    self.verbs(at, "apps", "statefulsets", &["get"]);
                    self.verbs(at, "discovery.k8s.io", "endpointslices", &["list"]);
                }
            },
            Chaos::StressChaos(_) => {
                self.verbs(at, "", "pods", &["get"]);
                self.verbs(at, "", "pods/ephemeralcontainers", &["patch"]);
                self.verbs(at, "", "pods/proxy", &["get", "create"]);
            }
            Chaos::Custom(spec) if spec.takes_pods() => self.verbs(at, "", "pods", &["get"]),
            Chaos::Custom(_) => {}
            // These are refused.
            Chaos::NetworkChaos(_) | Chaos::GpuChaos(_) | Chaos::LinkChaos(_) | Chaos::Schedule(_) => {}
        }
    }

    /// The object itself, where it is created.
    fn handed(&mut self, chaos: &CustomChaos, home: &str) {
        let (at, group) = (Some(home), chaos.object.tool().group());
        self.verbs(at, group, chaos.object.resource(), &["get", "create", "delete"]);
        if chaos.object.tool() == Tool::Litmus {
            self.verbs(at, group, "chaosexperiments", &["get"]);
            self.verbs(at, group, "chaosresults", &["get", "delete"]);
        }
        self.leftovers(at, group, chaos.object.resource());
    }

    fn cordon(&mut self) {
        self.verbs(None, "", "nodes", &["get", "patch"]);
        self.leftovers(None, "", "nodes");
    }

    /// Those of other runs are looked for where this act leaves some.
    fn leftovers(&mut self, namespace: Option<&str>, group: &'static str, resource: &'static str) {
        let act = std::mem::replace(&mut self.why, Why::Leftovers);
        self.verbs(namespace, group, resource, &["list"]);
        self.why = act;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{plan, scenario};

    /// What a scenario needs whose acts are these, by what it is for.
    fn needed(target: &str, chaos: &str) -> Vec<(String, String)> {
        let text = format!(
            "version: 1\nname: x\ntarget: {{ kubernetes: {{ namespace: serving, service: gateway{target} }} }}\n\
             workloads: {{ get: {{ endpoint: {{ http: {{ path: / }} }} }} }}\n\
             load: [{{ name: users, workload: get, closed: {{ users: 1 }} }}]\n\
             phases: {{ fault: 60s }}\n{chaos}"
        );
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x.yaml");
        std::fs::write(&file, text).expect("it writes");
        let scenario = match scenario::load(&file, &[]) {
            Ok(loaded) => loaded.scenario,
            Err(wrong) => panic!("{}", wrong.render(false)),
        };
        let scenario::model::Target::Kubernetes(target) = &scenario.target else { panic!("a cluster") };
        let plan = plan::resolve(&scenario, 1).expect("a plan");
        needs(&plan, target).iter().map(|(need, why)| (need.to_string(), reasons(why))).collect()
    }

    fn acts(specs: &[(&str, &str)]) -> String {
        let act = |(id, spec): &(&str, &str)| {
            let (group, kind) = match spec.contains("pod-") {
                true => ("chaos-mesh.org", "PodChaos"),
                false => ("firedrill.dev", "KubernetesChaos"),
            };
            format!(
                "  - {{ id: {id}, at: fault, apply: {{ apiVersion: {group}/v1alpha1, kind: {kind}, \
                 spec: {{ action: {spec}, mode: one }} }} }}\n"
            )
        };
        format!("chaos:\n{}", specs.iter().map(act).collect::<String>())
    }

    fn of(why: &str, all: &[(String, String)]) -> Vec<String> {
        all.iter().filter(|(_, reasons)| reasons.contains(why)).map(|(need, _)| need.clone()).collect()
    }

    #[test]
    fn who_only_looks_needs_to_look() {
        let url = ", url: \"http://127.0.0.1:1\"";
        let kinds = [
            "deployments.apps",
            "endpointslices.discovery.k8s.io",
            "events",
            "horizontalpodautoscalers.autoscaling",
            "pods",
            "replicasets.apps",
            "statefulsets.apps",
        ];
        let signals =
            ["list", "watch"].map(|verb| kinds.map(|kind| format!("{verb} {kind} in serving"))).concat();
        let mut looks: Vec<String> = needed(url, "").into_iter().map(|(need, _)| need).collect();
        looks.sort();
        assert_eq!(looks, signals);
        let all = needed("", "");
        assert_eq!(of("address", &all), ["list nodes in the whole cluster", "get services in serving"]);
        assert!(of("signals", &all).contains(&"watch nodes in the whole cluster".to_owned()));
    }

    #[test]
    fn what_is_handed_to_a_tool_needs_its_kind_where_it_is_created() {
        let engine = "chaos:\n  - { id: kills, at: fault, apply: { apiVersion: litmuschaos.io/v1alpha1, kind: ChaosEngine, \
                      metadata: { namespace: litmus }, spec: { appinfo: { appns: other, applabel: a=b }, \
                      experiments: [{ name: pod-delete }] } } }\n";
        assert_eq!(
            of("`kills`", &needed("", engine)),
            [
                "create chaosengines.litmuschaos.io in litmus",
                "delete chaosengines.litmuschaos.io in litmus",
                "get chaosengines.litmuschaos.io in litmus",
                "get chaosexperiments.litmuschaos.io in litmus",
                "delete chaosresults.litmuschaos.io in litmus",
                "get chaosresults.litmuschaos.io in litmus",
                "get pods in other",
            ]
        );
        let slow = "chaos:\n  - { id: slow, at: fault, driver: chaos-mesh, apply: { apiVersion: chaos-mesh.org/v1alpha1, \
                    kind: NetworkChaos, spec: { action: delay, mode: one, selector: {} } } }\n";
        let all = needed("", slow);
        assert_eq!(of("`slow`", &all).len(), 3);
        assert!(of("leftovers", &all).contains(&"list networkchaos.chaos-mesh.org in serving".to_owned()));
    }

    #[test]
    fn each_act_needs_what_it_does_where_it_does_it() {
        let there = "selector: { namespaces: [other] }";
        let all = needed(
            "",
            &acts(&[
                ("kill", &format!("pod-kill, {there}")),
                ("named", "pod-failure, selector: { namespaces: [nowhere], pods: { third: [a] } }"),
                ("drain", &format!("drain, {there}")),
                ("many", "scale, replicas: 0, selector: { nodeSelectors: { gpu: h100 } }"),
            ]),
        );
        assert_eq!(of("`kill`", &all), ["delete pods in other", "get pods in other"]);
        assert_eq!(of("`named`", &all), ["get pods in third", "patch pods in third"]);
        assert_eq!(
            of("`drain`", &all),
            [
                "get nodes in the whole cluster",
                "patch nodes in the whole cluster",
                "get pods in other",
                "create pods/eviction in other",
            ]
        );
        assert!(of("choice", &all).contains(&"list nodes in the whole cluster".to_owned()));
        assert!(of("leftovers", &all).contains(&"list statefulsets.apps in third".to_owned()));
        assert!(!all.iter().any(|(need, _)| need.contains("nowhere")), "{all:#?}");
        let deletes = all.iter().filter(|(need, _)| need.starts_with("delete"));
        assert_eq!(deletes.count(), 1);
    }

    #[test]
    fn a_rollout_of_a_deployment_that_is_named_needs_no_other() {
        let deploy = |more| {
            let all =
                format!("chaos:\n  - {{ id: v2, at: fault, deploy: {{ version: v2, image: x{more} }} }}\n");
            of("`v2`", &needed("", &all))
        };
        assert_eq!(
            deploy(", deployment: llm"),
            [
                "get deployments.apps in serving",
                "patch deployments.apps in serving",
                "list canaries.flagger.app in serving"
            ]
        );
        assert!(deploy("").contains(&"get replicasets.apps in serving".to_owned()));
    }

    #[test]
    fn the_acts_of_a_schedule_have_one_name() {
        let chaos = "chaos:\n  - { id: again, at: fault, apply: { apiVersion: chaos-mesh.org/v1alpha1, kind: Schedule, \
                     spec: { schedule: \"@every 10s\", type: PodChaos, podChaos: { action: pod-kill, mode: one, selector: {} } } } }\n";
        let all = needed("", chaos);
        assert!(
            all.iter().any(|(need, why)| need == "delete pods in serving" && why == "chaos `again`"),
            "{all:#?}"
        );
    }
}
