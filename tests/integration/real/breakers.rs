//! Circuit breakers of systems that others wrote, set up well and badly: the
//! drill must tell which is which.

use std::process::Command;

use firedrill::verdict::model::{RunVerdict, Verdict};

use super::{
    child::{Child, free_ports},
    servers::{Real, envoy, haproxy},
};
use crate::support::{Folder, exe};

/// HAProxy's server set up so, and drilled.
fn haproxy_drilled(server: &str) -> (RunVerdict, String) {
    drilled(|link, origin| {
        let (front, metrics) = haproxy(link, origin, server);
        (front, format!("haproxy: \"http://127.0.0.1:{metrics}/metrics\""))
    })
}

/// Envoy with this outlier detection, before an origin, drilled.
fn envoy_drilled(outliers: &str) -> (RunVerdict, String) {
    let mut behind = None;
    drilled(|link, origin| {
        // Its front is not used: it is the origin that answers 200.
        behind = Some(haproxy(origin, origin, ""));
        let (front, admin) = envoy(link, outliers);
        (front, format!("envoy: \"http://127.0.0.1:{admin}\""))
    })
}

/// Runs a drill that cuts the way between a proxy and its origin. `start`
/// starts the proxy, by the port of that way and that of the origin, and says
/// how it is observed.
fn drilled(start: impl FnOnce(u16, u16) -> (Real, String)) -> (RunVerdict, String) {
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
    let (front, observed) = start(link, origin);
    let scenario = format!(
        r#"version: 1
name: breakers
target: {{ url: {{ at: "{}", proxy: "127.0.0.1:{admin}" }} }}
workloads:
  get: {{ endpoint: {{ http: {{ path: /, good: {{ status: [200] }} }} }}, timeout: 3s }}
load:
  - {{ name: users, workload: get, arrivals: {{ constant: {{ rate: 30/s }} }} }}
phases: {{ baseline: 5s, fault: 9s, recovery: 8s }}
observe:
  - {{ name: front, {observed} }}
chaos:
  - id: cut
    at: fault
    duration: 6s
    apply: {{ apiVersion: firedrill.dev/v1alpha1, kind: LinkChaos, spec: {{ action: reset, mode: all, selector: {{}} }} }}
slos:
  - {{ availability: ">= 99%", in: baseline }}
expect:
  - circuit-breaker: {{ after: cut, opens-within: 3s, closes-within: 5s, quiet-in: baseline, fails-fast: "p95 < 50ms" }}
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
    let (judged, said) = haproxy_drilled(well);
    for check in ["opens-within", "closes-within", "fails-fast"] {
        assert_eq!(verdict_on(&judged, &format!("circuit-breaker.cut.{check}")), Verdict::Pass, "{said}");
    }
    assert_eq!(verdict_on(&judged, "circuit-breaker.quiet-in.baseline"), Verdict::Pass, "{said}");
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn haproxy_that_looks_too_seldom_is_told_from_one_that_looks() {
    // Nobody counts errors, and the check comes too late.
    let (judged, said) = haproxy_drilled("check inter 60s");
    assert_eq!(verdict_on(&judged, "circuit-breaker.cut.opens-within"), Verdict::Fail, "{said}");
    // It comes back, but not in time.
    let slow = "check inter 300ms fastinter 300ms downinter 30s fall 2 rise 2 observe layer7 error-limit 3 on-error mark-down";
    let (judged, said) = haproxy_drilled(slow);
    assert_eq!(verdict_on(&judged, "circuit-breaker.cut.opens-within"), Verdict::Pass, "{said}");
    assert_eq!(verdict_on(&judged, "circuit-breaker.cut.closes-within"), Verdict::Fail, "{said}");
}

/// Envoy's outlier detection: so many errors eject a host, for so long.
fn outliers(errors: u32, ejected: &str) -> String {
    format!(
        "    outlier_detection: {{ consecutive_5xx: {errors}, consecutive_gateway_failure: {errors}, \
         enforcing_consecutive_gateway_failure: 100, interval: 0.5s, base_ejection_time: {ejected}, max_ejection_time: {ejected}, \
         max_ejection_percent: 100 }}"
    )
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn envoy_that_ejects_and_lets_back_is_told_from_one_that_does_not() {
    let opens = "circuit-breaker.cut.opens-within";
    let closes = "circuit-breaker.cut.closes-within";
    for (config, opened, closed) in [
        (outliers(3, "1s"), Verdict::Pass, Verdict::Pass),
        (outliers(3, "60s"), Verdict::Pass, Verdict::Fail),
        (outliers(10_000, "1s"), Verdict::Fail, Verdict::Inconclusive),
        // None at all: there is no breaker, and so none that opened.
        (String::new(), Verdict::Fail, Verdict::Inconclusive),
    ] {
        let (judged, said) = envoy_drilled(&config);
        let found = (verdict_on(&judged, opens), verdict_on(&judged, closes));
        assert_eq!(found, (opened, closed), "{config}: {said}");
    }
}
