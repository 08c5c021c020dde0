//! CPU and memory used up in pods, by ephemeral containers.

use std::time::{Duration, Instant};

use super::{
    drills::app,
    rig::{PATIENCE, Rig, kubectl, recover, said, unmet, verdict},
};
use crate::lab::kubernetes as own;

fn busy(duration: &str) -> String {
    format!(
        "  - id: busy\n    at: fault + 0s\n    apply:\n      apiVersion: chaos-mesh.org/v1alpha1\n      kind: StressChaos\n      \
         spec: {{ duration: {duration}, mode: one, {}, stressors: {{ cpu: {{ workers: 1, load: 40 }}, \
         memory: {{ workers: 1, size: 48MB }} }} }}\n",
        app()
    )
}

fn target() -> String {
    format!(", image: \"{}\"", own::IMAGE)
}

/// Containers of stress that run.
fn running(rig: &Rig) -> usize {
    let path = "jsonpath={.items[*].status.ephemeralContainerStatuses[*].state.running.startedAt}";
    kubectl(&["-n", &rig.namespace, "get", "pods", "-o", path]).split_whitespace().count()
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn stress_is_measured_and_ended() {
    own::image();
    let rig = Rig::start("stress");
    let before = rig.snapshot();
    let out = rig.run(&rig.scenario(&target(), &format!("chaos:\n{}", busy("6s"))));
    let judged = verdict(&out);
    assert_eq!(unmet(&judged), Vec::<String>::new(), "{}", said(&out));
    let proof = &judged.faults[0].proof[0].what;
    assert!(proof.contains("of CPU in") && proof.contains("of 48 MiB"), "{proof}");
    assert_eq!((running(&rig), rig.snapshot()), (0, before));
    // Without an image there is none, and that is said beforehand.
    let out = rig.run(&rig.scenario("", &format!("chaos:\n{}", busy("6s"))));
    assert!(out.status.code() == Some(2) && said(&out).contains("`image:`"), "{}", said(&out));
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn stress_that_a_dead_harness_left_is_ended() {
    own::image();
    let rig = Rig::start("stressed");
    let run = rig.killed_at(&rig.scenario(&target(), &format!("chaos:\n{}", busy("12s"))), "\"proven\"");
    // It answers before the kubelet says that it runs.
    let deadline = Instant::now() + PATIENCE;
    while running(&rig) != 1 {
        assert!(Instant::now() < deadline, "its container runs");
        std::thread::sleep(Duration::from_millis(100));
    }
    for _ in 0..2 {
        let out = recover(&run);
        assert_eq!(out.status.code(), Some(0), "{}", said(&out));
        assert_eq!(running(&rig), 0);
    }
}
