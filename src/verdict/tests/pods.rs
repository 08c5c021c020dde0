//! Replacement of pods.

use crate::{
    journal::{event::FaultStep, interval::Outcome},
    scenario::model::{Expectation, PodExpectation},
    units::{Seen, Span},
    verdict::{
        model::Verdict::*,
        testing::{Answers, Drill, at, drill, proof, some_fault},
    },
};

fn killed() -> Drill {
    let pods = ["replica-0", "replica-1", "replica-2", "fallback-0"];
    let drill = pods.iter().fold(drill().healthy(), |drill, pod| drill.pod(1.0, pod, true));
    drill.fault("kill", 25.0, None, &["replica-1"])
}

fn replaced(drill: Drill) -> Drill {
    drill.expect(Expectation::Pods(PodExpectation {
        after: Some("kill".into()),
        replaced_within: Some(Span::secs(10)),
        ..Default::default()
    }))
}

fn warm(drill: Drill) -> Drill {
    drill.expect(Expectation::Pods(PodExpectation {
        after: Some("kill".into()),
        cold_failures: Some("<= 10%".parse().expect("one")),
        ..Default::default()
    }))
}

#[test]
fn a_pod_is_replaced() {
    let gone = || killed().gone(25.5, "replica-1").pod(26.0, "replica-3", false);
    let check = replaced(gone().pod(30.0, "replica-3", true)).checked();
    assert_eq!((check.verdict, check.observed), (Pass, Some(5.0)), "{}", check.why);
    replaced(gone().pod(40.0, "replica-3", true)).gives(Fail);
    replaced(gone()).gives(Fail);
    replaced(gone().pod(30.0, "fallback-1", true)).gives(Fail);
}

#[test]
fn a_replacement_that_falls_over_is_none() {
    let back = || killed().gone(25.5, "replica-1").pod(30.0, "replica-3", true);
    replaced(back().pod(32.0, "replica-3", false)).gives(Fail);
    replaced(back().pod(32.0, "replica-3", false).pod(34.0, "replica-3", true)).gives(Pass);
    let loops = back().pod(32.0, "replica-3", false).pod(38.0, "replica-3", true);
    replaced(loops.pod(40.0, "replica-3", false)).gives(Fail);
    // The next act may take another one.
    let next = back().fault("next", 33.0, Some(60.0), &["replica-0"]);
    replaced(next.pod(34.0, "replica-0", false)).gives(Pass);
    // Much later, it is another matter.
    replaced(back().pod(60.0, "replica-0", false).pod(61.0, "replica-0", true)).gives(Pass);
}

#[test]
fn a_replacement_that_nobody_could_see_is_not_missing() {
    let lost = || killed().gone(25.5, "replica-1");
    replaced(lost().source(27.0, "pods in shop", false)).gives(Inconclusive);
    replaced(lost().source(27.0, "pods in shop", false).source(29.0, "pods in shop", true)).gives(Fail);
}

#[test]
fn failures_of_nobody_may_be_a_new_pods() {
    let ready = || killed().gone(25.5, "replica-1").pod(30.0, "replica-3", true);
    let answers = |drill: Drill| drill.load(31..35, Answers::ok(20).pod("replica-3"));
    warm(answers(ready())).gives(Pass);
    let refused = answers(ready()).load(31..33, Answers::failed(4, Outcome::ConnectRefused));
    assert!(warm(refused).gives(Inconclusive).contains("of whom is not known"));
    let earlier = answers(ready()).load(27..28, Answers::failed(4, Outcome::ConnectRefused));
    warm(earlier).gives(Pass);
}

#[test]
fn a_pod_that_never_went_needs_no_replacement() {
    replaced(killed()).gives(Inconclusive);
    assert!(replaced(killed().pod(60.0, "replica-9", false)).gives(Inconclusive).contains("seen to go"));
    replaced(drill().healthy().fault("kill", 25.0, None, &["replica-1"])).gives(Inconclusive);
    replaced(drill().healthy()).gives(Inconclusive);
}

#[test]
fn a_loss_that_is_seen_before_its_tool_speaks_of_it_counts() {
    let pods = ["replica-0", "replica-1"];
    let drill = pods.iter().fold(drill().healthy(), |drill, pod| drill.pod(1.0, pod, true));
    let late = Seen { not_before: at(26.8), by: at(27.0) };
    let drill = drill
        .planned("kill", 25.0, None, some_fault())
        .step("kill", 25.0, FaultStep::Requested { targets: vec!["replica-1".into()] })
        .step("kill", 26.0, FaultStep::Injected)
        .gone(25.6, "replica-1")
        .step("kill", 27.0, FaultStep::Proven { effect: late, proof: proof() })
        .pod(30.0, "replica-2", true);
    let check = replaced(drill).checked();
    assert_eq!(check.verdict, Pass, "{}", check.why);
    let longest = check.error.and_then(|(_, high)| high);
    assert!(longest.is_some_and(|longest| longest >= 4.4), "from when it went: {longest:?}");
}

