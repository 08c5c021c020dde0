//! Who gets a request: equal shares, the least busy, the canary's weight.

use firedrill::lab::{
    api::Role,
    config::{CacheMode, FallbackMode, GatewayConfig},
};

use super::{rig::Rig, stub::Act};

fn config() -> GatewayConfig {
    GatewayConfig { cache: CacheMode::Off, fallback: FallbackMode::Off, ..GatewayConfig::default() }
}

#[tokio::test]
async fn equals_share_and_a_busy_one_gets_less() {
    let rig = Rig::start(3, config()).await;
    for _ in 0..9 {
        rig.chat("x").await;
    }
    assert!(rig.stubs.iter().all(|stub| stub.requests() == 3));
    rig.stubs[0].hold();
    rig.stubs[0].release(1);
    let _busy = futures::future::join_all((0..3).map(|_| rig.begin("x"))).await;
    for _ in 0..6 {
        rig.chat("x").await;
    }
    assert_eq!(rig.stubs[0].requests(), 4);
}

#[tokio::test]
async fn the_canary_gets_its_share_and_its_failures_end_at_stable_ones() {
    let mut rig = Rig::start(2, config()).await;
    rig.add("canary-0", "v2", Role::Canary).await;
    rig.route(0.0, &[]).await;
    for _ in 0..20 {
        rig.chat("x").await;
    }
    assert_eq!(rig.stubs[2].requests(), 0);
    rig.route(0.3, &[]).await;
    assert_eq!(rig.metric("gateway_canary_weight{version=\"v2\"}").await, 0.3);
    for _ in 0..200 {
        let reply = rig.chat("x").await;
        assert!(reply.text().contains(&format!("{} says", reply.header("x-model-version"))));
    }
    let share = rig.stubs[2].requests();
    assert!((35..=85).contains(&share), "{share} of 200");
    rig.stubs[2].set(Act::Status(500));
    for _ in 0..30 {
        let reply = rig.chat("x").await;
        assert_eq!((reply.status, reply.header("x-model-version")), (200, "v1"));
    }
    assert_eq!(rig.stubs[2].requests(), share + 5, "until its breaker opened");
}
