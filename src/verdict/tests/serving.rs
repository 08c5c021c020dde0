//! Probes, autoscaling, failover, drift.

use crate::{
    journal::interval::{CacheUse, Outcome},
    scenario::{
        model::{Expectation, Objective},
        serving::{AutoscalingExpectation, DriftExpectation, FailoverExpectation, ProbesExpectation},
    },
    units::Span,
    verdict::{
        model::Verdict::*,
        testing::{Answers, Drill, drill},
    },
};

fn counted(drill: Drill, when: f64, pod: &str, requests: f64) -> Drill {
    let series = format!("gateway_upstream_requests_total{{pod=\"{pod}\",outcome=\"ok\"}}");
    drill.sample(when, "gateway", &[(&series, requests)])
}

fn early(drill: Drill) -> Drill {
    drill.expect(Expectation::Probes(ProbesExpectation {
        after: Some("kill".into()),
        early: Some("<= 0%".parse().expect("one")),
        ..Default::default()
    }))
}

/// A pod that starts at 26 s and is ready at 30 s; the gateway is asked at 29
/// and at 34 s.
fn started(before: f64, later: f64) -> Drill {
    let killed = drill().healthy().pod(1.0, "replica-0", true).fault("kill", 25.0, None, &["replica-0"]);
    let killed = killed.gone(25.5, "replica-0").pod(26.0, "replica-3", false).pod(30.0, "replica-3", true);
    let killed = killed.sample(25.0, "gateway", &[("gateway_in_flight", 3.0)]);
    counted(counted(killed, 29.0, "replica-3", before), 34.0, "replica-3", later)
}

#[test]
fn traffic_before_a_pod_is_ready_is_found() {
    early(started(0.0, 60.0)).gives(Pass);
    let why = early(started(12.0, 60.0)).gives(Fail);
    assert!(why.contains("12 of 60"), "{why}");
    early(started(0.0, 0.0)).gives(Inconclusive);
    // Nobody counts, but answers name the pod.
    let named = |from| {
        let drill = drill().healthy().pod(1.0, "replica-0", true).fault("kill", 25.0, None, &["replica-0"]);
        let drill = drill.pod(26.0, "replica-3", false).pod(30.0, "replica-3", true);
        drill.load(from..35, Answers::ok(20).pod("replica-3"))
    };
    early(named(31)).gives(Pass);
    early(named(27)).gives(Fail);
    // One that is never ready, and gets traffic all the same.
    let never = drill().healthy().pod(1.0, "replica-0", true).fault("kill", 25.0, None, &["replica-0"]);
    let never = never.pod(26.0, "replica-3", false);
    early(never.load(40..60, Answers::failed(5, Outcome::Http5xx).pod("replica-3"))).gives(Fail);
    // Refusals name nobody.
    early(named(31).load(28..29, Answers::failed(3, Outcome::ConnectRefused))).gives(Inconclusive);
    early(named(31).load(28..29, Answers::failed(3, Outcome::Http5xx))).gives(Inconclusive);
    // A long start, most of which was looked at: but not its end.
    let long = |last| {
        let drill = drill().healthy().pod(1.0, "replica-0", true).fault("kill", 25.0, None, &["replica-0"]);
        let drill = drill.pod(26.0, "replica-3", false).pod(50.0, "replica-3", true);
        let asked = |drill, when| counted(drill, when, "replica-3", 0.0);
        counted(asked(asked(drill, 27.0), last), 54.0, "replica-3", 60.0)
    };
    early(long(48.0)).gives(Pass);
    early(long(44.0)).gives(Inconclusive);
    // The gateway was not asked before it was ready.
    let killed = drill().healthy().pod(1.0, "replica-0", true).fault("kill", 25.0, None, &["replica-0"]);
    let killed = killed.pod(26.0, "replica-3", false).pod(30.0, "replica-3", true);
    let asked = counted(counted(killed, 26.0, "replica-3", 0.0), 34.0, "replica-3", 60.0);
    early(asked).gives(Inconclusive);
    // Nothing started.
    early(drill().healthy().pod(1.0, "replica-0", true).fault("kill", 25.0, None, &["replica-0"]))
        .gives(Inconclusive);
}

