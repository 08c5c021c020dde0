//! A fault proxy between a Service and its pods, for the time of a drill.

use super::{
    drills::app,
    rig::{Rig, kubectl, recover, recover_leftovers, said, unmet, verdict},
};
use crate::lab::kubernetes as own;

fn act(id: &str, at: u32, kind: &str, spec: &str) -> String {
    let group = if kind == "NetworkChaos" { "chaos-mesh.org" } else { "firedrill.dev" };
    format!(
        "  - id: {id}\n    at: fault + {at}s\n    apply:\n      apiVersion: {group}/v1alpha1\n      kind: {kind}\n      \
         spec: {{ duration: 3s, {spec}, {} }}\n",
        app()
    )
}

fn target() -> String {
    format!(", healthy-floor: 0, image: \"{}\", proxy: on", own::IMAGE)
}

/// What is there of the proxy.
fn left(rig: &Rig) -> String {
    let all = kubectl(&["-n", &rig.namespace, "get", "deployments,services", "-o", "name"]);
    all.lines().filter(|name| name.contains("firedrill")).collect()
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn the_network_before_a_service_is_broken_without_an_agent() {
    own::image();
    let rig = Rig::start("proxied");
    let before = rig.snapshot();
    let chaos = [
        act("slow", 0, "NetworkChaos", "action: delay, delay: { latency: 300ms }, mode: all"),
        act("cut", 4, "NetworkChaos", "action: partition, mode: all"),
        act("reset", 8, "LinkChaos", "action: reset, mode: all"),
    ]
    .concat();
    let out = rig.run(&rig.scenario(&target(), &format!("chaos:\n{chaos}")));
    let judged = verdict(&out);
    assert_eq!(unmet(&judged), Vec::<String>::new(), "{}", said(&out));
    assert!(judged.faults.iter().all(|fault| fault.proven_at.is_some()), "{}", said(&out));
    assert_eq!((rig.snapshot(), left(&rig)), (before.clone(), String::new()));
    // Some of the pods can't be told from the others before them all.
    let one = act("slow", 0, "NetworkChaos", "action: delay, delay: { latency: 300ms }, mode: one");
    let out = rig.run(&rig.scenario(&target(), &format!("chaos:\n{one}")));
    assert!(out.status.code() == Some(2) && said(&out).contains("select them all"), "{}", said(&out));
    let nobody = ", healthy-floor: 0, image: none, proxy: { service: nobody }";
    let out = rig.run(&rig.scenario(nobody, &format!("chaos:\n{chaos}")));
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    assert_eq!((rig.snapshot(), left(&rig)), (before, String::new()));
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn a_proxy_that_a_dead_harness_left_is_taken_away() {
    own::image();
    let rig = Rig::start("interposed");
    let before = rig.snapshot();
    let slow = act("slow", 0, "NetworkChaos", "action: delay, delay: { latency: 300ms }, mode: all");
    let scenario = rig.scenario(&target(), &format!("chaos:\n{slow}"));
    let run = rig.killed_at(&scenario, "\"proven\"");
    assert!(left(&rig).contains("llm-firedrill"), "it stands");
    let refused = rig.run(&scenario);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    for _ in 0..2 {
        let out = recover(&run);
        assert_eq!(out.status.code(), Some(0), "{}", said(&out));
        assert_eq!((rig.snapshot(), left(&rig)), (before.clone(), String::new()));
    }
    rig.killed_at(&scenario, "\"proven\"");
    std::fs::remove_dir_all(rig.runs()).expect("the folders go");
    let out = recover_leftovers(&rig);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    assert_eq!((rig.snapshot(), left(&rig)), (before, String::new()));
}
