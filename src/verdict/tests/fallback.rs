//! Fallbacks that give a few answers all the time, and such that give no tokens.

use crate::{
    journal::interval::Outcome,
    scenario::model::{Expectation, FallbackExpectation},
    units::Span,
    verdict::{
        model::Verdict::*,
        testing::{Answers, Drill, drill},
    },
};

fn fallback(drill: Drill, e: FallbackExpectation) -> Drill {
    drill.expect(Expectation::Fallback(FallbackExpectation { after: Some("cut".into()), ..e }))
}

fn engages(drill: Drill) -> Drill {
    fallback(drill, FallbackExpectation { engages_within: Some(Span::secs(5)), ..Default::default() })
}

fn disengages(drill: Drill) -> Drill {
    fallback(drill, FallbackExpectation { disengages_within: Some(Span::secs(10)), ..Default::default() })
}

/// 20 a second; all replicas are cut off from 25 to 40 s, until 42 s as users feel it.
fn cut() -> Drill {
    let drill = drill().load(0..25, Answers::ok(20)).load(42..90, Answers::ok(20));
    drill.fault("cut", 25.0, Some(40.0), &["replica-0", "replica-1"])
}

fn failing(drill: Drill, seconds: std::ops::Range<u32>) -> Drill {
    drill.load(seconds, Answers::failed(20, Outcome::Http5xx))
}

fn falling_back(drill: Drill, seconds: std::ops::Range<u32>) -> Drill {
    drill.load(seconds, Answers::ok(20).fallback())
}

#[test]
fn what_comes_after_the_next_act_may_be_its_doing() {
    let next = |from| cut().fault("next", from, Some(60.0), &["replica-2"]);
    engages(falling_back(next(28.0), 26..42)).gives(Pass);
    engages(falling_back(failing(next(26.0), 25..27), 27..42)).gives(Inconclusive);
}

/// One answer of a fallback in each of these seconds.
fn stray(drill: Drill, seconds: &[u32]) -> Drill {
    seconds.iter().fold(drill, |drill, &second| drill.load(second..second + 1, Answers::ok(1).fallback()))
}

/// It gives one in 120 all the time.
fn straying(drill: Drill) -> Drill {
    stray(drill, &[3, 9, 15, 21, 27, 33, 39, 45, 51, 57, 63, 69, 75, 81, 87])
}

#[test]
fn one_that_strays_does_not_step_in_by_that() {
    let why = engages(straying(failing(cut(), 25..42))).gives(Fail);
    assert!(why.contains("only 3 answers came from a fallback"), "{why}");
    let harmless = straying(cut().load(25..42, Answers::ok(20)));
    assert!(engages(harmless).gives(Inconclusive).contains("none was needed"));
    // Hardly anybody is harmed: who knows for whom they were.
    let few = cut().load(25..42, Answers::ok(20)).load(30..38, Answers::failed(2, Outcome::Http5xx));
    assert!(engages(straying(few)).gives(Inconclusive).contains("too few to tell"));
    engages(straying(falling_back(failing(cut(), 25..27), 27..42))).gives(Pass);
    // Late, whatever strayed in time.
    engages(straying(falling_back(failing(cut(), 25..35), 35..42))).gives(Fail);
    // The first one may have been for the fault.
    engages(stray(falling_back(failing(cut(), 25..35), 35..42), &[27])).gives(Inconclusive);
}

#[test]
fn one_that_strays_has_stepped_back_all_the_same() {
    let stepping_in = |until| falling_back(failing(cut(), 25..27), 27..until);
    disengages(straying(stepping_in(42))).gives(Pass);
    disengages(straying(stepping_in(56))).gives(Fail);
    // There was nothing to step back from.
    disengages(straying(failing(cut(), 25..42))).gives(Inconclusive);
    // One answer at the end is no proof that it is still on, nor that it isn't.
    disengages(stray(stepping_in(42), &[85])).gives(Inconclusive);
}

#[test]
fn one_without_tokens_is_as_fast_as_its_answers() {
    let fast = |answers: Answers| {
        let limit = Some("p95 < 500ms".parse().expect("one"));
        let drill = failing(cut(), 25..27).load(27..42, answers.fallback().without_tokens());
        fallback(drill, FallbackExpectation { ttft: limit, ..Default::default() })
    };
    fast(Answers::ok(20)).gives(Pass);
    fast(Answers::ok(20).e2e(2500)).gives(Fail);
    fast(Answers::failed(20, Outcome::Malformed)).gives(Inconclusive);
}
