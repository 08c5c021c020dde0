//! What passes through, and what is counted.

use std::time::Duration;

use firedrill::{
    lab::config::{CacheMode, FallbackMode, GatewayConfig, RetryMode},
    units::Span,
};

use super::{
    rig::{Rig, soon, until},
    stub::Act,
};

fn plain() -> GatewayConfig {
    GatewayConfig { cache: CacheMode::Off, fallback: FallbackMode::Off, ..GatewayConfig::default() }
}

#[tokio::test]
async fn an_answer_passes_whole_and_says_who_gave_it() {
    let rig = Rig::start(1, plain()).await;
    let reply = rig.finish(rig.ask("hello").header("x-request-id", "id-7")).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/event-stream"));
    assert!(reply.text().contains("v1 says hello 3;") && reply.text().ends_with("data: [DONE]\n\n"));
    assert_eq!(reply.header("x-model-version"), "v1");
    assert_eq!(reply.header("x-served-by"), "replica-0");
    assert_eq!(reply.header("x-upstream-attempts"), "1");
    assert_eq!(reply.header("x-fallback"), "false");
    assert_eq!(reply.header("cache-status"), "", "there is no cache");
    assert_eq!(rig.stubs[0].ids(), ["id-7"]);
    rig.until_metric("gateway_requests_total{outcome=\"ok\"}", 1.0).await;
    let attempts = "gateway_upstream_requests_total{pod=\"replica-0\",version=\"v1\",outcome=\"ok\"}";
    rig.until_metric(attempts, 1.0).await;
    assert_eq!(rig.metric("gateway_upstream_ttft_seconds_count{version=\"v1\"}").await, 1.0);
    rig.until_metric("gateway_in_flight", 0.0).await;
}

#[tokio::test]
async fn an_answer_that_is_no_stream_passes_too() {
    let rig = Rig::start(1, plain()).await;
    let body = r#"{"model":"demo","messages":[{"role":"user","content":"hi"}]}"#;
    let reply = rig.finish(rig.ask("").body(body)).await;
    assert!(reply.text().contains("v1 says hi"), "{reply:?}");
    assert!(reply.headers.contains_key("content-length"));
    rig.until_metric("gateway_requests_total{outcome=\"ok\"}", 1.0).await;
    assert_eq!(rig.total("gateway_requests_total").await, 1.0);
}

