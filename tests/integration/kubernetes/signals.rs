//! What is observed of a cluster beside what users see.

use std::path::Path;

use firedrill::{
    journal::{Event, RunFolder, event::Signal, reader},
    verdict::model::Verdict,
};

use super::{
    drills::{act, app},
    rig::{Rig, kubectl, said, unmet, verdict},
};

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn a_broken_pod_is_an_endpoint_no_more_unless_its_service_is_wrong() {
    let rig = Rig::start("endpoints");
    let freeze =
        act("freeze", "PodChaos", &format!("action: pod-failure, duration: 9s, mode: one, {}", app()));
    let scenario = rig.scenario(
        "",
        &format!("chaos:\n{freeze}expect:\n  - pods: {{ after: freeze, removed-within: 6s }}\n"),
    );
    let out = rig.run(&scenario);
    let judged = verdict(&out);
    assert_eq!(unmet(&judged), Vec::<String>::new(), "{}", said(&out));
    // Pods that are not ready get traffic all the same.
    let wrong = r#"{"spec":{"publishNotReadyAddresses":true}}"#;
    kubectl(&["-n", &rig.namespace, "patch", "service", "llm", "--type", "merge", "--patch", wrong]);
    rig.settled();
    let out = rig.run(&scenario);
    let judged = verdict(&out);
    let check = judged.checks.iter().find(|check| check.id.as_str() == "pods.freeze.removed-within");
    let check = check.expect("it is judged");
    assert_eq!(check.verdict, Verdict::Fail, "{}", said(&out));
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn workloads_nodes_and_warnings_are_in_the_record() {
    let rig = Rig::start("record");
    // A version whose image is not there: it never gets ready, and the old one
    // stays.
    let deploy =
        "  - { id: bad, at: fault, deploy: { version: v2, image: localhost/nobody:1, deployment: llm } }\n";
    let out = rig.run(&rig.scenario(", healthy-floor: 0", &format!("chaos:\n{deploy}")));
    let stdout = String::from_utf8_lossy(&out.stdout).into_owned();
    let folder = RunFolder::open(Path::new(stdout.lines().last().expect("a folder"))).expect("a run");
    let record = reader::read(&folder).expect("a record");
    let signals = || {
        record.events.iter().filter_map(|line| match &line.event {
            Event::Signal { signal, .. } => Some(signal),
            _ => None,
        })
    };
    let sampled = |key: &str, wanted: f64| {
        signals().any(|signal| match signal {
            Signal::Sample { values, .. } => values.get(key) == Some(&wanted),
            _ => false,
        })
    };
    assert!(sampled(r#"kube_deployment_spec_replicas{deployment="llm"}"#, 3.0), "{}", said(&out));
    assert!(sampled(r#"kube_deployment_status_replicas_updated{deployment="llm"}"#, 1.0), "{}", said(&out));
    let nodes = kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]);
    assert!(sampled(&format!("kubernetes_node_ready{{node=\"{nodes}\"}}"), 1.0), "{}", said(&out));
    let warned = signals().any(|signal| match signal {
        Signal::Note { reason, warning: true, text, .. } => {
            reason == "ErrImageNeverPull" || text.contains("nobody")
        }
        _ => false,
    });
    assert!(warned, "{}", said(&out));
    let html = std::fs::read_to_string(folder.path().join("report.html")).expect("a report");
    assert!(html.contains("Warnings meanwhile"));
}
