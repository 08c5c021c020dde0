//! Fallbacks, shedding and retries.

use crate::{
    journal::interval::{CacheUse, Outcome},
    scenario::model::{Expectation, FallbackExpectation, RetryExpectation, SheddingExpectation},
    units::Span,
    verdict::{
        model::Verdict::*,
        testing::{Answers, Drill, drill},
    },
};

fn fallback(drill: Drill, e: FallbackExpectation) -> Drill {
    drill.expect(Expectation::Fallback(FallbackExpectation { after: Some("cut".into()), ..e }))
}

fn engages() -> FallbackExpectation {
    FallbackExpectation { engages_within: Some(Span::secs(5)), ..Default::default() }
}

/// All replicas cut off from 25 to 40 s.
fn cut() -> Drill {
    drill().load(0..25, Answers::ok(20)).load(42..90, Answers::ok(20)).fault(
        "cut",
        25.0,
        Some(40.0),
        &["replica-0", "replica-1"],
    )
}

fn stepping_in() -> Drill {
    cut().load(25..27, Answers::failed(20, Outcome::Http5xx)).load(27..42, Answers::ok(20).fallback())
}

#[test]
fn a_fallback_steps_in() {
    let check = fallback(stepping_in(), engages()).checked();
    assert_eq!((check.verdict, check.observed), (Pass, Some(2.2)), "{}", check.why);
    let late =
        cut().load(25..35, Answers::failed(20, Outcome::Http5xx)).load(35..42, Answers::ok(20).fallback());
    fallback(late, engages()).gives(Fail);
    let absent = cut().load(25..42, Answers::failed(20, Outcome::Http5xx));
    assert!(fallback(absent, engages()).gives(Fail).contains("no answer came from a fallback"));
    let harmless = cut().load(25..42, Answers::ok(20));
    fallback(harmless, engages()).gives(Inconclusive);
    // One that is always on steps in for nobody.
    let always = cut().load(0..25, Answers::ok(20).fallback()).load(25..42, Answers::ok(20).fallback());
    let why = fallback(always, engages()).gives(Inconclusive);
    assert!(why.contains("50% of the answers already"), "{why}");
    let broken_off =
        cut().load(25..42, Answers::ok(10)).load(25..42, Answers::failed(10, Outcome::Truncated));
    fallback(broken_off, engages()).gives(Inconclusive);
}

#[test]
fn a_fallback_is_fast_and_makes_sense() {
    let fast =
        || FallbackExpectation { ttft: Some("p95 < 500ms".parse().expect("one")), ..Default::default() };
    fallback(stepping_in(), fast()).gives(Pass);
    fallback(cut().load(27..42, Answers::ok(20).fallback().ttft(2500)), fast()).gives(Fail);
    let wrong = || FallbackExpectation { wrong: Some("<= 5%".parse().expect("one")), ..Default::default() };
    fallback(cut().load(27..42, Answers::ok(4).fallback().golden()), wrong()).gives(Pass);
    fallback(cut().load(27..42, Answers::ok(4).fallback().mismatch()), wrong()).gives(Fail);
    fallback(stepping_in(), wrong()).gives(Inconclusive);
    // What a cache remembers of a fallback is not the fallback.
    let cached = Answers::ok(4).fallback().cache(CacheUse::Hit).mismatch();
    fallback(cut().load(25..42, cached), wrong()).gives(Inconclusive);
}

#[test]
fn a_fallback_steps_back() {
    let back = || FallbackExpectation { disengages_within: Some(Span::secs(10)), ..Default::default() };
    fallback(stepping_in(), back()).gives(Pass);
    fallback(stepping_in().load(42..70, Answers::ok(2).fallback()), back()).gives(Fail);
    fallback(cut(), back()).gives(Inconclusive);
    // Nobody answers any more, or nobody asks.
    let gone = drill().load(0..25, Answers::ok(20)).load(27..42, Answers::ok(20).fallback());
    let gone = gone.fault("cut", 25.0, Some(40.0), &["replica-0", "replica-1"]);
    fallback(gone.clone(), back()).gives(Inconclusive);
    fallback(gone.load(42..90, Answers::failed(20, Outcome::Http5xx)), back()).gives(Inconclusive);
    let disturbed = stepping_in().fault("next", 45.0, Some(60.0), &["replica-0"]);
    fallback(disturbed, back()).gives(Inconclusive);
}

