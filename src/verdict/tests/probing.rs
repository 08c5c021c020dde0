//! What a half-open breaker lets through, and which breaker is meant.

use super::breaker::{expects, slow};
use crate::{
    journal::{
        event::{BreakerKind::*, BreakerState::*},
        interval::{CacheUse, Outcome},
    },
    scenario::model::BreakerExpectation,
    units::Span,
    verdict::{
        model::Verdict::*,
        testing::{Answers, Drill, drill},
    },
};

const PROBES: &str = r#"gateway_circuit_breaker_probes_total{name="replica-0"}"#;

fn probes(drill: Drill) -> Drill {
    let limit = Some("<= 3".parse().expect("a threshold"));
    expects(drill, BreakerExpectation { probes: limit, ..Default::default() })
}

/// Half-open at 30 s, which fails, and at 38 s, which closes it.
fn probing() -> Drill {
    slow()
        .breaker(27.0, "replica-0", Open)
        .breaker(30.5, "replica-0", HalfOpen)
        .breaker(31.5, "replica-0", Open)
        .breaker(38.5, "replica-0", HalfOpen)
        .breaker(39.5, "replica-0", Closed)
}

/// So many were let through in the first and in the second period.
fn counted(drill: Drill, first: f64, second: f64) -> Drill {
    (0..60).fold(drill, |drill, at| {
        let so_far = if at > 30 { first } else { 0.0 } + if at > 38 { second } else { 0.0 };
        drill.sample(f64::from(at), "gateway", &[(PROBES, so_far)])
    })
}

#[test]
fn a_half_open_breaker_probes_with_few() {
    let check = probes(counted(probing(), 1.0, 3.0)).checked();
    assert_eq!((check.verdict, check.observed), (Pass, Some(3.0)), "{}", check.why);
    let check = probes(counted(probing(), 9.0, 3.0)).checked();
    assert_eq!((check.verdict, check.observed), (Fail, Some(9.0)), "{}", check.why);
    assert!(probes(counted(probing(), 0.0, 0.0)).gives(Inconclusive).contains("nobody asked"));
}

#[test]
fn periods_that_nobody_counted_decide_nothing() {
    assert!(probes(probing()).gives(Inconclusive).contains("nobody counted"));
    assert!(probes(slow()).gives(Inconclusive).contains("no breaker was seen half-open"));
    // The first is counted, and no sample follows the second.
    let cut = (0..38).fold(probing(), |drill, at| {
        drill.sample(f64::from(at), "gateway", &[(PROBES, if at > 30 { 2.0 } else { 0.0 })])
    });
    assert!(probes(cut).gives(Inconclusive).contains("1 half-open period let through"));
    // Half-open to the end: it is not over.
    let endless = slow().breaker(27.0, "replica-0", Open).breaker(30.5, "replica-0", HalfOpen);
    probes(counted(endless, 1.0, 0.0)).gives(Inconclusive);
}

#[test]
fn of_periods_between_two_samples_only_their_sum_is_known() {
    let three = || {
        slow()
            .breaker(27.0, "replica-0", Open)
            .breaker(30.6, "replica-0", HalfOpen)
            .breaker(30.7, "replica-0", Open)
            .breaker(30.8, "replica-0", HalfOpen)
            .breaker(30.9, "replica-0", Open)
            .breaker(31.0, "replica-0", HalfOpen)
            .breaker(31.1, "replica-0", Closed)
    };
    let seen = |n: f64| {
        let drill = three().sample(29.0, "gateway", &[(PROBES, 0.0)]);
        probes(drill.sample(32.0, "gateway", &[(PROBES, n)]))
    };
    seen(3.0).gives(Pass);
    assert!(seen(9.0).gives(Inconclusive).contains("3 half-open periods together"));
    // Of ten in three periods one had four at least.
    assert_eq!(seen(10.0).checked().observed, Some(4.0));
    seen(10.0).gives(Fail);
}

#[test]
fn answers_that_name_the_pod_show_a_flood_and_no_health() {
    let long = || {
        slow().breaker(27.0, "replica-0", Open).breaker(30.5, "replica-0", HalfOpen).breaker(
            36.0,
            "replica-0",
            Open,
        )
    };
    let answered = |n| Answers::ok(n).pod("replica-0");
    assert!(probes(long().load(31..33, answered(2))).gives(Fail).contains("the wire"));
    probes(long().load(31..33, answered(1))).gives(Inconclusive);
    // Not its own, or not of that time.
    probes(long().load(31..33, answered(9).cache(CacheUse::Hit))).gives(Inconclusive);
    probes(long().load(37..39, answered(9))).gives(Inconclusive);
}

