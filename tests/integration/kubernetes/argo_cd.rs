//! Argo CD itself, by its own controllers (`scripts/cluster argo-cd`): an
//! Application that follows a Git repository of the test's.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use firedrill::verdict::model::Verdict::{Fail, Pass};

use super::{
    gitops::{NEVER, TAKEN_BACK, settled},
    rig::{PATIENCE, Rig, kubectl},
    rollouts::{drill, must, rig, until},
};

/// Versions, with what is wrong with each.
const VERSIONS: [(&str, &str); 4] = [("v1", ""), ("v2", "FAIL"), ("v3", ""), ("v4", "NEVER_READY")];

/// A repository whose tags are the versions of a Deployment.
fn repository(rig: &Rig) -> PathBuf {
    let models = rig.write("models.txt", "").with_extension("");
    fs::create_dir_all(models.join("ai-model")).expect("a folder");
    let git = |arguments: &[&str]| {
        let who = ["-c", "user.name=tests", "-c", "user.email=tests@example.com"];
        let out = Command::new("git").arg("-C").arg(&models).args(who).args(arguments).output().expect("git");
        assert!(out.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    };
    git(&["init", "--quiet"]);
    let service = include_str!("rollouts/deployment.yaml").replace("IMAGE", super::rig::IMAGE);
    for (version, wrong) in VERSIONS {
        let wrong =
            if wrong.is_empty() { String::new() } else { format!(", {{ name: {wrong}, value: \"1\" }}") };
        let env = format!("env: [{{ name: VERSION, value: {version} }}{wrong}]");
        let text = service.replace("env: [{ name: VERSION, value: v1 }]", &env);
        fs::write(models.join("ai-model/model.yaml"), text).expect("it is written");
        git(&["add", "--all"]);
        git(&["commit", "--quiet", "--message", version]);
        git(&["tag", version]);
    }
    models
}

/// The service, deployed by Argo CD, healthy.
fn deployed(name: &str) -> Rig {
    let rig = rig(name, "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: nothing }\n", &[]);
    let application = format!(
        "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {{ name: ai-model, namespace: {0} }}\nspec:\n  project: default\n  \
         source: {{ repoURL: \"file://{1}\", path: ai-model, targetRevision: v1 }}\n  \
         destination: {{ server: \"https://kubernetes.default.svc\", namespace: {0} }}\n  \
         syncPolicy: {{ automated: {{ prune: true, selfHeal: true }} }}\n",
        rig.namespace,
        repository(&rig).display()
    );
    let file = rig.write("application.yaml", &application);
    kubectl(&["apply", "-f", &file.to_string_lossy()]);
    until(&rig, "application/ai-model", ".status.health.status", "Healthy");
    until(&rig, "deployment/ai-model", ".status.availableReplicas", "3");
    rig
}

/// Somebody who sees v2, thinks for four seconds and turns it back.
fn guard(namespace: &str) -> thread::JoinHandle<()> {
    let namespace = namespace.to_owned();
    thread::spawn(move || {
        let of = [
            "-n",
            namespace.as_str(),
            "get",
            "application/ai-model",
            "-o",
            "jsonpath={.spec.source.targetRevision}",
        ];
        let deadline = Instant::now() + PATIENCE;
        while kubectl(&of) != "v2" {
            assert!(Instant::now() < deadline, "nobody deployed v2");
            sleep(Duration::from_millis(300));
        }
        sleep(Duration::from_secs(4));
        let back = r#"{"spec": {"source": {"targetRevision": "v1"}}}"#;
        kubectl(&["-n", &namespace, "patch", "application/ai-model", "--type", "merge", "-p", back]);
    })
}

#[test]
#[ignore = "needs a Kubernetes cluster with Argo CD (scripts/cluster argo-cd) and a loader of images (FIREDRILL_TEST_IMAGE)"]
fn what_argo_cd_deploys_is_told_by_its_own_status() {
    let rig = deployed("argo-cd");
    let guard = guard(&rig.namespace);
    must(&drill(&rig, "argo-cd.yaml", &[]), &TAKEN_BACK);
    guard.join().expect("it was turned back");
    settled(&rig);
    let through = "expect.0={ rollback: { after: release, promotes-within: 18s } }";
    let good = "chaos.release.deploy={ version: v3, application: ai-model, spec: { source: { targetRevision: v3 } } }";
    must(&drill(&rig, "argo-cd.yaml", &[good, through]), &[("promotes-within", Pass)]);
    settled(&rig);
    // Nobody turns it back: it answers errors, and is in sync and healthy.
    must(&drill(&rig, "argo-cd.yaml", &[]), &NEVER);
    settled(&rig);
    let stuck = "chaos.release.deploy={ version: v4, application: ai-model, spec: { source: { targetRevision: v4 } } }";
    let told = drill(&rig, "argo-cd.yaml", &[stuck]);
    must(&told, &[("completes-within", Fail)]);
    assert!(told.1.contains("Argo CD takes nothing back by itself"), "{}", told.1);
    settled(&rig);
    // So does a revision that is not there: what was there serves on.
    let nowhere = "chaos.release.deploy={ version: v9, application: ai-model, spec: { source: { targetRevision: v9 } } }";
    let told = drill(&rig, "argo-cd.yaml", &[nowhere]);
    must(&told, &[("completes-within", Fail)]);
    assert!(told.1.contains("sync Unknown"), "{}", told.1);
}
