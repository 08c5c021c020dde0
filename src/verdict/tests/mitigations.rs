//! What a cache is worth, how stale its answers are, and who stands in.

use crate::{
    journal::interval::{
        CacheUse::{self, *},
        Freshness::*,
        Outcome,
    },
    scenario::model::{CacheExpectation, Expectation, FallbackExpectation},
    verdict::{
        model::Verdict::*,
        testing::{Answers, Drill, drill},
    },
};

fn of(cache: CacheUse, count: u64, ms: u64) -> Answers {
    Answers::ok(count).cache(cache).e2e(ms)
}

fn speed_up(drill: Drill) -> Drill {
    let limit = Some(">= 3x".parse().expect("a factor"));
    drill.expect(Expectation::Cache(CacheExpectation { speed_up: limit, ..Default::default() }))
}

#[test]
fn a_hit_takes_a_part_of_what_a_miss_takes() {
    let served = |hit, miss| drill().load(0..90, of(Hit, 4, hit)).load(0..90, of(Miss, 4, miss));
    let check = speed_up(served(5, 400)).checked();
    assert_eq!((check.verdict, check.unit.as_str()), (Pass, "x"), "{}", check.why);
    assert!((check.observed.expect("a figure") - 80.0).abs() < 1.0, "{:?}", check.observed);
    assert!(speed_up(served(380, 400)).gives(Fail).contains("not >= 3x"));
    // What is collapsed, failed, or given by another model is neither.
    let others = served(380, 400)
        .load(0..90, of(Collapsed, 9, 9000))
        .load(0..90, of(Miss, 9, 9000).fallback())
        .load(0..90, Answers::failed(9, Outcome::Timeout).cache(Miss).e2e(9000));
    speed_up(others).gives(Fail);
}

#[test]
fn without_both_nothing_is_compared() {
    speed_up(drill().load(0..90, of(Hit, 4, 5))).gives(Inconclusive);
    speed_up(drill().load(0..90, of(Miss, 4, 400))).gives(Inconclusive);
    speed_up(drill()).gives(Inconclusive);
    assert!(speed_up(drill().healthy()).gives(Fail).contains("no cache showed itself"));
}

#[test]
fn a_few_hits_do_not_tell_how_fast_hits_are() {
    let few = drill().load(0..90, of(Miss, 4, 400)).load(3..5, of(Hit, 1, 5));
    assert!(speed_up(few).gives(Inconclusive).contains("with so few"));
    // Two that differ widely on either side of the limit.
    let spread =
        drill().load(0..90, of(Miss, 4, 400)).load(3..13, of(Hit, 1, 5)).load(3..12, of(Hit, 1, 390));
    speed_up(spread).gives(Inconclusive);
}

fn stale(drill: Drill, limit: &str, phase: Option<&str>) -> Drill {
    drill.expect(Expectation::Cache(CacheExpectation {
        stale: Some(limit.parse().expect("a share")),
        phase: phase.map(Into::into),
        ..Default::default()
    }))
}

#[test]
fn stale_answers_are_counted_where_they_say_so() {
    let fresh = || drill().load(0..90, of(Hit, 4, 5).freshness(Fresh));
    let some = || fresh().load(30..40, of(Hit, 2, 5).freshness(Stale));
    stale(fresh(), "<= 0%", None).gives(Pass);
    stale(some(), "<= 0%", None).gives(Fail);
    stale(some(), "<= 0%", Some("baseline")).gives(Pass);
    stale(some(), "<= 0%", Some("fault")).gives(Fail);
    // While the origin is gone they may be what is wanted.
    stale(some(), ">= 10%", Some("fault")).gives(Pass);
    stale(some(), ">= 10%", Some("recovery")).gives(Fail);
}

#[test]
fn hits_that_do_not_say_may_be_either() {
    let silent = || drill().load(0..90, of(Hit, 4, 5));
    assert!(stale(silent(), "<= 0%", None).gives(Inconclusive).contains("do not say"));
    stale(silent().load(0..90, of(Hit, 4, 5).freshness(Fresh)), "<= 0%", None).gives(Inconclusive);
    stale(silent().load(0..90, of(Hit, 400, 5).freshness(Fresh)), "<= 5%", None).gives(Pass);
    stale(silent().load(0..90, of(Hit, 4, 5).freshness(Stale)), "<= 5%", None).gives(Fail);
    stale(drill().load(0..90, of(Miss, 4, 400)), "<= 0%", None).gives(Inconclusive);
    stale(silent(), "<= 0%", Some("no-such-phase")).gives(Inconclusive);
    stale(drill().healthy(), "<= 0%", None).gives(Fail);
}

fn stands_in(drill: Drill) -> Drill {
    let e =
        FallbackExpectation { after: Some("cut".into()), to: Some("small".to_owned()), ..Default::default() };
    drill.expect(Expectation::Fallback(e))
}

fn cut() -> Drill {
    drill().healthy().fault("cut", 25.0, Some(40.0), &["replica-0"])
}

#[test]
fn the_model_that_was_meant_stands_in() {
    stands_in(cut().load(27..40, Answers::ok(3).model("small"))).gives(Pass);
    let wrong = cut().load(27..40, Answers::ok(3).model("small")).load(30..31, Answers::ok(1).model("tiny"));
    assert!(stands_in(wrong).gives(Fail).contains("1 of 40 answers were of tiny"));
    // Before the fault, or from a cache that kept it.
    let else_where = cut().load(27..40, Answers::ok(3).model("small"));
    let else_where = else_where.load(3..4, Answers::ok(1).model("tiny"));
    stands_in(else_where.load(30..31, Answers::ok(1).model("tiny").cache(Hit))).gives(Pass);
}

#[test]
fn who_does_not_name_itself_may_be_anybody() {
    let silent = || cut().load(27..40, Answers::ok(3).fallback());
    assert!(stands_in(silent()).gives(Inconclusive).contains("do not name their model"));
    stands_in(silent().load(27..40, Answers::ok(3).model("small"))).gives(Inconclusive);
    stands_in(silent().load(27..40, Answers::ok(3).model("tiny"))).gives(Fail);
    stands_in(cut()).gives(Inconclusive);
    stands_in(cut().load(27..40, Answers::failed(9, Outcome::Http5xx))).gives(Fail);
}
