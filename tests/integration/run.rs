//! Whole runs of the program on the built-in lab, and how they end.

mod programs;
mod proxied;
mod requests_log;

use std::{
    fs,
    path::PathBuf,
    process::{Command, Output, Stdio},
    time::Duration,
};

use firedrill::verdict::model::Verdict;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Folder, Running, exe, run_folder, said, verdict};

/// A short drill: `{CHAOS}` and further keys follow.
const DRILL: &str = r#"version: 1
name: drill
seed: 1
target:
  lab: { replicas: 2, cold-start: 500ms, gateway: { cache: off } }
workloads:
  chat:
    endpoint: { openai-chat: { model: demo, stream: true } }
    prompts: { synthetic: { input-tokens: 8, output-tokens: 8 } }
load:
  - { name: users, workload: chat, arrivals: { poisson: { rate: 20/s } } }
phases: { baseline: 3s, fault: 4s }
slos:
  - { availability: ">= 50%" }
"#;

fn pod_kill(selector: &str, mode: &str) -> String {
    format!(
        "chaos:\n  - id: kill\n    at: fault + 0s\n    apply:\n      apiVersion: chaos-mesh.org/v1alpha1\n      kind: PodChaos\n      \
         metadata: {{ name: kill }}\n      spec: {{ action: pod-kill, {mode}, selector: {selector} }}\n"
    )
}

fn delay(selector: &str) -> String {
    format!(
        "chaos:\n  - id: slow\n    at: fault + 0s\n    duration: 3s\n    apply:\n      apiVersion: chaos-mesh.org/v1alpha1\n      \
         kind: NetworkChaos\n      metadata: {{ name: slow }}\n      spec: {{ action: delay, mode: all, direction: both, \
         delay: {{ latency: 200ms }}, selector: {selector} }}\n"
    )
}

