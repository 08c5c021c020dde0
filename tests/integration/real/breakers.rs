//! Circuit breakers of systems that others wrote, set up well and badly: the
//! drill must tell which is which.

use std::process::Command;

use firedrill::verdict::model::{RunVerdict, Verdict};

use super::{
    child::{Child, free_ports},
    servers::haproxy,
};
use crate::support::{Folder, exe};

/// Runs a drill that cuts the way between HAProxy and its upstream.
fn drilled(server: &str) -> (RunVerdict, String) {
    let folder = Folder::new();
    let [link, admin, origin] = free_ports();
    let proxy: Vec<String> = [
        exe().to_string_lossy().into_owned(),
        "proxy".to_owned(),
        "--listen".to_owned(),
        format!("127.0.0.1:{link}"),
        "--upstream".to_owned(),
        format!("127.0.0.1:{origin}"),
        "--admin".to_owned(),
        format!("127.0.0.1:{admin}"),
    ]
    .into();
    let _proxy = Child::spawn(&proxy, &[], &folder.path().join("proxy.log"));
    let (front, metrics) = haproxy(link, origin, server);
    let scenario = format!(
        r#"version: 1
name: haproxy
target: {{ url: {{ at: "{}", proxy: "127.0.0.1:{admin}" }} }}
workloads:
  get: {{ endpoint: {{ http: {{ path: /, good: {{ status: [200] }} }} }}, timeout: 3s }}
load:
  - {{ name: users, workload: get, arrivals: {{ constant: {{ rate: 30/s }} }} }}
phases: {{ baseline: 5s, fault: 9s, recovery: 8s }}
observe:
  - {{ name: front, haproxy: "http://127.0.0.1:{metrics}/metrics" }}
chaos:
  - id: cut
    at: fault
    duration: 6s
    apply: {{ apiVersion: firedrill.dev/v1alpha1, kind: LinkChaos, spec: {{ action: reset, mode: all, selector: {{}} }} }}
slos:
  - {{ availability: ">= 99%", in: baseline }}
expect:
  - circuit-breaker: {{ after: cut, opens-within: 3s, closes-within: 5s, quiet-in: baseline }}
"#,
        front.url
    );
    let file = folder.write("drill.yaml", &scenario);
    let runs = folder.path().join("runs");
    let out = Command::new(exe()).arg("run").arg(file).args(["--ui", "plain", "--runs"]).arg(runs).output();
    let out = out.expect("it starts");
    let (stdout, stderr) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    let said = format!("{stdout}{stderr}");
    let run = stdout.lines().last().unwrap_or_else(|| panic!("{said}"));
    let text = std::fs::read_to_string(std::path::Path::new(run).join("verdict.json"));
    (serde_json::from_str(&text.unwrap_or_else(|_| panic!("{said}"))).expect("a verdict"), said)
}

fn verdict_on(judged: &RunVerdict, id: &str) -> Verdict {
    judged.checks.iter().find(|check| check.id.as_str() == id).expect("it is judged").verdict
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn haproxy_that_looks_at_answers_takes_a_broken_server_out_and_back() {
    let well = "check inter 300ms fall 2 rise 2 observe layer7 error-limit 3 on-error mark-down";
    let (judged, said) = drilled(well);
    for check in ["opens-within", "closes-within"] {
        assert_eq!(verdict_on(&judged, &format!("circuit-breaker.cut.{check}")), Verdict::Pass, "{said}");
    }
    assert_eq!(verdict_on(&judged, "circuit-breaker.quiet-in.baseline"), Verdict::Pass, "{said}");
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn haproxy_that_looks_too_seldom_is_told_from_one_that_looks() {
    // Nobody counts errors, and the check comes too late.
    let (judged, said) = drilled("check inter 60s");
    assert_eq!(verdict_on(&judged, "circuit-breaker.cut.opens-within"), Verdict::Fail, "{said}");
    // It comes back, but not in time.
    let slow = "check inter 300ms fastinter 300ms downinter 30s fall 2 rise 2 observe layer7 error-limit 3 on-error mark-down";
    let (judged, said) = drilled(slow);
    assert_eq!(verdict_on(&judged, "circuit-breaker.cut.opens-within"), Verdict::Pass, "{said}");
    assert_eq!(verdict_on(&judged, "circuit-breaker.cut.closes-within"), Verdict::Fail, "{said}");
}
