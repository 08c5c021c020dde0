//! Caches.

use crate::{
    journal::{
        event::RolloutPhase::*,
        interval::{
            CacheUse::{self, *},
            Outcome,
        },
    },
    scenario::model::{CacheExpectation, Expectation},
    units::Span,
    verdict::{
        model::Verdict::*,
        testing::{Answers, Drill, drill, some_fault},
    },
};

fn expects(drill: Drill, e: CacheExpectation) -> Drill {
    drill.expect(Expectation::Cache(e))
}

fn of(cache: CacheUse, count: u64) -> Answers {
    Answers::ok(count).cache(cache)
}

fn serving() -> Drill {
    drill().load(0..90, of(Hit, 8).e2e(5)).load(0..90, of(Miss, 10)).load(0..90, of(Collapsed, 2))
}

#[test]
fn its_hit_ratio() {
    let wants = |drill, limit: &str| {
        expects(
            drill,
            CacheExpectation { hit_ratio: Some(limit.parse().expect("one")), ..Default::default() },
        )
    };
    wants(serving(), ">= 30%").gives(Pass);
    wants(serving(), ">= 50%").gives(Fail);
    assert!(wants(drill().healthy(), ">= 30%").gives(Fail).contains("no cache showed itself"));
    wants(drill().load(0..90, of(Bypass, 20)), ">= 30%").gives(Fail);
    wants(drill(), ">= 30%").gives(Inconclusive);
}

#[test]
fn hits_are_fast() {
    let wants = |drill| {
        expects(
            drill,
            CacheExpectation { hit: Some("p95 < 20ms".parse().expect("one")), ..Default::default() },
        )
    };
    wants(serving()).gives(Pass);
    wants(drill().load(0..90, of(Hit, 8).e2e(100))).gives(Fail);
    wants(drill().load(0..90, of(Miss, 8))).gives(Inconclusive);
    wants(drill().healthy()).gives(Fail);
}

#[test]
fn it_serves_during_a_phase() {
    let wants = |drill| {
        expects(drill, CacheExpectation { serves_during: Some("fault".into()), ..Default::default() })
    };
    wants(serving()).gives(Pass);
    wants(drill().load(0..20, of(Hit, 8)).load(0..90, of(Miss, 8))).gives(Fail);
    wants(drill().load(0..20, of(Hit, 8)).load(20..21, of(Miss, 8))).gives(Inconclusive);
    // Hits before the fault acts, and after it, are none while it does.
    let cut = |drill: Drill| drill.fault("cut", 25.0, Some(40.0), &["replica-0"]);
    wants(cut(serving())).gives(Pass);
    wants(cut(drill().load(20..25, of(Hit, 8)).load(25..50, of(Miss, 8)))).gives(Fail);
    wants(cut(drill().load(25..40, of(Miss, 8)).load(40..50, of(Hit, 8)))).gives(Fail);
    wants(serving().planned("cut", 25.0, Some(40.0), some_fault())).gives(Inconclusive);
}

#[test]
fn an_error_that_it_kept_is_no_hit() {
    let errors = |seconds| drill().load(seconds, Answers::failed(20, Outcome::Http5xx).cache(Hit));
    let wants = |drill: Drill| {
        let drill = drill.fault("down", 25.0, Some(40.0), &["replica-0"]).load(0..90, of(Miss, 1));
        expects(drill, CacheExpectation { serves_during: Some("fault".into()), ..Default::default() })
    };
    assert!(wants(errors(25..41)).gives(Fail).contains("the cache gave 280 errors"));
    // One that is right or wrong is an answer.
    wants(errors(25..41).load(30..31, of(Hit, 1))).gives(Pass);
    wants(errors(25..41).load(30..31, of(Hit, 1).mismatch())).gives(Pass);
    let ratio = |drill| {
        let limit = Some(">= 30%".parse().expect("one"));
        expects(drill, CacheExpectation { hit_ratio: limit, ..Default::default() })
    };
    ratio(errors(0..90).load(0..90, of(Miss, 10))).gives(Fail);
    ratio(errors(0..90).load(0..90, of(Hit, 12))).gives(Pass);
    // They show that there is a cache.
    ratio(errors(0..90).load(0..90, Answers::ok(20))).gives(Fail);
}

#[test]
fn between_two_faults_it_serves_nobody_in_need() {
    let wants = |drill: Drill| {
        let drill = drill.fault("one", 22.0, Some(28.0), &["replica-0"]);
        let drill = drill.fault("two", 40.0, Some(46.0), &["replica-0"]).load(20..50, of(Miss, 8));
        expects(drill, CacheExpectation { serves_during: Some("fault".into()), ..Default::default() })
    };
    wants(drill().load(30..38, of(Hit, 8))).gives(Fail);
    wants(drill().load(42..44, of(Hit, 8))).gives(Pass);
}

#[test]
fn it_forgets_in_time() {
    let wants =
        |drill| expects(drill, CacheExpectation { max_age: Some(Span::secs(30)), ..Default::default() });
    let aged = || drill().load(0..90, of(Hit, 8).aged(25)).load(0..90, of(Miss, 10));
    wants(aged()).gives(Pass);
    wants(aged().load(60..61, of(Hit, 1).aged(55))).gives(Fail);
    wants(aged().load(10..20, of(Hit, 2).aged(30))).gives(Inconclusive);
    // One that does not say may be older than those that do.
    let why = wants(aged().load(60..61, of(Hit, 1))).gives(Inconclusive);
    assert!(why.contains("1 of 721 hits do not state their age"), "{why}");
    wants(serving().load(10..20, of(Hit, 2).aged(25))).gives(Inconclusive);
    wants(serving().load(60..61, of(Hit, 1).aged(55))).gives(Fail);
    // No hit says how old it is; there is no hit; there is no cache.
    wants(serving()).gives(Inconclusive);
    wants(drill().load(0..90, of(Miss, 8))).gives(Inconclusive);
    wants(drill().healthy()).gives(Fail);
}

