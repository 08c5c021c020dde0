//! Which pods a selector means, against the API server's own answer.

use std::collections::BTreeSet;

use firedrill::{
    chaos::kubernetes::{Reach, list_pods},
    cluster::Cluster,
    plan,
    scenario::chaos::{LabelExpression, LabelOperator, Selector},
};
use indexmap::IndexMap;
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use proptest::{
    prelude::*,
    sample::{select, subsequence},
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};
use serde_json::{Value, json};

use super::rig::kubectl;

const PODS: usize = 15;
/// Selectors that are compared.
const CASES: usize = 200;
const PHASES: [&str; 5] = ["Pending", "Running", "Succeeded", "Failed", "Unknown"];
const KEYS: [&str; 3] = ["app", "tier", "track"];
const VALUES: [&str; 3] = ["a", "b", ""];

/// Two namespaces with pods that nobody runs, on two nodes that nobody is.
struct Zoo {
    namespaces: [String; 2],
    nodes: [String; 2],
}

/// The `n`-th of some choices; a different pace for each kind of thing, so
/// that they come in many combinations.
fn nth<T: Copy>(all: &[T], n: usize, pace: usize) -> T {
    all[(n / pace) % all.len()]
}

impl Zoo {
    async fn fill(client: &Client) -> Self {
        let id = std::process::id();
        let zoo = Self {
            namespaces: ["one", "two"].map(|name| format!("core-selectors-{name}-{id}")),
            nodes: ["h100", "t4"].map(|name| format!("nobody-{name}-{id}")),
        };
        let nodes: Api<Node> = Api::all(client.clone());
        for (number, name) in zoo.nodes.iter().enumerate() {
            let labels = json!({ "gpu": nth(&["h100", "t4"], number, 1), "zone": "a" });
            let node =
                json!({ "metadata": { "name": name, "labels": labels }, "spec": { "unschedulable": true } });
            create(&nodes, node).await;
        }
        for namespace in &zoo.namespaces {
            kubectl(&["create", "namespace", namespace]);
            let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
            // Without it no pod is let in.
            while accounts.get_opt("default").await.expect("an answer").is_none() {
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
            let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
            for n in 0..PODS {
                zoo.add(&pods, n).await;
            }
        }
        zoo
    }

    async fn add(&self, pods: &Api<Pod>, n: usize) {
        let mut labels = serde_json::Map::new();
        for (pace, key) in KEYS.iter().enumerate() {
            // Some pods lack the label.
            if let Some(value) = nth(&[Some("a"), Some("b"), Some(""), None], n, pace + 1) {
                labels.insert((*key).to_owned(), json!(value));
            }
        }
        let node = nth(&[Some(&self.nodes[0]), Some(&self.nodes[1]), None], n, 2);
        let name = format!("p{n}");
        let pod = json!({
            "metadata": { "name": name, "labels": labels, "annotations": { "team": VALUES[n % 3] } },
            "spec": {
                "schedulerName": "nobody", "nodeName": node, "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": false, "containers": [{ "name": "c", "image": "none" }],
            },
        });
        create(pods, pod).await;
        let phase = json!({ "status": { "phase": nth(&PHASES, n, 3) } });
        pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(phase)).await.expect("a phase");
    }
}

impl Drop for Zoo {
    fn drop(&mut self) {
        for namespace in &self.namespaces {
            kubectl(&["delete", "namespace", namespace, "--wait=false"]);
        }
        for node in &self.nodes {
            kubectl(&["delete", "node", node]);
        }
    }
}

async fn create<T>(api: &Api<T>, object: Value)
where
    T: Clone + serde::de::DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    let object = serde_json::from_value(object).expect("an object");
    api.create(&PostParams::default(), &object).await.expect("it is created");
}

