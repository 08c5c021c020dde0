//! A namespace with a small service behind a node port, and drills against it.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::OnceLock,
    time::Duration,
};

use firedrill::verdict::model::{RunVerdict, Verdict};
use nix::sys::signal::Signal;
use serde_json::Value;

pub(super) use crate::support::said;
use crate::support::{self, Folder, Running, exe, run_folder};

/// How long anything may take that must happen at all.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);
pub(super) const IMAGE: &str = "localhost/firedrill-test-server:1";
/// Does nothing, as `pod-failure` wants it. Every kubelet has one already.
pub(super) const PAUSE: &str = "localhost/pause:1";

/// A namespace, gone with its test.
pub(super) struct Rig {
    pub(super) namespace: String,
    folder: Folder,
}

/// `kubectl` must succeed. What it said.
pub(super) fn kubectl(arguments: &[&str]) -> String {
    let out = Command::new("kubectl").args(arguments).output().expect("kubectl starts");
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    said
}

/// Compiles the server, and loads its image; once for all tests.
fn image() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder");
        let binary = folder.path().join("server");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/integration/kubernetes/server.rs");
        let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
        let built =
            Command::new(rustc).args(["--edition", "2024", "-O", "-o"]).arg(&binary).arg(source).status();
        assert!(built.is_ok_and(|status| status.success()), "the server compiles");
        let loader = std::env::var("FIREDRILL_TEST_IMAGE").expect("FIREDRILL_TEST_IMAGE names a program");
        let loaded = Command::new(loader).arg(IMAGE).arg(&binary).stdout(Stdio::null()).status();
        assert!(loaded.is_ok_and(|status| status.success()), "the image is loaded");
    });
}

impl Rig {
    /// A Deployment `llm` of three pods (labels `app: llm`, `serving: yes`),
    /// ready, behind the Service `llm`.
    pub(super) fn start(name: &str) -> Self {
        let rig = Self::of(name, include_str!("objects.yaml"));
        rig.settled();
        rig
    }

    /// These objects in a namespace of their own, `NAMESPACE`, of the test's
    /// `IMAGE`.
    pub(super) fn of(name: &str, objects: &str) -> Self {
        image();
        let rig = Self { namespace: format!("core-{name}-{}", std::process::id()), folder: Folder::new() };
        let objects = objects.replace("NAMESPACE", &rig.namespace).replace("IMAGE", IMAGE);
        let file = rig.folder.write("objects.yaml", &objects);
        let file = file.to_string_lossy();
        if !objects.contains("kind: Namespace") {
            kubectl(&["create", "namespace", &rig.namespace]);
        }
        kubectl(&["-n", &rig.namespace, "apply", "-f", &file]);
        rig
    }

    /// Waits until the Deployment is as it says.
    pub(super) fn settled(&self) {
        kubectl(&["-n", &self.namespace, "rollout", "status", "deployment/llm", "--timeout=120s"]);
    }

    /// The scenario: half a minute of load at most, and this timeline.
    pub(super) fn scenario(&self, target: &str, chaos: &str) -> String {
        format!(
            r#"version: 1
name: on-a-cluster
seed: 3
target:
  kubernetes: {{ namespace: {}, service: llm, pause-image: "{PAUSE}"{target} }}
workloads:
  get: {{ endpoint: {{ http: {{ path: /, good: {{ status: [200] }} }} }}, timeout: 2s }}
load:
  - {{ name: users, workload: get, arrivals: {{ poisson: {{ rate: 10/s }} }} }}
phases: {{ baseline: 3s, fault: 12s }}
slos:
  - {{ availability: ">= 90%", in: baseline }}
{chaos}"#,
            self.namespace
        )
    }

    pub(super) fn command(&self, scenario: &str) -> Command {
        let file = self.folder.write("drill.yaml", scenario);
        let mut command = Command::new(exe());
        command.arg("run").arg(file).args(["--ui", "plain", "--runs"]).arg(self.runs());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(super) fn run(&self, scenario: &str) -> Output {
        self.command(scenario).output().expect("the program starts")
    }

    /// Starts a drill, waits until its journal tells of `needle`, and kills it.
    pub(super) fn killed_at(&self, scenario: &str, needle: &str) -> PathBuf {
        let (mut drill, run) = self.begun(self.command(scenario), needle);
        drill.signal(Signal::SIGKILL);
        drill.ended();
        run
    }

    /// Starts a drill, and waits until its journal tells of `needle`.
    pub(super) fn begun(&self, mut command: Command, needle: &str) -> (Running, PathBuf) {
        Running::drill(&mut command, &self.runs(), needle, PATIENCE)
    }

    /// Writes a file that goes with the test.
    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        self.folder.write(name, text)
    }

    pub(super) fn runs(&self) -> PathBuf {
        self.folder.path().join("runs")
    }

    /// All that people say of the objects of the namespace and of the nodes:
    /// no status, no versions.
    pub(super) fn snapshot(&self) -> Value {
        let all = "deployments,services,statefulsets,configmaps";
        let objects = [
            kubectl(&["-n", &self.namespace, "get", all, "-o", "json"]),
            kubectl(&["get", "nodes", "-o", "json"]),
        ];
        let plain = |text: &String| {
            let mut list: Value = serde_json::from_str(text).expect("JSON");
            list["items"].as_array_mut().into_iter().flatten().for_each(plain);
            list["items"].take()
        };
        objects.iter().map(plain).collect()
    }

    /// The pods, as the API server has them.
    pub(super) fn pods(&self) -> Vec<Value> {
        let text = kubectl(&["-n", &self.namespace, "get", "pods", "-o", "json"]);
        let list: Value = serde_json::from_str(&text).expect("JSON");
        list["items"].as_array().expect("a list").clone()
    }
}

/// Takes away what changes by itself.
pub(super) fn plain(object: &mut Value) {
    let object = object.as_object_mut().expect("an object");
    object.remove("status");
    let meta = object.get_mut("metadata").and_then(Value::as_object_mut).expect("metadata");
    for key in ["resourceVersion", "generation", "managedFields"] {
        meta.remove(key);
    }
    if let Some(annotations) = meta.get_mut("annotations").and_then(Value::as_object_mut) {
        // Counts rollouts, there and back.
        annotations.remove("deployment.kubernetes.io/revision");
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let gone = ["delete", "namespace", &self.namespace, "--wait=false"];
        // A test that failed says so already.
        let _ = Command::new("kubectl").args(gone).stdout(Stdio::null()).status();
    }
}

pub(super) fn recover(run: &Path) -> Output {
    Command::new(exe()).arg("recover").arg(run).output().expect("the program starts")
}

/// Takes back what any run left in the rig's namespace, by its labels alone.
pub(super) fn recover_leftovers(rig: &Rig) -> Output {
    let arguments = ["recover", "--leftovers", "--namespace", &rig.namespace];
    Command::new(exe()).args(arguments).output().expect("the program starts")
}

/// The verdict of a run that came to one.
pub(super) fn verdict(out: &Output) -> RunVerdict {
    support::verdict(&run_folder(out))
}

/// Checks that do not pass, in words. How well the load generator kept up on
/// the machine that the cluster itself runs on is not the question here.
pub(super) fn unmet(judged: &RunVerdict) -> Vec<String> {
    let unmet = judged
        .checks
        .iter()
        .filter(|check| check.verdict != Verdict::Pass && check.id.as_str() != "generator");
    unmet.map(|check| format!("{}: {}", check.id, check.why)).collect()
}