fn removed(drill: Drill) -> Drill {
    drill.expect(Expectation::Probes(ProbesExpectation {
        after: Some("down".into()),
        removed_within: Some(Span::secs(3)),
        ..Default::default()
    }))
}

/// A pod that is not ready from 26 to 40 s.
fn down() -> Drill {
    let drill = drill().healthy().pod(1.0, "replica-1", true);
    drill.fault("down", 25.5, Some(40.0), &["replica-1"]).pod(26.0, "replica-1", false).pod(
        41.0,
        "replica-1",
        true,
    )
}

#[test]
fn traffic_after_a_pod_was_ready_is_found() {
    // Asked once a second from 24 s on; so many more at this time.
    let counts = |until: u32, more: &[(u32, f64)]| {
        (24..=until).fold(down(), |drill, second| {
            let later: f64 = more.iter().filter(|(at, _)| *at <= second).map(|(_, n)| n).sum();
            counted(drill, f64::from(second), "replica-1", 100.0 + later)
        })
    };
    removed(counts(40, &[(26, 10.0), (27, 2.0)])).gives(Pass);
    removed(counts(40, &[(26, 10.0), (33, 2.0)])).gives(Fail);
    // What took long had begun before.
    let slow = |drill: Drill| drill.load(20..21, Answers::ok(1).e2e(5000));
    removed(slow(counts(40, &[(31, 2.0)]))).gives(Inconclusive);
    // Nobody asked after it was lost, or not for a while.
    removed(counts(25, &[])).gives(Inconclusive);
    removed(counted(counts(28, &[]), 39.0, "replica-1", 100.0)).gives(Inconclusive);
    // Its answers to requests that were due later.
    removed(down().load(33..35, Answers::ok(5).pod("replica-1"))).gives(Fail);
    // Nobody counted, and it is silent: that proves nothing.
    removed(down()).gives(Inconclusive);
    // It answered for a while, and somebody is refused later: by it, perhaps.
    let named = || down().load(26..28, Answers::ok(5).pod("replica-1"));
    removed(named()).gives(Pass);
    removed(named().load(34..35, Answers::failed(2, Outcome::ConnectRefused))).gives(Inconclusive);
    // It was ready again at once.
    removed(counts(28, &[]).pod(27.5, "replica-1", true)).gives(Inconclusive);
    // Another pod's loss is another story.
    removed(
        drill().healthy().pod(1.0, "replica-9", true).fault("down", 25.5, Some(40.0), &["replica-1"]).pod(
            26.0,
            "replica-9",
            false,
        ),
    )
    .gives(Inconclusive);
}

fn scaling(drill: Drill, of: impl Fn(&mut AutoscalingExpectation)) -> Drill {
    let mut e = AutoscalingExpectation::of("fault".into(), Some(4));
    of(&mut e);
    drill.expect(Expectation::Autoscaling(e))
}

/// Two replicas, and so many more that are ready at this time.
fn grown(more: usize, when: f64) -> Drill {
    let two = drill().healthy().pod(1.0, "replica-0", true).pod(1.0, "replica-1", true);
    let two = two.pod(1.0, "fallback-0", true);
    (0..more).fold(two, |drill, i| drill.pod(when, &format!("replica-{}", i + 2), true))
}

