//! Rollbacks.

use crate::{
    journal::{
        event::RolloutPhase::*,
        interval::{CacheUse, Outcome},
    },
    scenario::model::{Expectation, RollbackExpectation},
    units::{RolloutName, Span},
    verdict::{
        model::Verdict::*,
        testing::{Answers, Drill, drill, some_fault},
    },
};

fn expects(drill: Drill, e: RollbackExpectation) -> Drill {
    drill.expect(Expectation::Rollback(RollbackExpectation { after: Some("bad".into()), ..e }))
}

fn detects(drill: Drill) -> Drill {
    expects(drill, RollbackExpectation { detects_within: Some(Span::secs(8)), ..Default::default() })
}

fn completes(drill: Drill) -> Drill {
    expects(drill, RollbackExpectation { completes_within: Some(Span::secs(15)), ..Default::default() })
}

fn restores(drill: Drill) -> Drill {
    expects(drill, RollbackExpectation { to: Some("v1".into()), ..Default::default() })
}

/// v2 asked for at 55 s and served from 57 s.
fn rollout() -> Drill {
    drill().healthy().deploy("bad", 55.0).rollout(1.0, Stable, "v1", 0.0).rollout(
        57.5,
        Progressing,
        "v1",
        0.1,
    )
}

/// Rolled back between 62 and 63 s, the last answer on its way.
fn good() -> Drill {
    rollout()
        .load(57..64, Answers::ok(2).version("v2"))
        .rollout(62.0, RollingBack, "v1", 0.0)
        .rollout(63.0, RolledBack, "v1", 0.0)
}

#[test]
fn a_good_one_passes() {
    let check = detects(good()).checked();
    assert_eq!(check.verdict, Pass, "{}", check.why);
    let (low, high) = check.error.expect("an interval");
    assert!(low < 5.0 && high.is_some_and(|high| high >= 5.0), "{low} {high:?}");
    assert_eq!(completes(good()).checked().observed, Some(8.9), "until the last answer ended");
    completes(good()).gives(Pass);
    restores(good()).gives(Pass);
}

#[test]
fn what_nobody_tells_of_is_judged_by_the_answers() {
    let deployed = || drill().healthy().deploy_by_program("bad", 55.0);
    let back = || deployed().load(57..64, Answers::ok(2).version("v2"));
    completes(back()).gives(Pass);
    restores(back()).gives(Pass);
    // It began somewhere between the first and the last answer.
    detects(back()).gives(Pass);
    let stays = || deployed().load(57..90, Answers::ok(2).version("v2"));
    let why = completes(stays()).gives(Fail);
    assert!(why.contains("not observed"), "{why}");
    restores(stays()).gives(Inconclusive);
    detects(stays()).gives(Fail);
    // Others answer all the time.
    promotes(stays()).gives(Fail);
    let wrong = back().load(64..90, Answers::ok(2).version("v3"));
    restores(wrong).gives(Fail);
    // Nobody ever answered as v2.
    completes(deployed()).gives(Fail);
}

#[test]
fn a_rollback_that_nobody_could_see_is_not_missing() {
    let absent = || rollout().load(57..64, Answers::ok(2).version("v2"));
    for check in [detects, completes, promotes] {
        check(absent().source(60.0, "controller", false)).gives(Inconclusive);
        check(absent().source(60.0, "controller", false).source(62.0, "controller", true)).gives(Fail);
        check(absent().source(60.0, "proxy", false)).gives(Fail);
    }
}

#[test]
fn what_is_told_of_another_rollout_is_none_of_this() {
    let other = || Some(RolloutName::from("Deployment other in shop"));
    let absent = || rollout().load(57..90, Answers::ok(2).version("v2"));
    let back = absent().rollout_of(other(), 62.0, RollingBack, "v1", 0.0).rollout_of(
        other(),
        63.0,
        RolledBack,
        "v1",
        0.0,
    );
    for check in [detects(back.clone()), completes(back)] {
        assert!(check.gives(Fail).contains("not observed"));
    }
    // Nor does it hinder.
    let promoted = good().rollout_of(other(), 61.0, Promoted, "v2", 1.0);
    for check in [detects(promoted.clone()), completes(promoted.clone()), restores(promoted)] {
        check.gives(Pass);
    }
}

