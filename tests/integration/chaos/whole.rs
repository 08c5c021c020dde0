//! Faults on the whole lab, with its own gateway in front.

use std::time::Duration;

use firedrill::{
    chaos::ActResult,
    journal::{
        Event,
        event::{BreakerState, Signal},
    },
    lab::config::LabConfig,
    observe,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::rig::{Rig, on, proven};

fn state_of(pod: &'static str) -> impl Fn(&Signal) -> Option<BreakerState> {
    move |signal| match signal {
        Signal::Breaker { name, state, .. } if name == pod => Some(*state),
        _ => None,
    }
}

#[tokio::test]
async fn a_slow_link_opens_the_gateways_breaker_and_its_end_closes_it() {
    let mut rig = Rig::whole(&LabConfig::default()).await;
    assert_eq!(observe::preflight(Some(rig.at)).await, Vec::<String>::new());
    let done = CancellationToken::new();
    let watcher = tokio::spawn(observe::watch(Some(rig.at), rig.clock, rig.sink.clone(), done.clone()));
    let load = rig.load();
    assert_eq!(rig.signal("its first state", state_of("replica-0")).await, BreakerState::Closed);

    // The gateway waits 1 s for a first byte.
    let delay = json!({"latency": "3s", "jitter": "0ms", "correlation": "0"});
    let act = rig.act(
        "slow",
        on("replica-0", "NetworkChaos", json!({"effects": [{"delay": delay}]})),
        Some(Duration::from_secs(60)),
    );
    let end = rig.begin(act);
    let (mut opened, mut proof) = (false, false);
    while !(opened && proof) {
        let opens = state_of("replica-0");
        let either = |event: &Event| match event {
            Event::Signal { signal, .. } => (opens(signal) == Some(BreakerState::Open)).then_some(true),
            event => proven(event).map(|()| false),
        };
        match rig.next("the opening and the proof", either).await {
            true => opened = true,
            false => proof = true,
        }
    }
    rig.cancel.cancel();
    assert_eq!(end.await.expect("no panic").result, ActResult::Done { proven: true });
    loop {
        if rig.signal("the closing", state_of("replica-0")).await == BreakerState::Closed {
            break;
        }
    }
    drop(load);
    done.cancel();
    watcher.await.expect("no panic");
    rig.stop().await;
}
