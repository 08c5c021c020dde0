//! Probes of a Deployment whose pods are cold for three seconds: who gets
//! traffic meanwhile.

use std::{process::Command, time::Instant};

use serde_json::Value;

use firedrill::verdict::model::Verdict::{self, Fail, Pass};

use super::{
    drills::{act, app},
    rig::{PATIENCE, Rig, kubectl, said, verdict},
};

const EARLY: &str = "probes.kill.early";
const COLD: &str = "pods.kill.cold-failures";

/// The rig's service, with pods that are cold at first and say so.
fn cold() -> Rig {
    let objects = include_str!("objects.yaml");
    let probe = "readinessProbe: { httpGet: { path: /ready, port: 8000 }, periodSeconds: 1 }";
    let objects =
        objects.replace("readinessProbe: { httpGet: { path: /, port: 8000 }, periodSeconds: 1 }", probe);
    assert!(objects.contains(probe), "the probe is another");
    let cold = format!("env: [ {{ name: COLD_MS, value: \"3000\" }} ]\n          {probe}");
    let rig = Rig::of("probes", &objects.replace(probe, &cold));
    rig.settled();
    rig
}

/// Waits until all pods answer, which nobody asks them where there is no probe.
fn warm(rig: &Rig) {
    let deadline = Instant::now() + PATIENCE;
    let answers = |pod: &Value| {
        let name = pod["metadata"]["name"].as_str().expect("a pod has a name");
        let path = format!("/api/v1/namespaces/{}/pods/{name}:8000/proxy/", rig.namespace);
        let out = Command::new("kubectl").args(["get", "--raw", &path]).output().expect("kubectl starts");
        out.status.success()
    };
    while !rig.pods().iter().all(answers) {
        assert!(Instant::now() < deadline, "some pods never answer");
    }
}

/// Kills one pod under load, and holds what was told against what is wanted.
fn told(rig: &Rig, set_up: &str, wanted: &[(&str, Verdict)]) {
    let kill = act("kill", "PodChaos", &format!("action: pod-kill, mode: one, {}", app()));
    let expect = "expect:\n  - probes: { after: kill, early: \"<= 0%\" }\n  - pods: { after: kill, cold-failures: \"<= 5%\" }\n";
    let scenario = rig.scenario("", &format!("chaos:\n{kill}{expect}")).replace("rate: 10/s", "rate: 40/s");
    // A Service balances connections, not requests.
    let scenario = scenario.replace("timeout: 2s }", "timeout: 2s, connection: { reuse: none } }");
    assert!(scenario.contains("reuse: none"), "{scenario}");
    let out = rig.run(&scenario);
    let judged = verdict(&out);
    for (check, verdict) in wanted {
        let found = judged.checks.iter().find(|one| one.id.as_str() == *check).expect("it is judged");
        assert_eq!(found.verdict, *verdict, "{set_up}: {check}: {}: {}", found.why, said(&out));
    }
    rig.settled();
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn traffic_for_pods_that_are_not_ready_is_told() {
    let rig = cold();
    told(&rig, "a readiness probe", &[(EARLY, Pass), (COLD, Pass)]);
    let patch = |what: &str, patch: &str| {
        kubectl(&["-n", &rig.namespace, "patch", what, "--type", "json", "-p", patch]);
    };
    // Who is not ready gets traffic all the same.
    let publish = r#"[{"op": "add", "path": "/spec/publishNotReadyAddresses", "value": true}]"#;
    patch("service/llm", publish);
    told(&rig, "publishNotReadyAddresses", &[(EARLY, Fail)]);
    patch("service/llm", &publish.replace("true", "false"));
    // A pod without a probe is ready when it runs: what it gets is not early, but fails.
    let unprobed = r#"[{"op": "remove", "path": "/spec/template/spec/containers/0/readinessProbe"}]"#;
    patch("deployment/llm", unprobed);
    rig.settled();
    warm(&rig);
    told(&rig, "no probe", &[(COLD, Fail)]);
}
