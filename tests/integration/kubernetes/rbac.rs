//! The role that is printed: enough for a drill, nothing more, and what of it
//! is missing is named before anything is touched.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use serde_json::{Value, json};

use super::rig::{PATIENCE, Rig, kubectl, said, unmet, verdict};
use crate::support::{Folder, Running, exe};

/// Every act of a drill with what each needs of a cluster, one after another.
const ACTS: [(&str, u32, &str); 7] = [
    ("kill", 0, "PodChaos, spec: { action: pod-kill"),
    ("freeze", 8, "PodChaos, spec: { action: pod-failure"),
    ("scale", 20, "KubernetesChaos, spec: { action: scale, replicas: 1"),
    ("cut", 30, "KubernetesChaos, spec: { action: endpoints"),
    ("partition", 40, "KubernetesChaos, spec: { action: endpoints"),
    ("cordon", 50, "KubernetesChaos, spec: { action: cordon"),
    ("rollout", 60, "KubernetesChaos, spec: { action: rollout, env: { VERSION: v2 }"),
];

fn chaos(namespaces: &str) -> String {
    let acts = ACTS.iter().map(|(id, at, spec)| {
        let group = if spec.starts_with("PodChaos") { "chaos-mesh.org" } else { "firedrill.dev" };
        let duration = if *id == "kill" { "" } else { ", duration: 8s" };
        let mode = if *id == "partition" { "all" } else { "one" };
        format!(
            "  - {{ id: {id}, at: fault + {at}s, apply: {{ apiVersion: {group}/v1alpha1, kind: {spec}{duration}, \
             mode: {mode}, selector: {{ labelSelectors: {{ app: llm }}{namespaces} }} }} }} }}\n"
        )
    });
    format!("chaos:\n{}", acts.collect::<String>())
}

/// An account with the printed role; the roles go with the test.
struct Granted {
    namespace: String,
    manifests: PathBuf,
}

impl Granted {
    fn new(rig: &Rig, scenario: &str) -> Self {
        let file = rig.write("drill.yaml", scenario);
        let printed = Command::new(exe()).arg("rbac").arg(file).output().expect("the program starts");
        assert_eq!(printed.status.code(), Some(0), "{}", said(&printed));
        let text = String::from_utf8(printed.stdout).expect("a text");
        let granted = Self { namespace: rig.namespace.clone(), manifests: rig.write("role.yaml", &text) };
        kubectl(&["apply", "-f", &granted.path()]);
        granted
    }

    fn path(&self) -> String {
        self.manifests.to_string_lossy().into_owned()
    }

    /// A kubeconfig that has nothing but a token of the account.
    fn kubeconfig(&self, rig: &Rig) -> PathBuf {
        let token = kubectl(&["-n", &self.namespace, "create", "token", "firedrill"]);
        let mut config: Value = serde_json::from_str(&kubectl(&[
            "config",
            "view",
            "--minify",
            "--raw",
            "--flatten",
            "-o",
            "json",
        ]))
        .expect("JSON");
        config["users"][0]["user"] = json!({ "token": token.trim() });
        rig.write("kubeconfig", &config.to_string())
    }

    /// The roles, as the API server has them.
    fn roles(&self) -> Vec<Value> {
        let list: Value =
            serde_json::from_str(&kubectl(&["get", "-f", &self.path(), "-o", "json"])).expect("JSON");
        let all = list["items"].as_array().expect("a list").iter();
        all.filter(|object| object["rules"].is_array()).cloned().collect()
    }

    /// Whether the account may do it.
    fn may(&self, right: &Right) -> bool {
        let who = format!("--as=system:serviceaccount:{}:firedrill", self.namespace);
        let mut arguments = vec!["auth", "can-i", "--quiet", &right.verb, &right.resource, &who];
        if let Some(namespace) = &right.namespace {
            arguments.extend(["-n", namespace]);
        }
        // What is not in a namespace is warned of; the answer is the status.
        let asked = Command::new("kubectl").args(arguments).output().expect("kubectl starts");
        asked.status.success()
    }

    /// Waits until the API server knows it.
    fn until(&self, right: &Right, may: bool) {
        let deadline = Instant::now() + PATIENCE;
        while self.may(right) != may {
            assert!(Instant::now() < deadline, "{right:?} is {may} now");
        }
    }
}

