//! Fallback, shedding, retry storms, and how their defects show.

use firedrill::{
    lab::{
        api::Role,
        config::{BreakerMode, CacheMode, FallbackMode, GatewayConfig, RetryMode, SheddingMode},
    },
    units::Span,
};

use super::{
    rig::{Rig, soon, until},
    stub::Act,
};

fn config() -> GatewayConfig {
    GatewayConfig { cache: CacheMode::Off, fallback: FallbackMode::Off, ..GatewayConfig::default() }
}

/// One failing replica and one fallback.
async fn with_fallback(fallback: FallbackMode) -> Rig {
    with_fallback_within(fallback, GatewayConfig::default().upstream_timeout).await
}

async fn with_fallback_within(fallback: FallbackMode, upstream_timeout: Span) -> Rig {
    let config = GatewayConfig { fallback, upstream_timeout, cache: CacheMode::On, ..config() };
    let mut rig = Rig::start(1, config).await;
    rig.add("fallback-0", "small", Role::Fallback).await;
    rig.stubs[0].set(Act::Status(500));
    rig
}

#[tokio::test]
async fn the_fallback_answers_when_nobody_else_does() {
    let rig = with_fallback(FallbackMode::On).await;
    for _ in 0..2 {
        let reply = rig.chat("a").await;
        assert_eq!((reply.status, reply.header("x-fallback")), (200, "true"));
        assert_eq!((reply.header("x-served-by"), reply.header("x-model-version")), ("fallback-0", "small"));
        assert_eq!(reply.header("x-upstream-attempts"), "2");
        assert_eq!(reply.header("cache-status"), "firedrill-lab; fwd=uri-miss", "never stored");
        assert!(reply.text().contains("small says a"));
    }
    assert_eq!(rig.metric("gateway_fallback_requests_total").await, 2.0);
    rig.stubs[0].set(Act::Answer);
    assert_eq!(rig.chat("a").await.header("x-fallback"), "false");
}

#[tokio::test]
async fn defect_fallback_off() {
    let rig = with_fallback(FallbackMode::Off).await;
    assert_eq!(rig.chat("a").await.status, 502);
    assert_eq!(rig.stubs[1].requests(), 0);
}

/// A fallback that has not answered after twice the upstream's timeout: what
/// the client gets in the end.
async fn from_a_late_fallback(fallback: FallbackMode) -> u16 {
    let timeout = Span::millis(100);
    let rig = with_fallback_within(fallback, timeout).await;
    let stub = &rig.stubs[1];
    stub.hold();
    let (reply, ()) = tokio::join!(rig.chat("a"), async {
        until("the fallback is asked", || stub.requests() == 1).await;
        // Long enough that a gateway that gives up has done so.
        tokio::time::sleep(4 * timeout.0).await;
        stub.release(100);
    });
    reply.status
}

#[tokio::test]
async fn defect_fallback_slow_puts_up_with_a_late_one() {
    assert_eq!(from_a_late_fallback(FallbackMode::On).await, 502);
    assert_eq!(from_a_late_fallback(FallbackMode::Slow).await, 200);
}

/// A gateway with room for one request, which is taken; what the second gets.
async fn second_request(shedding: SheddingMode) -> (u16, String, f64) {
    let rig = Rig::start(1, GatewayConfig { shedding, max_in_flight: 1, ..config() }).await;
    rig.stubs[0].hold();
    rig.stubs[0].release(1);
    let first = rig.begin("a").await;
    let (second, ()) = tokio::join!(rig.begin("b"), async {
        if shedding == SheddingMode::Off {
            until("both are upstream", || rig.stubs[0].requests() == 2).await;
            rig.stubs[0].release(100);
        }
    });
    let marks = ["retry-after", "x-ratelimit-reason"]
        .map(|name| second.headers().get(name).map_or("", |value| value.to_str().expect("text")).to_owned());
    let shed = rig.metric("gateway_shed_total").await;
    let status = second.status().as_u16();
    rig.stubs[0].release(100);
    assert!(soon("the first one's end", first.text()).await.is_ok(), "who was admitted is served");
    (status, marks.join(" "), shed)
}

#[tokio::test]
async fn past_the_limit_it_sheds_and_says_so() {
    assert_eq!(second_request(SheddingMode::On).await, (429, "1 overload".to_owned(), 1.0));
}

#[tokio::test]
async fn defects_of_shedding() {
    assert_eq!(second_request(SheddingMode::Off).await, (200, " ".to_owned(), 0.0));
    assert_eq!(second_request(SheddingMode::Unmarked).await, (500, " ".to_owned(), 1.0));
}

#[tokio::test]
async fn cache_hits_are_never_shed() {
    let rig = Rig::start(1, GatewayConfig { max_in_flight: 1, cache: CacheMode::On, ..config() }).await;
    rig.chat("a").await;
    rig.stubs[0].hold();
    rig.stubs[0].release(1);
    let _first = rig.begin("b").await;
    assert_eq!(rig.chat("a").await.status, 200);
    let shed = rig.chat("c").await;
    assert_eq!((shed.status, shed.header("cache-status")), (429, "firedrill-lab; detail=not-forwarded"));
}

/// Three failing replicas without breakers: attempts per request.
async fn amplification(retries: RetryMode) -> f64 {
    let rig = Rig::start(3, GatewayConfig { retries, breaker: BreakerMode::Off, ..config() }).await;
    for stub in &rig.stubs {
        stub.set(Act::Status(500));
    }
    for _ in 0..100 {
        assert_eq!(rig.chat("x").await.status, 502);
    }
    let retries = rig.metric("gateway_retries_total").await;
    let exhausted = rig.metric("gateway_retry_budget_exhausted_total").await;
    assert_eq!(exhausted > 0.0, retries > 0.0 && retries < 200.0, "{exhausted} {retries}");
    let attempts: u32 = rig.stubs.iter().map(|stub| stub.requests()).sum();
    assert_eq!(rig.total("gateway_upstream_requests_total").await, f64::from(attempts));
    f64::from(attempts) / 100.0
}

#[tokio::test]
async fn retries_keep_within_their_budget() {
    let factor = amplification(RetryMode::On).await;
    assert!((1.3..=1.4).contains(&factor), "20 saved up and a fifth of 100: {factor}");
}

#[tokio::test]
async fn defects_of_retries() {
    assert_eq!(amplification(RetryMode::Off).await, 1.0);
    assert_eq!(amplification(RetryMode::Storm).await, 6.0);
}

#[tokio::test]
async fn defect_storm_asks_again_while_it_waits() {
    let rig = Rig::start(3, GatewayConfig { retries: RetryMode::Storm, ..config() }).await;
    for stub in &rig.stubs {
        stub.set(Act::Hang);
    }
    let answer = rig.ask("x").send();
    let asked = async {
        let all = || rig.stubs.iter().map(|stub| stub.requests()).sum::<u32>() == 6;
        until("six attempts at once", all).await;
        for stub in &rig.stubs {
            assert_eq!(stub.open(), 2);
        }
    };
    let (answer, ()) = tokio::join!(answer, asked);
    assert_eq!(answer.expect("an answer").status(), 504);
}
