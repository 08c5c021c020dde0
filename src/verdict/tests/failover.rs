//! Failover of several that served before, and of such that the fault does not name.

use crate::{
    scenario::{
        model::{Expectation, Objective},
        serving::FailoverExpectation,
    },
    units::Span,
    verdict::{
        model::Verdict::*,
        testing::{Answers, Drill, drill},
    },
};

/// From 25 to 40 s it hits these.
fn lost(drill: Drill, targets: &[&str]) -> Drill {
    let drill = drill.fault("zone", 25.0, Some(40.0), targets);
    drill.slo(Objective::Availability(">= 95%".parse().expect("one")), "baseline")
}

fn over(drill: Drill) -> Drill {
    drill.expect(Expectation::Failover(FailoverExpectation {
        after: Some("zone".into()),
        within: Some(Span::secs(5)),
        ..Default::default()
    }))
}

fn back(drill: Drill) -> Drill {
    drill.expect(Expectation::Failover(FailoverExpectation {
        after: Some("zone".into()),
        back_within: Some(Span::secs(8)),
        ..Default::default()
    }))
}

fn by(drill: Drill, seconds: std::ops::Range<u32>, count: u64, pod: &str) -> Drill {
    drill.load(seconds, Answers::ok(count).pod(pod))
}

/// `a-0` and `a-1` serve until 25 s, `b-0` then, and `a-0` again from 42 s on.
fn zone() -> Drill {
    let before = by(by(drill(), 0..25, 10, "a-0"), 0..25, 10, "a-1");
    lost(by(by(before, 25..42, 20, "b-0"), 42..90, 10, "a-0"), &["a-0", "a-1"])
}

#[test]
fn each_of_them_has_to_serve_again() {
    back(by(zone(), 43..90, 10, "a-1")).gives(Pass);
    let why = back(by(zone(), 42..90, 10, "a-0")).gives(Fail);
    assert!(why.contains("a-1 served again"), "{why}");
    back(by(zone(), 55..90, 10, "a-1")).gives(Fail);
    // For a moment only.
    back(by(zone(), 43..50, 10, "a-1")).gives(Fail);
    // It was taken away: who knows by which name it came back.
    back(zone().pod(1.0, "a-1", true).gone(41.0, "a-1")).gives(Inconclusive);
}

#[test]
fn who_serves_seldom_may_be_silent_for_a_while() {
    let zone = |until: u32| {
        let before = by(drill(), 0..25, 20, "a-0");
        let before = (0..12).fold(before, |drill, n| by(drill, 2 * n..2 * n + 1, 1, "a-1"));
        let drill = lost(by(by(before, 25..42, 20, "b-0"), 42..90, 20, "a-0"), &["a-0", "a-1"]);
        back(drill.fault("next", f64::from(until), None, &["a-0"]))
    };
    assert!(zone(52).gives(Inconclusive).contains("too few answers"));
    zone(88).gives(Fail);
}

#[test]
fn one_answer_before_does_not_make_a_standby_one_of_them() {
    let before = by(by(drill(), 0..25, 20, "a-0"), 5..6, 1, "b-0");
    let served = lost(by(by(before, 25..42, 20, "b-0"), 42..90, 20, "a-0"), &["link"]);
    over(served.clone()).gives(Pass);
    back(served.clone()).gives(Pass);
    // As before, it may be sent one now and then, but no more.
    back(by(served.clone(), 85..86, 1, "b-0")).gives(Pass);
    back(by(served, 60..90, 5, "b-0")).gives(Fail);
}

#[test]
fn of_two_that_served_the_other_may_be_whom_it_hit() {
    let before = by(by(drill(), 0..25, 10, "10.0.0.1:80"), 0..25, 10, "10.0.0.2:80");
    let meanwhile = || by(before.clone(), 25..42, 20, "10.0.0.2:80");
    let served = |drill| over(lost(drill, &["replica-0"]));
    let why = served(meanwhile()).gives(Inconclusive);
    assert!(why.contains("10.0.0.1:80 fell silent") && why.contains("say `to:`"), "{why}");
    assert!(served(by(meanwhile(), 25..42, 20, "10.0.0.1:80")).gives(Fail).contains("nothing failed over"));
}
