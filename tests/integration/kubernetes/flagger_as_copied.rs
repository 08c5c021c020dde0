//! The Canary of many an article with the article's own times: five failures,
//! half a minute apart. It takes minutes, so `scripts/cluster-tests` leaves it
//! out unless it is asked for by name.

use firedrill::verdict::model::Verdict::{Fail, Pass};

use super::rollouts::{drill, flagger, must};

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn it_rolls_back_but_takes_minutes_to_notice() {
    let rig = flagger("copied", ["30s", "5", "1m"], "");
    let sets = [
        "phases.release=255s",
        "expect.0={ rollback: { after: release, detects-within: 2m, completes-within: 250s, to: v1, exposure: \"<= 50%\" } }",
    ];
    let told = drill(&rig, "flagger.yaml", &sets);
    must(&told, &[("detects-within", Fail), ("completes-within", Pass), ("to", Pass), ("exposure", Pass)]);
}