#[test]
fn it_serves_the_right_answer() {
    let wants = |drill| {
        expects(drill, CacheExpectation { wrong: Some("<= 1%".parse().expect("one")), ..Default::default() })
    };
    let golden = || of(Hit, 2).golden();
    wants(drill().load(0..90, golden())).gives(Pass);
    wants(drill().load(0..90, golden()).load(0..30, of(Hit, 1).mismatch())).gives(Fail);
    wants(serving()).gives(Inconclusive);
}

#[test]
fn it_answers_as_its_origin_does() {
    let wants = |drill| {
        expects(
            drill,
            CacheExpectation { differs: Some("<= 0%".parse().expect("one")), ..Default::default() },
        )
    };
    let hits =
        |alike, unlike| drill().load(0..90, of(Miss, 8)).load(0..90, of(Hit, 10).compared(alike, unlike));
    wants(hits(8, 0)).gives(Pass);
    assert!(wants(hits(8, 0).load(40..42, of(Hit, 1).compared(0, 1))).gives(Fail).contains("2 of 722"));
    // An origin's answer shows it of a hit before.
    wants(hits(8, 0).load(40..42, of(Miss, 1).compared(0, 1))).gives(Fail);
    wants(hits(0, 0)).gives(Inconclusive);
    assert!(wants(hits(0, 0).load(0..3, of(Hit, 9).compared(9, 0))).gives(Inconclusive).contains("only 27"));
    wants(hits(0, 0).load(0..3, of(Hit, 9).compared(9, 1))).gives(Fail);
    // Nothing is a cache, or nothing was kept.
    wants(drill().healthy()).gives(Fail);
    wants(drill().load(0..90, of(Miss, 8))).gives(Inconclusive);
}

#[test]
fn it_is_not_blamed_for_a_version_that_is_wrong_by_itself() {
    let wrong_version = drill()
        .load(0..50, of(Hit, 4).golden())
        .load(50..60, of(Miss, 2).version("v2").mismatch())
        .load(50..60, of(Hit, 2).version("v2").mismatch());
    let limit = Some("<= 1%".parse().expect("one"));
    expects(wrong_version, CacheExpectation { wrong: limit, ..Default::default() }).gives(Pass);
}

fn rolled_back() -> Drill {
    drill()
        .deploy("bad", 55.0)
        .load(0..90, of(Miss, 10))
        .load(57..63, of(Miss, 2).version("v2"))
        .rollout(57.0, Progressing, "v1", 0.1)
        .rollout(62.0, RollingBack, "v1", 0.0)
        .rollout(63.0, RolledBack, "v1", 0.0)
}

fn fresh(drill: Drill) -> Drill {
    expects(drill, CacheExpectation { fresh_after: Some("bad".into()), ..Default::default() })
}

#[test]
fn it_forgets_a_version_that_was_withdrawn() {
    fresh(rolled_back().load(0..90, of(Hit, 5))).gives(Pass);
    let stale = rolled_back().load(0..90, of(Hit, 5)).load(66..80, of(Hit, 1).version("v2"));
    assert!(fresh(stale).gives(Fail).contains("14 hits"));
    // Of those that do not name their version, any may be of the withdrawn one.
    let some = |n| rolled_back().load(0..90, of(Hit, 5)).load(66..80, of(Hit, n).nameless());
    assert!(fresh(some(3)).gives(Inconclusive).contains("42 of"));
    fresh(some(3).load(66..80, of(Hit, 1).version("v2"))).gives(Fail);
    fresh(rolled_back().load(0..90, of(Hit, 5)).load(70..71, of(Hit, 1).nameless())).gives(Pass);
    fresh(rolled_back()).gives(Inconclusive);
    fresh(drill().healthy().deploy("bad", 55.0)).gives(Inconclusive);
}

#[test]
fn it_is_not_blamed_for_a_rollback_that_did_not_happen() {
    let still_serving = rolled_back()
        .load(66..85, of(Miss, 2).version("v2"))
        .load(66..85, of(Hit, 1).version("v2"))
        .load(0..90, of(Hit, 5));
    assert!(fresh(still_serving).gives(Inconclusive).contains("still served"));
}

#[test]
fn it_does_not_stampede() {
    let wants = |drill| {
        let limit = Some("<= 5%".parse().expect("one"));
        expects(drill, CacheExpectation { overlapping_misses: limit, ..Default::default() })
    };
    wants(serving()).gives(Pass);
    wants(serving().load(20..60, of(Miss, 5).overlapping(4))).gives(Fail);
    wants(drill().healthy()).gives(Inconclusive);
    // Where nobody asks the same again, nothing can overlap.
    let unique = || drill().load(0..90, of(Hit, 8)).load(0..90, of(Miss, 10).unique());
    assert!(wants(unique()).gives(Inconclusive).contains("asked again"));
    // Some do: they are judged, beside many that don't.
    wants(unique().load(0..90, of(Miss, 2))).gives(Pass);
    wants(unique().load(0..90, of(Miss, 2).overlapping(1))).gives(Fail);
}
