//! The way back.

use crate::{
    journal::interval::Outcome,
    scenario::model::{Expectation, Objective, RecoveryExpectation},
    units::Span,
    verdict::{
        model::Verdict::*,
        testing::{Answers, Drill, drill},
    },
};

fn recovers(drill: Drill) -> Drill {
    drill
        .slo(Objective::Ttft("p95 < 500ms".parse().expect("one")), "baseline")
        .slo(Objective::Availability(">= 99%".parse().expect("one")), "baseline")
        .fault("cut", 25.0, Some(40.0), &["replica-0"])
        .expect(Expectation::Recovery(RecoveryExpectation { after: None, within: Some(Span::secs(10)) }))
}

fn bad_until(second: u32) -> Drill {
    drill()
        .load(0..25, Answers::ok(20))
        .load(25..second, Answers::failed(20, Outcome::Http5xx))
        .load(second..90, Answers::ok(20))
}

#[test]
fn it_recovers_in_time() {
    let check = recovers(bad_until(45)).checked();
    assert_eq!((check.verdict, check.observed, check.error), (Pass, Some(5.0), Some((4.0, Some(5.0)))));
    recovers(bad_until(55)).gives(Fail);
    recovers(bad_until(30)).gives(Pass);
}

#[test]
fn a_relapse_is_no_recovery() {
    let relapse = bad_until(45).load(70..75, Answers::failed(20, Outcome::Timeout));
    recovers(relapse.clone()).gives(Fail);
    recovers(relapse.fault("next", 69.0, Some(76.0), &[])).gives(Pass);
}

#[test]
fn never_back_under_normal_load_is_metastable() {
    assert!(recovers(bad_until(90)).gives(Fail).contains("metastable"));
    let overloaded = bad_until(90).load(40..90, Answers::ok(20));
    assert!(recovers(overloaded).gives(Inconclusive).contains("load"));
}

#[test]
fn being_back_at_a_fraction_of_the_load_says_little() {
    let at = |each| {
        let failing =
            drill().load(0..25, Answers::ok(20)).load(25..45, Answers::failed(20, Outcome::Http5xx));
        recovers(failing.load(45..90, Answers::ok(each)))
    };
    at(12).gives(Pass);
    let why = at(8).gives(Inconclusive);
    assert!(why.contains("only 40% of the baseline's"), "{why}");
}

#[test]
fn without_objectives_or_time_nothing_can_be_said() {
    let e = Expectation::Recovery(RecoveryExpectation { after: None, within: Some(Span::secs(10)) });
    let no_slos = bad_until(45).fault("cut", 25.0, Some(40.0), &[]).expect(e);
    no_slos.gives(Inconclusive);
    recovers(drill().load(0..43, Answers::ok(20))).gives(Inconclusive);
}