fn shedding(drill: Drill, e: SheddingExpectation) -> Drill {
    drill.expect(Expectation::Shedding(SheddingExpectation { phase: Some("fault".into()), ..e }))
}

fn ratio() -> SheddingExpectation {
    SheddingExpectation { ratio: Some(">= 10%".parse().expect("one")), ..Default::default() }
}

fn rejects() -> SheddingExpectation {
    SheddingExpectation { rejects: Some("p95 < 100ms".parse().expect("one")), ..Default::default() }
}

fn admitted() -> SheddingExpectation {
    SheddingExpectation { admitted: Some("p95 < 1s".parse().expect("one")), ..Default::default() }
}

fn shed(count: u64, ms: u64) -> Answers {
    Answers::failed(count, Outcome::Shed).e2e(ms)
}

#[test]
fn good_shedding_passes() {
    let good = || drill().healthy().load(20..50, shed(10, 4));
    for e in [ratio(), rejects(), admitted(), SheddingExpectation::default()] {
        shedding(good(), e).gives(Pass);
    }
}

#[test]
fn bad_shedding_fails() {
    shedding(drill().healthy().load(20..50, shed(10, 3000)), rejects()).gives(Fail);
    shedding(drill().healthy().load(20..50, shed(1, 4)), ratio()).gives(Fail);
    let unprotected = drill().load(0..20, Answers::ok(20)).load(20..50, Answers::ok(20).ttft(4000));
    shedding(unprotected.load(20..50, shed(10, 4)), admitted()).gives(Fail);
    // Some are shed, and those that are let in fail.
    let crashed = drill().healthy().load(20..50, shed(10, 4));
    shedding(crashed.load(20..50, Answers::failed(4, Outcome::Http5xx)), admitted()).gives(Fail);
}

#[test]
fn no_shedding_fails_only_under_overload() {
    for e in [ratio(), rejects(), admitted()] {
        shedding(drill().healthy(), e.clone()).gives(Inconclusive);
        let unmarked = drill().healthy().load(20..50, Answers::failed(10, Outcome::Http5xx));
        assert!(shedding(unmarked, e.clone()).gives(Fail).contains("nothing was shed"));
        let queueing = drill().load(0..20, Answers::ok(20)).load(20..50, Answers::ok(40).ttft(2000));
        shedding(queueing, e.clone()).gives(Fail);
        // Seven times as long, and still nothing that anybody would call overload.
        let busy = drill().load(0..20, Answers::ok(20).ttft(5)).load(20..50, Answers::ok(40).ttft(36));
        shedding(busy, e.clone()).gives(Inconclusive);
        let by_breaker = drill().healthy().load(20..50, shed(10, 4).breaker_open());
        shedding(by_breaker, e).gives(Inconclusive);
    }
}

fn retries(drill: Drill) -> Drill {
    let amplification = Some("<= 1.5".parse().expect("one"));
    drill.expect(Expectation::Retries(RetryExpectation { amplification, ..Default::default() }))
}

