//! Faults on real processes and real bytes: what they do, what proves them,
//! what is left of them.

use std::time::Duration;

use firedrill::{
    chaos::{self, ActGate, ActResult, NothingDriver},
    journal::{Event, event::FaultStep},
    lab::config::VersionDefect,
    plan::model::{PlannedAct, PlannedAction},
    scenario::model::Deploy,
    units::Version,
};
use serde_json::json;

use super::rig::{LATER, Rig, names, on, on_selected, proven};

const DONE: ActResult = ActResult::Done { proven: true };
const UNPROVEN: ActResult = ActResult::Done { proven: false };

fn all_words(steps: &[FaultStep]) -> String {
    serde_json::to_string(steps).expect("JSON")
}

#[tokio::test]
async fn a_killed_pod_is_proven_dead_by_the_kernel() {
    let mut rig = Rig::start().await;
    let act = rig.act("kill", on("replica-0", "PodChaos", json!({"action": "pod-kill"})), None);
    let end = rig.run(act).await;
    assert_eq!(end.result, DONE);
    let steps = rig.steps();
    assert_eq!(names(&steps), ["requested", "injected", "proven"]);
    let words = all_words(&steps);
    assert!(words.contains("replica-0 ended with signal 9"), "{words}");
    assert!(words.contains("kill(2)") && words.contains("accepts no connection"), "{words}");
    let FaultStep::Proven { effect, .. } = &steps[2] else { panic!("{steps:?}") };
    assert!(effect.not_before < effect.by && effect.by <= rig.clock.now());
    assert_eq!(rig.pending(), Vec::<String>::new());
    assert!(rig.replicas().await.iter().all(|pod| pod.name.as_str() != "replica-0"));
}

#[tokio::test]
async fn a_delay_is_proven_by_the_bytes_it_delayed_and_is_gone_afterwards() {
    let mut rig = Rig::start().await;
    let spec = json!({"direction": "to", "effects": [{"delay": {"latency": "120ms", "jitter": "10ms", "correlation": "0"}}]});
    let _traffic = rig.traffic(&["replica-0", "replica-1"]).await;
    let act = rig.act("slow", on_selected(json!({}), "NetworkChaos", spec), Some(Duration::from_secs(2)));
    let end = rig.begin(act);
    rig.next("the proof", |event| match event {
        Event::Fault { step: FaultStep::Proven { effect, proof }, .. } => {
            assert!(effect.not_before <= effect.by, "{effect:?}");
            assert_eq!(proof.len(), 2, "{proof:?}");
            assert!(proof.iter().any(|e| e.what.contains("asked for 120 ± 10 ms")), "{proof:?}");
            Some(())
        }
        _ => None,
    })
    .await;
    assert!(rig.ask("replica-0").await.expect("an answer") >= Duration::from_millis(110));
    assert_eq!(rig.toxics().await, 2);
    assert_eq!(rig.pending(), ["slow"]);
    assert_eq!(end.await.expect("no panic").result, DONE);
    assert_eq!(names(&rig.steps()), ["recovered"]);
    assert_eq!(rig.toxics().await, 0);
    assert_eq!(rig.pending(), Vec::<String>::new());
}

#[tokio::test]
async fn a_fault_on_a_pod_without_traffic_stays_unproven() {
    let mut rig = Rig::start().await;
    let _traffic = rig.traffic(&["replica-1"]).await;
    let spec = json!({"direction": "both", "effects": ["partition"]});
    let act = rig.act("cut", on("replica-0", "NetworkChaos", spec), Some(Duration::from_millis(700)));
    assert_eq!(rig.run(act).await.result, UNPROVEN);
    let steps = rig.steps();
    assert_eq!(names(&steps), ["requested", "injected", "unproven", "recovered"]);
    assert!(all_words(&steps).contains("no traffic since the fault"), "{steps:?}");
}

#[tokio::test]
async fn a_partition_with_traffic_is_proven_and_nothing_passes() {
    let mut rig = Rig::start().await;
    let _traffic = rig.traffic(&["replica-0"]).await;
    let target = json!({"selector": {"namespaces": ["platform"], "labelSelectors": {"app": "gateway"}}, "mode": "all"});
    let spec = json!({"direction": "to", "effects": ["partition"], "target": target});
    let act = rig.act("cut", on("replica-0", "NetworkChaos", spec), Some(Duration::from_secs(60)));
    let end = rig.begin(act);
    rig.next("the proof", proven).await;
    let before = rig.lab.proxy().link("replica-0").await.expect("the link").bytes_down;
    assert!(tokio::time::timeout(Duration::from_millis(500), rig.ask("replica-0")).await.is_err());
    assert_eq!(rig.lab.proxy().link("replica-0").await.expect("the link").bytes_down, before);
    // A cancelled run takes its faults back at once.
    rig.cancel.cancel();
    assert_eq!(end.await.expect("no panic").result, DONE);
    rig.ask("replica-0").await.expect("an answer again");
}