#[test]
fn what_the_run_takes_back_itself_was_not_rolled_back() {
    use crate::journal::event::FaultStep::Withdrawing;
    let undone = |at, back| {
        let drill = rollout().load(57..64, Answers::ok(2).version("v2"));
        drill.step("bad", at, Withdrawing).rollout(back, RolledBack, "v1", 0.0)
    };
    let why = completes(undone(75.0, 76.0)).gives(Fail);
    assert!(why.contains("not observed"), "{why}");
    detects(undone(75.0, 76.0)).gives(Fail);
    restores(undone(75.0, 76.0)).gives(Inconclusive);
    // Perhaps it would have been in time.
    completes(undone(62.0, 63.0)).gives(Inconclusive);
    completes(undone(75.0, 63.0)).gives(Pass);
}

#[test]
fn a_late_one_fails() {
    let late = rollout()
        .load(57..85, Answers::ok(2).version("v2"))
        .rollout(84.0, RollingBack, "v1", 0.0)
        .rollout(85.0, RolledBack, "v1", 0.0);
    detects(late.clone()).gives(Fail);
    completes(late).gives(Fail);
}

#[test]
fn an_absent_one_fails() {
    let absent = rollout().load(57..90, Answers::ok(2).version("v2"));
    detects(absent.clone()).gives(Fail);
    completes(absent.clone()).gives(Fail);
    restores(absent.clone()).gives(Inconclusive);
    let promoted = absent.rollout(70.0, Promoted, "v2", 1.0);
    for check in [detects(promoted.clone()), completes(promoted.clone()), restores(promoted)] {
        assert!(check.gives(Fail).contains("promoted"));
    }
}

#[test]
fn one_that_only_says_done_fails() {
    let says_done = good().load(63..85, Answers::ok(2).version("v2"));
    let why = completes(says_done.clone()).gives(Fail);
    assert!(why.contains("said to be rolled back") && why.contains("until 84.9"), "{why}");
    restores(says_done.clone()).gives(Fail);
    detects(says_done).gives(Pass);
}

#[test]
fn what_names_no_version_may_be_the_bad_ones() {
    let silent = |seconds| good().load(seconds, Answers::failed(2, Outcome::Http5xx));
    for check in [completes, restores] {
        assert!(check(silent(70..85)).gives(Inconclusive).contains("30 answers after that did not name"));
        // While it is tried, they fail for another's or its own sake.
        check(silent(58..60)).gives(Pass);
        // None of these met a version.
        check(good().load(70..85, Answers::failed(2, Outcome::Shed))).gives(Pass);
        // Few enough to be somebody else's.
        check(silent(70..71)).gives(Pass);
    }
    // Nobody but the controller says anything after it.
    let mute = drill().load(0..57, Answers::ok(20)).deploy("bad", 55.0).rollout(57.5, Progressing, "v1", 0.1);
    let mute = mute.load(57..62, Answers::ok(2).version("v2")).rollout(63.0, RolledBack, "v1", 0.0);
    assert!(completes(mute.clone()).gives(Inconclusive).contains("no answer after that named its version"));
    completes(mute.load(63..90, Answers::ok(20))).gives(Pass);
    promotes(through(Some("v2"))).gives(Pass);
    let failing = Answers::failed(2, Outcome::Http5xx);
    promotes(through(Some("v2")).load(70..90, failing)).gives(Inconclusive);
}

#[test]
fn what_a_cache_remembers_is_not_the_rollbacks() {
    let stale = good().load(63..85, Answers::ok(2).version("v2").cache(CacheUse::Hit));
    completes(stale.clone()).gives(Pass);
    restores(stale).gives(Pass);
}

