//! Judging never panics, whatever the journal says, and says the same again.

use proptest::prelude::*;

use crate::{
    journal::{
        Event,
        event::{BreakerKind, BreakerState, FaultStep, NO_RULE, RolloutPhase, RunEnd, Signal, ToolVerdict},
        interval::{CacheUse, Outcome},
    },
    plan::model::Subject,
    scenario::{alert::AlertExpectation, metric::MetricExpectation, model::*, serving::*},
    units::{FaultId, PhaseName, RunTime, Seen, Span},
    verdict::{
        model::{CheckKind, Verdict},
        series,
        testing::{Answers, Drill, drill, proof},
    },
};

/// Every demand there is, each as its own check.
pub(super) fn every_check(mut drill: Drill) -> Drill {
    fn t<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> Option<T> {
        Some(text.parse().expect("a threshold"))
    }
    let five = Some(Span::secs(5));
    for after in [Some("cut".into()), Some("bad".into()), None] {
        let b = || BreakerExpectation { after: after.clone(), ..Default::default() };
        let r = || RollbackExpectation { after: after.clone(), ..Default::default() };
        let f = || FallbackExpectation { after: after.clone(), ..Default::default() };
        let p = || PodExpectation { after: after.clone(), ..Default::default() };
        let a = || AlertExpectation { name: "Errors".to_owned(), after: after.clone(), ..Default::default() };
        let probes = || ProbesExpectation { after: after.clone(), ..Default::default() };
        let scaling = || AutoscalingExpectation::of("fault".into(), None);
        let over = || FailoverExpectation { after: after.clone(), ..Default::default() };
        let drift = || DriftExpectation { after: after.clone(), ..Default::default() };
        let all = [
            Expectation::CircuitBreaker(BreakerExpectation { opens_within: five, ..b() }),
            Expectation::CircuitBreaker(BreakerExpectation { fails_fast: t("p95 < 50ms"), ..b() }),
            Expectation::CircuitBreaker(BreakerExpectation { leaks: t("<= 10%"), ..b() }),
            Expectation::CircuitBreaker(BreakerExpectation { closes_within: five, ..b() }),
            Expectation::CircuitBreaker(BreakerExpectation { probes: t("<= 5"), ..b() }),
            Expectation::CircuitBreaker(BreakerExpectation {
                opens_within: five,
                kind: Some(BreakerKind::Outlier),
                name: Some("replica-0".into()),
                ..b()
            }),
            Expectation::CircuitBreaker(BreakerExpectation { quiet_in: Some("baseline".into()), ..b() }),
            Expectation::Rollback(RollbackExpectation { detects_within: five, ..r() }),
            Expectation::Rollback(RollbackExpectation { completes_within: five, ..r() }),
            Expectation::Rollback(RollbackExpectation { to: Some("v1".into()), ..r() }),
            Expectation::Rollback(RollbackExpectation { promotes_within: five, ..r() }),
            Expectation::Rollback(RollbackExpectation { exposure: t("<= 5%"), ..r() }),
            Expectation::Fallback(FallbackExpectation { engages_within: five, ..f() }),
            Expectation::Fallback(FallbackExpectation { ttft: t("p95 < 1s"), ..f() }),
            Expectation::Fallback(FallbackExpectation { to: Some("small".into()), ..f() }),
            Expectation::Fallback(FallbackExpectation { wrong: t("<= 1%"), ..f() }),
            Expectation::Fallback(FallbackExpectation { disengages_within: five, ..f() }),
            Expectation::Pods(PodExpectation { replaced_within: five, ..p() }),
            Expectation::Pods(PodExpectation { cold_failures: t("<= 10%"), ..p() }),
            Expectation::Pods(PodExpectation { removed_within: five, ..p() }),
            Expectation::Alert(AlertExpectation { fires_within: five, ..a() }),
            Expectation::Alert(AlertExpectation { resolves_within: five, ..a() }),
            Expectation::Alert(AlertExpectation { quiet_in: Some("baseline".into()), ..a() }),
            Expectation::Probes(ProbesExpectation { early: t("<= 0%"), ..probes() }),
            Expectation::Probes(ProbesExpectation { removed_within: five, ..probes() }),
            Expectation::Autoscaling(AutoscalingExpectation { scales_out_within: five, ..scaling() }),
            Expectation::Autoscaling(AutoscalingExpectation { in_slo_within: five, ..scaling() }),
            Expectation::Autoscaling(AutoscalingExpectation { scales_in_within: five, ..scaling() }),
            Expectation::Failover(FailoverExpectation { within: five, ..over() }),
            Expectation::Failover(FailoverExpectation { back_within: five, ..over() }),
            Expectation::Drift(DriftExpectation { psi: t("< 0.25"), ..drift() }),
            Expectation::Drift(DriftExpectation { ks: t("< 0.2"), ..drift() }),
            Expectation::Recovery(RecoveryExpectation { after: after.clone(), within: five }),
            Expectation::Cache(CacheExpectation { fresh_after: after.clone(), ..Default::default() }),
            Expectation::Cache(CacheExpectation { hit_ratio: t(">= 30%"), ..Default::default() }),
            Expectation::Cache(CacheExpectation { hit: t("p95 < 20ms"), ..Default::default() }),
            Expectation::Cache(CacheExpectation {
                serves_during: Some("fault".into()),
                ..Default::default()
            }),
            Expectation::Cache(CacheExpectation { speed_up: t(">= 3x"), ..Default::default() }),
            Expectation::Cache(CacheExpectation { stale: t("<= 0%"), ..Default::default() }),
            Expectation::Cache(CacheExpectation {
                stale: t(">= 1%"),
                phase: Some("no-such-phase".into()),
                ..Default::default()
            }),
            Expectation::Cache(CacheExpectation { max_age: five, ..Default::default() }),
            Expectation::Cache(CacheExpectation { wrong: t("<= 0%"), ..Default::default() }),
            Expectation::Cache(CacheExpectation { differs: t("<= 0%"), ..Default::default() }),
            Expectation::Cache(CacheExpectation { overlapping_misses: t("<= 5%"), ..Default::default() }),
            Expectation::Shedding(SheddingExpectation { ratio: t(">= 5%"), ..Default::default() }),
            Expectation::Shedding(SheddingExpectation { rejects: t("p95 < 50ms"), ..Default::default() }),
            Expectation::Shedding(SheddingExpectation { admitted: t("p95 < 1s"), ..Default::default() }),
            Expectation::Metric(metric(None, after.clone())),
            Expectation::Metric(metric(Some("fault".into()), None)),
            Expectation::Retries(RetryExpectation { amplification: t("<= 1.5"), ..Default::default() }),
            Expectation::Retries(RetryExpectation {
                after: after.clone(),
                settles_within: five,
                ..Default::default()
            }),
            Expectation::Retries(RetryExpectation {
                after: after.clone(),
                absorbs: t(">= 95%"),
                ..Default::default()
            }),
        ];
        drill = all.into_iter().fold(drill, Drill::expect);
    }
    for phase in ["baseline", "fault", "recovery", "no-such-phase"] {
        drill = drill
            .slo(Objective::Ttft("p95 < 500ms".parse().expect("one")), phase)
            .slo(Objective::Goodput(">= 95%".parse().expect("one")), phase);
    }
    drill
        .check(Subject::Fault("cut".into()))
        .check(Subject::Fault("no-such-fault".into()))
        .check(Subject::Generator)
}

