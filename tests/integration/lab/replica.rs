//! One replica process, spoken to over HTTP.

use std::time::Duration;

use firedrill::{
    lab::{
        api::{Listening, ReplicaConfig, ReplicaLogLine, command},
        config::{ModelPreset, VersionDefect},
        golden::GOLDEN,
    },
    process::{self, Child},
    units::{PodName, Version},
};
use futures::StreamExt as _;
use serde_json::{Value, json};

use super::until;
use crate::support::exe;

fn config() -> ReplicaConfig {
    ReplicaConfig {
        pod: PodName::from("replica-0"),
        version: Version::from("v1"),
        defect: VersionDefect::None,
        model: ModelPreset::Llama8bH100,
        seed: 42,
        cold_start_ms: 0,
        ready_before_warm: false,
        garbage: false,
        named: None,
        extra_delay_ms: 0,
        error_rate: 0.0,
        request_log: None,
        port: None,
    }
}

struct Replica {
    child: Child,
    url: String,
    http: reqwest::Client,
}

async fn start(config: &ReplicaConfig) -> Replica {
    let (child, said): (Child, Listening) =
        process::spawn(exe(), command::REPLICA, config, None).await.expect("a replica starts");
    Replica { child, url: format!("http://{}", said.listening), http: reqwest::Client::new() }
}

fn chat(prompt: &str, max_tokens: u32) -> Value {
    json!({"model": "demo", "messages": [{"role": "user", "content": prompt}], "max_tokens": max_tokens})
}

fn streaming(prompt: &str, max_tokens: u32) -> Value {
    let mut body = chat(prompt, max_tokens);
    body["stream"] = json!(true);
    body["stream_options"] = json!({"include_usage": true});
    body
}

impl Replica {
    async fn post(&self, body: &Value) -> reqwest::Response {
        let url = format!("{}/v1/chat/completions", self.url);
        self.http
            .post(url)
            .header("x-request-id", "r-1")
            .body(body.to_string())
            .send()
            .await
            .expect("an answer")
    }

    async fn content(&self, prompt: &str) -> String {
        let body: Value = json_of(self.post(&chat(prompt, 32)).await).await;
        body["choices"][0]["message"]["content"].as_str().expect("content").to_owned()
    }

    async fn metric(&self, name: &str) -> f64 {
        let text = self.http.get(format!("{}/metrics", self.url)).send().await.expect("metrics");
        let text = text.text().await.expect("text");
        text.lines()
            .filter(|line| line.starts_with(name))
            .map(|line| {
                line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a number")
            })
            .sum()
    }

    async fn status(&self, path: &str) -> u16 {
        self.http.get(format!("{}{path}", self.url)).send().await.expect("an answer").status().as_u16()
    }
}

async fn json_of(response: reqwest::Response) -> Value {
    serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON")
}

/// The data of the events of a body; and whether it ended uncleanly.
async fn events(response: reqwest::Response) -> (Vec<String>, bool) {
    let mut body = Vec::new();
    let mut aborted = false;
    let mut stream = response.bytes_stream();
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(piece) => body.extend(piece),
            Err(_) => aborted = true,
        }
    }
    let text = String::from_utf8(body).expect("UTF-8");
    let data = text.split_terminator("\n\n").filter_map(|event| event.strip_prefix("data: "));
    (data.map(str::to_owned).collect(), aborted)
}