fn map(pairs: Vec<(&str, &str)>) -> IndexMap<String, String> {
    pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn expressions() -> impl Strategy<Value = LabelExpression> {
    let operators =
        [LabelOperator::In, LabelOperator::NotIn, LabelOperator::Exists, LabelOperator::DoesNotExist];
    let values = subsequence(VALUES.to_vec(), 1..=3);
    (select(KEYS.to_vec()), select(operators.to_vec()), values).prop_map(|(key, operator, values)| {
        let listed = matches!(operator, LabelOperator::In | LabelOperator::NotIn);
        let values = values.into_iter().filter(|_| listed).map(str::to_owned).collect();
        LabelExpression { key: key.to_owned(), operator, values }
    })
}

/// Selectors whose parts are often there and often not.
fn selectors(zoo: &Zoo) -> impl Strategy<Value = Selector> + use<> {
    let (namespaces, nodes) = (zoo.namespaces.to_vec(), zoo.nodes.to_vec());
    let pairs = |keys: Vec<&'static str>, values: Vec<&'static str>| {
        prop_oneof![
            3 => Just(IndexMap::new()),
            2 => prop::collection::vec((select(keys), select(values)), 1..3).prop_map(map),
        ]
    };
    let phases: Vec<String> =
        PHASES.iter().flat_map(|phase| [(*phase).to_owned(), format!("!{phase}")]).collect();
    let fields = {
        let (namespaces, nodes) = (namespaces.clone(), nodes.clone());
        prop_oneof![
            4 => Just(IndexMap::new()),
            1 => (0..PODS + 3).prop_map(|n| IndexMap::from([("metadata.name".to_owned(), format!("p{n}"))])),
            1 => select(namespaces).prop_map(|name| IndexMap::from([("metadata.namespace".to_owned(), name)])),
            1 => select(nodes).prop_map(|name| IndexMap::from([("spec.nodeName".to_owned(), name)])),
            1 => select(PHASES.to_vec()).prop_map(|phase| map(vec![("status.phase", phase)])),
        ]
    };
    let named = {
        let namespaces = namespaces.clone();
        prop_oneof![
            9 => Just(IndexMap::new()),
            1 => prop::collection::vec((select(namespaces), prop::collection::vec(0..PODS + 3, 1..4)), 1..3).prop_map(
                |all| all.into_iter().map(|(ns, pods)| (ns, pods.iter().map(|n| format!("p{n}")).collect())).collect()
            ),
        ]
    };
    (
        subsequence(namespaces, 0..=2),
        pairs(KEYS.to_vec(), VALUES.to_vec()),
        prop_oneof![2 => Just(vec![]), 3 => prop::collection::vec(expressions(), 1..3)],
        pairs(vec!["team", "owner"], VALUES.to_vec()),
        fields,
        prop_oneof![3 => Just(vec![]), 1 => subsequence(nodes, 1..=2)],
        pairs(vec!["gpu", "zone"], vec!["h100", "t4", "a"]),
        prop_oneof![3 => Just(vec![]), 2 => subsequence(phases, 1..=3)],
        named,
    )
        .prop_map(
            |(
                namespaces,
                label_selectors,
                expression_selectors,
                annotation_selectors,
                field_selectors,
                nodes,
                node_selectors,
                pod_phase_selectors,
                pods,
            )| Selector {
                namespaces,
                label_selectors,
                expression_selectors,
                annotation_selectors,
                field_selectors,
                nodes,
                node_selectors,
                pod_phase_selectors,
                pods,
            },
        )
}

type Names = BTreeSet<(String, String)>;

/// What the API server itself says.
struct Server<'a> {
    client: &'a Client,
}

