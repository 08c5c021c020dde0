//! The controller with real replicas and the real proxy. The gateway is
//! played by the test, so that the canary's figures are known.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State, routing::get};
use firedrill::{
    chaos::proxy::{ProxyConfig, api::COMMAND as PROXY},
    journal::event::RolloutPhase,
    lab::{
        api::{
            ControllerProcessConfig, Listening, PodStatus, Role, RolloutStatus, Routing, Upstream, command,
        },
        config::{LabConfig, PodMode, RollbackMode},
    },
    process::{self, Child},
    units::{Span, Version},
};
use nix::{sys::signal::Signal, unistd::Pid};
use serde_json::{Value, json};

use super::until;
use crate::support::exe;

/// What the played gateway was told, and what it says of the canary.
#[derive(Debug, Default)]
struct Told {
    upstreams: Vec<Upstream>,
    routing: Option<Routing>,
    purged: Vec<Version>,
    scrapes: u64,
    // Of 20 requests to v2 between two scrapes, how many fail.
    canary_fails: u64,
}

type Gateway = Arc<Mutex<Told>>;

async fn upstreams(State(told): State<Gateway>, Json(list): Json<Vec<Upstream>>) {
    told.lock().expect("lock").upstreams = list;
}

async fn routing(State(told): State<Gateway>, Json(routing): Json<Routing>) {
    let mut told = told.lock().expect("lock");
    told.purged.extend(routing.purge.clone());
    told.routing = Some(routing);
}

async fn metrics(State(told): State<Gateway>) -> String {
    let mut told = told.lock().expect("lock");
    told.scrapes += 1;
    let (n, fails) = (told.scrapes, told.canary_fails);
    let count = |version: &str, outcome: &str, count: u64| {
        format!(
            "gateway_upstream_requests_total{{pod=\"p\",version=\"{version}\",outcome=\"{outcome}\"}} {count}\n"
        )
    };
    [count("v1", "ok", 100 * n), count("v2", "ok", (20 - fails) * n), count("v2", "error", fails * n)]
        .concat()
}

struct Lab {
    told: Gateway,
    controller: Child,
    _proxy: Child,
    at: SocketAddr,
    proxy: SocketAddr,
    http: reqwest::Client,
    _logs: tempfile::TempDir,
}

async fn lab(change: impl FnOnce(&mut LabConfig)) -> Lab {
    let told = Gateway::default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let gateway = listener.local_addr().expect("an address");
    let app = Router::new()
        .route("/admin/upstreams", axum::routing::put(upstreams))
        .route("/admin/routing", axum::routing::put(routing))
        .route("/metrics", get(metrics))
        .with_state(Arc::clone(&told));
    tokio::spawn(async { axum::serve(listener, app).await });
    let (proxy, Listening { listening: proxy_at }) =
        process::spawn(exe(), PROXY, &ProxyConfig {}, None).await.expect("the proxy starts");
    let logs = tempfile::tempdir().expect("a folder");
    let mut lab = LabConfig { replicas: 2, cold_start: Span::millis(300), ..LabConfig::default() };
    lab.gateway.canary_interval = Span::millis(200);
    change(&mut lab);
    let logs_at = logs.path().to_owned();
    let config = ControllerProcessConfig { lab, seed: 1, gateway, proxy: proxy_at, logs: logs_at };
    let (controller, Listening { listening }) =
        process::spawn(exe(), command::CONTROLLER, &config, None).await.expect("the controller starts");
    Lab {
        told,
        controller,
        _proxy: proxy,
        at: listening,
        proxy: proxy_at,
        http: reqwest::Client::new(),
        _logs: logs,
    }
}

