//! The circuit breaker on the wire, and how each of its defects shows.

use firedrill::{
    journal::event::BreakerState,
    lab::config::{BreakerMode, CacheMode, FallbackMode, GatewayConfig},
};

use super::{rig::Rig, stub::Act};

fn config(breaker: BreakerMode, open_for: &str) -> GatewayConfig {
    GatewayConfig {
        breaker,
        cache: CacheMode::Off,
        fallback: FallbackMode::Off,
        breaker_open_for: open_for.parse().expect("a span"),
        ..GatewayConfig::default()
    }
}

/// Two replicas, the first of them failing; enough requests that its breaker
/// must have opened, then twenty more. How many of those reached it.
async fn after_failures(rig: &Rig) -> u32 {
    rig.stubs[0].set(Act::Status(500));
    for _ in 0..14 {
        rig.chat("x").await;
    }
    let before = rig.stubs[0].requests();
    for _ in 0..20 {
        assert_eq!(rig.chat("x").await.status, 200, "retries cover it");
    }
    rig.stubs[0].requests() - before
}

fn state(pod: &str, state: &str) -> String {
    format!("gateway_circuit_breaker_state{{name=\"{pod}\",state=\"{state}\"}}")
}

#[tokio::test]
async fn it_opens_keeps_traffic_away_and_closes_again() {
    let rig = Rig::start(2, config(BreakerMode::On, "300ms")).await;
    rig.stubs[0].set(Act::Status(500));
    while rig.metric(&state("replica-0", "open")).await == 0.0 {
        assert!(rig.stubs[0].requests() <= 5);
        rig.chat("x").await;
    }
    assert_eq!(rig.stubs[0].requests(), 5);
    rig.until_metric(&state("replica-0", "half_open"), 1.0).await;
    // A failed probe opens it again.
    while rig.metric("gateway_circuit_breaker_transitions_total{name=\"replica-0\",to=\"open\"}").await < 2.0
    {
        rig.chat("x").await;
    }
    assert_eq!(rig.stubs[0].requests(), 6);
    rig.stubs[0].set(Act::Answer);
    while rig.breaker("replica-0").await != Some(BreakerState::Closed) {
        rig.chat("x").await;
    }
    assert!(rig.stubs[0].requests() >= 9, "three probes");
    assert_eq!(rig.metric(&state("replica-1", "closed")).await, 1.0);
}

#[tokio::test]
async fn an_open_one_gets_nothing() {
    let rig = Rig::start(2, config(BreakerMode::On, "1h")).await;
    assert_eq!(after_failures(&rig).await, 0);
    assert_eq!(rig.breaker("replica-0").await, Some(BreakerState::Open));
    assert!(rig.metric("gateway_circuit_breaker_not_permitted_total{name=\"replica-0\"}").await >= 20.0);
}

#[tokio::test]
async fn defect_never_opens() {
    let rig = Rig::start(2, config(BreakerMode::NeverOpens, "1h")).await;
    assert!(after_failures(&rig).await >= 10);
    assert_eq!(rig.breaker("replica-0").await, Some(BreakerState::Closed));
}

#[tokio::test]
async fn defect_opens_late() {
    let rig = Rig::start(2, config(BreakerMode::OpensLate, "1h")).await;
    assert!(after_failures(&rig).await >= 10);
    assert_eq!(rig.breaker("replica-0").await, Some(BreakerState::Closed), "not yet");
    rig.until_metric(&state("replica-0", "open"), 1.0).await;
}

#[tokio::test]
async fn defect_leaks() {
    let rig = Rig::start(2, config(BreakerMode::Leaks, "1h")).await;
    assert!(after_failures(&rig).await >= 10);
    assert_eq!(rig.breaker("replica-0").await, Some(BreakerState::Open));
}

#[tokio::test]
async fn defect_off_has_no_breakers_and_no_metrics() {
    let rig = Rig::start(2, config(BreakerMode::Off, "1h")).await;
    assert!(after_failures(&rig).await >= 10);
    assert_eq!(rig.breaker("replica-0").await, None);
    assert!(!rig.metrics().await.contains("circuit_breaker"));
}

#[tokio::test]
async fn defect_never_closes() {
    let rig = Rig::start(2, config(BreakerMode::NeverCloses, "1ms")).await;
    assert_eq!(after_failures(&rig).await, 0, "not one probe");
    rig.stubs[0].set(Act::Answer);
    for _ in 0..10 {
        rig.chat("x").await;
    }
    assert_eq!(rig.breaker("replica-0").await, Some(BreakerState::Open));
}

#[tokio::test]
async fn defect_opens_for_one() {
    let rig = Rig::start(2, config(BreakerMode::OpensForOne, "1h")).await;
    rig.stubs[0].set(Act::Status(500));
    rig.chat("x").await;
    rig.stubs[0].set(Act::Answer);
    rig.chat("x").await;
    assert_eq!(rig.breaker("replica-0").await, Some(BreakerState::Open));
    assert_eq!(rig.stubs[0].requests(), 1);
}

#[tokio::test]
async fn all_open_is_said_at_once_and_a_replaced_pod_starts_closed() {
    let mut rig = Rig::start(1, config(BreakerMode::On, "1h")).await;
    rig.stubs[0].set(Act::Status(500));
    for _ in 0..5 {
        assert_eq!(rig.chat("x").await.status, 502);
    }
    let reply = rig.chat("x").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert_eq!((reply.header("x-circuit-breaker"), reply.header("x-upstream-attempts")), ("open", "0"));
    assert_eq!(rig.metric("gateway_requests_total{outcome=\"rejected\"}").await, 1.0);
    rig.stubs.clear();
    rig.add("replica-1", "v1", firedrill::lab::api::Role::Stable).await;
    assert_eq!(rig.chat("x").await.status, 200);
    assert_eq!(rig.metric(&state("replica-0", "open")).await, 0.0, "it is forgotten");
    rig.stubs.clear();
    rig.announce().await;
    let reply = rig.chat("x").await;
    assert_eq!((reply.status, reply.header("x-circuit-breaker")), (503, ""));
}
