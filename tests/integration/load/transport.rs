//! Secrets, retries and timeouts, on the wire and in the run's folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use firedrill::{
    journal::interval::Outcome,
    scenario::model::{Retries, RetryOn, Transport},
    units::Span,
};

use super::{
    closed, load, plan,
    server::{Fault, Manner, Server},
    workload,
};
use crate::support::{Folder, exe};

const SECRET: &str = "s3cr3t-of-the-test";

fn retries(on: &[RetryOn]) -> Retries {
    // So many that no request fails each time, however unlucky its user.
    Retries { attempts: 20, on: on.to_vec(), backoff: Span::millis(0), honour_retry_after: false }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_is_sent_again_and_counted() {
    let server = Server::start(Manner::default()).await;
    let mut failing = workload(&Fault::Unavailable.path());
    failing.transport.retries = Some(retries(&[RetryOn::Http5xx]));
    let driven = load(plan(60, vec![(failing, closed(5, Some(50)))]), server.address).await;
    let sum = driven.sum();
    assert_eq!((sum.key.outcome, sum.count), (Outcome::Ok, 50), "one request, one outcome");
    // Every 5th that the server sees fails: 62 are needed for 50 good ones.
    assert_eq!((sum.sendings, server.requests().len()), (62, 62));
    assert_eq!((driven.summary.sent, driven.summary.done), (50, 50));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_began_is_never_sent_again() {
    let server = Server::start(Manner::default()).await;
    let all = [Fault::Reset, Fault::Forbidden].map(|fault| {
        let mut workload = workload(&fault.path());
        let on = [RetryOn::Reset, RetryOn::Http5xx, RetryOn::Shed];
        workload.transport.retries = Some(retries(&on));
        (workload, closed(5, Some(50)))
    });
    let driven = load(plan(60, all.to_vec()), server.address).await;
    assert_eq!(driven.outcomes("0-Reset")[&Outcome::Reset], 10);
    assert_eq!(driven.outcomes("1-Forbidden")[&Outcome::Http4xx], 10);
    assert_eq!(driven.cells().map(|cell| cell.sendings).sum::<u64>(), 100);
    assert_eq!(server.requests().len(), 100);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_timeout_says_which_it_was() {
    let server = Server::start(Manner::default()).await;
    let mut silent = workload(&Fault::Silence.path());
    silent.transport = Transport { first_token_timeout: Some(Span::millis(300)), ..Transport::default() };
    let mut pings = workload(&Fault::Stall.path());
    pings.idle_timeout = Span::millis(300);
    let loads = vec![(silent, closed(1, Some(5))), (pings, closed(1, Some(5)))];
    let driven = load(plan(60, loads), server.address).await;
    let said = |outcome| {
        let found = driven.exemplars.iter().find(|exemplar| exemplar.outcome == outcome);
        found.expect("an exemplar").detail.clone()
    };
    assert!(said(Outcome::Timeout).contains("first-token timeout"));
    assert!(said(Outcome::Stalled).contains("idle limit"));
}

fn scenario(server: &Server, auth: &str) -> String {
    format!(
        r#"version: 1
name: secret
target: {{ url: "http://{}" }}
workloads:
  chat:
    endpoint: {{ openai-chat: {{ model: demo, stream: true, path: /Echo }} }}
    prompts: {{ synthetic: {{ input-tokens: 8, output-tokens: 8 }} }}
    auth: {auth}
load:
  - {{ name: users, workload: chat, closed: {{ users: 2, requests: 20, think: 200ms }} }}
slos:
  - {{ availability: ">= 50%" }}
"#,
        server.address
    )
}

async fn run(folder: &Folder, scenario: &str, secret: Option<&str>) -> Output {
    let file = folder.write("drill.yaml", scenario);
    let mut command = Command::new(exe());
    command.arg("run").arg(file).args(["--ui", "plain", "--runs"]).arg(folder.path().join("runs"));
    command.env_remove("FIREDRILL_TEST_TOKEN").stdin(Stdio::null());
    if let Some(secret) = secret {
        command.env("FIREDRILL_TEST_TOKEN", secret).env("RUST_LOG", "trace");
    }
    tokio::task::spawn_blocking(move || command.output().expect("it starts")).await.expect("no panic")
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_sent_and_written_nowhere() {
    let server = Server::start(Manner::default()).await;
    let folder = Folder::new();
    let auth = "{ bearer: { env: FIREDRILL_TEST_TOKEN } }";
    let output = run(&folder, &scenario(&server, auth), Some(SECRET)).await;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{err}");
    let bearer = format!("Bearer {SECRET}");
    assert!(server.requests().iter().all(|request| request.headers["authorization"] == bearer));
    let files = files(&folder.path().join("runs"));
    assert!(files.len() > 5, "{files:?}");
    let mut hidden = 0;
    for file in files {
        let bytes = fs::read(&file).expect("it reads");
        let has = |what: &str| bytes.windows(what.len()).any(|part| part == what.as_bytes());
        assert!(!has(SECRET), "{}", file.display());
        hidden += usize::from(has("(secret)"));
    }
    assert!(hidden > 0, "the server said it back, and the exemplars quote it");
    assert!(!out.contains(SECRET) && !err.contains(SECRET), "{out}{err}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_not_there_is_located() {
    let server = Server::start(Manner::default()).await;
    let folder = Folder::new();
    let auth = "{ header: { name: x-api-key, env: FIREDRILL_TEST_TOKEN } }";
    let output = run(&folder, &scenario(&server, auth), None).await;
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(err.contains("drill.yaml:8:") && err.contains("`FIREDRILL_TEST_TOKEN` is not set"), "{err}");
    assert!(server.requests().is_empty());
    assert!(!folder.path().join("runs").exists());
}
