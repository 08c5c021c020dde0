//! Whole runs on the cluster, and how they end.

use super::rig::{Rig, kubectl, recover, recover_leftovers, said, unmet, verdict};

pub(super) fn act(id: &str, kind: &str, spec: &str) -> String {
    let group = if kind == "PodChaos" { "chaos-mesh.org" } else { "firedrill.dev" };
    format!(
        "  - id: {id}\n    at: fault + 0s\n    apply:\n      apiVersion: {group}/v1alpha1\n      kind: {kind}\n      spec: {{ {spec} }}\n"
    )
}

pub(super) fn app() -> &'static str {
    "selector: { labelSelectors: { app: llm } }"
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn a_pod_that_is_killed_under_load_is_replaced_and_the_drill_passes() {
    let rig = Rig::start("kill");
    let before: Vec<_> = rig.pods().iter().map(|pod| pod["metadata"]["uid"].clone()).collect();
    let kill = act("kill", "PodChaos", &format!("action: pod-kill, mode: one, {}", app()));
    let out = rig.run(&rig.scenario(
        "",
        &format!("chaos:\n{kill}expect:\n  - pods: {{ after: kill, replaced-within: 12s }}\n"),
    ));
    let judged = verdict(&out);
    assert_eq!(unmet(&judged), Vec::<String>::new(), "{}", said(&out));
    assert!(judged.faults[0].proven_at.is_some());
    let after: Vec<_> = rig.pods().iter().map(|pod| pod["metadata"]["uid"].clone()).collect();
    assert_eq!(before.iter().filter(|uid| !after.contains(uid)).count(), 1, "one pod is another now");
}

/// Faults that last, with what each does.
fn lasting() -> Vec<(&'static str, String)> {
    let native = |id, spec: &str| (id, act(id, "KubernetesChaos", &format!("{spec}, {}", app())));
    vec![
        ("freeze", act("freeze", "PodChaos", &format!("action: pod-failure, mode: one, {}", app()))),
        native("scale", "action: scale, replicas: 1, mode: one"),
        native("cordon", "action: cordon, mode: one"),
        native("drain", "action: drain, mode: one"),
        native("rollout", "action: rollout, env: { VERSION: v2, FAIL: \"1\" }, mode: one"),
        native("endpoints", "action: endpoints, mode: one"),
        native("partition", "action: endpoints, mode: all"),
    ]
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn each_fault_that_lasts_is_seen_and_taken_back() {
    let rig = Rig::start("lasting");
    let before = rig.snapshot();
    for (id, chaos) in lasting() {
        let chaos = chaos.replace("{ action", "{ duration: 8s, action");
        let out = rig.run(&rig.scenario(", healthy-floor: 0", &format!("chaos:\n{chaos}")));
        let judged = verdict(&out);
        assert_eq!(unmet(&judged), Vec::<String>::new(), "{id}: {}", said(&out));
        assert!(judged.faults[0].proven_at.is_some(), "{id}: {}", said(&out));
        assert!(judged.faults[0].recovered_at.is_some(), "{id}: {}", said(&out));
        assert_eq!(rig.snapshot(), before, "{id}");
        rig.settled();
    }
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn what_a_killed_harness_leaves_is_refused_by_the_next_run_and_recovered() {
    let rig = Rig::start("sigkill");
    let before = rig.snapshot();
    let chaos: String = lasting()
        .into_iter()
        .filter(|(id, _)| matches!(*id, "freeze" | "scale" | "cordon"))
        .map(|(_, chaos)| chaos)
        .collect();
    let scenario = rig.scenario(", healthy-floor: 0", &format!("chaos:\n{chaos}"));
    let run = rig.killed_at(&scenario, "\"proven\"");
    assert_ne!(rig.snapshot(), before, "something is left");
    let refused = rig.run(&scenario);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(said(&refused).contains("firedrill recover"), "{}", said(&refused));
    for _ in 0..2 {
        let out = recover(&run);
        assert_eq!(out.status.code(), Some(0), "{}", said(&out));
        assert_eq!(rig.snapshot(), before);
    }
    rig.settled();
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn leftovers_are_found_by_their_labels_without_the_runs_folder() {
    let rig = Rig::start("labels");
    let before = rig.snapshot();
    let scale = act("scale", "KubernetesChaos", &format!("action: scale, replicas: 1, mode: one, {}", app()));
    rig.killed_at(&rig.scenario(", healthy-floor: 0", &format!("chaos:\n{scale}")), "\"proven\"");
    std::fs::remove_dir_all(rig.runs()).expect("the folders go");
    let out = recover_leftovers(&rig);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    assert!(said(&out).contains("replicas is 3 again"), "{}", said(&out));
    assert_eq!(rig.snapshot(), before);
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn what_is_not_allowed_or_can_not_be_had_is_said_before_anything_is_touched() {
    let rig = Rig::start("refused");
    let (snapshot, pods) = (rig.snapshot(), rig.pods().len());
    let kill = |mode: &str, selector: &str| {
        act("x", "PodChaos", &format!("action: pod-kill, mode: {mode}, {selector}"))
    };
    let network = "  - id: x\n    at: fault\n    apply:\n      apiVersion: chaos-mesh.org/v1alpha1\n      kind: NetworkChaos\n      \
                   spec: { action: partition, mode: all, selector: {} }\n";
    for (target, chaos, why) in [
        ("", kill("all", app()), "healthy-floor"),
        (", healthy-floor: 0, faulted-ceiling: 1", kill("fixed, value: \"2\"", app()), "faulted-ceiling"),
        (", protect: [default]", kill("one", "selector: { namespaces: [default] }"), "selects no pod"),
        (
            "",
            act(
                "x",
                "PodChaos",
                &format!("action: container-kill, containerNames: [server], mode: one, {}", app()),
            ),
            "Chaos Mesh's daemon",
        ),
        ("", network.to_owned(), "endpoints"),
        (
            "",
            act("x", "KubernetesChaos", &format!("action: scale, replicas: 0, mode: one, {}", app())),
            "healthy-floor",
        ),
        (
            "",
            "  - { id: x, at: fault, deploy: { version: v2, container: nobody, image: x } }\n".to_owned(),
            "no container nobody; it has server",
        ),
        (
            "",
            "  - { id: x, at: fault, deploy: { version: v2, service: llm, spec: { selector: { slot: \"no label!\" } } } }\n".to_owned(),
            "Invalid value",
        ),
        (", port: 81", kill("one", app()), "has no port 81; it has 80"),
    ] {
        let out = rig.run(&rig.scenario(target, &format!("chaos:\n{chaos}")));
        assert_eq!(out.status.code(), Some(2), "{why}: {}", said(&out));
        assert!(said(&out).contains(why), "{why}: {}", said(&out));
    }
    assert_eq!((rig.snapshot(), rig.pods().len()), (snapshot, pods));
    let plan = kubectl(&["-n", &rig.namespace, "get", "events", "-o", "name"]);
    assert!(!plan.contains("Killing"), "{plan}");
}
