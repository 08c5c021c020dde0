//! What the watchers see of a real platform.

use firedrill::{
    journal::event::{BreakerState, RolloutPhase, Signal},
    observe,
    units::PodName,
};
use tokio_util::sync::CancellationToken;

use super::rig::Rig;

fn breaker(state: &str, opened: u64) -> String {
    let one = |name| u8::from(state == name);
    format!(
        "gateway_circuit_breaker_state{{name=\"replica-0\",state=\"closed\"}} {}\n\
         gateway_circuit_breaker_state{{name=\"replica-0\",state=\"open\"}} {}\n\
         gateway_circuit_breaker_transitions_total{{name=\"replica-0\",to=\"open\"}} {opened}\n\
         gateway_circuit_breaker_transitions_total{{name=\"replica-0\",to=\"closed\"}} {opened}\n\
         gateway_requests_total{{outcome=\"ok\"}} 7\n",
        one("closed"),
        one("open"),
    )
}

#[tokio::test]
async fn states_changes_and_samples_become_signals() {
    let mut rig = Rig::start().await;
    *rig.metrics.lock().expect("lock") = breaker("closed", 0);
    assert_eq!(observe::preflight(Some(rig.at)).await, Vec::<String>::new());
    let done = CancellationToken::new();
    let watcher = tokio::spawn(observe::watch(Some(rig.at), rig.clock, rig.sink.clone(), done.clone()));

    let state = |signal: &Signal| match signal {
        Signal::Breaker { state, .. } => Some(*state),
        _ => None,
    };
    assert_eq!(rig.signal("the first state", state).await, BreakerState::Closed);
    // Open and closed again between two looks: only the counters tell.
    *rig.metrics.lock().expect("lock") = breaker("closed", 1);
    assert_eq!(rig.signal("the opening", state).await, BreakerState::Open);
    assert_eq!(rig.signal("the closing", state).await, BreakerState::Closed);

    let of = |wanted: &'static str| {
        move |signal: &Signal| match signal {
            Signal::Sample { source, values } if source == wanted => Some(values.clone()),
            _ => None,
        }
    };
    let gateway = rig.signal("a sample of the gateway", of("gateway")).await;
    assert_eq!(gateway[r#"gateway_requests_total{outcome="ok"}"#], 7.0);
    let replica = rig.signal("a sample of a replica", of("replica-1")).await;
    assert!(replica.contains_key("firedrill_lab_steps_total"), "{replica:?}");
    let proxy = rig.signal("a sample of the links", of("proxy")).await;
    assert!(proxy.contains_key(r#"link_bytes_up{pod="replica-0"}"#), "{proxy:?}");

    rig.lab.delete_pod(&PodName::from("replica-0"), 0).await.expect("deleted");
    let gone = |signal: &Signal| match signal {
        Signal::PodGone { name } => Some(name.0.clone()),
        _ => None,
    };
    assert_eq!(rig.signal("the pod's end", gone).await, "replica-0");
    rig.signal("its replacement, ready", |signal| match signal {
        Signal::Pod { name, ready: true, .. } if !matches!(name.as_str(), "replica-1" | "fallback-0") => {
            Some(())
        }
        _ => None,
    })
    .await;

    // The last look comes after the end was asked for.
    done.cancel();
    watcher.await.expect("no panic");
}

#[tokio::test]
async fn a_source_that_dies_is_told_once() {
    let mut rig = Rig::start().await;
    let done = CancellationToken::new();
    let watcher = tokio::spawn(observe::watch(Some(rig.at), rig.clock, rig.sink.clone(), done.clone()));
    let phase = rig
        .signal("the rollout", |signal| match signal {
            Signal::Rollout { phase, .. } => Some(*phase),
            _ => None,
        })
        .await;
    assert_eq!(phase, RolloutPhase::Stable);
    let mut controller = rig.controller.take().expect("a controller");
    controller.kill().expect("killed");
    let silent = |signal: &Signal| match signal {
        Signal::Source { source, up: false, why } if source == "controller" => Some(why.clone()),
        _ => None,
    };
    let why = rig.signal("its silence", silent).await;
    assert!(why.contains("nobody listens"), "{why}");
    done.cancel();
    watcher.await.expect("no panic");
    assert!(!observe::preflight(Some(rig.at)).await.is_empty());
}