fn cut() -> Drill {
    drill()
        .healthy()
        .fault("slow", 25.0, Some(40.0), &["upstream"])
        .breaker_of(Outlier, 1.0, "llm", Closed)
        .breaker_of(Capacity, 1.0, "llm capacity", Closed)
}

fn opens(drill: Drill, e: BreakerExpectation) -> Drill {
    expects(drill, BreakerExpectation { opens_within: Some(Span::secs(5)), ..e })
}

#[test]
fn only_breakers_of_the_kind_count() {
    let overflow = || cut().breaker_of(Capacity, 27.0, "llm capacity", Open);
    let kind = |kind| BreakerExpectation { kind: Some(kind), ..Default::default() };
    opens(overflow(), BreakerExpectation::default()).gives(Pass);
    opens(overflow(), kind(Capacity)).gives(Pass);
    opens(overflow(), kind(Outlier)).gives(Fail);
    opens(overflow().sample(1.0, "envoy", &[("up", 1.0)]), kind(StateMachine)).gives(Fail);
    opens(overflow().breaker_of(Outlier, 28.0, "llm", Open), kind(Outlier)).gives(Pass);
    let title = opens(overflow(), kind(Outlier)).checked().title;
    assert_eq!(title, "breaker opens (outlier)");
}

#[test]
fn two_kinds_of_one_name_are_two_breakers() {
    let both = drill()
        .healthy()
        .fault("slow", 25.0, Some(40.0), &["upstream"])
        .breaker_of(Outlier, 1.0, "llm", Closed)
        .breaker_of(StateMachine, 1.0, "llm", Closed)
        .breaker_of(StateMachine, 27.0, "llm", Open);
    opens(both.clone(), BreakerExpectation { kind: Some(StateMachine), ..Default::default() }).gives(Pass);
    opens(both, BreakerExpectation { kind: Some(Outlier), ..Default::default() }).gives(Fail);
}

#[test]
fn rejections_on_the_wire_count_for_their_kind() {
    let rejected = |kind| cut().load(27..28, Answers::failed(3, Outcome::Shed).breaker_of(kind));
    let kind = |kind| BreakerExpectation { kind: Some(kind), ..Default::default() };
    // By its own word it is closed; or else nobody looked.
    opens(rejected(Capacity), kind(Capacity)).gives(Inconclusive);
    let blind = |drill: Drill| drill.source(26.0, "gateway", false).source(29.0, "gateway", true);
    opens(blind(rejected(Capacity)), kind(Capacity)).gives(Pass);
    opens(rejected(Capacity), kind(Outlier)).gives(Fail);
    opens(rejected(StateMachine), kind(Capacity)).gives(Fail);
    // A mark names no breaker.
    let named = BreakerExpectation { name: Some("llm".to_owned()), ..Default::default() };
    opens(rejected(Capacity), named).gives(Fail);
}

#[test]
fn only_the_named_breaker_counts() {
    let named = |name: &str| BreakerExpectation { name: Some(name.to_owned()), ..Default::default() };
    let open = || cut().breaker_of(Capacity, 27.0, "llm capacity", Open);
    opens(open(), named("llm capacity")).gives(Pass);
    opens(open(), named("llm")).gives(Fail);
    // Its kind stands for the word more.
    opens(open(), BreakerExpectation { kind: Some(Capacity), ..named("llm") }).gives(Pass);
    opens(open(), BreakerExpectation { kind: Some(Capacity), ..named("ll") }).gives(Inconclusive);
    let why = opens(open(), named("lmm")).gives(Inconclusive);
    assert!(why.contains("no breaker `lmm` showed itself; there is llm, llm capacity"), "{why}");
}

#[test]
fn a_record_that_does_not_say_the_kind_decides_nothing() {
    let old = slow().breaker(27.0, "replica-0", Open);
    let kind = BreakerExpectation { kind: Some(StateMachine), ..Default::default() };
    assert!(opens(old, kind).gives(Inconclusive).contains("does not say of which kind"));
}