fn command(folder: &Folder, scenario: &str) -> Command {
    let file = folder.write("drill.yaml", scenario);
    let mut command = Command::new(exe());
    command.arg("run").arg(file).args(["--ui", "plain", "--runs"]).arg(folder.path().join("runs"));
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(scenario: &str) -> (Folder, Output) {
    let folder = Folder::new();
    let out = command(&folder, scenario).output().expect("the program starts");
    (folder, out)
}

#[test]
fn it_says_its_version() {
    let out = Command::new(exe()).arg("--version").output().expect("the program starts");
    assert!(out.status.success());
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), concat!("firedrill ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_drill_with_a_proven_fault_passes_and_its_report_is_made_again_to_the_byte() {
    let (folder, out) = run(&format!("{DRILL}{}", pod_kill("{ namespaces: [default] }", "mode: one")));
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let first = run_folder(&out);
    let judged = verdict(&first);
    assert_eq!(judged.verdict, Verdict::Pass);
    assert!(judged.faults[0].proven_at.is_some());
    let again = folder.path().join("again");
    let report =
        Command::new(exe()).arg("report").arg(&first).arg("--out").arg(&again).output().expect("it starts");
    assert_eq!(report.status.code(), Some(0), "{}", said(&report));
    for file in ["report.html", "summary.png", "verdict.json", "junit.xml", "report.md", "seconds.csv"] {
        assert!(
            fs::read(first.join(file)).expect(file) == fs::read(again.join(file)).expect(file),
            "{file} differs"
        );
    }
}

#[test]
fn the_counts_agree_with_those_of_the_gateway() {
    let (_folder, out) = run(DRILL);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let folder = run_folder(&out);
    let events = fs::read_to_string(folder.join("events.jsonl")).expect("events");
    let last: Value = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .rfind(|event| event["signal"] == "sample" && event["source"] == "gateway")
        .expect("a sample of the gateway");
    let seen: f64 = last["values"]
        .as_object()
        .expect("values")
        .iter()
        .filter(|(name, _)| name.starts_with("gateway_requests_total"))
        .filter_map(|(_, value)| value.as_f64())
        .sum();
    let judged = verdict(&folder);
    // The preflight's probe is the one request beside the load's.
    assert_eq!(seen as u64, judged.generator.sent + 1, "the gateway's count and ours");
    assert_eq!(judged.outcomes.values().sum::<u64>(), judged.generator.sent);
}

#[test]
fn a_manifest_that_selects_nothing_is_a_problem_before_anything_starts() {
    let (folder, out) =
        run(&format!("{DRILL}{}", pod_kill("{ labelSelectors: { app: nobody } }", "mode: one")));
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    assert!(said(&out).contains("kill"), "{}", said(&out));
    assert!(
        fs::read_dir(folder.path().join("runs")).map_or(0, Iterator::count) == 0,
        "a run's folder was left"
    );
}

#[test]
fn a_delay_without_traffic_is_inconclusive() {
    let (_folder, out) = run(&format!("{DRILL}{}", delay("{ namespaces: [fallback] }")));
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
}

#[test]
fn targets_that_are_gone_are_inconclusive() {
    let gone = pod_kill("{ pods: { default: [replica-0] } }", "mode: one");
    let twice = format!(
        "{}{}",
        gone,
        gone.replace("chaos:\n", "").replace("id: kill", "id: again").replace("+ 0s", "+ 2s")
    );
    let (_folder, out) = run(&format!("{DRILL}{twice}"));
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
}

#[test]
fn a_percentage_that_picks_none_is_inconclusive() {
    // 1 % of two pods at the most: never a whole one.
    let few = pod_kill("{ namespaces: [default] }", "mode: random-max-percent, value: \"1\"");
    let (_folder, out) = run(&format!("{DRILL}{few}"));
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
}

#[test]
fn a_baseline_that_is_not_steady_injects_nothing() {
    let strict = DRILL.replace(r#"{ availability: ">= 50%" }"#, r#"{ ttft: "p50 < 1ms" }"#);
    let (_folder, out) = run(&format!("{strict}{}", pod_kill("{ namespaces: [default] }", "mode: one")));
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
    let judged = verdict(&run_folder(&out));
    assert!(judged.why.contains("steady"), "{}", judged.why);
    assert_eq!(judged.faults[0].injected_at, None);
}

#[test]
fn a_stop_condition_aborts_and_recovers() {
    let cut =
        delay("{ namespaces: [default] }").replace("200ms", "20s").replace("duration: 3s", "duration: 9s");
    let hopeless = DRILL
        .replace("cache: off", "cache: off, fallback: off, upstream-timeout: 300ms")
        .replace("4s }", "9s }");
    let (_folder, out) = run(&format!("{hopeless}{cut}stop-when: [\"error-rate > 50% for 2s\"]\n"));
    assert_eq!(out.status.code(), Some(4), "{}", said(&out));
    assert!(verdict(&run_folder(&out)).faults[0].recovered_at.is_some(), "{}", said(&out));
}

/// Starts a drill and waits until its journal tells of `needle`.
fn started(folder: &Folder, scenario: &str, needle: &str) -> (Running, PathBuf) {
    let (mut command, runs) = (command(folder, scenario), folder.path().join("runs"));
    Running::drill(&mut command, &runs, needle, Duration::from_secs(30))
}

fn long_delay() -> String {
    format!(
        "{}{}",
        DRILL.replace("fault: 4s", "fault: 60s"),
        delay("{ namespaces: [default] }").replace("3s", "50s")
    )
}

#[test]
fn ctrl_c_recovers_and_says_aborted() {
    let folder = Folder::new();
    let (mut child, run) = started(&folder, &long_delay(), "\"proven\"");
    child.signal(Signal::SIGINT);
    let out = child.ended();
    assert_eq!(out.status.code(), Some(4), "{}", said(&out));
    let judged = verdict(&run);
    assert_eq!(judged.verdict, Verdict::Aborted);
    assert!(judged.faults[0].recovered_at.is_some());
}

#[test]
fn after_a_sigkill_the_lab_is_gone_the_journal_reads_and_recover_finishes() {
    let folder = Folder::new();
    let (mut child, run) = started(&folder, &long_delay(), "\"proven\"");
    child.signal(Signal::SIGKILL);
    child.ended();
    let recover = Command::new(exe()).arg("recover").arg(&run).output().expect("the program starts");
    assert_eq!(recover.status.code(), Some(0), "{}", said(&recover));
    assert!(said(&recover).contains("slow"), "{}", said(&recover));
    let report = Command::new(exe()).arg("report").arg(&run).output().expect("the program starts");
    assert_eq!(report.status.code(), Some(3), "an unfinished run is inconclusive: {}", said(&report));
    assert!(run.join("report.html").exists());
}

#[test]
fn a_run_directory_that_cannot_be_made_is_said_at_once() {
    let folder = Folder::new();
    folder.write("runs", "a file, no folder");
    let out = command(&folder, DRILL).output().expect("the program starts");
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
}

#[test]
fn a_port_that_is_taken_is_said_at_once() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let (_folder, out) = run(&DRILL.replace("replicas: 2", &format!("replicas: 2, port: {port}")));
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    assert!(said(&out).contains(&port.to_string()), "{}", said(&out));
}

#[test]
fn a_closed_load_with_a_number_of_requests_sends_just_these() {
    let closed = DRILL.replace("arrivals: { poisson: { rate: 20/s } }", "closed: { users: 4, requests: 40 }");
    let closed = closed.replace("phases: { baseline: 3s, fault: 4s }\n", "");
    let (_folder, out) = run(&closed);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    assert_eq!(verdict(&run_folder(&out)).generator.sent, 40);
}

#[test]
fn every_error_is_said_with_its_place() {
    let folder = Folder::new();
    let file = folder
        .write("bad.yaml", &DRILL.replace("workload: chat", "workload: chta").replace("seed: 1", "sead: 1"));
    let out = Command::new(exe()).arg("validate").arg(file).output().expect("the program starts");
    assert_eq!(out.status.code(), Some(2));
    for part in ["bad.yaml:3:1", "sead", "`seed`", "chta", "chat"] {
        assert!(said(&out).contains(part), "{part} in {}", said(&out));
    }
}
