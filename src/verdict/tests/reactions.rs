//! How fast mechanisms reacted, and why there is no figure where there is none.

use crate::{
    journal::{
        event::{BreakerState, FaultStep, RolloutPhase},
        interval::{CacheUse, Outcome},
    },
    scenario::{
        alert::AlertExpectation,
        metric::MetricExpectation,
        model::*,
        serving::{AutoscalingExpectation, FailoverExpectation, ProbesExpectation},
    },
    units::{Seen, Span},
    verdict::{
        model::{Absence, Cause, CheckKind, ReactionFigures, Timing},
        testing::{Answers, Drill, at, drill, proof, some_fault},
    },
};

fn took(low: f64, high: f64) -> Timing {
    Timing::Took { low, high }
}

fn missing(absence: Absence) -> Timing {
    Timing::Missing(absence)
}

fn never(watched: f64) -> Timing {
    missing(Absence::Never { watched })
}

/// The last reaction, judged.
#[track_caller]
fn row(drill: &Drill) -> ReactionFigures {
    let row = drill.judged().reactions.pop().expect("a reaction");
    assert!(row.text.ends_with('.') && !row.text.contains("  "), "{}", row.text);
    row
}

/// All fails in these seconds.
fn down(seconds: std::ops::Range<u32>) -> Drill {
    let before = drill().load(0..seconds.start, Answers::ok(20));
    let failed = before.load(seconds.clone(), Answers::failed(20, Outcome::Http5xx));
    failed.load(seconds.end..90, Answers::ok(20))
}

/// 99 % is normal, 80 % is agreed for the fault.
fn with_slos(drill: Drill) -> Drill {
    let availability = |limit: &str| Objective::Availability(limit.parse().expect("one"));
    drill.slo(availability(">= 99%"), "baseline").slo(availability(">= 80%"), "fault")
}

/// A fault from 25 to 40 s.
fn cut(drill: Drill) -> Drill {
    with_slos(drill).fault("cut", 25.0, Some(40.0), &["replica-0"])
}

fn recovers(drill: Drill) -> Drill {
    let after = Some("cut".into());
    drill.expect(Expectation::Recovery(RecoveryExpectation { after, within: Some(Span::secs(10)) }))
}

fn opens(drill: Drill) -> Drill {
    let e = || BreakerExpectation { after: Some("cut".into()), ..Default::default() };
    let opens = BreakerExpectation { opens_within: Some(Span::secs(5)), ..e() };
    let closes = BreakerExpectation { closes_within: Some(Span::secs(5)), ..e() };
    let drill = drill.breaker(1.0, "replica-0", BreakerState::Closed);
    drill.expect(Expectation::CircuitBreaker(opens)).expect(Expectation::CircuitBreaker(closes))
}

#[test]
fn an_expectation_has_one_row_with_four_times() {
    let drill = opens(cut(down(25..29))).breaker(27.0, "replica-0", BreakerState::Open);
    let rows = drill.judged().reactions;
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    assert_eq!((row.id.as_str(), row.mechanism), ("circuit-breaker.cut", CheckKind::CircuitBreaker));
    assert_eq!((&row.cause, row.checks.len()), (&Cause::Act("cut".into()), 2));
    assert_eq!(row.impact, took(0.0, 1.0));
    assert_eq!(row.ttd, took(1.5, 2.0));
    assert_eq!(row.ttm, took(2.0, 3.0));
    assert_eq!(row.ttr, took(0.0, 0.0));
    assert!(!row.relapsed);
    let shown: Vec<&str> = row.evidence.iter().map(|one| one.source.as_str()).collect();
    assert_eq!(shown, ["clock", "breakers", "wire", "wire"], "{:?}", row.evidence);
    assert_eq!(
        row.text,
        "After connection resets on replica-0 (`cut`), the circuit breaker opened within 2 s; users felt it within \
         1 s, were within the limits agreed for such a case again after 3 s, and all was back to normal as soon as \
         the fault ended."
    );
}

#[test]
fn recovery_counts_from_the_end_and_for_a_one_shot_from_its_effect() {
    let lasting = row(&recovers(cut(down(25..45))));
    assert_eq!((lasting.ttm, lasting.ttr), (took(18.0, 19.0), took(4.0, 5.0)));
    assert_eq!(lasting.ttd, missing(Absence::Unsignalled), "nobody signals a recovery");
    assert!(lasting.text.contains("back to normal 5 s after the fault ended"), "{}", lasting.text);
    let once = row(&recovers(with_slos(down(25..45)).fault("cut", 25.0, None, &["replica-0"])));
    assert_eq!(once.ttr, took(19.0, 20.0));
    assert!(once.text.contains("all was back to normal after 20 s"), "{}", once.text);
    // Between two looks nobody knows when it began to act.
    let late = with_slos(down(25..45)).planned("cut", 25.0, None, some_fault());
    let effect = Seen { not_before: at(25.0), by: at(26.5) };
    let late = late.step("cut", 26.6, FaultStep::Proven { effect, proof: proof() });
    assert_eq!(row(&recovers(late)).ttr, took(17.5, 20.0));
}