#[test]
fn retries_do_not_multiply() {
    let check = retries(drill().healthy()).checked();
    assert_eq!((check.verdict, check.observed), (Pass, Some(1.0)));
    retries(drill().load(0..90, Answers::ok(20).attempts(3))).gives(Fail);
    let diluted =
        drill().load(0..90, Answers::ok(20).attempts(3)).load(0..90, Answers::ok(200).cache(CacheUse::Hit));
    retries(diluted).gives(Fail);
    retries(drill().load(0..90, Answers::failed(20, Outcome::Timeout))).gives(Inconclusive);
    // Those that gave up may have been tried most often.
    let silent = |count| drill().healthy().load(20..50, Answers::failed(count, Outcome::Timeout).silent());
    retries(silent(10)).gives(Inconclusive);
    retries(silent(1)).gives(Pass);
}

#[test]
fn counters_that_contradict_the_answers_decide_nothing() {
    let counting = |each: f64| {
        let series = r#"gateway_upstream_requests_total{pod="replica-0",outcome="ok"}"#;
        drill().healthy().sample(0.0, "gateway", &[(series, 7.0)]).sample(
            90.5,
            "gateway",
            &[(series, 7.0 + 1800.0 * each)],
        )
    };
    retries(counting(1.0)).gives(Pass);
    retries(counting(1.05)).gives(Pass);
    assert!(retries(counting(3.0)).gives(Inconclusive).contains("contradict"));
}

#[test]
fn envoys_own_counters_are_heard() {
    let counting = |each: f64| {
        let all = r#"envoy_cluster_upstream_rq_total{envoy_cluster_name="model"}"#;
        let again = r#"envoy_cluster_upstream_rq_retry{envoy_cluster_name="model"}"#;
        let told = |drill: Drill, when, n: f64| {
            drill.sample(when, "envoy", &[(all, n * each), (again, n * (each - 1.0))])
        };
        told(told(drill().healthy(), 0.0, 10.0), 90.5, 1810.0)
    };
    retries(counting(1.0)).gives(Pass);
    assert!(retries(counting(3.0)).gives(Inconclusive).contains("contradict"));
    let unstated = |drill: Drill| retries(drill.load(0..90, Answers::failed(200, Outcome::Timeout).silent()));
    assert!(unstated(drill().healthy()).gives(Inconclusive).contains("state none"));
}

#[test]
fn retries_end_with_the_fault() {
    let wants = |drill: Drill| {
        drill.fault("slow", 25.0, Some(40.0), &["replica-0"]).expect(Expectation::Retries(RetryExpectation {
            after: Some("slow".into()),
            settles_within: Some(Span::secs(5)),
            ..Default::default()
        }))
    };
    // Each request twice, while it acts and so long after it.
    let twice = |until| {
        let other = drill().load(0..25, Answers::ok(20)).load(25..until, Answers::ok(20).attempts(2));
        other.load(until..90, Answers::ok(20))
    };
    wants(twice(41)).gives(Pass);
    wants(twice(55)).gives(Fail);
    wants(twice(90)).gives(Fail);
    // A few more than before are as few; some are not.
    wants(twice(41).load(45..90, Answers::ok(1).attempts(2))).gives(Pass);
    wants(twice(41).load(45..90, Answers::ok(5).attempts(2))).gives(Fail);
    // Those that fail say nothing, and may be tried most often.
    wants(twice(41).load(41..90, Answers::failed(10, Outcome::Timeout).silent())).gives(Inconclusive);
    wants(drill().load(0..90, Answers::ok(20).silent())).gives(Inconclusive);
    wants(drill().load(25..90, Answers::ok(20))).gives(Inconclusive);
    wants(twice(41).load(0..25, Answers::failed(10, Outcome::Timeout).silent())).gives(Inconclusive);
    // An earlier fault's storm, which never ended, is not what is usual.
    let storm = drill().load(0..10, Answers::ok(20)).load(10..90, Answers::ok(20).attempts(2));
    wants(storm.fault("first", 10.0, Some(12.0), &["replica-1"])).gives(Fail);
    // Hits cost nothing.
    wants(twice(90).load(41..90, Answers::ok(900).cache(CacheUse::Hit).attempts(0))).gives(Fail);
    // The gateway counts what the answers don't state.
    let series = "gateway_upstream_requests_total{pod=\"replica-0\",outcome=\"ok\"}";
    let counting = |each: f64| {
        let drill = wants(twice(41));
        (0..90).fold(drill, |drill, second| {
            let second = f64::from(second);
            drill.sample(second, "gateway", &[(series, second * 20.0 * each)])
        })
    };
    counting(1.0).gives(Pass);
    assert!(counting(2.0).gives(Inconclusive).contains("200%"));
}