#[tokio::test]
async fn a_target_that_is_no_peer_leaves_the_pods_alone() {
    let mut rig = Rig::start().await;
    let _traffic = rig.traffic(&["replica-0"]).await;
    let target = json!({"selector": {"labelSelectors": {"app": "llm"}}, "mode": "all"});
    let spec = json!({"direction": "both", "effects": ["partition"], "target": target});
    let act = rig.act("cut", on("replica-0", "NetworkChaos", spec), Some(Duration::from_millis(500)));
    assert_eq!(rig.run(act).await.result, UNPROVEN);
    let words = all_words(&rig.steps());
    assert!(words.contains("does not select the gateway"), "{words}");
}

#[tokio::test]
async fn a_slow_gpu_is_proven_by_its_steps() {
    let mut rig = Rig::start().await;
    let _traffic = rig.traffic(&["replica-0"]).await;
    let replica = rig.replicas().await[0].address.expect("an address");
    // Something to compare with.
    loop {
        let metrics = rig.lab.metrics(replica).await.expect("metrics");
        if metrics.value("firedrill_lab_steps_total", &[]).is_some_and(|steps| steps >= 20.0) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let act =
        rig.act("hot", on("replica-0", "GPUChaos", json!({"slowdown": 4.0})), Some(Duration::from_secs(60)));
    let end = rig.begin(act);
    rig.next("the proof", proven).await;
    rig.cancel.cancel();
    assert_eq!(end.await.expect("no panic").result, DONE);
    assert_eq!(names(&rig.steps()), ["recovered"]);
    let metrics = rig.lab.metrics(replica).await.expect("metrics");
    assert_eq!(metrics.value("firedrill_lab_slowdown", &[]), Some(1.0));
}

#[tokio::test]
async fn a_slow_gpu_without_requests_is_unproven() {
    let mut rig = Rig::start().await;
    let act = rig.act(
        "hot",
        on("replica-0", "GPUChaos", json!({"slowdown": 4.0})),
        Some(Duration::from_millis(400)),
    );
    assert_eq!(rig.run(act).await.result, UNPROVEN);
    assert_eq!(names(&rig.steps()), ["requested", "injected", "unproven", "recovered"]);
}

#[tokio::test]
async fn a_killed_container_comes_back_and_a_failed_pod_only_when_recovered() {
    let mut rig = Rig::start().await;
    let spec = json!({"action": "container-kill", "containerNames": ["server"]});
    let act = rig.act("crash", on("replica-0", "PodChaos", spec), None);
    assert_eq!(rig.run(act).await.result, DONE);
    let pods = rig.replicas().await;
    assert!(pods.iter().any(|pod| pod.name.as_str() == "replica-0" && pod.restarts == 1), "{pods:?}");

    let act = rig.act(
        "fail",
        on("replica-1", "PodChaos", json!({"action": "pod-failure"})),
        Some(Duration::from_secs(60)),
    );
    let end = rig.begin(act);
    rig.next("the proof of the failure", |event| match event {
        Event::Fault { id, step: FaultStep::Proven { .. } } if id.as_str() == "fail" => Some(()),
        _ => None,
    })
    .await;
    assert!(rig.ask("replica-1").await.is_err());
    rig.cancel.cancel();
    assert_eq!(end.await.expect("no panic").result, DONE);
    let pods = rig.replicas().await;
    assert!(pods.iter().any(|pod| pod.name.as_str() == "replica-1" && pod.pid.is_some()), "{pods:?}");
}

#[tokio::test]
async fn a_link_fault_resets_answers() {
    let mut rig = Rig::start().await;
    let _traffic = rig.traffic(&["replica-0"]).await;
    let act = rig.act(
        "reset",
        on("replica-0", "LinkChaos", json!({"action": "reset"})),
        Some(Duration::from_secs(60)),
    );
    let end = rig.begin(act);
    rig.next("the proof", proven).await;
    assert!(rig.ask("replica-0").await.is_err());
    rig.cancel.cancel();
    assert_eq!(end.await.expect("no panic").result, DONE);
    rig.ask("replica-0").await.expect("an answer again");
}

#[tokio::test]
async fn a_rollout_is_proven_when_a_pod_of_the_version_gets_traffic() {
    let mut rig = Rig::start().await;
    let mut act = rig.act("bad", on("-", "PodChaos", json!({"action": "pod-kill"})), None);
    act.action = PlannedAction::Deploy(Deploy {
        version: Version::from("v2"),
        defect: VersionDefect::Slow,
        of: None,
        namespace: None,
        spec: None,
        patch: Default::default(),
    });
    assert_eq!(rig.run(act).await.result, DONE);
    let steps = rig.steps();
    assert_eq!(names(&steps), ["requested", "injected", "proven"]);
    assert!(all_words(&steps).contains("candidate v2"), "{steps:?}");
}

#[tokio::test]
async fn a_fault_whose_targets_are_gone_is_skipped() {
    let mut rig = Rig::start().await;
    let act = rig.act("kill", on("replica-9", "PodChaos", json!({"action": "pod-kill"})), None);
    assert!(matches!(rig.run(act).await.result, ActResult::Skipped { .. }));
    assert_eq!(names(&rig.steps()), ["requested", "skipped"]);
}

#[tokio::test]
async fn nothing_happens_before_its_time_or_behind_a_shut_gate() {
    let mut rig = Rig::start().await;
    let kill = on("replica-0", "PodChaos", json!({"action": "pod-kill"}));
    let mut late = rig.act("late", kill.clone(), None);
    late.at = LATER;
    let shut = rig.act("shut", kill, None);
    let late = rig.begin(late);
    rig.gate.send_replace(ActGate::Shut);
    let shut = rig.begin(shut);
    rig.cancel.cancel();
    assert_eq!(late.await.expect("no panic").result, ActResult::NotStarted);
    assert_eq!(shut.await.expect("no panic").result, ActResult::NotStarted);
    assert_eq!(rig.steps(), []);
    assert_eq!(rig.replicas().await[0].name.as_str(), "replica-0");
}

#[tokio::test]
async fn what_a_dead_harness_left_is_recovered_from_its_log() {
    let mut rig = Rig::start().await;
    let spec = json!({"direction": "both", "effects": ["partition"]});
    let act = rig.act("cut", on("replica-0", "NetworkChaos", spec), Some(Duration::from_secs(600)));
    let harness = rig.begin(act);
    rig.next("the injection", |event| {
        matches!(event, Event::Fault { step: FaultStep::Injected, .. }).then_some(())
    })
    .await;
    harness.abort();
    assert!(harness.await.is_err_and(|error| error.is_cancelled()));
    assert_eq!((rig.pending(), rig.toxics().await), (vec!["cut".to_owned()], 2));

    let report = chaos::recover(rig.folder.path()).await.expect("the log reads");
    assert!(report.is_clean() && report.recovered.len() == 1, "{report}");
    assert_eq!((rig.pending(), rig.toxics().await), (vec![], 0));
    let again = chaos::recover(rig.folder.path()).await.expect("the log reads");
    assert_eq!(again.to_string(), "nothing was left behind");
}

#[tokio::test]
async fn a_lab_that_is_gone_took_its_faults_with_it() {
    let mut rig = Rig::start().await;
    for (id, manifest) in [
        ("cut", on("replica-0", "NetworkChaos", json!({"direction": "both", "effects": ["partition"]}))),
        ("hot", on("replica-0", "GPUChaos", json!({"slowdown": 4.0}))),
        ("fail", on("replica-1", "PodChaos", json!({"action": "pod-failure"}))),
    ] {
        let act = rig.act(id, manifest, Some(Duration::from_secs(600)));
        let harness = rig.begin(act);
        rig.next("the injection", |event| {
            matches!(event, Event::Fault { step: FaultStep::Injected, .. }).then_some(())
        })
        .await;
        harness.abort();
    }
    for mut child in [rig.controller.take(), rig.proxy.take()].into_iter().flatten() {
        child.kill().expect("killed");
        child.wait().await.expect("ended");
    }
    let report = chaos::recover(rig.folder.path()).await.expect("the log reads");
    assert!(report.is_clean() && report.recovered.len() == 3, "{report}");
    assert_eq!(rig.pending(), Vec::<String>::new());
}

#[tokio::test]
async fn the_preflight_says_what_can_not_be_done() {
    let rig = Rig::start().await;
    let duplicate = json!({"effects": [{"duplicate": {"probability": "50%", "correlation": "0"}}]});
    let partition = json!({"effects": ["partition"],
        "target": {"selector": {"labelSelectors": {"app": "redis"}}, "mode": "all"}});
    let mut acts = vec![
        rig.act("none", on("replica-9", "PodChaos", json!({"action": "pod-kill"})), None),
        rig.act("twice", on("replica-0", "NetworkChaos", duplicate), None),
        rig.act("nobody", on("replica-0", "NetworkChaos", partition), None),
    ];
    let driver = rig.driver();
    let said = async |acts: &[PlannedAct]| -> Vec<String> {
        chaos::preflight(&driver, acts, 1).await.iter().map(ToString::to_string).collect()
    };
    let problems = said(&acts).await;
    assert_eq!(problems.len(), 3, "{problems:#?}");
    assert!(problems[0].starts_with("chaos `none`: its selector selects no pod"), "{problems:#?}");
    assert!(problems[1].contains("TCP hides duplicates"), "{problems:#?}");
    assert!(problems[2].contains("target selects no pod"), "{problems:#?}");

    acts.truncate(1);
    let problems = chaos::preflight(&NothingDriver, &acts, 1).await;
    let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
    let url = "nothing can be broken at a URL alone: say `url: { at: …, proxy: on }` to break the way to it, or \
               break it by a `command:`";
    assert_eq!(problems, [format!("chaos `none`: {url}")]);

    let good = rig.act("kill", on("replica-0", "PodChaos", json!({"action": "pod-kill"})), None);
    assert_eq!(said(&[good]).await, Vec::<String>::new());
}