impl Server<'_> {
    async fn list(&self, namespace: &str, labels: &str, fields: &str) -> Vec<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
        pods.list(&ListParams::default().labels(labels).fields(fields)).await.expect("a list").items
    }

    /// The union of several lists; none: one without more.
    async fn union(&self, namespace: &str, labels: &str, fields: &[String]) -> Names {
        let mut names = Names::new();
        for fields in fields {
            names.extend(self.list(namespace, labels, fields).await.iter().map(name));
        }
        names
    }

    async fn selected(&self, selector: &Selector, home: &str) -> Names {
        let mut names = Names::new();
        if !selector.pods.is_empty() {
            for (namespace, pods) in &selector.pods {
                let api: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
                for pod in pods {
                    names.extend(api.get_opt(pod).await.expect("an answer").iter().map(name));
                }
            }
            return names;
        }
        let namespaces = match selector.namespaces.as_slice() {
            [] => vec![home.to_owned()],
            some => some.to_vec(),
        };
        for namespace in namespaces {
            names.extend(self.in_namespace(selector, &namespace).await);
        }
        names
    }

    async fn in_namespace(&self, selector: &Selector, namespace: &str) -> Names {
        let equal = |pairs: &IndexMap<String, String>| {
            pairs.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
        };
        let mut labels = equal(&selector.label_selectors);
        labels.extend(selector.expression_selectors.iter().map(|one| {
            let values = one.values.join(",");
            match one.operator {
                LabelOperator::In => format!("{} in ({values})", one.key),
                LabelOperator::NotIn => format!("{} notin ({values})", one.key),
                LabelOperator::Exists => one.key.clone(),
                LabelOperator::DoesNotExist => format!("!{}", one.key),
            }
        }));
        let (labels, fields) = (labels.join(","), equal(&selector.field_selectors).join(","));
        let mut chosen = self.union(namespace, &labels, &[fields]).await;
        let (without, with): (Vec<_>, Vec<_>) =
            selector.pod_phase_selectors.iter().partition(|phase| phase.starts_with('!'));
        let fields: Vec<String> = with.iter().map(|phase| format!("status.phase={phase}")).collect();
        if !fields.is_empty() {
            let any = self.union(namespace, "", &fields).await;
            chosen.retain(|name| any.contains(name));
        }
        for phase in without {
            let others = self.union(namespace, "", &[format!("status.phase!={}", &phase[1..])]).await;
            chosen.retain(|name| others.contains(name));
        }
        if !selector.nodes.is_empty() || !selector.node_selectors.is_empty() {
            let mut nodes: BTreeSet<String> = selector.nodes.iter().cloned().collect();
            if !selector.node_selectors.is_empty() {
                let labels = equal(&selector.node_selectors).join(",");
                let all: Api<Node> = Api::all(self.client.clone());
                let found = all.list(&ListParams::default().labels(&labels)).await.expect("a list").items;
                nodes.extend(found.into_iter().filter_map(|node| node.metadata.name));
            }
            let fields: Vec<String> = nodes.iter().map(|node| format!("spec.nodeName={node}")).collect();
            let there = self.union(namespace, "", &fields).await;
            chosen.retain(|name| there.contains(name));
        }
        // No API server selects by annotations: its objects are asked.
        let wanted = &selector.annotation_selectors;
        let has = |pod: &Pod| {
            let there = pod.metadata.annotations.clone().unwrap_or_default();
            wanted.iter().all(|(key, value)| there.get(key) == Some(value))
        };
        let annotated: Names =
            self.list(namespace, "", "").await.iter().filter(|pod| has(pod)).map(name).collect();
        chosen.retain(|name| annotated.contains(name));
        chosen
    }
}

fn name(pod: &Pod) -> (String, String) {
    (pod.metadata.namespace.clone().unwrap_or_default(), pod.metadata.name.clone().unwrap_or_default())
}

#[tokio::test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
async fn a_selector_means_the_pods_that_the_api_server_says() {
    let client = Client::try_default().await.expect("a cluster");
    let zoo = Zoo::fill(&client).await;
    let cluster = Cluster::current().await.expect("a cluster");
    let reach =
        Reach { namespaces: zoo.namespaces.iter().cloned().collect(), node_labels: true, ..Reach::default() };
    let pods = list_pods(&cluster, &reach).await.expect("a list");
    assert_eq!(pods.len(), 2 * PODS);
    let server = Server { client: &client };
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let (strategy, home) = (selectors(&zoo), zoo.namespaces[0].as_str());
    let mut some = 0;
    for _ in 0..CASES {
        let selector = strategy.new_tree(&mut runner).expect("a selector").current();
        let ours: Names = plan::candidates(&selector, home, &pods)
            .into_iter()
            .map(|pod| (pod.namespace, pod.name.0))
            .collect();
        let theirs = server.selected(&selector, home).await;
        assert_eq!(ours, theirs, "{selector:?}");
        some += usize::from(!theirs.is_empty());
    }
    // They are not all empty, or nothing was compared.
    assert!(some > CASES / 5, "{some} of {CASES} selectors select something");
    // What is being deleted is no target any more, though it is listed.
    let going: Api<Pod> = Api::namespaced(client.clone(), home);
    let held = json!({ "metadata": { "finalizers": ["firedrill.dev/test"] } });
    going.patch("p0", &PatchParams::default(), &Patch::Merge(held)).await.expect("it is held");
    going.delete("p0", &DeleteParams::default()).await.expect("it is deleted");
    let left = list_pods(&cluster, &reach).await.expect("a list");
    assert_eq!(left.len(), 2 * PODS - 1);
    let released = json!({ "metadata": { "finalizers": null } });
    going.patch("p0", &PatchParams::default(), &Patch::Merge(released)).await.expect("it is let go");
}
