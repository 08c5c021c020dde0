//! The lab as a whole: proxy, gateway, controller and replicas.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use firedrill::{
    journal::event::RolloutPhase,
    lab::{
        Lab, LabError,
        api::{PodStatus, RolloutStatus},
        config::LabConfig,
        golden::GOLDEN,
    },
    units::Span,
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::until;
use crate::support::exe;

/// Set for the process that holds a lab so that it can be killed.
const HOLD: &str = "FIREDRILL_TEST_HOLD_A_LAB";

fn config() -> LabConfig {
    let mut lab = LabConfig { replicas: 2, cold_start: Span::millis(300), ..LabConfig::default() };
    lab.gateway.canary_interval = Span::millis(500);
    lab
}

async fn get<T: DeserializeOwned>(http: &reqwest::Client, url: String) -> T {
    http.get(url).send().await.expect("an answer").json().await.expect("JSON")
}

async fn pods(lab: &Lab) -> Vec<PodStatus> {
    get(&reqwest::Client::new(), format!("http://{}/pods", lab.addresses().controller)).await
}

async fn rollout(http: &reqwest::Client, lab: &Lab) -> RolloutStatus {
    get(http, format!("http://{}/rollout", lab.addresses().controller)).await
}

async fn pids(lab: &Lab) -> Vec<i32> {
    let mut pids = lab.pids().to_vec();
    pids.extend(pods(lab).await.iter().filter_map(|pod| pod.pid));
    pids.into_iter().map(|pid| i32::try_from(pid).expect("a pid")).collect()
}

/// Whether a process is there, and more than a zombie.
fn is_alive(pid: i32) -> bool {
    let status = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().expect("ps");
    let state = String::from_utf8_lossy(&status.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

async fn chat(http: &reqwest::Client, lab: &Lab, prompt: &str) -> (u16, Value) {
    let body = json!({"model": "demo", "max_tokens": 12, "messages": [{"role": "user", "content": prompt}]});
    let url = format!("http://{}/v1/chat/completions", lab.addresses().gateway);
    let response = http.post(url).json(&body).send().await.expect("an answer");
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

#[tokio::test]
async fn a_lab_answers_through_its_gateway_and_is_gone_after_stop() {
    let logs = tempfile::tempdir().expect("a folder");
    let lab = Lab::start(&config(), 1, exe(), logs.path()).await.expect("a lab");
    let (question, word) = GOLDEN[0];
    let (status, body) = chat(&reqwest::Client::new(), &lab, question).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["system_fingerprint"], "fp_v1");
    let content = body["choices"][0]["message"]["content"].as_str().expect("content");
    assert!(content.contains(word), "{content}");
    let pids = pids(&lab).await;
    assert_eq!(pids.len(), 6);
    lab.stop().await;
    assert!(!pids.into_iter().any(is_alive));
    let requests = ["replica-0", "replica-1"].map(|pod| {
        std::fs::read_to_string(logs.path().join(format!("{pod}.requests.jsonl"))).expect("a request log")
    });
    assert_eq!(requests.concat().lines().count(), 1, "the replicas saw what the gateway sent");
}

/// Holds a lab until it is killed. Does nothing unless another test asks.
#[test]
fn hold_a_lab() {
    let Ok(logs) = std::env::var(HOLD) else { return };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let lab = Lab::start(&config(), 1, exe(), logs.as_ref()).await.expect("a lab");
        println!("\npids {}", serde_json::to_string(&pids(&lab).await).expect("JSON"));
        std::future::pending::<()>().await;
    });
}

