//! The run's verdict, figures and series.

use crate::{
    journal::{
        Event,
        event::{BreakerState, RolloutPhase, RunEnd},
        interval::{CacheUse, Outcome},
    },
    plan::model::Subject,
    scenario::model::{BreakerExpectation, Expectation, Objective},
    units::{Span, Version},
    verdict::{
        model::Verdict::{self, *},
        series,
        testing::{Answers, Drill, drill},
    },
};

fn asked() -> Drill {
    drill()
        .healthy()
        .check(Subject::Generator)
        .slo(Objective::Availability(">= 99%".parse().expect("one")), "baseline")
}

#[track_caller]
fn ends(drill: &Drill, verdict: Verdict, exit_code: u8, why: &str) {
    let run = drill.judged();
    assert_eq!((run.verdict, run.exit_code), (verdict, exit_code), "{}", run.why);
    assert!(run.why.contains(why), "{}", run.why);
}

#[test]
fn a_run_is_as_good_as_its_checks() {
    ends(&asked(), Pass, 0, "all 2 checks hold");
    let never_opened = Expectation::CircuitBreaker(BreakerExpectation {
        after: Some("slow".into()),
        opens_within: Some(Span::secs(5)),
        ..Default::default()
    });
    let slow = asked().fault("slow", 25.0, Some(40.0), &["replica-0"]).breaker(
        1.0,
        "replica-0",
        BreakerState::Closed,
    );
    let failed = slow.expect(never_opened);
    ends(&failed, Fail, 1, "circuit breaker: check-2: not observed");
    let mut lagging = asked();
    lagging.lag_ms = 100;
    ends(&lagging, Inconclusive, 3, "lagged");
    let mut lagging = failed;
    lagging.lag_ms = 100;
    ends(&lagging, Fail, 1, "circuit breaker");
}

#[test]
fn how_a_run_ended_comes_first() {
    let mut run = asked();
    run.end = Some(RunEnd::Aborted);
    ends(&run.clone().event(40.0, Event::Interrupted), Aborted, 4, "interrupted at 40");
    let condition = "error-rate > 50% for 10s".to_owned();
    ends(&run.clone().event(40.0, Event::StopCondition { condition }), Aborted, 4, "error-rate");
    run.end = Some(RunEnd::NotSteady);
    let steady = Event::SteadyState { holds: false, broken: vec!["slo.ttft.baseline: p95 900ms".into()] };
    ends(&run.clone().event(20.0, steady), Inconclusive, 3, "slo.ttft.baseline");
    run.end = Some(RunEnd::Broken { why: "the gateway is gone".into() });
    ends(&run, Inconclusive, 3, "the gateway is gone");
    run.end = None;
    ends(&run, Inconclusive, 3, "the journal stops");
}

#[test]
fn nothing_asked_is_no_pass() {
    ends(&drill().healthy().check(Subject::Generator), Inconclusive, 3, "nothing was asked");
    let mut record = asked().record();
    record.warnings.push("events.jsonl:7 is torn".into());
    assert_eq!(crate::verdict::judge(&asked().plan, &record).verdict, Inconclusive);
}

#[test]
fn the_figures_add_up() {
    let drill = asked().load(20..50, Answers::failed(5, Outcome::Shed));
    let run = drill.judged();
    assert_eq!(run.outcomes.get(&Outcome::Ok), Some(&1800));
    assert_eq!(run.outcomes.get(&Outcome::Shed), Some(&150));
    assert_eq!(run.latency["all"].requests, 1950);
    assert_eq!(run.latency["fault"].availability, Some(0.8));
    let ttft = &run.latency["fault"].quantiles["ttft"];
    assert_eq!(ttft.successes["p95"], ttft.successes["p50"]);
    assert_eq!((ttft.attempts["p50"], ttft.attempts["p95"]), (Some(ttft.successes["p50"]), None));
    assert_eq!((run.generator.due, run.generator.sent), (1950, 1950));
    let text = serde_json::to_string(&run).expect("JSON");
    let read: crate::verdict::model::RunVerdict = serde_json::from_str(&text).expect("JSON");
    assert_eq!((read.checks, read.outcomes), (run.checks, run.outcomes));
}

#[test]
fn the_series_agree_with_the_record() {
    let drill = asked()
        .load(20..50, Answers::failed(5, Outcome::Shed))
        .load(30..31, Answers::ok(7).cache(CacheUse::Hit).version("v2"))
        .fault("slow", 25.0, Some(40.0), &["replica-0"])
        .deploy("bad", 55.0)
        .breaker(1.0, "replica-0", BreakerState::Closed)
        .breaker(28.0, "replica-0", BreakerState::Open)
        .rollout(57.0, RolloutPhase::Progressing, "v1", 0.1)
        .rollout(62.0, RolloutPhase::RolledBack, "v1", 0.0)
        .pod(1.0, "replica-0", true)
        .pod(26.0, "replica-0", false);
    let series = series(&drill.plan, &drill.record());
    let n = series.seconds as usize;
    assert!(
        n >= 90
            && [series.due.len(), series.ttft.p99.len(), series.itl_p95.len()].iter().all(|&len| len == n)
    );
    assert_eq!(series.due.iter().sum::<u64>(), 1957);
    assert_eq!(series.done, series.due);
    assert_eq!(series.outcomes.values().flatten().sum::<u64>(), 1957);
    assert_eq!((series.outcomes[&Outcome::Shed][19], series.outcomes[&Outcome::Shed][20]), (0, 5));
    assert_eq!((series.cache_hits[30], series.versions[&Version::from("v2")][30]), (7, 7));
    assert_eq!(series.phases.iter().map(|band| band.start).collect::<Vec<_>>(), [0.0, 20.0, 50.0]);
    assert_eq!((series.faults[0].bar_end, series.faults[0].state.as_str()), (Some(40.0), "proven"));
    assert!(series.faults[1].is_deploy);
    let states: Vec<(&str, f64, f64)> =
        series.breakers["replica-0"].iter().map(|band| (band.state.as_str(), band.start, band.end)).collect();
    assert_eq!(states, [("closed", 1.0, 28.0), ("open", 28.0, 91.0)]);
    assert_eq!(series.rollout[0].end, series.rollout[1].start);
    assert_eq!(series.pods_ready.iter().map(|step| step.ready).collect::<Vec<_>>(), [1, 0]);
}

#[test]
fn the_schema_is_of_the_verdict() {
    let schema = serde_json::to_value(crate::verdict::schema()).expect("JSON");
    for key in ["budget", "checks", "exit_code", "findings", "generator", "latency"] {
        assert!(schema["properties"].get(key).is_some(), "{key}");
    }
}