impl Drop for Granted {
    fn drop(&mut self) {
        // A test that failed says so already.
        let _ = Command::new("kubectl")
            .args(["delete", "--wait=false", "--ignore-not-found", "-f", &self.path()])
            .stdout(Stdio::null())
            .status();
    }
}

/// One verb on one resource, as `firedrill` says it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    verb: String,
    /// With its group: `deployments.apps`.
    resource: String,
    namespace: Option<String>,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} in ", self.verb, self.resource)?;
        f.write_str(self.namespace.as_deref().unwrap_or("the whole cluster"))
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn resource(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

/// Each verb of a role, with the role as it is without it.
fn removals(role: &Value) -> Vec<(Right, Value)> {
    let mut all = Vec::new();
    for (i, rule) in role["rules"].as_array().expect("rules").iter().enumerate() {
        for verb in rule["verbs"].as_array().expect("verbs") {
            let right = Right {
                verb: text(verb),
                resource: resource(&text(&rule["apiGroups"][0]), &text(&rule["resources"][0])),
                namespace: role["metadata"]["namespace"].as_str().map(str::to_owned),
            };
            let mut without = role.clone();
            without["metadata"].as_object_mut().expect("metadata").remove("resourceVersion");
            let rules = without["rules"].as_array_mut().expect("rules");
            let verbs = rules[i]["verbs"].as_array_mut().expect("verbs");
            verbs.retain(|one| one != verb);
            if verbs.is_empty() {
                rules.remove(i);
            }
            all.push((right, without));
        }
    }
    all
}

fn replace(object: &Value) {
    let mut child = Command::new("kubectl")
        .args(["replace", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("kubectl starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(object.to_string().as_bytes()).expect("it reads");
    drop(stdin);
    assert!(child.wait().expect("it ends").success(), "{object}");
}

/// A proxy to the API server that writes down what it is asked, with the
/// rights of a kubeconfig.
struct Recorder {
    _child: Running,
    log: PathBuf,
    server: String,
}

impl Recorder {
    fn start(rig: &Rig, kubeconfig: &Path) -> Self {
        let log = rig.write("proxy.log", "");
        let mut kubectl = Command::new("kubectl");
        kubectl
            .args(["proxy", "--port", "0", "-v", "6", "--kubeconfig"])
            .arg(kubeconfig)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).expect("a file"));
        let mut child = Running::start(&mut kubectl);
        let stdout = child.stdout();
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).expect("it says where it listens");
        let (_, at) = line.trim().rsplit_once(' ').expect("`Starting to serve on …`");
        Self { _child: child, log, server: format!("http://{at}") }
    }

    /// The rights that were used, but for those that everybody has and those
    /// that are not needed.
    fn used(&self) -> BTreeSet<Right> {
        let log = fs::read_to_string(&self.log).expect("a log");
        let quoted = |line: &str, key: &str| {
            let (_, rest) = line.split_once(&format!("{key}=\""))?;
            rest.split_once('"').map(|(value, _)| value.to_owned())
        };
        let asked = log.lines().filter(|line| line.contains("\"Response\""));
        let all = asked.filter_map(|line| right_of(&quoted(line, "verb")?, &quoted(line, "url")?));
        all.filter(|right| {
            !right.resource.starts_with("namespaces")
                && !right.resource.starts_with("selfsubjectaccessreviews")
        })
        .collect()
    }
}

/// What a request to the API server needs. None: nothing (`/version`).
fn right_of(method: &str, url: &str) -> Option<Right> {
    let url: http::Uri = url.parse().expect("a URL");
    let mut parts = url.path().trim_matches('/').split('/').peekable();
    let group = match parts.next()? {
        "api" => "",
        "apis" => parts.next()?,
        _ => return None,
    };
    let _version = parts.next()?;
    let namespace = match parts.peek() {
        Some(&"namespaces") => parts.nth(1).map(str::to_owned),
        Some(_) | None => None,
    };
    let Some(kind) = parts.next() else {
        return Some(Right { verb: "get".into(), resource: "namespaces".into(), namespace });
    };
    let (name, sub) = (parts.next(), parts.next());
    let kind = sub.map_or_else(|| kind.to_owned(), |sub| format!("{kind}/{sub}"));
    let watches = url.query().is_some_and(|query| query.split('&').any(|one| one == "watch=true"));
    let verb = match (method, name) {
        ("GET", Some(_)) => "get",
        ("GET", None) if watches => "watch",
        ("GET", None) => "list",
        ("POST", _) => "create",
        ("PATCH", _) => "patch",
        ("DELETE", _) => "delete",
        (other, _) => panic!("{other} {url}"),
    };
    Some(Right { verb: verb.to_owned(), resource: resource(group, &kind), namespace })
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn an_account_with_the_printed_role_runs_the_drill_and_uses_all_of_it() {
    let rig = Rig::start("role");
    let before = rig.snapshot();
    let scenario = |target: &str| {
        rig.scenario(&format!(", healthy-floor: 0{target}"), &chaos("")).replace("fault: 12s", "fault: 72s")
    };
    let granted = Granted::new(&rig, &scenario(""));
    let recorder = Recorder::start(&rig, &granted.kubeconfig(&rig));
    let through = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "recorded",
        "clusters": [{ "name": "recorded", "cluster": { "server": recorder.server } }],
        "contexts": [{ "name": "recorded", "context": { "cluster": "recorded", "user": "nobody" } }],
        "users": [{ "name": "nobody", "user": {} }],
    });
    let through = rig.write("recorded", &through.to_string());
    let out = rig.run(&scenario(&format!(", kubeconfig: \"{}\"", through.display())));
    let judged = verdict(&out);
    assert_eq!(unmet(&judged), Vec::<String>::new(), "{}", said(&out));
    assert!(judged.faults.iter().all(|fault| fault.proven_at.is_some()), "{}", said(&out));
    assert_eq!(judged.faults.len(), ACTS.len());
    assert_eq!(rig.snapshot(), before);
    let printed: BTreeSet<Right> =
        granted.roles().iter().flat_map(removals).map(|(right, _)| right).collect();
    let used = recorder.used();
    let beyond: Vec<String> = used.difference(&printed).map(ToString::to_string).collect();
    assert_eq!(beyond, Vec::<String>::new(), "asked for without a right");
    let idle: Vec<String> = printed.difference(&used).map(ToString::to_string).collect();
    // That the workload is no StatefulSet is not known before.
    let not_here = ["get", "patch"].map(|verb| format!("{verb} statefulsets.apps in {}", rig.namespace));
    assert_eq!(idle, not_here, "printed and not used");
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn each_right_that_is_missing_is_named_alone_and_nothing_is_touched() {
    let rig = Rig::start("gaps");
    // Nothing is there: what may be done there is looked at all the same.
    let other = Namespace::new(&format!("{}-b", rig.namespace));
    let both = format!(", namespaces: [{}, {}]", rig.namespace, other.0);
    let granted = Granted::new(&rig, &rig.scenario("", &chaos(&both)).replace("fault: 12s", "fault: 72s"));
    let config = granted.kubeconfig(&rig);
    let scenario = rig
        .scenario(&format!(", kubeconfig: \"{}\"", config.display()), &chaos(&both))
        .replace("fault: 12s", "fault: 72s");
    let before = versions(&[&rig.namespace, &other.0]);
    let mut named = 0;
    for role in granted.roles() {
        let mut last: Option<Right> = None;
        for (right, without) in removals(&role) {
            replace(&without);
            granted.until(&right, false);
            if let Some(last) = last.replace(right.clone()) {
                granted.until(&last, true);
            }
            let out = rig.run(&scenario);
            assert_eq!(out.status.code(), Some(2), "{right}: {}", said(&out));
            let said = said(&out);
            let gaps: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("      ")).collect();
            let [gap] = gaps.as_slice() else { panic!("{right}: {said}") };
            assert!(gap.starts_with(&format!("{right} (for ")), "{right}: {said}");
            assert!(
                said.contains("firedrill rbac ") && said.contains("nothing was sent or broken"),
                "{said}"
            );
            named += 1;
        }
        let mut whole = role.clone();
        whole["metadata"].as_object_mut().expect("metadata").remove("resourceVersion");
        replace(&whole);
        granted.until(&last.expect("a rule"), true);
    }
    assert!(named > 30, "{named} rights in two namespaces and the cluster");
    assert_eq!(versions(&[&rig.namespace, &other.0]), before);
    assert_eq!(fs::read_dir(rig.runs()).map(Iterator::count).unwrap_or(0), 0, "no run is kept");
    // With all of them, it is the second namespace's lack of pods that is left.
    kubectl(&["-n", &granted.namespace, "delete", "rolebinding", "--all"]);
    let pods = Right { verb: "list".into(), resource: "pods".into(), namespace: Some(rig.namespace.clone()) };
    granted.until(&pods, false);
    let out = rig.run(&scenario);
    let all = said(&out).lines().filter(|line| line.starts_with("      ")).count();
    assert!(all > 15 && out.status.code() == Some(2), "all gaps at once: {}", said(&out));
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn an_account_that_is_not_known_is_told_that_nothing_could_be_asked() {
    let folder = Folder::new();
    let mut config: Value =
        serde_json::from_str(&kubectl(&["config", "view", "--minify", "--raw", "--flatten", "-o", "json"]))
            .expect("JSON");
    config["users"][0]["user"] = json!({ "token": "nobody" });
    let config = folder.write("kubeconfig", &config.to_string());
    let scenario = include_str!("../../data/valid/kubernetes.yaml")
        .replace("/etc/firedrill/kubeconfig", &config.to_string_lossy())
        .replace("    context: staging\n", "");
    let file = folder.write("drill.yaml", &scenario);
    let runs = folder.path().join("runs");
    let out = Command::new(exe()).arg("run").arg(file).arg("--runs").arg(runs).output().expect("it starts");
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    assert!(said(&out).contains("what the account may do there is not known"), "{}", said(&out));
}

#[test]
fn a_role_is_printed_for_a_cluster_and_for_nothing_else() {
    let folder = Folder::new();
    let scenario = include_str!("../../data/valid/kubernetes.yaml");
    let file = folder.write("drill.yaml", scenario);
    let rbac = |more: &[&str]| {
        Command::new(exe())
            .arg("rbac")
            .arg(&file)
            .args(more)
            .env_remove("KUBECONFIG")
            .output()
            .expect("it starts")
    };
    let printed = rbac(&["--service-account", "ci/drills", "--target", "kubernetes:shop/front"]);
    assert_eq!(printed.status.code(), Some(0), "{}", said(&printed));
    let text = said(&printed);
    assert!(text.contains("kind: ServiceAccount\nmetadata:\n  name: drills\n  namespace: ci\n"), "{text}");
    assert!(
        text.contains("kind: Role\nmetadata:\n  name: firedrill-on-a-cluster-shop\n  namespace: shop\n"),
        "{text}"
    );
    assert_eq!(said(&rbac(&[])), said(&rbac(&[])));
    for target in ["lab", "http://127.0.0.1:1"] {
        let refused = rbac(&["--target", target]);
        assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
        assert!(said(&refused).contains("--target kubernetes:"), "{}", said(&refused));
        assert!(refused.stdout.is_empty());
    }
}

/// A namespace, gone with its test.
struct Namespace(String);

impl Namespace {
    fn new(name: &str) -> Self {
        kubectl(&["create", "namespace", name]);
        Self(name.to_owned())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let gone = ["delete", "namespace", &self.0, "--wait=false"];
        // A test that failed says so already.
        let _ = Command::new("kubectl").args(gone).stdout(Stdio::null()).status();
    }
}

/// Every object of these namespaces with its version, and what is asked of the
/// nodes: whoever changes one changes this.
fn versions(namespaces: &[&str]) -> Vec<String> {
    let kinds = "pods,services,deployments,replicasets,statefulsets,configmaps,endpointslices";
    let line =
        "{range .items[*]}{.kind}/{.metadata.name} {.metadata.uid} {.metadata.resourceVersion}{\"\\n\"}{end}";
    let path = format!("jsonpath={line}");
    let mut all: Vec<String> =
        namespaces.iter().map(|namespace| kubectl(&["-n", namespace, "get", kinds, "-o", &path])).collect();
    all.push(kubectl(&["get", "nodes", "-o", "jsonpath={.items[*].spec}"]));
    all
}