#[tokio::test]
async fn everything_dies_with_the_parent_even_if_that_is_killed() {
    let logs = tempfile::tempdir().expect("a folder");
    let mut holder = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "lab::whole::hold_a_lab", "--nocapture"])
        .env(HOLD, logs.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the holder starts");
    let lines = BufReader::new(holder.stdout.take().expect("its output")).lines();
    let said = lines
        .map_while(Result::ok)
        .find_map(|line| line.strip_prefix("pids ").map(str::to_owned))
        .expect("it says its pids");
    let pids: Vec<i32> = serde_json::from_str(&said).expect("pids");
    assert!(pids.len() == 6 && pids.iter().all(|pid| is_alive(*pid)));
    holder.kill().expect("SIGKILL");
    holder.wait().expect("its end");
    until("all are gone", async || !pids.iter().any(|pid| is_alive(*pid))).await;
}

#[tokio::test]
async fn a_taken_port_and_a_missing_program_are_told() {
    let logs = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let config = LabConfig { port: Some(port), ..config() };
    let error = Lab::start(&config, 1, exe(), logs.path()).await.expect_err("no lab");
    assert!(matches!(error, LabError::PortTaken { .. }), "{error}");
    assert!(error.to_string().contains(&format!("port {port} is taken")), "{error}");

    let nowhere = logs.path().join("nothing");
    let error = Lab::start(&self::config(), 1, &nowhere, logs.path()).await.expect_err("no lab");
    assert!(error.to_string().starts_with("start the lab's proxy: "), "{error}");
}

#[tokio::test]
async fn the_part_that_died_is_named() {
    let logs = tempfile::tempdir().expect("a folder");
    let mut lab = Lab::start(&config(), 1, exe(), logs.path()).await.expect("a lab");
    let [_, gateway, _] = lab.pids();
    kill(Pid::from_raw(i32::try_from(gateway).expect("a pid")), Signal::SIGKILL).expect("kill");
    assert_eq!(lab.died().await, "the gateway died (signal 9)");
    lab.stop().await;
}

/// Sends requests at a steady pace until `done`.
async fn with_load(http: &reqwest::Client, lab: &Lab, done: impl Future<Output = ()>) {
    let load = async {
        let mut tick = tokio::time::interval(Duration::from_millis(25));
        // What a busy machine missed must not come all at once.
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut open = futures::stream::FuturesUnordered::new();
        for at in 0_u64.. {
            tokio::select! {
                _ = tick.tick() => {}
                Some(_) = futures::StreamExt::next(&mut open) => {}
            }
            open.push(async move { chat(http, lab, &format!("what about number {at}")).await.0 });
        }
    };
    tokio::select! {
        () = load => {}
        () = done => {}
    }
}

#[tokio::test]
async fn the_canary_is_judged_by_what_the_gateway_measured() {
    for (defect, phase, stable) in [
        ("slow", RolloutPhase::RolledBack, "v1"),
        ("errors", RolloutPhase::RolledBack, "v1"),
        ("none", RolloutPhase::Promoted, "v2"),
    ] {
        let logs = tempfile::tempdir().expect("a folder");
        let lab = Lab::start(&config(), 1, exe(), logs.path()).await.expect("a lab");
        let http = &reqwest::Client::new();
        let url = format!("http://{}/deploy", lab.addresses().controller);
        let deploy = http.post(url).json(&json!({"version": "v2", "defect": defect}));
        assert_eq!(deploy.send().await.expect("an answer").status(), 200);
        let ended = async {
            until("the rollout ends", async || {
                let now = rollout(http, &lab).await.phase;
                matches!(now, RolloutPhase::RolledBack | RolloutPhase::Promoted)
            })
            .await;
        };
        with_load(http, &lab, ended).await;
        let rollout = rollout(http, &lab).await;
        assert_eq!((rollout.phase, rollout.stable.as_str()), (phase, stable), "{defect}: {}", rollout.reason);
        // On a busy machine it may shed for a moment yet.
        until("it serves", async || chat(http, &lab, "are you there?").await.0 == 200).await;
        let (status, body) = chat(http, &lab, "who serves now?").await;
        assert_eq!(body["system_fingerprint"], format!("fp_{stable}"), "{defect}: {status} {body}");
        lab.stop().await;
    }
}
