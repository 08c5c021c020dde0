//! Faults that Chaos Mesh and LitmusChaos do: what they say is followed, held
//! against what the API server shows, and nothing is left of them.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use firedrill::verdict::model::{RunVerdict, Verdict};
use serde_json::Value;

use super::{
    controllers::{litmus, mesh},
    drills::app,
    rig::{PATIENCE, PAUSE, Rig, kubectl, recover, recover_leftovers, said, unmet, verdict},
};

/// An act by a tool. `manners` are its controller's; none: good.
fn act(id: &str, kind: &str, manners: &str, spec: &str) -> String {
    let labels = if manners.is_empty() { String::new() } else { format!("labels: {{ manners: {manners} }}") };
    let (driver, group) = match kind {
        "ChaosEngine" => ("litmus", "litmuschaos.io"),
        _ => ("chaos-mesh", "chaos-mesh.org"),
    };
    format!(
        "  - id: {id}\n    at: fault + 0s\n    driver: {driver}\n    apply:\n      apiVersion: {group}/v1alpha1\n      \
         kind: {kind}\n      metadata: {{ {labels} }}\n      spec: {{ {spec} }}\n"
    )
}

fn kill(id: &str, manners: &str) -> String {
    act(id, "PodChaos", manners, &format!("action: pod-kill, mode: one, {}", app()))
}

fn freeze(manners: &str) -> String {
    act("freeze", "PodChaos", manners, &format!("action: pod-failure, duration: 4s, mode: one, {}", app()))
}

/// Objects of the tools that are there, by kind and name.
fn left(rig: &Rig) -> String {
    let mesh = "podchaos,networkchaos,httpchaos,stresschaos,iochaos,dnschaos,timechaos";
    kubectl(&["-n", &rig.namespace, "get", mesh, "-o", "name"])
}

/// Why a check did not pass.
fn why<'a>(judged: &'a RunVerdict, id: &str) -> (Verdict, &'a str) {
    let check = judged.checks.iter().find(|check| check.id.as_str() == id).expect("it is judged");
    (check.verdict, &check.why)
}