impl Lab {
    async fn call(&self, method: reqwest::Method, path: &str, body: Option<Value>) -> (u16, Value) {
        let mut request = self.http.request(method, format!("http://{}{path}", self.at));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    async fn pods(&self) -> Vec<PodStatus> {
        let (_, pods) = self.call(reqwest::Method::GET, "/pods", None).await;
        serde_json::from_value(pods).expect("pods")
    }

    async fn pod(&self, name: &str) -> PodStatus {
        let (_, pod) = self.call(reqwest::Method::GET, &format!("/pods/{name}"), None).await;
        serde_json::from_value(pod).expect("a pod")
    }

    async fn rollout(&self) -> RolloutStatus {
        let (_, rollout) = self.call(reqwest::Method::GET, "/rollout", None).await;
        serde_json::from_value(rollout).expect("a rollout")
    }

    async fn deploy(&self, defect: &str) {
        let body = json!({"version": "v2", "defect": defect});
        assert_eq!(self.call(reqwest::Method::POST, "/deploy", Some(body)).await.0, 200);
    }

    async fn phase(&self, phase: RolloutPhase) -> RolloutStatus {
        until("the rollout's phase", async || self.rollout().await.phase == phase).await;
        self.rollout().await
    }

    async fn links(&self) -> Vec<String> {
        let response = self.http.get(format!("http://{}/links", self.proxy)).send().await.expect("links");
        let links: Vec<Value> = response.json().await.expect("JSON");
        links.iter().map(|link| link["name"].as_str().expect("a name").to_owned()).collect()
    }

    /// Names of the upstreams of a role, as the gateway was told.
    fn told(&self, role: Role) -> Vec<String> {
        let told = self.told.lock().expect("lock");
        let of_role = told.upstreams.iter().filter(|upstream| upstream.role == role);
        of_role.map(|upstream| upstream.pod.to_string()).collect()
    }

    /// Versions of the stable upstreams, as the gateway was told.
    fn stable_versions(&self) -> Vec<String> {
        let told = self.told.lock().expect("lock");
        let stable = told.upstreams.iter().filter(|upstream| upstream.role == Role::Stable);
        stable.map(|upstream| upstream.version.to_string()).collect()
    }

    fn routing(&self) -> Routing {
        self.told.lock().expect("lock").routing.clone().expect("a routing")
    }
}

#[tokio::test]
async fn at_its_start_all_pods_are_ready_and_the_gateway_knows_their_links() {
    let lab = lab(|_| {}).await;
    let pods = lab.pods().await;
    assert_eq!(pods.len(), 3);
    assert!(pods.iter().all(|pod| pod.ready && pod.phase == "Running" && pod.link != pod.address));
    assert_eq!(lab.told(Role::Stable), ["replica-0", "replica-1"]);
    assert_eq!(lab.told(Role::Fallback), ["fallback-0"]);
    assert_eq!((pods[2].namespace.as_str(), pods[2].labels["app"].as_str()), ("fallback", "fallback"));
    let upstream = lab.told.lock().expect("lock").upstreams[0].clone();
    assert_eq!(Some(upstream.address), pods[0].link);
    let url = format!("http://{}/ready", upstream.address);
    assert_eq!(lab.http.get(url).send().await.expect("through the link").status(), 200);
}

#[tokio::test]
async fn a_deleted_pod_is_killed_at_once_and_a_new_one_takes_its_place() {
    let lab = lab(|_| {}).await;
    let (status, gone) =
        lab.call(reqwest::Method::DELETE, "/pods/replica-0?grace_period_seconds=0", None).await;
    assert_eq!((status, gone["last_exit"].as_str()), (200, Some("signal 9")));
    assert!(!lab.told(Role::Stable).contains(&"replica-0".to_owned()));
    until("the replacement serves", async || lab.told(Role::Stable) == ["replica-1", "replica-2"]).await;
    assert!(!lab.pods().await.iter().any(|pod| pod.name.as_str() == "replica-0"));
    assert_eq!(lab.pod("replica-0").await.last_exit.as_deref(), Some("signal 9"));
    until("its link is closed", async || !lab.links().await.contains(&"replica-0".to_owned())).await;
    assert_eq!(lab.call(reqwest::Method::DELETE, "/pods/nobody", None).await.0, 404);
}

#[tokio::test]
async fn a_process_that_somebody_kills_is_noticed_and_replaced() {
    let lab = lab(|_| {}).await;
    let pid = lab.pod("replica-1").await.pid.expect("a process");
    nix::sys::signal::kill(Pid::from_raw(i32::try_from(pid).expect("a pid")), Signal::SIGKILL).expect("kill");
    until("the replacement serves", async || lab.told(Role::Stable) == ["replica-0", "replica-2"]).await;
    assert_eq!(lab.pod("replica-1").await.last_exit.as_deref(), Some("signal 9"));
}

#[tokio::test]
async fn where_nobody_replaces_pods_a_dead_one_stays_dead() {
    let lab = lab(|lab| lab.gateway.pods = PodMode::Off).await;
    lab.call(reqwest::Method::DELETE, "/pods/replica-0?grace_period_seconds=0", None).await;
    let (_, killed) = lab.call(reqwest::Method::POST, "/pods/replica-1/kill-container", None).await;
    assert_eq!(killed["last_exit"], "signal 9");
    // Three times the cold start, by the clock of another pod's life.
    let (_, _) = lab.call(reqwest::Method::DELETE, "/pods/fallback-0?grace_period_seconds=1", None).await;
    tokio::time::sleep(Duration::from_millis(900)).await;
    assert_eq!(lab.told(Role::Stable), [] as [&str; 0]);
    assert_eq!(lab.pods().await.iter().map(|pod| pod.phase.as_str()).collect::<Vec<_>>(), ["Failed"]);
}

#[tokio::test]
async fn a_killed_container_starts_again_in_the_same_pod_behind_the_same_link() {
    let lab = lab(|_| {}).await;
    let before = lab.pod("replica-0").await;
    lab.call(reqwest::Method::POST, "/pods/replica-0/kill-container", None).await;
    assert!(!lab.told(Role::Stable).contains(&"replica-0".to_owned()));
    until("it serves again", async || lab.told(Role::Stable) == ["replica-0", "replica-1"]).await;
    let after = lab.pod("replica-0").await;
    assert_eq!((after.restarts, after.link, after.address), (1, before.link, before.address));
    assert_ne!(after.pid, before.pid);
}

#[tokio::test]
async fn a_failed_pod_stays_until_the_failure_is_taken_back() {
    let lab = lab(|_| {}).await;
    let (_, failed) = lab.call(reqwest::Method::PUT, "/pods/replica-0/failure", None).await;
    assert_eq!((failed["ready"].as_bool(), failed["pid"].as_u64()), (Some(false), None));
    assert_eq!(lab.told(Role::Stable), ["replica-1"]);
    assert!(lab.pods().await.iter().any(|pod| pod.name.as_str() == "replica-0" && !pod.ready));
    lab.call(reqwest::Method::DELETE, "/pods/replica-0/failure", None).await;
    until("it serves again", async || lab.told(Role::Stable) == ["replica-0", "replica-1"]).await;
}

#[tokio::test]
async fn a_slowdown_outlives_the_container() {
    let lab = lab(|_| {}).await;
    let slowdown = async || {
        let address = lab.pod("replica-0").await.address.expect("an address");
        let url = format!("http://{address}/admin/slowdown");
        let answer: Value = lab.http.get(url).send().await.expect("an answer").json().await.expect("JSON");
        answer["factor"].as_f64().expect("a factor")
    };
    let body = json!({"factor": 4.0});
    lab.call(reqwest::Method::PUT, "/pods/replica-0/slowdown", Some(body)).await;
    assert_eq!(slowdown().await, 4.0);
    lab.call(reqwest::Method::POST, "/pods/replica-0/kill-container", None).await;
    until("it serves again", async || lab.pod("replica-0").await.ready).await;
    assert_eq!(slowdown().await, 4.0);
    let senseless = json!({"factor": 0.0});
    let (status, _) = lab.call(reqwest::Method::PUT, "/pods/replica-0/slowdown", Some(senseless)).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn a_good_version_is_promoted_step_by_step() {
    let lab = lab(|_| {}).await;
    lab.deploy("none").await;
    let again = json!({"version": "v3", "defect": "none"});
    assert_eq!(lab.call(reqwest::Method::POST, "/deploy", Some(again)).await.0, 409);
    until("the canary gets traffic", async || lab.routing().canary_weight > 0.0).await;
    assert!(!lab.told(Role::Canary).is_empty());
    let rollout = lab.phase(RolloutPhase::Promoted).await;
    assert_eq!((rollout.stable.as_str(), rollout.weight), ("v2", 1.0));
    assert_eq!((lab.routing().stable.as_str(), lab.routing().canary_weight), ("v2", 0.0));
    assert_eq!(lab.stable_versions(), ["v2", "v2"]);
    assert!(lab.pods().await.iter().all(|pod| pod.labels["track"] == "stable"));
}

#[tokio::test]
async fn a_bad_version_is_rolled_back_and_its_answers_are_purged() {
    let lab = lab(|_| {}).await;
    lab.told.lock().expect("lock").canary_fails = 4;
    lab.deploy("errors").await;
    let rollout = lab.phase(RolloutPhase::RolledBack).await;
    assert_eq!((rollout.stable.as_str(), rollout.weight), ("v1", 0.0));
    assert!(rollout.reason.contains("20%"), "{}", rollout.reason);
    assert_eq!((lab.routing().stable.as_str(), lab.routing().canary_weight), ("v1", 0.0));
    assert_eq!(lab.told(Role::Canary), [] as [&str; 0]);
    assert!(lab.told.lock().expect("lock").purged.contains(&Version::from("v2")));
    assert!(lab.pods().await.iter().all(|pod| pod.version.as_str() != "v2"));
    // And the next one may come.
    lab.told.lock().expect("lock").canary_fails = 0;
    lab.deploy("none").await;
    lab.phase(RolloutPhase::Promoted).await;
}

#[tokio::test]
async fn a_version_that_answers_wrongly_is_rolled_back_by_its_golden_prompts() {
    let lab = lab(|_| {}).await;
    lab.deploy("wrong-answers").await;
    let rollout = lab.phase(RolloutPhase::RolledBack).await;
    assert!(rollout.reason.starts_with("accuracy"), "{}", rollout.reason);
    // One that looks at errors only has nothing against it.
    let blind = self::lab(|lab| lab.gateway.rollback = RollbackMode::ErrorsOnly).await;
    blind.deploy("wrong-answers").await;
    blind.phase(RolloutPhase::Promoted).await;
}

#[tokio::test]
async fn a_version_that_is_never_ready_is_rolled_back_and_meets_nobody() {
    let each = ["crashes", "never-ready"].map(async |defect| {
        let lab = lab(|_| {}).await;
        lab.deploy(defect).await;
        let rollout = lab.phase(RolloutPhase::RolledBack).await;
        assert!(rollout.reason.contains("became ready"), "{defect}: {}", rollout.reason);
        assert_eq!(lab.routing().canary_weight, 0.0, "{defect}");
        assert!(lab.pods().await.iter().all(|pod| pod.version.as_str() != "v2"), "{defect}");
    });
    futures::future::join_all(each).await;
}

#[tokio::test]
async fn an_absent_rollback_promotes_a_bad_version() {
    let lab = lab(|lab| lab.gateway.rollback = RollbackMode::Off).await;
    lab.told.lock().expect("lock").canary_fails = 20;
    lab.deploy("errors").await;
    lab.phase(RolloutPhase::Promoted).await;
    assert_eq!(lab.stable_versions(), ["v2", "v2"]);
}

#[tokio::test]
async fn a_rollback_that_says_done_leaves_the_bad_version_serving() {
    let lab = lab(|lab| lab.gateway.rollback = RollbackMode::SaysDone).await;
    lab.told.lock().expect("lock").canary_fails = 20;
    lab.deploy("errors").await;
    let rollout = lab.phase(RolloutPhase::RolledBack).await;
    assert_eq!(rollout.weight, 0.0);
    assert!(lab.routing().canary_weight > 0.0 && !lab.told(Role::Canary).is_empty());
}

#[tokio::test]
async fn a_rollback_to_the_wrong_version_replaces_the_stable_one() {
    let lab = lab(|lab| lab.gateway.rollback = RollbackMode::WrongVersion).await;
    lab.told.lock().expect("lock").canary_fails = 20;
    lab.deploy("errors").await;
    lab.phase(RolloutPhase::RolledBack).await;
    assert_eq!(lab.stable_versions(), ["v0", "v0"]);
}

#[tokio::test]
async fn the_replicas_end_with_the_controller_and_write_their_logs() {
    let lab = lab(|_| {}).await;
    let pods = lab.pods().await;
    let link = pods[0].link.expect("a link");
    let body = json!({"messages": [{"role": "user", "content": "x"}], "max_tokens": 1});
    let url = format!("http://{link}/v1/chat/completions");
    lab.http.post(url).json(&body).send().await.expect("an answer").bytes().await.expect("a body");
    lab.controller.stop(Duration::from_secs(10)).await.expect("it ends");
    for pod in pods {
        let pid = Pid::from_raw(i32::try_from(pod.pid.expect("a process")).expect("a pid"));
        assert!(nix::sys::signal::kill(pid, None).is_err(), "{} is still there", pod.name);
    }
    let log = std::fs::read_to_string(lab._logs.path().join("replica-0.requests.jsonl")).expect("a log");
    assert_eq!(log.lines().count(), 1);
}