#[test]
fn who_was_not_harmed_has_nothing_to_recover_from() {
    let row = row(&opens(cut(drill().healthy())).breaker(27.0, "replica-0", BreakerState::Open));
    let unharmed = missing(Absence::NotDegraded);
    assert_eq!([row.impact, row.ttm, row.ttr], [unharmed.clone(), unharmed.clone(), unharmed]);
    assert_eq!(row.ttd, took(1.5, 2.0), "it opened all the same");
    assert!(row.text.ends_with("users stayed within the agreed limits all the time."), "{}", row.text);
}

#[test]
fn what_never_came_has_no_figure() {
    let row = row(&opens(cut(down(25..90))));
    assert_eq!((row.ttd, row.ttm, row.ttr), (never(66.0), never(65.0), never(50.0)));
    assert!(row.text.contains("was not seen to open in 66 s"), "{}", row.text);
    assert!(row.text.contains("not back to normal in the 50 s after the fault ended"), "{}", row.text);
}

#[test]
fn a_relapse_is_told() {
    let once = row(&recovers(cut(down(25..29))));
    let twice = cut(down(25..29)).load(35..37, Answers::failed(20, Outcome::Timeout));
    let twice = row(&recovers(twice));
    assert_eq!((once.ttm, once.relapsed), (twice.ttm, false));
    assert!(twice.relapsed && twice.text.contains("though not for good"), "{}", twice.text);
}

#[test]
fn without_proof_end_or_objectives_nothing_is_made_up() {
    let unproven = with_slos(down(25..45)).planned("cut", 25.0, Some(40.0), some_fault());
    let unproven = row(&recovers(unproven));
    for timing in [unproven.impact, unproven.ttd, unproven.ttm, unproven.ttr] {
        assert_eq!(timing, missing(Absence::NotProven));
    }
    assert!(unproven.text.contains("was not proven"), "{}", unproven.text);

    let endless = with_slos(down(25..45)).planned("cut", 25.0, Some(40.0), some_fault());
    let effect = Seen::at(at(25.0));
    let endless = row(&recovers(endless.step("cut", 25.0, FaultStep::Proven { effect, proof: proof() })));
    assert_eq!((endless.ttm, endless.ttr), (took(18.0, 19.0), missing(Absence::NotOver)));

    let unjudged = row(&recovers(down(25..45).fault("cut", 25.0, Some(40.0), &[])));
    for timing in [unjudged.impact, unjudged.ttm, unjudged.ttr] {
        assert_eq!(timing, missing(Absence::NoObjectives));
    }
    assert!(unjudged.text.contains("no SLO says"), "{}", unjudged.text);
}

#[test]
fn what_can_not_be_told_apart_is_not_told() {
    let before = row(&recovers(cut(down(10..29))));
    assert_eq!(before.impact, missing(Absence::DegradedBefore));
    assert_eq!(before.ttm, missing(Absence::DegradedBefore));
    let mut lagging = recovers(cut(down(25..29)));
    lagging.lag_ms = 100;
    assert_eq!(row(&lagging).impact, missing(Absence::LateLoad));
    let short = with_slos(down(25..41)).fault("cut", 25.0, Some(40.0), &[]).fault("next", 47.0, None, &[]);
    assert_eq!(row(&recovers(short)).ttr, missing(Absence::TooFew));
}

/// The time to detect of a mechanism in this drill.
fn ttd(drill: Drill, e: Expectation) -> Timing {
    row(&drill.expect(e)).ttd
}