/// Images that the pods should have and have not.
fn frozen(rig: &Rig) -> usize {
    rig.pods().iter().filter(|pod| pod["spec"]["containers"][0]["image"] == PAUSE).count()
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn every_kind_of_chaos_mesh_is_handed_over_seen_and_taken_back() {
    let rig = Rig::start("mesh");
    let _controller = mesh::start(&rig.namespace, PAUSE, false);
    let before = rig.snapshot();
    let lasting = |id: &str, kind: &str, spec: &str| {
        act(id, kind, "", &format!("duration: 4s, mode: all, {}, {spec}", app()))
    };
    let chaos = [
        kill("kill", ""),
        // As long as the phase lasts: a busy kubelet takes its time to end a container.
        freeze("").replace("fault + 0s", "fault + 4s").replace("duration: 4s", "duration: 8s"),
        lasting("slow", "NetworkChaos", "action: delay, delay: { latency: 100ms }, externalTargets: [example.com]"),
        lasting("abort", "HTTPChaos", "target: Response, port: 8000, abort: true"),
        lasting("busy", "StressChaos", "stressors: { cpu: { workers: 1, load: 50 } }"),
        lasting("disk", "IOChaos", "action: latency, delay: 10ms, volumePath: /models"),
        lasting("names", "DNSChaos", "action: error, patterns: [redis.example.com]"),
        act(
            "clocks",
            "Schedule",
            "",
            &format!("schedule: \"@every 5s\", type: TimeChaos, timeChaos: {{ mode: one, {}, timeOffset: -10m, duration: 2s }}", app()),
        ),
    ]
    .concat();
    let expect = "expect:\n  - pods: { after: kill, replaced-within: 12s }\n";
    let out = rig.run(&rig.scenario(", healthy-floor: 0", &format!("chaos:\n{chaos}{expect}")));
    let judged = verdict(&out);
    assert_eq!(unmet(&judged), Vec::<String>::new(), "{}", said(&out));
    // The schedule acts twice.
    assert_eq!(judged.faults.len(), 9);
    let proof = |id: &str| {
        let fault = judged.faults.iter().find(|fault| fault.id.as_str() == id).expect("it is there");
        fault.proof.iter().map(|one| format!("{}: {}", one.source, one.what)).collect::<Vec<_>>().join("\n")
    };
    assert!(proof("kill").contains("is Injected") && proof("kill").contains("with UID"), "{}", proof("kill"));
    assert!(proof("slow").contains("nothing but Chaos Mesh's own record"), "{}", proof("slow"));
    assert_eq!((left(&rig), frozen(&rig)), (String::new(), 0));
    assert_eq!(rig.snapshot(), before);
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn what_chaos_mesh_says_is_not_believed_alone() {
    let rig = Rig::start("says");
    let _controller = mesh::start(&rig.namespace, PAUSE, false);
    let chaos = [kill("lies", "says-only"), kill("fails", "fails"), kill("nobody", "absent")].concat();
    let out = rig.run(&rig.scenario(", healthy-floor: 0", &format!("chaos:\n{chaos}")));
    let judged = verdict(&out);
    for (id, reason) in [
        ("fault.lies", "Chaos Mesh says that it is injected, but pod"),
        ("fault.fails", "the daemon of the node does not answer"),
        ("fault.nobody", "does its controller run"),
    ] {
        let (verdict, why) = why(&judged, id);
        assert!(verdict == Verdict::Inconclusive && why.contains(reason), "{id}: {verdict:?} {why}");
    }
    assert_eq!(judged.verdict, Verdict::Inconclusive, "{}", said(&out));
    assert_eq!(left(&rig), "");
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn a_deletion_that_hangs_is_reported_and_never_forced() {
    let rig = Rig::start("hangs");
    let hanging = mesh::start(&rig.namespace, PAUSE, false);
    let out = rig.run(&rig.scenario("", &format!("chaos:\n{}", freeze("hangs"))));
    assert_eq!(out.status.code(), Some(5), "{}", said(&out));
    for words in
        ["chaos-mesh/records", "the pod could not be recovered", "\"finalizers\":null", "recovers nothing"]
    {
        assert!(said(&out).contains(words), "{words}: {}", said(&out));
    }
    assert!(left(&rig).contains("podchaos"), "it is still there, and so is its fault");
    assert_eq!(frozen(&rig), 1);
    drop(hanging);
    let _mended = mesh::start(&rig.namespace, PAUSE, true);
    let stdout = String::from_utf8_lossy(&out.stdout).into_owned();
    let again = recover(Path::new(stdout.lines().last().expect("a folder")));
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    assert_eq!((left(&rig), frozen(&rig)), (String::new(), 0));
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn a_fault_of_a_tool_ends_by_itself_when_the_harness_is_dead() {
    let rig = Rig::start("switch");
    let _controller = mesh::start(&rig.namespace, PAUSE, false);
    let scenario = rig.scenario("", &format!("chaos:\n{}", freeze("")));
    rig.killed_at(&scenario, "\"proven\"");
    assert_eq!(frozen(&rig), 1);
    let deadline = Instant::now() + PATIENCE;
    while frozen(&rig) > 0 {
        assert!(Instant::now() < deadline, "its own duration ends it");
        std::thread::sleep(Duration::from_millis(200));
    }
    // The object itself is still there: the next run refuses, and it is found
    // without the run's folder.
    assert!(left(&rig).contains("podchaos"));
    let refused = rig.run(&scenario);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    std::fs::remove_dir_all(rig.runs()).expect("the folders go");
    let out = recover_leftovers(&rig);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    assert_eq!(left(&rig), "");
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn a_tool_that_is_not_there_and_what_it_refuses_is_said_beforehand() {
    let rig = Rig::start("missing");
    let run = |chaos: &str| rig.run(&rig.scenario("", &format!("chaos:\n{chaos}")));
    let stress =
        |fields: &str| act("x", "StressChaos", "", &format!("mode: one, duration: 2s, {}, {fields}", app()));
    for (chaos, reason) in [
        (stress("stressors: { cpu: { workers: 1 } }, stresors: {}"), "unknown field \"spec.stresors\""),
        (stress("stressors: { cpu: { workers: many } }"), "spec.stressors.cpu.workers"),
        (
            act("x", "NetworkChaos", "", &format!("action: melt, mode: one, {}", app())),
            "Unsupported value: \"melt\"",
        ),
    ] {
        let out = run(&chaos);
        assert_eq!(out.status.code(), Some(2), "{reason}: {}", said(&out));
        assert!(said(&out).contains(reason), "{reason}: {}", said(&out));
    }
    let _gone = Uninstalled::new("timechaos.chaos-mesh.org");
    let out = run(&act("x", "TimeChaos", "", &format!("mode: one, duration: 2s, timeOffset: 1m, {}", app())));
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    for words in ["Chaos Mesh is not installed", "driver: native"] {
        assert!(said(&out).contains(words), "{words}: {}", said(&out));
    }
}

/// A kind that the API server does not know for a while.
struct Uninstalled {
    definition: String,
    file: tempfile::NamedTempFile,
}

impl Uninstalled {
    fn new(definition: &str) -> Self {
        let mut read: Value =
            serde_json::from_str(&kubectl(&["get", "crd", definition, "-o", "json"])).expect("JSON");
        read.as_object_mut().expect("an object").remove("status");
        read["metadata"] = serde_json::json!({ "name": definition });
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), read.to_string()).expect("it is written");
        kubectl(&["delete", "crd", definition]);
        Self { definition: definition.to_owned(), file }
    }
}

impl Drop for Uninstalled {
    fn drop(&mut self) {
        kubectl(&["create", "-f", &self.file.path().to_string_lossy()]);
        kubectl(&["wait", "--for", "condition=Established", "crd", &self.definition, "--timeout=60s"]);
    }
}

/// LitmusChaos' definitions, if they are not installed, and its experiment.
fn install_litmus(rig: &Rig) {
    let known = kubectl(&["api-resources", "--api-group=litmuschaos.io", "-o", "name"]);
    if !known.contains("chaosengines") {
        let file = rig.write("litmus.yaml", include_str!("litmus-crds.yaml"));
        kubectl(&["create", "-f", &file.to_string_lossy()]);
        let all = ["chaosengines", "chaosexperiments", "chaosresults"];
        for name in all.map(|name| format!("crd/{name}.litmuschaos.io")) {
            kubectl(&["wait", "--for", "condition=Established", &name, "--timeout=60s"]);
        }
    }
    let experiment = "apiVersion: litmuschaos.io/v1alpha1\nkind: ChaosExperiment\nmetadata: { name: pod-delete }\n\
                      spec: { definition: { image: none } }\n";
    let file = rig.write("experiment.yaml", experiment);
    kubectl(&["-n", &rig.namespace, "create", "-f", &file.to_string_lossy()]);
}

fn engine(rig: &Rig, manners: &str) -> String {
    let app = format!("appinfo: {{ appns: {}, applabel: app=llm, appkind: deployment }}", rig.namespace);
    let env = "env: [{ name: TOTAL_CHAOS_DURATION, value: \"6\" }]";
    let experiments = format!("experiments: [{{ name: pod-delete, spec: {{ components: {{ {env} }} }} }}]");
    act("litmus", "ChaosEngine", manners, &format!("{app}, chaosServiceAccount: none, {experiments}"))
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn an_experiment_of_litmus_is_followed_to_its_verdict() {
    let rig = Rig::start("litmus");
    let missing = rig.run(&rig.scenario("", &format!("chaos:\n{}", engine(&rig, ""))));
    assert_eq!(missing.status.code(), Some(2), "{}", said(&missing));
    install_litmus(&rig);
    let _controller = litmus::start(&rig.namespace);
    let before = rig.snapshot();
    for (manners, wanted, reason) in [
        ("", Verdict::Pass, "seen to act"),
        ("discontent", Verdict::Fail, "verdict Fail, probe success 50 %"),
        ("says-only", Verdict::Inconclusive, "is still there"),
        ("absent", Verdict::Inconclusive, "has made no ChaosResult"),
    ] {
        let out = rig.run(&rig.scenario("", &format!("chaos:\n{}", engine(&rig, manners))));
        let judged = verdict(&out);
        let (verdict, why) = why(&judged, "fault.litmus");
        assert!(verdict == wanted && why.contains(reason), "{manners}: {verdict:?} {why}\n{}", said(&out));
        let left = kubectl(&["-n", &rig.namespace, "get", "chaosengines,chaosresults", "-o", "name"]);
        assert_eq!(left, "", "{manners}");
        rig.settled();
        assert_eq!(rig.snapshot(), before, "{manners}");
    }
}