#[test]
fn what_the_autoscaler_itself_wanted_is_shown() {
    let wanted = |drill: Drill, when, count, blind| {
        let of = |metric: &str| format!("{metric}{{horizontalpodautoscaler=\"shop, \\\"llm\\\"\"}}");
        let desired = of("kube_horizontalpodautoscaler_status_desired_replicas");
        let most = of("kube_horizontalpodautoscaler_spec_max_replicas");
        let blinded = of("kubernetes_horizontalpodautoscaler_blind");
        let values = [(desired.as_str(), count), (most.as_str(), 5.0), (blinded.as_str(), blind)];
        drill.sample(when, "horizontalpodautoscalers in shop", &values)
    };
    let told = |drill: Drill| {
        let drill = scaling(drill, |e| e.scales_out_within = Some(Span::secs(10)));
        let evidence = drill.checked().evidence.into_iter().map(|one| one.what);
        evidence.filter(|what| what.starts_with("autoscaler shop, \"llm\" ")).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(told(grown(0, 0.0)), "");
    let usual = || wanted(grown(2, 27.0), 5.0, 2.0, 0.0);
    let more = told(wanted(wanted(usual(), 24.0, 4.0, 0.0), 26.0, 5.0, 0.0));
    assert!(
        more.contains("wanted 4 replicas at") && more.contains("5 at the most (it may have 5)"),
        "{more}"
    );
    let never = told(wanted(usual(), 24.0, 2.0, 0.0));
    assert!(never.contains("never wanted more than 2 replicas"), "{never}");
    assert!(!never.contains("could not tell"), "{never}");
    let blind = told(wanted(usual(), 24.0, 2.0, 1.0));
    assert!(blind.contains("it could not tell how many"), "{blind}");
}

#[test]
fn replicas_follow_the_load_and_go_again() {
    let out = |drill| scaling(drill, |e| e.scales_out_within = Some(Span::secs(10)));
    out(grown(2, 27.0)).gives(Pass);
    out(grown(2, 35.0)).gives(Fail);
    out(grown(1, 27.0)).gives(Fail);
    out(grown(0, 0.0)).gives(Fail);
    out(grown(2, 5.0)).gives(Inconclusive);
    out(drill().healthy()).gives(Inconclusive);
    // They fall over again at once.
    out(grown(2, 27.0).pod(29.0, "replica-3", false)).gives(Fail);
    out(grown(2, 27.0).pod(45.0, "replica-3", false)).gives(Pass);
    // It thinks better of it: that is no fall.
    out(grown(2, 27.0).gone(32.0, "replica-3")).gives(Pass);
    out(grown(1, 27.0).source(28.0, "controller", false)).gives(Inconclusive);
    // One that was lost and is replaced is none more; a rollout's pods are not, either.
    let any = |drill| scaling(drill, |e| (e.to, e.scales_out_within) = (None, Some(Span::secs(10))));
    any(grown(1, 27.0)).gives(Pass);
    any(grown(1, 5.0).gone(18.0, "replica-2").pod(22.0, "replica-9", true)).gives(Fail);
    any(grown(1, 27.0).deploy("bad", 24.0)).gives(Inconclusive);
    let inward = |drill| scaling(drill, |e| e.scales_in_within = Some(Span::secs(10)));
    let gone = |when| grown(2, 27.0).gone(when, "replica-2").gone(when, "replica-3");
    inward(gone(55.0)).gives(Pass);
    inward(gone(75.0)).gives(Fail);
    inward(grown(2, 27.0)).gives(Fail);
    inward(gone(45.0)).gives(Inconclusive);
    inward(grown(0, 0.0)).gives(Inconclusive);
}

#[test]
fn replicas_on_a_cluster_are_its_services_endpoints() {
    let ready = |drill: Drill, when, n| {
        drill.sample(when, "kubernetes", &[("kubernetes_endpoints_ready{service=\"llm\"}", n)])
    };
    // Other pods of the namespace are none of them.
    let out = |drill| scaling(drill, |e| e.scales_out_within = Some(Span::secs(10)));
    out(ready(ready(grown(4, 22.0), 1.0, 2.0), 28.0, 4.0)).gives(Pass);
    out(ready(ready(grown(4, 22.0), 1.0, 2.0), 28.0, 3.0)).gives(Fail);
}

#[test]
fn latency_follows_the_replicas() {
    let judged = |slow: std::ops::Range<u32>| {
        let drill = grown(2, 27.0).load(slow, Answers::ok(60).ttft(3000));
        let drill = drill.slo(Objective::Ttft("p50 < 500ms".parse().expect("one")), "fault");
        scaling(drill, |e| e.in_slo_within = Some(Span::secs(10)))
    };
    judged(20..26).gives(Pass);
    judged(20..38).gives(Fail);
    judged(20..50).gives(Fail);
    scaling(grown(2, 27.0), |e| e.in_slo_within = Some(Span::secs(10))).gives(Inconclusive);
}

fn zone(drill: Drill) -> Drill {
    let drill = drill.fault("zone", 25.0, Some(40.0), &["a-0", "a-1"]);
    drill.slo(Objective::Availability(">= 95%".parse().expect("one")), "baseline")
}

fn over(drill: Drill, to: Option<&str>) -> Drill {
    drill.expect(Expectation::Failover(FailoverExpectation {
        after: Some("zone".into()),
        to: to.map(str::to_owned),
        within: Some(Span::secs(5)),
        ..Default::default()
    }))
}

/// `a-0` serves until 25 s and from 42 s on, and nobody in between.
fn lost() -> Drill {
    drill().load(0..25, Answers::ok(20).pod("a-0")).load(42..90, Answers::ok(20).pod("a-0"))
}

#[test]
fn somebody_else_serves_in_its_place() {
    let served = |from: u32, by: &str| {
        let drill = lost().load(25..from, Answers::failed(20, Outcome::Timeout));
        zone(drill.load(from..42, Answers::ok(20).pod(by)))
    };
    over(served(27, "b-0"), Some("b")).gives(Pass);
    over(served(27, "b-0"), None).gives(Pass);
    over(served(33, "b-0"), Some("b")).gives(Fail);
    over(served(42, "b-0"), Some("b")).gives(Fail);
    // All is well, but it is not who should serve; or whom the fault hit.
    over(served(27, "c-0"), Some("b")).gives(Fail);
    over(served(27, "a-0"), None).gives(Fail);
    let fallback = zone(lost().load(25..42, Answers::ok(20).pod("b-0").fallback()));
    assert!(over(fallback, Some("b")).gives(Fail).contains("fallback"));
    // A cache's answers are nobody's.
    let cached = zone(lost().load(25..42, Answers::ok(20).pod("b-0").cache(CacheUse::Hit)));
    over(cached, Some("b")).gives(Inconclusive);
    over(zone(drill().healthy()), None).gives(Inconclusive);
    // Most of them name nobody.
    over(served(27, "b-0").load(27..42, Answers::ok(200)), Some("b")).gives(Inconclusive);
    // It was hit as well, and had served nobody before.
    over(served(27, "a-1"), None).gives(Fail);
}

#[test]
fn one_workloads_users_are_served_elsewhere() {
    let judged = |drill: Drill| {
        drill.expect(Expectation::Failover(FailoverExpectation {
            after: Some("zone".into()),
            workload: Some("chat".into()),
            to: Some("b".to_owned()),
            within: Some(Span::secs(5)),
            ..Default::default()
        }))
    };
    // Another workload's users are served there all the time, many more of them.
    let others = |drill: Drill| drill.load(0..90, Answers::ok(600).pod("b-0").workload("other"));
    let served = |by: &str| zone(others(lost().load(26..42, Answers::ok(20).pod(by))));
    judged(served("b-0")).gives(Pass);
    judged(served("c-0")).gives(Fail);
    let failed = zone(others(lost().load(25..42, Answers::failed(20, Outcome::Timeout))));
    judged(failed.clone()).gives(Fail);
    // Of all together, so few don't show.
    over(failed, Some("b")).gives(Pass);
}

#[test]
fn those_serve_again_that_did_before() {
    let back = |drill: Drill| {
        drill.expect(Expectation::Failover(FailoverExpectation {
            after: Some("zone".into()),
            to: Some("b".to_owned()),
            back_within: Some(Span::secs(8)),
            ..Default::default()
        }))
    };
    let served = |until: u32| {
        let before = drill().load(0..25, Answers::ok(20).pod("a-0"));
        let meanwhile = before.load(25..until, Answers::ok(20).pod("b-0"));
        zone(meanwhile.load(until..90, Answers::ok(20).pod("a-0")))
    };
    back(served(43)).gives(Pass);
    back(served(55)).gives(Fail);
    back(served(90)).gives(Fail);
    // The other zone still gets a part.
    back(served(43).load(43..90, Answers::ok(5).pod("b-0"))).gives(Fail);
    back(zone(lost())).gives(Inconclusive);
    // A last answer of the first zone, and no more.
    let once = drill().load(0..25, Answers::ok(20).pod("a-0")).load(25..90, Answers::ok(20).pod("b-0"));
    back(zone(once.load(40..41, Answers::ok(1).pod("a-0")))).gives(Fail);
}

fn drifts(drill: Drill) -> Drill {
    drill.expect(Expectation::Drift(DriftExpectation {
        after: Some("bad".into()),
        psi: None,
        ks: Some("< 0.2".parse().expect("one")),
    }))
}

fn shifts(drill: Drill) -> Drill {
    drill.expect(Expectation::Drift(DriftExpectation {
        after: Some("bad".into()),
        psi: Some("< 0.25".parse().expect("one")),
        ks: None,
    }))
}

#[test]
fn answers_of_another_length_have_drifted() {
    let judged = |tokens: u64, seconds: std::ops::Range<u32>| {
        let old = drill().load(0..90, Answers::ok(10).lengths(100));
        drifts(old.deploy("bad", 30.0).load(seconds, Answers::ok(10).version("v2").lengths(tokens)))
    };
    judged(100, 32..90).gives(Pass);
    judged(40, 32..90).gives(Fail);
    assert!(judged(100, 32..36).gives(Inconclusive).contains("too few"));
    // Nothing of the new version, or no lengths at all.
    drifts(drill().load(0..90, Answers::ok(10).lengths(100)).deploy("bad", 30.0)).gives(Inconclusive);
    drifts(drill().healthy().deploy("bad", 30.0)).gives(Inconclusive);
}

/// So many outputs of each class a second, before and of the new version.
fn classified(old: &[(&str, u64)], new: &[(&str, u64)], until: u32) -> Drill {
    let before = drill().load(0..90, Answers::ok(10).classes(old)).deploy("bad", 30.0);
    before.load(32..until, Answers::ok(10).version("v2").classes(new))
}

#[test]
fn a_class_that_is_said_more_often_has_drifted() {
    let old = [("cat", 4), ("dog", 4), ("fox", 2)];
    let same = || classified(&old, &old, 90);
    shifts(same()).gives(Pass);
    drifts(same()).gives(Pass);
    let skewed = || classified(&old, &[("cat", 1), ("dog", 1), ("fox", 8)], 90);
    let why = shifts(skewed()).gives(Fail);
    assert!(why.contains("PSI 1.664") && why.contains("580 outputs of v2 against "), "{why}");
    drifts(skewed()).gives(Fail);
    let shown = shifts(skewed()).checked().evidence.remove(0).what;
    assert_eq!(
        shown,
        "chat: shares of outputs: `fox`: 80% of v2, 20% before; `cat`: 10% of v2, 40% before; `dog`: 10% of v2, 40% before"
    );
    // One that never was, and one that is gone.
    shifts(classified(&old, &[("cat", 4), ("dog", 4), ("eel", 2)], 90)).gives(Fail);
    assert!(shifts(classified(&old, &old, 34)).gives(Inconclusive).contains("too few"));
}

#[test]
fn an_output_that_is_missing_is_no_evidence_of_being_alike() {
    let old = [("cat", 5), ("dog", 5)];
    // Gone with the new version, or for a part of it.
    shifts(classified(&old, &[("", 10)], 90)).gives(Fail);
    shifts(classified(&old, &[("cat", 3), ("dog", 3), ("", 4)], 90)).gives(Fail);
    // Never there.
    let why = shifts(classified(&[("", 10)], &[("", 10)], 90)).gives(Inconclusive);
    assert!(why.contains("had its `feature`"), "{why}");
    let why = shifts(classified(&old, &[], 90)).gives(Inconclusive);
    assert!(why.contains("no answer of v2 had a feature to compare"), "{why}");
    shifts(classified(&[], &old, 90)).gives(Inconclusive);
}

#[test]
fn lengths_and_features_are_judged_each_by_itself() {
    let (old, other) = ([("cat", 5), ("dog", 5)], [("cat", 1), ("dog", 9)]);
    let judged = |tokens: u64, new: &[(&str, u64)]| {
        let before = drill().load(0..90, Answers::ok(10).lengths(100).classes(&old)).deploy("bad", 30.0);
        shifts(before.load(32..90, Answers::ok(10).version("v2").lengths(tokens).classes(new)))
    };
    judged(100, &old).gives(Pass);
    assert!(judged(100, &other).gives(Fail).contains("outputs of v2"));
    assert!(judged(40, &old).gives(Fail).contains("answers of v2"));
}