/// Of the one source of samples that there is.
fn metric(phase: Option<PhaseName>, after: Option<FaultId>) -> MetricExpectation {
    let must = Some(">= 10".parse().expect("a threshold"));
    let recovers_within = phase.is_none().then(|| Span::secs(5));
    MetricExpectation {
        source: "gateway".into(),
        series: None,
        must,
        grows: None,
        phase,
        after,
        recovers_within,
    }
}

fn names() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["replica-0", "replica-1", "replica-9", "fallback-0"]).prop_map(str::to_owned)
}

fn sources() -> impl Strategy<Value = String> {
    let all = vec!["gateway", "controller", "prometheus", "replica-0"];
    prop::sample::select(all).prop_map(str::to_owned)
}

fn versions() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["v0", "v1", "v2"]).prop_map(str::to_owned)
}

fn times() -> impl Strategy<Value = RunTime> {
    prop_oneof![8 => 0..100_000_000u64, 1 => Just(0), 1 => Just(u64::MAX)].prop_map(RunTime)
}

fn seens() -> impl Strategy<Value = Seen> {
    (times(), times()).prop_map(|(not_before, by)| Seen { not_before, by })
}

fn signals() -> impl Strategy<Value = Signal> {
    use BreakerState::*;
    use RolloutPhase::*;
    prop_oneof![
        (names(), prop::sample::select(vec![Closed, Open, HalfOpen]))
            .prop_map(|(name, state)| Signal::Breaker { name, state, kind: None }),
        (
            prop::sample::select(vec![Stable, Progressing, RollingBack, RolledBack, Promoted]),
            versions(),
            versions(),
            0.0..1.0
        )
            .prop_map(|(phase, stable, candidate, weight)| Signal::Rollout {
                of: None,
                phase,
                stable: stable.as_str().into(),
                candidate: Some(candidate.as_str().into()),
                weight,
                reason: String::new(),
            }),
        (names(), any::<bool>(), versions(), 0..3u32).prop_map(|(name, ready, version, restarts)| {
            Signal::Pod {
                name: name.as_str().into(),
                phase: "Running".into(),
                ready,
                version: Some(version.as_str().into()),
                restarts,
            }
        }),
        names().prop_map(|name| Signal::PodGone { name: name.as_str().into() }),
        (names(), prop_oneof![0.0..1e6, Just(f64::NAN), Just(f64::MAX)]).prop_map(|(pod, value)| {
            Signal::Sample {
                source: "gateway".into(),
                values: [(format!("gateway_upstream_requests_total{{pod=\"{pod}\",outcome=\"ok\"}}"), value)]
                    .into_iter()
                    .collect(),
            }
        }),
        (sources(), any::<bool>()).prop_map(|(source, up)| Signal::Source { source, up, why: String::new() }),
        (sources(), any::<bool>()).prop_map(|(source, firing)| Signal::Alert {
            source,
            name: "Errors".into(),
            firing
        }),
        (sources(), prop::sample::select(vec![NO_RULE, "Restarted"])).prop_map(|(about, reason)| {
            Signal::Note { about, reason: reason.into(), text: "Errors".into(), warning: true }
        }),
    ]
}