#[test]
fn answers_that_were_on_their_way_may_end_later() {
    let draining = good().load(62..63, Answers::ok(1).version("v2").delayed(4.0));
    completes(draining.clone()).gives(Pass);
    assert_eq!(completes(draining).checked().observed, Some(11.9));
}

#[test]
fn one_to_another_version_fails() {
    let wrong = drill()
        .deploy("bad", 55.0)
        .load(0..57, Answers::ok(20))
        .load(57..63, Answers::ok(2).version("v2"))
        .load(63..90, Answers::ok(20).version("v0"))
        .rollout(57.5, Progressing, "v1", 0.1)
        .rollout(63.0, RolledBack, "v0", 0.0);
    completes(wrong.clone()).gives(Pass);
    restores(wrong).gives(Fail);
}

#[test]
fn a_controller_that_disagrees_with_a_healthy_wire_is_inconclusive() {
    let odd = rollout().load(57..63, Answers::ok(2).version("v2")).rollout(63.0, RolledBack, "v0", 0.0);
    restores(odd).gives(Inconclusive);
}

#[test]
fn a_rollout_that_did_not_happen_says_nothing() {
    for check in [detects, completes, restores] {
        check(drill().healthy()).gives(Inconclusive);
        check(drill().healthy().fault("bad", 55.0, Some(60.0), &[])).gives(Inconclusive);
        check(drill().healthy().planned("bad", 55.0, None, some_fault())).gives(Inconclusive);
    }
}

/// Good answers of v2, of which nobody tells, from 57 s on.
fn by_program(others_until: u32) -> Drill {
    let drill = drill().load(0..others_until, Answers::ok(20)).deploy_by_program("bad", 55.0);
    drill.load(57..90, Answers::ok(20).version("v2"))
}

fn promotes(drill: Drill) -> Drill {
    expects(drill, RollbackExpectation { promotes_within: Some(Span::secs(15)), ..Default::default() })
}

/// v2 becomes the stable version at 63 s, and answers come of `then` from then on.
fn through(then: Option<&str>) -> Drill {
    let drill = drill().load(0..63, Answers::ok(20)).deploy("bad", 55.0).rollout(1.0, Stable, "v1", 0.0);
    let drill = drill.rollout(57.5, Progressing, "v1", 0.1).rollout(63.0, Stable, "v2", 0.0);
    match then {
        Some(version) => drill.load(63..90, Answers::ok(20).version(version)),
        None => drill,
    }
}

#[test]
fn a_good_version_has_to_go_through() {
    promotes(through(Some("v2"))).gives(Pass);
    promotes(good()).gives(Fail);
    promotes(by_program(60)).gives(Pass);
    promotes(by_program(80)).gives(Fail);
    promotes(rollout()).gives(Fail);
    // It is said to be everywhere, and the wire knows better.
    promotes(through(Some("v1"))).gives(Fail);
    promotes(through(None)).gives(Inconclusive);
}

#[test]
fn who_met_a_bad_version_is_counted() {
    let exposed = |limit: &str| RollbackExpectation {
        exposure: Some(limit.parse().expect("a limit")),
        ..Default::default()
    };
    // 14 of 714 answers.
    expects(good(), exposed("<= 5%")).gives(Pass);
    expects(good(), exposed("<= 1%")).gives(Fail);
    expects(rollout(), exposed("<= 10%")).gives(Inconclusive);
    // 40 that name no version, while it was tried: perhaps its own.
    let silent = good().load(58..62, Answers::failed(10, Outcome::Http5xx));
    expects(silent.clone(), exposed("<= 5%")).gives(Inconclusive);
    expects(silent.clone(), exposed("<= 10%")).gives(Pass);
    expects(silent, exposed("<= 1%")).gives(Fail);
}
