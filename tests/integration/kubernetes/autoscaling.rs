//! A HorizontalPodAutoscaler under more load than one pod can do: set up well
//! and badly, told apart by the scenario that users are given.

use firedrill::verdict::model::Verdict::{self, Fail, Inconclusive, Pass};

use super::{
    rig::{Rig, kubectl},
    rollouts::{on, rig, side_by_side},
};

/// One that may have so many replicas, and takes them away by this policy. It
/// knows what its pods use.
fn autoscaled(name: &str, most: &str, away: &str) -> Rig {
    let rig = rig(name, include_str!("rollouts/autoscaler.yaml"), &[("MOST", most), ("AWAY", away)]);
    let knows = ["wait", "hpa/ai-model", "--for=condition=ScalingActive", "--timeout=120s"];
    kubectl(&[&["-n", rig.namespace.as_str()], knows.as_slice()].concat());
    rig
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn an_autoscaler_that_follows_the_load_is_told_from_one_that_does_not() {
    let well = autoscaled("scales", "6", "Max");
    let limited = autoscaled("scalesless", "1", "Max");
    let keeps = autoscaled("scalesout", "6", "Disabled");
    let drills: [(&Rig, &[&str]); 3] = [(&well, &[]), (&limited, &["phases.calm=2s"]), (&keeps, &[])];
    let told = side_by_side("autoscaler.yaml", drills);
    let wanted: [[Verdict; 3]; 3] = [[Pass, Pass, Pass], [Fail, Fail, Inconclusive], [Pass, Pass, Fail]];
    for (told, wanted) in told.iter().zip(wanted) {
        let checks = ["scales-out-within", "in-slo-within", "scales-in-within"];
        for (check, verdict) in checks.into_iter().zip(wanted) {
            let id = format!("autoscaling.peak.{check}");
            assert_eq!(on(told, &id), Some(verdict), "{check}: {}", told.1);
        }
    }
    // Not the autoscaler's fault: it is not allowed to.
    let own = "autoscaler ai-model never wanted more than 1 replica (it may have 1)";
    assert!(told[1].1.contains(own), "{}", told[1].1);
    assert!(told[0].1.contains("at the most (it may have 6)"), "{}", told[0].1);
}