fn steps() -> impl Strategy<Value = FaultStep> {
    prop_oneof![
        prop::collection::vec(names(), 0..3).prop_map(|names| FaultStep::Requested {
            targets: names.iter().map(|name| name.as_str().into()).collect()
        }),
        Just(FaultStep::Injected),
        Just(FaultStep::Skipped { why: "why".into() }),
        seens().prop_map(|effect| FaultStep::Proven { effect, proof: proof() }),
        Just(FaultStep::Unproven { why: "why".into(), proof: Vec::new() }),
        Just(FaultStep::Recovered { proof: proof() }),
        Just(FaultStep::RecoveryFailed { why: "why".into() }),
        Just(FaultStep::Judged { by: "tool".into(), verdict: ToolVerdict::Fail, why: "why".into() }),
    ]
}

pub(super) fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        8 => (seens(), signals()).prop_map(|(seen, signal)| Event::Signal { seen, signal }),
        4 => (prop::sample::select(vec!["cut", "bad", "stranger"]), steps()).prop_map(|(id, step)| Event::Fault { id: id.into(), step }),
        1 => Just(Event::Interrupted),
        1 => Just(Event::PhaseEnded { phase: "fault".into() }),
        1 => (0..u64::MAX).prop_map(|records| Event::Dropped { records }),
        1 => Just(Event::RunEnded { end: RunEnd::Aborted }),
    ]
}

pub(super) fn answers() -> impl Strategy<Value = Answers> {
    let outcome = prop::sample::select(Outcome::ALL.to_vec());
    let cache =
        prop::sample::select(vec![CacheUse::Unknown, CacheUse::Hit, CacheUse::Miss, CacheUse::Collapsed]);
    (outcome, cache, 0..50u64, 0..100_000u64, any::<[bool; 3]>(), versions(), names()).prop_map(
        |(outcome, cache, count, ms, [golden, fallback, open], version, pod)| {
            let mut answers =
                Answers::failed(count, outcome).cache(cache).ttft(ms).version(&version).pod(&pod);
            if golden {
                answers = answers.golden();
            }
            if fallback {
                answers = answers.fallback();
            }
            if open {
                answers = answers.breaker_open();
            }
            answers.attempts(ms % 4)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn judging_is_total(
        events in prop::collection::vec((times(), events()), 0..60),
        load in prop::collection::vec((0..100u32, 0..30u32, answers()), 0..12),
        completed in any::<bool>(),
    ) {
        let mut drill = every_check(drill().fault("cut", 25.0, Some(40.0), &["replica-0"]).deploy("bad", 55.0));
        drill.end = completed.then_some(RunEnd::Completed);
        for (at, event) in events {
            drill.events.push(crate::journal::Record { at, event });
        }
        for (second, seconds, answers) in load {
            drill = drill.load(second..second + seconds, answers);
        }
        let run = drill.judged();
        prop_assert_eq!(run.checks.len(), drill.plan.checks.len());
        prop_assert_eq!(&drill.judged().verdict, &run.verdict);
        for check in &run.checks {
            prop_assert!(!check.why.is_empty() && !check.title.is_empty());
            prop_assert!(check.verdict == Verdict::Inconclusive || !check.evidence.is_empty(), "{}", check.why);
            // None of the harness's own troubles is the target's failure.
            prop_assert!(check.kind != CheckKind::Generator || check.verdict != Verdict::Fail);
            if let (Some(observed), Some((low, high))) = (check.observed, check.error) {
                prop_assert!(low <= observed + 1e-9 && high.is_none_or(|high| observed <= high + 1e-9),
                    "{}: {} in {} {:?}", check.title, observed, low, high);
            }
        }
        prop_assert!(run.verdict != Verdict::Pass || run.checks.iter().all(|check| check.verdict == Verdict::Pass));
        serde_json::to_string(&run).expect("JSON");
        let series = series(&drill.plan, &drill.record());
        prop_assert_eq!(series.due.len(), series.seconds as usize);
    }
}