#[test]
fn a_replacement_that_is_ready_at_once_is_seen() {
    let at_once = killed().pod(25.5, "replica-3", true).gone(26.0, "replica-1");
    replaced(at_once).gives(Pass);
}

#[test]
fn a_new_pod_is_warm() {
    let ok = r#"gateway_upstream_requests_total{pod="replica-3",outcome="ok"}"#;
    let error = r#"gateway_upstream_requests_total{pod="replica-3",outcome="error"}"#;
    let trial = |good: f64, bad: f64| {
        killed()
            .gone(25.5, "replica-1")
            .pod(30.0, "replica-3", true)
            .sample(29.0, "gateway", &[("up", 1.0)])
            .sample(35.0, "gateway", &[(ok, good), (error, bad)])
            .sample(80.0, "gateway", &[(ok, good + 400.0), (error, bad)])
    };
    warm(trial(30.0, 0.0)).gives(Pass);
    assert!(warm(trial(20.0, 10.0)).gives(Fail).contains("10 of 30"));
    let unused = killed().gone(25.5, "replica-1").pod(30.0, "replica-3", true);
    warm(unused.clone()).gives(Inconclusive);
    let on_the_wire = unused
        .load(31..34, Answers::ok(4).pod("replica-3"))
        .load(31..34, Answers::failed(4, Outcome::Http5xx).pod("replica-3"));
    warm(on_the_wire).gives(Fail);
    warm(killed().gone(25.5, "replica-1")).gives(Inconclusive);
}

#[test]
fn what_the_next_fault_does_to_a_new_pod_is_not_its_own() {
    let ok = r#"gateway_upstream_requests_total{pod="replica-3",outcome="ok"}"#;
    let error = r#"gateway_upstream_requests_total{pod="replica-3",outcome="error"}"#;
    let trial = || {
        killed()
            .gone(25.5, "replica-1")
            .pod(30.0, "replica-3", true)
            .sample(29.0, "gateway", &[("up", 1.0)])
            .sample(32.0, "gateway", &[(ok, 12.0), (error, 0.0)])
            .sample(35.0, "gateway", &[(ok, 12.0), (error, 12.0)])
    };
    warm(trial()).gives(Fail);
    warm(trial().fault("slow", 32.5, Some(40.0), &["replica-3"])).gives(Pass);
}

#[test]
fn a_pod_that_is_broken_gets_no_more_traffic() {
    let key = |pod: &str| format!(r#"kubernetes_endpoint_ready{{service="llm",pod="{pod}"}}"#);
    let (one, two) = (key("replica-1"), key("replica-2"));
    let broken = || {
        drill()
            .healthy()
            .fault("kill", 25.0, Some(60.0), &["replica-1", "replica-2"])
            .sample(5.0, "kubernetes", &[(&one, 1.0), (&two, 1.0)])
            .expect(Expectation::Pods(PodExpectation {
                after: Some("kill".into()),
                removed_within: Some(Span::secs(10)),
                ..Default::default()
            }))
    };
    let one_gone = || broken().sample(27.0, "kubernetes", &[(&one, 0.0), (&two, 1.0)]);
    one_gone().sample(30.0, "kubernetes", &[(&one, 0.0), (&two, 0.0)]).gives(Pass);
    // No longer listed is gone, too.
    one_gone().sample(30.0, "kubernetes", &[(&one, 0.0)]).gives(Pass);
    // Gone for one look, and back.
    let flaps = one_gone().sample(30.0, "kubernetes", &[(&one, 0.0), (&two, 0.0)]);
    flaps.sample(32.0, "kubernetes", &[(&one, 0.0), (&two, 1.0)]).gives(Fail);
    one_gone().sample(50.0, "kubernetes", &[(&one, 0.0), (&two, 0.0)]).gives(Fail);
    assert!(one_gone().checked().evidence.iter().any(|one| one.what.contains("replica-2 is one to the end")));
    one_gone().gives(Fail);
    let unseen = drill().healthy().fault("kill", 25.0, Some(60.0), &["replica-1"]);
    let demand = PodExpectation {
        after: Some("kill".into()),
        removed_within: Some(Span::secs(10)),
        ..Default::default()
    };
    unseen.clone().expect(Expectation::Pods(demand.clone())).gives(Inconclusive);
    let elsewhere = unseen.sample(5.0, "kubernetes", &[(&two, 1.0)]).expect(Expectation::Pods(demand));
    elsewhere.gives(Inconclusive);
}
