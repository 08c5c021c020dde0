//! Rollouts that somebody looks after, and one that nobody does: real
//! controllers, set up well and badly, told apart by the scenarios that users
//! are given.

use std::{fmt::Write as _, path::Path, process::Command, thread};

use super::rig::{Rig, kubectl, said, verdict};
use crate::support::{events, exe, seen};
use firedrill::verdict::model::{RunVerdict, Verdict::*};

/// The objects of a set-up, with what stands in for the words in capitals.
pub(super) fn rig(name: &str, objects: &str, words: &[(&str, &str)]) -> Rig {
    let objects = words.iter().fold(objects.to_owned(), |text, (word, value)| text.replace(word, value));
    Rig::of(name, &objects)
}

/// Waits until a field of an object has a value.
pub(super) fn until(rig: &Rig, object: &str, path: &str, value: &str) {
    let wanted = format!("--for=jsonpath={{{path}}}={value}");
    kubectl(&["-n", &rig.namespace, "wait", object, &wanted, "--timeout=150s"]);
}

/// The drill of `scenarios/systems/NAME.yaml`, there.
pub(super) fn drill(rig: &Rig, name: &str, sets: &[&str]) -> (RunVerdict, String) {
    let scenario = format!("{}/scenarios/systems/{name}", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(exe());
    command.args(["run", &scenario, "--ui", "plain", "--runs"]).arg(rig.runs());
    let namespace = format!("target.kubernetes.namespace={}", rig.namespace);
    for set in [namespace.as_str()].iter().chain(sets) {
        command.args(["--set", set]);
    }
    let out = command.output().expect("it starts");
    let judged = verdict(&out);
    let mut text = String::new();
    for check in &judged.checks {
        let _ = writeln!(text, "{:?} {}: {} {:?}", check.verdict, check.id, check.why, check.evidence);
    }
    (judged, format!("{text}{}", said(&out)))
}

/// The verdict on one check.
pub(super) fn on(
    (judged, _): &(RunVerdict, String),
    check: &str,
) -> Option<firedrill::verdict::model::Verdict> {
    judged.checks.iter().find(|one| one.id.as_str() == check).map(|one| one.verdict)
}

/// Holds verdicts on the rollback against the drill's.
pub(super) fn must(told: &(RunVerdict, String), wanted: &[(&str, firedrill::verdict::model::Verdict)]) {
    for (check, verdict) in wanted {
        assert_eq!(on(told, &format!("rollback.release.{check}")), Some(*verdict), "{check}: {}", told.1);
    }
}

const BAD_AND_BACK: [(&str, firedrill::verdict::model::Verdict); 4] =
    [("detects-within", Pass), ("completes-within", Pass), ("to", Pass), ("exposure", Pass)];
const GOOD: &str = "chaos.release.deploy.env={ VERSION: v2 }";

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn a_deployment_that_is_stuck_is_not_rolled_back_and_said_so() {
    let rig = rig("stuck", include_str!("rollouts/deployment.yaml"), &[]);
    until(&rig, "deployment/ai-model", ".status.availableReplicas", "3");
    let before = rig.snapshot();
    let told = drill(&rig, "deployment.yaml", &[]);
    must(&told, &[("completes-within", Fail)]);
    assert!(told.1.contains("A Deployment does not roll back by itself"), "{}", told.1);
    let steady = told.0.checks.iter().find(|check| check.id.as_str() == "slo.availability.release");
    assert_eq!(steady.map(|check| check.verdict), Some(Pass), "{}", told.1);
    assert_eq!(rig.snapshot(), before, "what was deployed is taken back");
    until(&rig, "deployment/ai-model", ".status.availableReplicas", "3");
    // A good one goes through, and one that answers 500 does so as well.
    let through = "expect.0={ rollback: { after: release, promotes-within: 20s } }";
    must(&drill(&rig, "deployment.yaml", &[GOOD, through]), &[("promotes-within", Pass)]);
    let broken = "chaos.release.deploy.env={ VERSION: v2, FAIL: \"1\" }";
    let told = drill(&rig, "deployment.yaml", &[broken]);
    must(&told, &[("completes-within", Fail), ("to", Fail)]);
    assert!(told.1.contains("was promoted"), "{}", told.1);
}

/// A Rollout whose analysis asks so often, bears so many failures, and counts
/// this series of the pods of this version.
fn argo(name: &str, [count, failures]: [&str; 2], series: &str, whose: &str) -> Rig {
    let words = [("COUNT", count), ("FAILURES", failures), ("SERIES", series), ("WHOSE", whose)];
    let rig = rig(name, include_str!("rollouts/argo-rollouts.yaml"), &words);
    until(&rig, "rollout/ai-model", ".status.phase", "Healthy");
    rig
}

/// It asks ten times, and bears two failures.
const DECIDES: [&str; 2] = ["10", "2"];
/// It asks, and never comes to an end.
const ENDLESS: [&str; 2] = ["1000", "1000"];
const NEVER: [(&str, firedrill::verdict::model::Verdict); 2] =
    [("detects-within", Fail), ("completes-within", Fail)];

/// A bad version went through, and the drill says so.
fn promoted(told: &(RunVerdict, String)) {
    must(told, &[("detects-within", Fail), ("completes-within", Fail), ("to", Fail)]);
    assert!(told.1.contains("v2 was promoted at"), "{}", told.1);
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn argo_rollouts_that_analyses_is_told_from_one_that_does_not() {
    let well = argo("argo", DECIDES, "requests_total", "Latest");
    let before = well.snapshot();
    let told = drill(&well, "argo-rollouts.yaml", &[]);
    must(&told, &BAD_AND_BACK);
    agrees_with_aborted_at(&told);
    assert_eq!(well.snapshot(), before);
    until(&well, "rollout/ai-model", ".status.phase", "Healthy");
    let through = "expect.0={ rollback: { after: release, promotes-within: 44s } }";
    must(&drill(&well, "argo-rollouts.yaml", &[GOOD, through]), &[("promotes-within", Pass)]);
    drop(well);
    // One never decides, the other asks the pods that are good anyway.
    let endless = argo("argoless", ENDLESS, "requests_total", "Latest");
    let wrong = argo("argowrong", ["4", "2"], "requests_total", "Stable");
    let [never, through] = side_by_side("argo-rollouts.yaml", [(&endless, &[]), (&wrong, &[])]);
    must(&never, &NEVER);
    assert!(!never.1.contains("was promoted"), "{}", never.1);
    promoted(&through);
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn argo_rollouts_that_counts_what_is_sold_is_told_from_one_that_counts_errors() {
    let rigs = [
        argo("sales", DECIDES, "sold_total", "Latest"),
        // To it all answers are good.
        argo("saleswrong", ["4", "2"], "requests_total", "Latest"),
        argo("salesless", ENDLESS, "sold_total", "Latest"),
    ];
    let queries = rigs.each_ref().map(|rig| {
        let [sold, asked] = ["sold_total", "requests_total"]
            .map(|series| format!("sum(rate({series}{{namespace=\"{}\"}}[6s]))", rig.namespace));
        format!("observe.sales.query='{sold} / {asked}'")
    });
    let sets = queries.each_ref().map(|query| [query.as_str()]);
    let drills = std::array::from_fn(|i| (&rigs[i], sets[i].as_slice()));
    let [well, errors, endless] = side_by_side("argo-rollouts-business.yaml", drills);
    must(&well, &BAD_AND_BACK);
    promoted(&errors);
    must(&endless, &NEVER);
    for (told, afterwards) in [(&well, Pass), (&errors, Fail), (&endless, Fail)] {
        let wanted = [
            ("metric.sales.in.baseline", Pass),
            ("metric.sales.in.afterwards", afterwards),
            ("slo.availability.release", Pass),
        ];
        for (check, verdict) in wanted {
            assert_eq!(on(told, check), Some(verdict), "{check}: {}", told.1);
        }
    }
}

/// Drills that need little of the node, and wait for most of their time.
pub(super) fn side_by_side<const N: usize>(
    scenario: &str,
    drills: [(&Rig, &[&str]); N],
) -> [(RunVerdict, String); N] {
    thread::scope(|scope| {
        let drills = drills.map(|(rig, sets)| scope.spawn(move || drill(rig, scenario, sets)));
        drills.map(|drill| drill.join().expect("a drill"))
    })
}

/// What the controller wrote down for itself, to the second, lies where the
/// drill saw it.
fn agrees_with_aborted_at((_, said): &(RunVerdict, String)) {
    let run = said.lines().find(|line| line.contains("/runs/")).expect("a folder");
    let (zero, lines) = events(Path::new(run.trim()));
    let time = |text: &str| humantime::parse_rfc3339(text).expect("a time");
    let back = lines.iter().find(|line| line["signal"] == "rollout" && line["phase"] == "rolling-back");
    let back = back.unwrap_or_else(|| panic!("{said}"));
    let reason = back["reason"].as_str().expect("a reason");
    let (_, at) = reason.split_once("abortedAt ").expect("its own time");
    let own = time(at.trim_end_matches(')')).duration_since(zero).map_or(0.0, |own| own.as_secs_f64());
    let (from, by) = seen(back);
    // Cut to whole seconds, it may seem earlier by one.
    assert!(from - 1.0 <= own && own <= by, "{own} s is not in {from}–{by} s: {reason}");
}

/// A Canary that is analysed so often, bears so many failures, and counts the
/// answers of so long a time of the pods of its target, or of `others`.
pub(super) fn flagger(name: &str, [interval, threshold, window]: [&str; 3], others: &str) -> Rig {
    let words = [("INTERVAL", interval), ("THRESHOLD", threshold), ("WINDOW", window), ("OTHERS", others)];
    let rig = rig(name, include_str!("rollouts/flagger.yaml"), &words);
    until(&rig, "canary/ai-model", ".status.phase", "Initialized");
    rig
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn flagger_that_decides_is_told_from_one_that_never_does() {
    let well = flagger("flagger", ["10s", "2", "10s"], "");
    must(&drill(&well, "flagger.yaml", &[]), &BAD_AND_BACK);
    let through = "expect.0={ rollback: { after: release, promotes-within: 72s } }";
    must(&drill(&well, "flagger.yaml", &[GOOD, through]), &[("promotes-within", Pass)]);
    drop(well);
    let never = flagger("flaggerless", ["10s", "1000", "10s"], "");
    let told = drill(&never, "flagger.yaml", &[]);
    must(&told, &NEVER);
    assert!(!told.1.contains("was promoted"), "{}", told.1);
    drop(never);
    // It asks the pods that are good anyway.
    promoted(&drill(&flagger("flaggerwrong", ["10s", "2", "10s"], "-primary"), "flagger.yaml", &[]));
}
