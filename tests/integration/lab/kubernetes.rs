//! The lab on a real cluster, the one of `KUBECONFIG`: `scripts/cluster-tests`
//! starts one. The image is loaded by the program that `FIREDRILL_TEST_IMAGE`
//! names, which is called with its name and the binary.

use std::{
    process::{Command, Output, Stdio},
    sync::OnceLock,
};

use firedrill::lab::golden::GOLDEN;
use serde_json::{Value, json};

use super::until;
use crate::support::{Folder, exe};

/// An image of the program.
pub(crate) const IMAGE: &str = "localhost/firedrill:tests";

/// The lab in a namespace of its own, gone with its test.
struct Lab {
    namespace: String,
    url: String,
    http: reqwest::Client,
}

fn kubectl(arguments: &[&str]) -> Output {
    Command::new("kubectl").args(arguments).output().expect("kubectl starts")
}

/// What `kubectl` said; it must succeed.
fn told(arguments: &[&str]) -> String {
    let out = kubectl(arguments);
    assert!(out.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

fn firedrill(arguments: &[&str]) -> Output {
    Command::new(exe()).args(arguments).stdin(Stdio::null()).output().expect("the program starts")
}

fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

/// Loads the program as an image; once for all tests.
pub(crate) fn image() {
    static DONE: OnceLock<()> = OnceLock::new();
    DONE.get_or_init(|| {
        let loader = std::env::var("FIREDRILL_TEST_IMAGE").expect("FIREDRILL_TEST_IMAGE names a program");
        let loaded = Command::new(loader).arg(IMAGE).arg(exe()).stdout(Stdio::null()).status();
        assert!(loaded.is_ok_and(|status| status.success()), "the image is loaded");
    });
}

fn namespace(name: &str) -> String {
    format!("lab-{name}-{}", std::process::id())
}

impl Lab {
    fn start(name: &str) -> Self {
        image();
        let namespace = namespace(name);
        let out = firedrill(&["lab", "--kubernetes", "--namespace", &namespace, "--image", IMAGE]);
        // Made before the assertion, so that a failed start is taken away, too.
        let first = String::from_utf8_lossy(&out.stdout).lines().next().unwrap_or_default().to_owned();
        let lab = Self { namespace, url: first, http: reqwest::Client::new() };
        assert!(out.status.success(), "{}", said(&out));
        lab
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        told(&[&["-n", &self.namespace], arguments].concat())
    }

    async fn ask(&self) -> reqwest::Response {
        let body = json!({ "model": "demo", "messages": [{ "role": "user", "content": GOLDEN[0].0 }] });
        let post = self.http.post(format!("{}/v1/chat/completions", self.url));
        post.header("cache-control", "no-store").body(body.to_string()).send().await.expect("an answer")
    }

    async fn get(&self, path: &str) -> String {
        let response = self.http.get(format!("{}{path}", self.url)).send().await.expect("an answer");
        response.text().await.expect("text")
    }

    /// The replicas that the gateway uses.
    async fn replicas(&self) -> Vec<String> {
        let list: Vec<Value> = serde_json::from_str(&self.get("/admin/upstreams").await).expect("JSON");
        let replicas = list.iter().filter(|upstream| upstream["role"] != "fallback");
        replicas.map(|upstream| upstream["pod"].as_str().expect("a name").to_owned()).collect()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // A test that failed says so already.
        let _ = kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Kubernetes cluster: scripts/cluster-tests"]
async fn a_dead_replica_is_replaced_and_gets_nothing_while_it_is_cold() {
    let lab = Lab::start("kill");
    let overlay = Folder::new();
    let base = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy");
    std::os::unix::fs::symlink(base, overlay.path().join("deploy")).expect("a link");
    let image = "images: [{ name: firedrill, newName: localhost/firedrill, newTag: tests }]";
    overlay.write(
        "kustomization.yaml",
        &format!("resources: [deploy]\nnamespace: {}\n{image}\n", lab.namespace),
    );
    let folder = overlay.path().to_string_lossy().into_owned();
    let diff = kubectl(&[
        "diff",
        "--server-side",
        "--force-conflicts",
        "--field-manager",
        "firedrill",
        "-k",
        &folder,
    ]);
    assert!(diff.status.success(), "kustomize and the program disagree: {}", said(&diff));

    let before = lab.replicas().await;
    assert_eq!(before.len(), 3);
    let dead = before[0].clone();
    lab.kubectl(&["delete", "pod", &dead, "--grace-period=0", "--force", "--wait=false"]);
    until("the dead replica is out, and a new one in", async || {
        assert_eq!(lab.ask().await.status(), 200);
        let now = lab.replicas().await;
        now.len() == 3 && !now.contains(&dead)
    })
    .await;
    let now = lab.replicas().await;
    let new = now.iter().find(|pod| !before.contains(pod)).expect("a new replica");
    let served = format!("pod=\"{new}\"");
    until("the new one serves", async || {
        lab.ask().await;
        lab.get("/metrics").await.lines().any(|line| line.contains(&served) && line.contains("\"ok\""))
    })
    .await;
    let metrics = lab.get("/metrics").await;
    let failed = metrics.lines().filter(|line| {
        line.starts_with("gateway_upstream_requests_total")
            && line.contains(&served)
            && !line.contains("outcome=\"ok\"")
            && !line.ends_with(" 0")
    });
    assert_eq!(failed.collect::<Vec<_>>(), Vec::<&str>::new(), "it got requests while it was cold");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a Kubernetes cluster: scripts/cluster-tests"]
async fn a_bad_version_is_rolled_out_by_its_environment_and_taken_back() {
    let lab = Lab::start("rollout");
    assert_eq!(lab.ask().await.headers()["x-model-version"], "v1");
    lab.kubectl(&["set", "env", "deployment/llm", "LAB_VERSION=v2", "LAB_DEFECT=errors"]);
    lab.kubectl(&["rollout", "status", "deployment/llm", "--timeout=120s"]);
    until("the gateway takes the new version for the stable one", async || {
        lab.get("/admin/routing").await.contains("\"stable\":\"v2\"")
    })
    .await;
    until("the new version fails", async || {
        lab.ask().await;
        let metrics = lab.get("/metrics").await;
        metrics.lines().any(|line| line.contains("version=\"v2\"") && line.contains("outcome=\"error\""))
    })
    .await;
    lab.kubectl(&["rollout", "undo", "deployment/llm"]);
    lab.kubectl(&["rollout", "status", "deployment/llm", "--timeout=120s"]);
    until("the old version is back", async || lab.ask().await.headers()["x-model-version"] == "v1").await;
    // A mistake in the environment is told by the pod, not ignored.
    lab.kubectl(&["set", "env", "deployment/llm", "LAB_DEFECTS=errors"]);
    until("the pod says what is wrong", async || {
        let logs = ["-n", &lab.namespace, "logs", "-l", "app=llm", "--tail=1"];
        said(&kubectl(&logs)).contains("LAB_DEFECTS: there is no such setting")
    })
    .await;
    assert_eq!(lab.replicas().await.len(), 3, "the rollout that can't start takes nothing away");
}

#[test]
#[ignore = "needs a Kubernetes cluster: scripts/cluster-tests"]
fn what_is_somebody_elses_is_left_alone_and_nothing_of_the_lab_stays() {
    let foreign = namespace("foreign");
    told(&["create", "namespace", &foreign]);
    told(&["-n", &foreign, "create", "service", "clusterip", "gateway", "--tcp=80"]);
    let get = ["-n", &foreign, "get", "all,role,rolebinding,serviceaccount", "-o", "json"];
    let before = told(&get);
    let refused = firedrill(&["lab", "--kubernetes", "--namespace", &foreign]);
    let deleted = firedrill(&["lab", "--kubernetes", "--namespace", &foreign, "--delete"]);
    let after = told(&get);
    told(&["delete", "namespace", &foreign, "--wait=false"]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("service gateway is there already"), "{}", said(&refused));
    assert!(said(&deleted).contains("service gateway is not the lab's"), "{}", said(&deleted));
    assert_eq!(before, after);

    let lab = Lab::start("delete");
    let delete = ["lab", "--kubernetes", "--namespace", &lab.namespace, "--delete"];
    lab.kubectl(&["create", "configmap", "mine"]);
    let first = firedrill(&delete);
    assert!(said(&first).contains("is left: it holds configmap mine"), "{}", said(&first));
    let left = lab.kubectl(&["get", "all,role,rolebinding,endpointslice", "-o", "name"]);
    assert_eq!(left, "");
    lab.kubectl(&["delete", "configmap", "mine"]);
    let second = firedrill(&delete);
    assert!(said(&second).contains(&format!("namespace {} deleted", lab.namespace)), "{}", said(&second));
    told(&["wait", "--for=delete", &format!("namespace/{}", lab.namespace), "--timeout=60s"]);
}
