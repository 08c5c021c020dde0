//! A harness that is killed at any moment leaves nothing that `recover` does
//! not take back. `tests/kill-harness` does this a hundred times.

use std::{fs, process::Output, thread::sleep, time::Duration};

use nix::sys::signal::Signal;

use super::{
    drills::{act, app},
    rig::{Rig, recover, said},
    snapshot::Snapshot,
};
use crate::support::Running;

/// How often, unless `FIREDRILL_KILLS` says otherwise.
const KILLS: u64 = 4;
/// The drill's length, from its start to a little after its end.
const LENGTH_MS: u64 = 13_000;

/// Faults of every kind that is taken back, some on the same object.
fn timeline() -> String {
    let native = |id: &str, at: &str, spec: &str| {
        act(id, "KubernetesChaos", &format!("duration: 2s, mode: one, {}, {spec}", app()))
            .replace("at: fault + 0s", &format!("at: fault + {at}"))
    };
    let frozen =
        act("freeze", "PodChaos", &format!("duration: 3s, action: pod-failure, mode: one, {}", app()));
    [
        frozen,
        native("scale", "1s", "action: scale, replicas: 2"),
        native("rollout", "1s", "action: rollout, env: { VERSION: v2 }"),
        native("endpoints", "2s", "action: endpoints"),
        native("drain", "3s", "action: drain"),
    ]
    .concat()
}

/// Kill moments are spread evenly and irregularly (the golden ratio's
/// multiples), so that any number of them covers the whole drill.
fn moment(kill: u64) -> Duration {
    Duration::from_millis((kill + 1) * 61_803 % 100_000 * LENGTH_MS / 100_000)
}

fn recovered(rig: &Rig, what: &str) -> Output {
    let runs: Vec<_> = fs::read_dir(rig.runs()).into_iter().flatten().flatten().collect();
    let newest = runs.iter().map(fs::DirEntry::path).max().expect("a run");
    let out = recover(&newest);
    assert_eq!(out.status.code(), Some(0), "{what}: {}", said(&out));
    out
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn nothing_is_left_of_a_harness_that_is_killed_at_any_moment() {
    let kills = std::env::var("FIREDRILL_KILLS").ok().map_or(KILLS, |text| text.parse().expect("a number"));
    let rig = Rig::start("kills");
    let scenario = rig.scenario(", healthy-floor: 0", &format!("chaos:\n{}", timeline()));
    let scenario = scenario.replace("baseline: 3s, fault: 12s", "baseline: 2s, fault: 7s");
    let before = Snapshot::take(&rig);
    let mut left = 0;
    for kill in 0..kills {
        let after = moment(kill);
        let what = format!("kill {kill}, after {after:?}");
        let mut harness = Running::start(&mut rig.command(&scenario));
        // The moment is what the test is about, so time alone may tell it.
        sleep(after);
        if !harness.is_over() {
            harness.signal(Signal::SIGKILL);
        }
        let out = harness.ended();
        assert_ne!(out.status.code(), Some(2), "{what}: {}", said(&out));
        left += usize::from(Snapshot::marked(&rig) > 0);
        // Killed before it had a folder, it touched nothing.
        if fs::read_dir(rig.runs()).is_ok_and(|mut runs| runs.next().is_some()) {
            recovered(&rig, &what);
            let again = said(&recovered(&rig, &what));
            assert_eq!(Snapshot::marked(&rig), 0, "{what}: {again}");
        }
        rig.settled();
        before.comes_back(&rig, &what);
        println!("{what}: recovered");
    }
    println!("{kills} kills, {left} of them with something in place; nothing is left");
    assert!(left > 0, "no kill came while something was in place");
}