#[tokio::test]
async fn a_stream_has_a_role_then_each_token_then_usage_and_done() {
    let replica = start(&config()).await;
    let response = replica.post(&streaming("tell me about rivers", 20)).await;
    assert_eq!(response.headers()["x-served-by"], "replica-0");
    assert_eq!(response.headers()["x-model-version"], "v1");
    let (events, aborted) = events(response).await;
    assert!(!aborted);
    assert_eq!(events.len(), 1 + 20 + 1 + 1, "{events:?}");
    let parsed: Vec<Value> =
        events[..22].iter().map(|event| serde_json::from_str(event).expect("JSON")).collect();
    assert_eq!(parsed[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    for (index, event) in parsed[1..21].iter().enumerate() {
        let text = event["choices"][0]["delta"]["content"].as_str().expect("content");
        assert!(text.trim().starts_with(&format!("tok-{index} ")), "{text}");
        let finish = if index == 19 { json!("length") } else { Value::Null };
        assert_eq!(event["choices"][0]["finish_reason"], finish);
        assert_eq!(event["system_fingerprint"], "fp_v1");
        assert_eq!(event["model"], "demo");
    }
    assert_eq!(parsed[21]["usage"]["completion_tokens"], 20);
    assert_eq!(events[22], "[DONE]");
    assert_eq!(replica.metric("vllm:generation_tokens_total").await, 20.0);
    assert_eq!(replica.metric("vllm:time_to_first_token_seconds_count").await, 1.0);
    assert_eq!(replica.metric("vllm:request_success_total").await, 1.0);
}

#[tokio::test]
async fn what_is_said_depends_on_seed_version_and_prompt_but_not_on_the_pod() {
    let one = start(&config()).await;
    let two = start(&ReplicaConfig { pod: PodName::from("replica-1"), ..config() }).await;
    let newer = start(&ReplicaConfig { version: Version::from("v2"), ..config() }).await;
    assert_eq!(one.content("hello there").await, two.content("hello there").await);
    assert_ne!(one.content("hello there").await, newer.content("hello there").await);
    assert_ne!(one.content("hello there").await, one.content("hello you").await);
}

#[tokio::test]
async fn golden_prompts_are_answered_rightly_wrongly_or_with_nonsense() {
    let (question, word) = GOLDEN[0];
    let right = start(&config()).await;
    let wrong = start(&ReplicaConfig { defect: VersionDefect::WrongAnswers, ..config() }).await;
    let garbage = start(&ReplicaConfig { garbage: true, ..config() }).await;
    assert!(right.content(question).await.contains(word));
    assert!(!wrong.content(question).await.contains(word));
    assert!(!garbage.content(question).await.contains(word));
    let body = json_of(right.post(&chat(question, 32)).await).await;
    assert_eq!(body["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn senseless_requests_get_400_in_openais_form() {
    let replica = start(&config()).await;
    for body in [json!("x"), json!({"model": "demo", "messages": []}), chat("x", 0), chat("x", 10_000_000)] {
        let response = replica.post(&body).await;
        assert_eq!(response.status(), 400, "{body}");
        assert!(json_of(response).await["error"]["message"].is_string());
    }
    assert_eq!(replica.metric("firedrill_lab_requests_total{status=\"400\"}").await, 4.0);
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_blocks() {
    let replica = start(&config()).await;
    let mut stream = replica.post(&streaming("a long story please", 20_000)).await.bytes_stream();
    stream.next().await.expect("a first piece").expect("bytes");
    assert_eq!(replica.metric("vllm:num_requests_running").await, 1.0);
    assert!(replica.metric("vllm:kv_cache_usage_perc").await > 0.0);
    drop(stream);
    until("its blocks are free", async || replica.metric("vllm:kv_cache_usage_perc").await == 0.0).await;
    assert_eq!(replica.metric("vllm:num_requests_running").await, 0.0);
    assert_eq!(replica.metric("firedrill_lab_in_flight").await, 0.0);
}

#[tokio::test]
async fn a_cold_replica_is_alive_but_not_ready_and_refuses() {
    let replica = start(&ReplicaConfig { cold_start_ms: 1500, ..config() }).await;
    assert_eq!(replica.status("/health").await, 200);
    assert_eq!(replica.status("/ready").await, 503);
    assert_eq!(replica.status("/startup").await, 503);
    assert_eq!(replica.post(&chat("x", 1)).await.status(), 503);
    until("it is ready", async || replica.status("/ready").await == 200).await;
    assert_eq!(replica.post(&chat("x", 1)).await.status(), 200);
}

#[tokio::test]
async fn ready_before_warm_says_ready_and_fails() {
    let early = ReplicaConfig { cold_start_ms: 60_000, ready_before_warm: true, ..config() };
    let replica = start(&early).await;
    assert_eq!(replica.status("/ready").await, 200);
    let body = chat("x", 1);
    let answers = futures::future::join_all((0..12).map(|_| replica.post(&body))).await;
    let refused = answers.iter().filter(|answer| answer.status() == 503).count();
    assert!((1..12).contains(&refused), "{refused} of 12 refused");
}

#[tokio::test]
async fn bad_versions_fail_as_their_defect_says() {
    let errors = start(&ReplicaConfig { defect: VersionDefect::Errors, ..config() }).await;
    let body = chat("x", 1);
    let answers = futures::future::join_all((0..60).map(|_| errors.post(&body))).await;
    let failed = answers.iter().filter(|answer| answer.status() == 500).count();
    assert!((10..40).contains(&failed), "{failed} of 60 failed");

    let truncates = start(&ReplicaConfig { defect: VersionDefect::Truncates, ..config() }).await;
    let body = streaming("x", 8);
    let streams =
        futures::future::join_all((0..60).map(async |_| events(truncates.post(&body).await).await)).await;
    let aborted = streams.iter().filter(|(_, aborted)| *aborted).count();
    let clean = streams
        .iter()
        .filter(|(events, aborted)| !aborted && events.last().is_none_or(|last| last != "[DONE]"))
        .count();
    assert!(aborted > 0 && clean > 0 && (10..40).contains(&(aborted + clean)), "{aborted} {clean}");
}

#[tokio::test]
async fn a_slow_accelerator_takes_longer_steps_and_says_so() {
    let replica = start(&config()).await;
    let mean_step = async || {
        let (steps, seconds) = (
            replica.metric("firedrill_lab_steps_total").await,
            replica.metric("firedrill_lab_step_seconds_total").await,
        );
        (steps, seconds)
    };
    replica.post(&chat("x", 20)).await;
    let before = mean_step().await;
    let put = replica.http.put(format!("{}/admin/slowdown", replica.url)).json(&json!({"factor": 5.0}));
    assert_eq!(put.send().await.expect("an answer").status(), 200);
    assert_eq!(replica.metric("firedrill_lab_slowdown").await, 5.0);
    replica.post(&chat("y", 20)).await;
    let after = mean_step().await;
    let (fast, slow) = (before.1 / before.0, (after.1 - before.1) / (after.0 - before.0));
    assert!(slow > 3.5 * fast && slow < 6.5 * fast, "{fast} s a step, then {slow} s");
}

#[tokio::test]
async fn the_request_log_has_a_line_a_request() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("requests.jsonl");
    let replica = start(&ReplicaConfig { request_log: Some(path.clone()), ..config() }).await;
    replica.post(&chat("x", 3)).await.bytes().await.expect("a body");
    replica.post(&json!({})).await.bytes().await.expect("a body");
    replica.child.stop(Duration::from_secs(10)).await.expect("it ends");
    let text = std::fs::read_to_string(path).expect("a log");
    let lines: Vec<ReplicaLogLine> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert_eq!((lines[0].status, lines[0].tokens, lines[0].complete), (200, 3, true));
    assert_eq!(lines[0].id.as_deref(), Some("r-1"));
    assert!(lines[0].ttft_us.is_some_and(|us| us > 1000));
    assert_eq!((lines[1].status, lines[1].ttft_us), (400, None));
}

#[tokio::test]
async fn a_killed_replica_leaves_the_lines_of_what_had_ended() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("requests.jsonl");
    let mut replica = start(&ReplicaConfig { request_log: Some(path.clone()), ..config() }).await;
    replica.post(&chat("x", 1)).await.bytes().await.expect("a body");
    let lines = || std::fs::read_to_string(&path).map_or(0, |text| text.lines().count());
    until("the line is written", async || lines() == 1).await;
    replica.child.kill().expect("SIGKILL");
    replica.child.wait().await.expect("its end");
    assert_eq!(lines(), 1);
}
