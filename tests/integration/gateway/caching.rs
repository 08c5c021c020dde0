//! The cache, request coalescing, canary weights, and how the cache's defects
//! show.

use firedrill::{
    lab::{
        api::Role,
        config::{CacheMode, FallbackMode, GatewayConfig},
    },
    units::Span,
};

use super::{
    rig::{Rig, soon, until},
    stub::Act,
};

fn config(cache: CacheMode) -> GatewayConfig {
    GatewayConfig { cache, fallback: FallbackMode::Off, ..GatewayConfig::default() }
}

#[tokio::test]
async fn a_repeated_prompt_is_answered_from_the_cache() {
    let rig = Rig::start(1, config(CacheMode::On)).await;
    let miss = rig.chat("a").await;
    assert_eq!(miss.header("cache-status"), "firedrill-lab; fwd=uri-miss; stored");
    let hit = rig.chat("a").await;
    assert!(hit.header("cache-status").starts_with("firedrill-lab; hit; ttl="), "{hit:?}");
    assert_eq!(hit.body, miss.body);
    assert_eq!(hit.header("content-type"), "text/event-stream");
    assert_eq!((hit.header("x-model-version"), hit.header("x-served-by")), ("v1", ""));
    assert_eq!(hit.header("x-upstream-attempts"), "0");
    assert!(hit.headers.contains_key("age") && !miss.headers.contains_key("age"));
    let bypass = rig.finish(rig.ask("a").header("cache-control", "no-store")).await;
    assert_eq!(bypass.header("cache-status"), "firedrill-lab; fwd=bypass");
    assert_eq!(rig.stubs[0].requests(), 2);
    for result in ["hit", "miss", "bypass"] {
        assert_eq!(rig.metric(&format!("gateway_cache_requests_total{{result=\"{result}\"}}")).await, 1.0);
    }
    assert_eq!(rig.metric("gateway_requests_total{outcome=\"ok\"}").await, 3.0);
}

#[tokio::test]
async fn a_hit_needs_no_replica() {
    let rig = Rig::start(1, config(CacheMode::On)).await;
    rig.chat("a").await;
    rig.stubs[0].set(Act::Status(500));
    assert_eq!(rig.chat("a").await.status, 200);
    assert_eq!(rig.chat("b").await.status, 502);
}

#[tokio::test]
async fn what_is_not_whole_is_not_stored() {
    let rig = Rig::start(1, config(CacheMode::On)).await;
    for act in [Act::Break(2), Act::EndEarly(2), Act::Status(400)] {
        rig.stubs[0].set(act);
        rig.chat("a").await;
    }
    rig.stubs[0].set(Act::Answer);
    assert!(rig.chat("a").await.header("cache-status").contains("fwd=uri-miss"));
}

#[tokio::test]
async fn concurrent_misses_share_one_answer() {
    let rig = Rig::start(1, config(CacheMode::On)).await;
    rig.stubs[0].hold();
    rig.stubs[0].release(1);
    let mut leader = rig.begin("a").await;
    let mut followers = vec![rig.begin("a").await, rig.begin("a").await];
    for follower in &followers {
        assert_eq!(follower.headers()["cache-status"], "firedrill-lab; fwd=uri-miss; collapsed");
        assert_eq!(follower.headers()["x-upstream-attempts"], "0");
        assert_eq!(follower.headers()["x-served-by"], "replica-0");
    }
    // The leader goes away, and those that read along don't suffer.
    assert!(leader.chunk().await.expect("no break").is_some());
    drop(leader);
    rig.until_metric("gateway_requests_total{outcome=\"client-gone\"}", 1.0).await;
    rig.stubs[0].release(100);
    let text = soon("the answer's end", followers.remove(0).text()).await.expect("a whole answer");
    assert!(text.contains("v1 says a 3;") && text.ends_with("data: [DONE]\n\n"));
    assert!(soon("the answer's end", followers.remove(0).text()).await.is_ok());
    assert_eq!(rig.stubs[0].requests(), 1);
    assert!(rig.chat("a").await.header("cache-status").contains("hit"), "stored all the same");
    assert_eq!(rig.metric("gateway_cache_requests_total{result=\"collapsed\"}").await, 2.0);
}

#[tokio::test]
async fn nobody_left_to_read_along_cancels_upstream() {
    let rig = Rig::start(1, config(CacheMode::On)).await;
    rig.stubs[0].hold();
    rig.stubs[0].release(1);
    let leader = rig.begin("a").await;
    let follower = rig.begin("a").await;
    drop(leader);
    drop(follower);
    rig.until_metric("gateway_requests_total{outcome=\"client-gone\"}", 2.0).await;
    until("the upstream notices", || rig.stubs[0].open() == 0).await;
}

#[tokio::test]
async fn followers_go_themselves_if_the_leader_fails() {
    let rig =
        Rig::start(1, GatewayConfig { upstream_timeout: Span::millis(500), ..config(CacheMode::On) }).await;
    rig.stubs[0].set(Act::Hang);
    let (leader, follower) = tokio::join!(rig.chat("a"), async {
        until("the leader is upstream", || rig.stubs[0].requests() == 1).await;
        rig.stubs[0].set(Act::Answer);
        rig.chat("a").await
    });
    assert_eq!((leader.status, follower.status), (504, 200));
    assert_eq!(rig.stubs[0].requests(), 2);
}

#[tokio::test]
async fn defect_stampede() {
    let rig = Rig::start(1, config(CacheMode::Stampede)).await;
    rig.stubs[0].hold();
    let (all, ()) = tokio::join!(futures::future::join_all((0..3).map(|_| rig.begin("a"))), async {
        until("all are upstream", || rig.stubs[0].requests() == 3).await;
        rig.stubs[0].release(100);
    });
    assert!(all.iter().all(|reply| reply.headers()["cache-status"] == "firedrill-lab; fwd=uri-miss; stored"));
}

#[tokio::test]
async fn defect_wrong_answer() {
    for (mode, expected) in [(CacheMode::On, 0..1), (CacheMode::WrongAnswer, 5..40)] {
        let rig = Rig::start(1, config(mode)).await;
        let mut wrong = 0;
        for n in 0..80 {
            let prompt = ["a", "b"][n % 2];
            let reply = rig.chat(prompt).await;
            wrong += usize::from(!reply.text().contains(&format!("says {prompt} ")));
        }
        assert!(expected.contains(&wrong), "{mode:?}: {wrong}");
    }
}

/// A canary that answered everything, withdrawn: the version that then
/// answers.
async fn after_rollback(mode: CacheMode) -> String {
    let mut rig = Rig::start(1, config(mode)).await;
    rig.chat("a").await;
    rig.add("canary-0", "v2", Role::Canary).await;
    rig.route(1.0, &[]).await;
    let canary = rig.chat("a").await;
    assert_eq!(canary.header("x-model-version"), "v2");
    rig.route(0.0, &["v2"]).await;
    rig.stubs.pop();
    rig.announce().await;
    let reply = rig.chat("a").await;
    assert!(reply.header("cache-status").contains("hit"));
    assert!(reply.text().contains(&format!("{} says a", reply.header("x-model-version"))));
    reply.header("x-model-version").to_owned()
}

#[tokio::test]
async fn defect_stale_after_rollback() {
    assert_eq!(after_rollback(CacheMode::On).await, "v1");
    assert_eq!(after_rollback(CacheMode::StaleAfterRollback).await, "v2");
}