#[test]
fn each_mechanism_shows_itself_by_its_own_sign() {
    let after = || Some("cut".into());
    let cut = || drill().healthy().fault("cut", 25.0, Some(40.0), &["replica-0"]);

    let alert = AlertExpectation { name: "Errors".to_owned(), after: after(), ..Default::default() };
    let alert = Expectation::Alert(AlertExpectation { fires_within: Some(Span::secs(5)), ..alert });
    let fires = cut().alert(1.0, "Errors", false).alert(28.0, "Errors", true);
    assert_eq!(ttd(fires, alert.clone()), took(2.5, 3.0));
    assert!(matches!(ttd(cut(), alert), Timing::Missing(Absence::Unclear { .. })), "nobody tells of alerts");

    let fallback =
        FallbackExpectation { after: after(), engages_within: Some(Span::secs(5)), ..Default::default() };
    assert_eq!(
        ttd(cut().load(27..40, Answers::ok(5).fallback()), Expectation::Fallback(fallback)),
        took(2.2, 2.2)
    );

    let retries = RetryExpectation {
        after: after(),
        absorbs: Some(">= 90%".parse().expect("one")),
        ..Default::default()
    };
    let retries = Expectation::Retries(retries);
    assert_eq!(ttd(cut().load(26..30, Answers::ok(5).attempts(3)), retries.clone()), took(1.2, 1.2));
    assert_eq!(ttd(cut(), retries), never(66.0));

    let cache = CacheExpectation { serves_during: Some("fault".into()), ..Default::default() };
    let cache = Expectation::Cache(cache);
    assert_eq!(ttd(cut().load(26..30, Answers::ok(5).cache(CacheUse::Hit)), cache.clone()), took(1.2, 1.2));
    assert_eq!(ttd(cut(), cache), missing(Absence::Unsignalled));

    let shedding = SheddingExpectation { phase: Some("fault".into()), ..Default::default() };
    let shed = drill().healthy().load(24..26, Answers::failed(5, Outcome::Shed));
    let shed = row(&shed.expect(Expectation::Shedding(shedding)));
    assert_eq!((shed.ttd, shed.cause), (took(4.2, 4.2), Cause::Phase("fault".into())));

    let over = FailoverExpectation { after: after(), within: Some(Span::secs(5)), ..Default::default() };
    let over = |drill| ttd(drill, Expectation::Failover(over.clone()));
    let of_a = || drill().load(0..25, Answers::ok(20).pod("a")).fault("cut", 25.0, Some(40.0), &["a"]);
    assert_eq!(over(of_a().load(27..40, Answers::ok(20).pod("b"))), took(2.2, 2.2));
    assert_eq!(over(of_a()), never(66.0));

    let metric = MetricExpectation {
        source: "shop".to_owned(),
        series: None,
        must: Some("<= 10".parse().expect("one")),
        grows: None,
        phase: None,
        after: after(),
        recovers_within: Some(Span::secs(5)),
    };
    let sampled = cut().sample(24.0, "shop", &[("queue", 3.0)]).sample(27.0, "shop", &[("queue", 30.0)]);
    let sampled = ttd(sampled.sample(41.0, "shop", &[("queue", 3.0)]), Expectation::Metric(metric));
    assert_eq!(sampled, took(0.0, 2.0), "since the sample before, nobody knows");
}

#[test]
fn pods_and_rollouts_are_seen_by_those_who_run_them() {
    let killed = || drill().healthy().pod(1.0, "replica-0", true).fault("kill", 25.0, None, &["replica-0"]);
    let pods = PodExpectation {
        after: Some("kill".into()),
        replaced_within: Some(Span::secs(9)),
        ..Default::default()
    };
    let probes = ProbesExpectation {
        after: Some("kill".into()),
        removed_within: Some(Span::secs(3)),
        ..Default::default()
    };
    for e in [Expectation::Pods(pods), Expectation::Probes(probes)] {
        assert_eq!(ttd(killed().gone(26.0, "replica-0"), e.clone()), took(0.5, 1.0));
        assert_eq!(ttd(killed(), e), never(66.0));
    }

    let scaling = AutoscalingExpectation {
        scales_out_within: Some(Span::secs(9)),
        ..AutoscalingExpectation::of("fault".into(), Some(3))
    };
    let grows = drill().healthy().pod(1.0, "replica-0", true).pod(26.0, "replica-1", true);
    let grows = row(&grows.expect(Expectation::Autoscaling(scaling)));
    assert_eq!((grows.ttd, grows.id.as_str()), (took(5.5, 6.0), "autoscaling.fault"));

    let rolled = || drill().healthy().deploy("bad", 55.0).rollout(56.0, RolloutPhase::Progressing, "v1", 0.1);
    let back = RollbackExpectation {
        after: Some("bad".into()),
        detects_within: Some(Span::secs(9)),
        ..Default::default()
    };
    let back = Expectation::Rollback(back);
    assert_eq!(
        ttd(rolled().rollout(60.0, RolloutPhase::RollingBack, "v1", 0.0), back.clone()),
        took(4.5, 5.0)
    );
    assert_eq!(ttd(rolled(), back.clone()), never(36.0));
    let promoted = rolled().rollout(60.0, RolloutPhase::Promoted, "v2", 1.0);
    assert!(matches!(ttd(promoted.clone(), back), Timing::Missing(Absence::Unclear { .. })));
    let good = RollbackExpectation {
        after: Some("bad".into()),
        promotes_within: Some(Span::secs(9)),
        ..Default::default()
    };
    assert_eq!(ttd(promoted, Expectation::Rollback(good)), took(4.5, 5.0));
}

#[test]
fn what_reacts_to_nothing_has_no_row() {
    let quiet = BreakerExpectation { quiet_in: Some("baseline".into()), ..Default::default() };
    let ratio = CacheExpectation { hit_ratio: Some(">= 30%".parse().expect("one")), ..Default::default() };
    let drill = cut(drill().healthy());
    let drill = drill.expect(Expectation::CircuitBreaker(quiet)).expect(Expectation::Cache(ratio));
    assert!(drill.judged().reactions.is_empty());
}
