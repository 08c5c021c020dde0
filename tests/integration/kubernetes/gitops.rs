//! What is deployed by the spec of Argo CD's, Flux' and KServe's objects, and
//! by the selector of a Service. Controllers of the tests' own act on them, as
//! those tools' documentation tells.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use firedrill::verdict::model::Verdict::{Fail, Pass};

use super::{
    controllers::gitops::{argocd, flux, kserve, switch},
    rig::{PATIENCE, Rig, kubectl},
    rollouts::{drill, must, rig, until},
};

pub(super) const TAKEN_BACK: [(&str, firedrill::verdict::model::Verdict); 3] =
    [("detects-within", Pass), ("completes-within", Pass), ("to", Pass)];
pub(super) const NEVER: [(&str, firedrill::verdict::model::Verdict); 2] =
    [("detects-within", Fail), ("completes-within", Fail)];

/// The Deployment of the tests, with an object that it is deployed by.
fn with(name: &str, object: &str) -> Rig {
    let crds = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/integration/kubernetes/gitops-crds.yaml");
    kubectl(&["apply", "-f", crds]);
    let kinds = [
        "applications.argoproj.io",
        "helmreleases.helm.toolkit.fluxcd.io",
        "inferenceservices.serving.kserve.io",
    ];
    for kind in kinds {
        kubectl(&["wait", &format!("crd/{kind}"), "--for=condition=Established", "--timeout=60s"]);
    }
    let rig = rig(name, &format!("{}---\n{object}", include_str!("rollouts/deployment.yaml")), &[]);
    until(&rig, "deployment/ai-model", ".status.availableReplicas", "3");
    rig
}