#[test]
fn which_cluster_is_meant_matters_where_they_differ() {
    // One cluster serves the load, and another is asked half as often.
    let counting = |name: Option<&str>, other: f64| {
        let told = |drill: Drill, when, n: f64| {
            let figures = [
                (r#"envoy_cluster_upstream_rq_total{envoy_cluster_name="model"}"#, n),
                (r#"envoy_cluster_upstream_rq_retry{envoy_cluster_name="model"}"#, 0.0),
                (r#"envoy_cluster_upstream_rq_total{envoy_cluster_name="auth"}"#, n / 2.0 * other),
                (r#"envoy_cluster_upstream_rq_retry{envoy_cluster_name="auth"}"#, n / 2.0 * (other - 1.0)),
            ];
            drill.sample(when, "front", &figures)
        };
        let silent = drill().load(0..90, Answers::ok(20).silent());
        let drill = told(told(silent, 0.0, 10.0), 90.5, 1810.0);
        let amplification = Some("<= 1.5".parse().expect("one"));
        let name = name.map(str::to_owned);
        drill.expect(Expectation::Retries(RetryExpectation { amplification, name, ..Default::default() }))
    };
    let check = counting(None, 1.25).checked();
    assert_eq!((check.verdict, check.observed), (Pass, Some(1.0)));
    let shown: Vec<_> = check.evidence.iter().filter(|one| one.source == "front /metrics").collect();
    assert_eq!(shown.len(), 1);
    assert_eq!(shown[0].what, "1800 upstream requests for 1800 to cluster model: 1");
    let why = counting(None, 3.0).gives(Inconclusive);
    assert!(why.contains("auth of front has 3 attempts") && why.contains("`name:`"), "{why}");
    counting(Some("model"), 3.0).gives(Pass);
    counting(Some("auth"), 3.0).gives(Fail);
    let why = counting(Some("gone"), 1.0).gives(Inconclusive);
    assert!(why.contains("cluster gone"), "{why}");
}

#[test]
fn retries_absorb_a_fault() {
    let wants = |drill: Drill, until| {
        drill.fault("kill", 25.0, until, &["replica-0"]).expect(Expectation::Retries(RetryExpectation {
            after: Some("kill".into()),
            absorbs: Some(">= 95%".parse().expect("one")),
            ..Default::default()
        }))
    };
    let again = || drill().healthy().load(26..29, Answers::ok(4).attempts(2));
    let failing = |seconds| again().load(seconds, Answers::failed(4, Outcome::Http5xx));
    for until in [None, Some(40.0)] {
        wants(again(), until).gives(Pass);
        // Nobody was hurt.
        wants(drill().healthy(), until).gives(Inconclusive);
        wants(failing(25..32), until).gives(Fail);
        wants(failing(42..60), until).gives(Pass);
        wants(drill(), until).gives(Inconclusive);
        let series =
            |outcome| format!("gateway_upstream_requests_total{{pod=\"replica-0\",outcome=\"{outcome}\"}}");
        let counted = |drill: Drill, when, failed| {
            drill.sample(when, "gateway", &[(&series("ok"), when), (&series("error"), failed)])
        };
        wants(counted(counted(drill().healthy(), 24.0, 0.0), 42.0, 7.0), until).gives(Pass);
        wants(counted(counted(drill().healthy(), 24.0, 7.0), 42.0, 7.0), until).gives(Inconclusive);
    }
    wants(failing(31..40), None).gives(Pass);
}