#[tokio::test]
async fn chunks_pass_as_they_come() {
    let rig = Rig::start(1, plain()).await;
    rig.stubs[0].hold();
    let (answer, ()) = tokio::join!(rig.begin("slow"), async { rig.stubs[0].release(1) });
    let mut answer = answer;
    for at in 0..3 {
        let chunk = soon("a chunk", answer.chunk()).await.expect("no break").expect("a chunk");
        assert!(String::from_utf8_lossy(&chunk).contains(&format!("says slow {at};")), "{chunk:?}");
        rig.stubs[0].release(1);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_upstream_request_with_it() {
    let rig = Rig::start(1, plain()).await;
    rig.stubs[0].hold();
    rig.stubs[0].release(1);
    let mut answer = rig.begin("x").await;
    assert!(answer.chunk().await.expect("no break").is_some());
    assert_eq!(rig.metric("gateway_in_flight").await, 1.0);
    drop(answer);
    until("the upstream notices", || rig.stubs[0].open() == 0).await;
    rig.until_metric("gateway_requests_total{outcome=\"client-gone\"}", 1.0).await;
    let cancelled = "gateway_upstream_requests_total{pod=\"replica-0\",version=\"v1\",outcome=\"cancelled\"}";
    rig.until_metric(cancelled, 1.0).await;
    rig.until_metric("gateway_in_flight", 0.0).await;
}

#[tokio::test]
async fn a_stream_that_breaks_off_never_ends_cleanly() {
    let rig = Rig::start(1, plain()).await;
    for act in [Act::Break(2), Act::EndEarly(2)] {
        rig.stubs[0].set(act);
        let reply = rig.chat("x").await;
        assert_eq!((reply.status, &reply.body), (200, &None), "{act:?}");
    }
    assert_eq!(rig.metric("gateway_requests_total{outcome=\"error\"}").await, 2.0);
    let broken = "gateway_upstream_requests_total{pod=\"replica-0\",version=\"v1\",outcome=\"broken\"}";
    assert_eq!(rig.metric(broken).await, 2.0);
    assert_eq!(rig.metric("gateway_retries_total").await, 0.0, "a byte had gone out");
}

#[tokio::test]
async fn failures_before_the_first_byte_are_retried_elsewhere() {
    let rig = Rig::start(2, GatewayConfig { upstream_timeout: Span::millis(200), ..plain() }).await;
    for (act, outcome) in [
        (Act::Status(500), "error"),
        (Act::Break(0), "broken"),
        (Act::EndEarly(0), "broken"),
        (Act::Hang, "timeout"),
    ] {
        rig.stubs[0].set(act);
        let seen = rig.stubs[0].requests();
        // One of two goes to the first replica.
        let replies = [rig.chat("x").await, rig.chat("x").await];
        assert!(
            replies.iter().all(|reply| reply.status == 200 && reply.body.is_some()),
            "{act:?} {replies:?}"
        );
        assert_eq!(rig.stubs[0].requests(), seen + 1, "{act:?}");
        let mut attempts = replies.map(|reply| reply.header("x-upstream-attempts").to_owned());
        attempts.sort();
        assert_eq!(attempts, ["1", "2"], "{act:?}");
        let series = format!(
            "gateway_upstream_requests_total{{pod=\"replica-0\",version=\"v1\",outcome=\"{outcome}\"}}"
        );
        assert!(rig.metric(&series).await >= 1.0, "{act:?}");
    }
    assert_eq!(rig.metric("gateway_retries_total").await, 4.0);
}

#[tokio::test]
async fn a_dead_replica_is_a_failed_connection() {
    let mut rig = Rig::start(2, plain()).await;
    let list = rig.stubs[0].upstream();
    // Its port is closed, and the gateway still has it on its list.
    drop(rig.stubs.remove(0));
    let gone = tokio::net::TcpStream::connect(list.address);
    assert!(soon("a refusal", gone).await.is_err());
    for _ in 0..2 {
        assert_eq!(rig.chat("x").await.status, 200);
    }
    let connect = "gateway_upstream_requests_total{pod=\"replica-0\",version=\"v1\",outcome=\"connect\"}";
    assert_eq!(rig.metric(connect).await, 1.0);
}

#[tokio::test]
async fn errors_that_remain_are_502_and_504() {
    let config = GatewayConfig { upstream_timeout: Span::millis(100), retries: RetryMode::Off, ..plain() };
    let rig = Rig::start(1, config).await;
    for (act, status) in [(Act::Status(500), 502), (Act::Break(0), 502), (Act::Hang, 504)] {
        rig.stubs[0].set(act);
        let reply = rig.chat("x").await;
        assert_eq!((reply.status, reply.header("x-upstream-attempts")), (status, "1"), "{act:?}");
        assert!(!reply.headers.contains_key("retry-after"));
    }
    // The client's own mistakes, and a full replica, pass as they are.
    for status in [400, 429] {
        rig.stubs[0].set(Act::Status(status));
        assert_eq!(rig.chat("x").await.status, status);
    }
    assert_eq!(rig.metric("gateway_requests_total{outcome=\"error\"}").await, 4.0);
    assert_eq!(rig.metric("gateway_requests_total{outcome=\"shed\"}").await, 1.0);
}

#[tokio::test]
async fn every_request_is_counted_once() {
    let rig = Rig::start(2, GatewayConfig { cache: CacheMode::On, ..plain() }).await;
    rig.stubs[0].set(Act::Break(1));
    let sent = 40;
    let prompts: Vec<String> = (0..sent).map(|n| format!("prompt {}", n % 9)).collect();
    futures::future::join_all(prompts.iter().map(|prompt| rig.chat(prompt))).await;
    assert_eq!(rig.total("gateway_requests_total").await, f64::from(sent));
    let upstream: u32 = rig.stubs.iter().map(|stub| stub.requests()).sum();
    assert_eq!(rig.total("gateway_upstream_requests_total").await, f64::from(upstream));
    assert_eq!(rig.total("gateway_cache_requests_total").await, f64::from(sent));
}

#[tokio::test]
async fn it_ends_with_its_parent() {
    let rig = Rig::start(1, plain()).await;
    let status = rig.child.stop(Duration::from_secs(20)).await.expect("it ends");
    assert!(status.success(), "{status:?}");
}