/// Waits until what a drill deployed is taken back everywhere.
pub(super) fn settled(rig: &Rig) {
    until(rig, "deployment/ai-model", ".spec.template.spec.containers[0].env[0].value", "v1");
    kubectl(&["-n", &rig.namespace, "rollout", "status", "deployment/ai-model", "--timeout=120s"]);
    // Those on their way out are still sent something.
    let deadline = Instant::now() + PATIENCE;
    while rig.pods().len() > 3 {
        assert!(Instant::now() < deadline, "old pods stay: {:?}", rig.pods());
        sleep(Duration::from_millis(200));
    }
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn an_application_that_is_turned_back_is_told_from_one_that_is_not() {
    let application = |guard: &str| {
        format!(
            "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{ name: ai-model, labels: {{ guard: \"{guard}\" }} }}\n\
             spec: {{ source: {{ repoURL: \"https://git.example.com/models\", path: ai-model, targetRevision: v1 }} }}\n"
        )
    };
    let well = with("argocd", &application("yes"));
    let controller = argocd(&well.namespace);
    until(&well, "application/ai-model", ".status.health.status", "Healthy");
    let before = well.snapshot();
    must(&drill(&well, "argo-cd.yaml", &[]), &TAKEN_BACK);
    settled(&well);
    assert_eq!(well.snapshot(), before);
    // A good version goes through.
    let through = "expect.0={ rollback: { after: release, promotes-within: 18s } }";
    let good = "chaos.release.deploy={ version: v3, application: ai-model, spec: { source: { targetRevision: v3 } } }";
    must(&drill(&well, "argo-cd.yaml", &[good, through]), &[("promotes-within", Pass)]);
    drop((controller, well));
    let ill = with("argocdless", &application("no"));
    let _controller = argocd(&ill.namespace);
    until(&ill, "application/ai-model", ".status.health.status", "Healthy");
    must(&drill(&ill, "argo-cd.yaml", &[]), &NEVER);
    settled(&ill);
    // Never ready, it is never promoted, and Argo CD does not take it back.
    let stuck = "chaos.release.deploy={ version: v4, application: ai-model, spec: { source: { targetRevision: v4 } } }";
    let told = drill(&ill, "argo-cd.yaml", &[stuck]);
    must(&told, &[("completes-within", Fail)]);
    assert!(told.1.contains("Argo CD takes nothing back by itself"), "{}", told.1);
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn a_helm_release_that_is_remediated_is_told_from_one_that_is_not() {
    let release = |spec: &str| {
        format!(
            "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nmetadata: {{ name: ai-model }}\n\
             spec: {{ values: {{ version: v1 }}, {spec} }}\n"
        )
    };
    let well =
        with("flux", &release("test: { enable: true }, upgrade: { remediation: { strategy: rollback } }"));
    let controller = flux(&well.namespace);
    until(&well, "helmrelease/ai-model", ".status.conditions[0].status", "True");
    let before = well.snapshot();
    must(&drill(&well, "flux.yaml", &[]), &TAKEN_BACK);
    settled(&well);
    assert_eq!(well.snapshot(), before);
    drop((controller, well));
    // What answers 500 is ready, and nothing tests it.
    let untested = with("fluxless", &release("upgrade: { remediation: { strategy: rollback } }"));
    let _controller = flux(&untested.namespace);
    until(&untested, "helmrelease/ai-model", ".status.conditions[0].status", "True");
    must(&drill(&untested, "flux.yaml", &[]), &NEVER);
    settled(&untested);
    // A release that fails is rolled back even so.
    let stuck =
        "chaos.release.deploy={ version: v4, helm-release: ai-model, spec: { values: { version: v4 } } }";
    must(&drill(&untested, "flux.yaml", &[stuck]), &[("completes-within", Pass), ("to", Pass)]);
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn an_inference_service_that_is_put_back_is_told_from_one_that_is_not() {
    let service = |guard: &str| {
        format!(
            "apiVersion: serving.kserve.io/v1beta1\nkind: InferenceService\nmetadata: {{ name: ai-model, labels: {{ guard: \"{guard}\" }} }}\n\
             spec: {{ predictor: {{ model: {{ modelFormat: {{ name: onnx }}, storageUri: \"s3://models/ai-model/v1\" }} }} }}\n"
        )
    };
    let well = with("kserve", &service("yes"));
    let controller = kserve(&well.namespace);
    until(&well, "inferenceservice/ai-model", ".status.modelStatus.transitionStatus", "UpToDate");
    let before = well.snapshot();
    must(&drill(&well, "kserve.yaml", &[]), &TAKEN_BACK);
    settled(&well);
    assert_eq!(well.snapshot(), before);
    drop((controller, well));
    let ill = with("kserveless", &service("no"));
    let _controller = kserve(&ill.namespace);
    until(&ill, "inferenceservice/ai-model", ".status.modelStatus.transitionStatus", "UpToDate");
    must(&drill(&ill, "kserve.yaml", &[]), &NEVER);
}

#[test]
#[ignore = "needs a Kubernetes cluster (KUBECONFIG) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn a_service_that_is_switched_back_is_told_from_one_that_is_not() {
    let rig = rig("bluegreen", include_str!("rollouts/blue-green.yaml"), &[]);
    for slot in ["blue", "green"] {
        until(&rig, &format!("deployment/{slot}"), ".status.availableReplicas", "2");
    }
    let before = rig.snapshot();
    must(&drill(&rig, "blue-green.yaml", &[]), &NEVER);
    assert_eq!(rig.snapshot(), before, "it is switched back in the end");
    let guard = switch(&rig.namespace, "ai-model", Some("blue"));
    must(&drill(&rig, "blue-green.yaml", &[]), &TAKEN_BACK);
    assert_eq!(rig.snapshot(), before);
    drop(guard);
    // Whoever switches it back forgets the slot: both get traffic.
    let _guard = switch(&rig.namespace, "ai-model", None);
    must(
        &drill(&rig, "blue-green.yaml", &[]),
        &[("detects-within", Pass), ("completes-within", Fail), ("to", Fail)],
    );
}
