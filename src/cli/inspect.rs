//! Commands that start nothing: plan, rbac, validate, schema, init.

use std::{fs, io::IsTerminal, path::Path};

use super::{args, exit::Exit};
use crate::{
    chaos::{
        kubernetes::{Account, Reach, gaps, list_pods, needs, role},
        proxy::own_link,
    },
    cluster::{Cluster, ClusterError},
    plan::{self, Plan, model::Pod},
    scenario::{
        self, Loaded, Override,
        kubernetes::KubernetesTarget,
        model::Target,
        url::{ProxyUse, UrlTarget, names_user},
    },
};

/// Reads a scenario with its overrides and resolves it. Says what is wrong.
pub(super) fn resolve(args: &args::Scenario) -> Result<(Loaded, Plan), Exit> {
    let overrides: Vec<_> = args.set.iter().cloned().map(Override).collect();
    let colour = std::io::stderr().is_terminal();
    let mut loaded = scenario::load(&args.scenario, &overrides).map_err(|diagnostics| {
        eprintln!("{}", diagnostics.render(colour));
        Exit::Usage
    })?;
    if !loaded.warnings.is_empty() {
        eprintln!("{}", loaded.warnings.render(colour));
    }
    if let Some(given) = args.target.as_deref()
        && let Err(wanted) = retarget(&mut loaded.scenario.target, given)
    {
        eprintln!("error: --target {given}: {wanted}");
        return Err(Exit::Usage);
    }
    let seed = args.seed.unwrap_or(loaded.scenario.seed);
    match plan::resolve(&loaded.scenario, seed) {
        Ok(plan) => Ok((loaded, plan)),
        Err(errors) => {
            for error in errors {
                eprintln!("error: {}: {error}", args.scenario.display());
            }
            Err(Exit::Usage)
        }
    }
}

/// Puts what `--target` says in the place of the scenario's target. What of
/// the scenario's own fits, stays.
fn retarget(target: &mut Target, given: &str) -> Result<(), &'static str> {
    match (given, &mut *target) {
        ("lab", Target::Lab(_)) | ("kubernetes", Target::Kubernetes(_)) => {}
        ("lab", _) => *target = Target::Lab(Default::default()),
        ("kubernetes", _) => {
            return Err("the scenario names no service: write `kubernetes:NAMESPACE/SERVICE`");
        }
        (url, _) if names_user(url) => return Err("a user or a password would be in every report"),
        (url, before) if url.starts_with("http://") || url.starts_with("https://") => match before {
            Target::Url(own) => url.clone_into(&mut own.at),
            Target::Lab(_) | Target::Kubernetes(_) => *before = Target::Url(UrlTarget::new(url)),
        },
        (other, before) => {
            let wanted = "wants `lab`, a URL such as `http://127.0.0.1:8000`, or \
                          `kubernetes:NAMESPACE/SERVICE[:PORT]`";
            let service = other.strip_prefix("kubernetes:").and_then(service).ok_or(wanted)?;
            if let Target::Kubernetes(own) = before {
                let KubernetesTarget { namespace, service, port, .. } = service;
                *own = KubernetesTarget { namespace, service, port, url: None, ..own.clone() };
            } else {
                *target = Target::Kubernetes(service);
            }
        }
    }
    match target {
        Target::Kubernetes(at) if at.protects(&at.namespace) => Err("this namespace is protected"),
        Target::Lab(_) | Target::Url(_) | Target::Kubernetes(_) => Ok(()),
    }
}

/// `NAMESPACE/SERVICE[:PORT]`
fn service(text: &str) -> Option<KubernetesTarget> {
    let (namespace, service) = text.split_once('/')?;
    let (service, port) = match service.split_once(':') {
        Some((service, port)) => (service, Some(port.parse().ok()?)),
        None => (service, None),
    };
    let named = !namespace.is_empty() && !service.is_empty();
    named.then(|| KubernetesTarget { port, ..KubernetesTarget::new(namespace, service) })
}

/// `firedrill plan`
pub(super) async fn plan(args: &args::Scenario) -> Exit {
    let (_, plan) = match resolve(args) {
        Ok(resolved) => resolved,
        Err(exit) => return exit,
    };
    let pods = match &plan.target {
        Target::Lab(lab) => Some(plan::lab_pods(lab)),
        Target::Url(url) => (url.proxy == ProxyUse::Own).then(|| vec![own_link()]),
        Target::Kubernetes(target) => match on_cluster(&plan, target).await {
            Ok(pods) => Some(pods),
            Err(error) => {
                eprintln!("warning: who would be hit is not known: {error}");
                None
            }
        },
    };
    print!("{}", plan::render_text(&plan, pods.as_deref()));
    Exit::Pass
}

/// The pods that a plan would choose from now. Says what the account may not
/// do.
async fn on_cluster(plan: &Plan, target: &KubernetesTarget) -> Result<Vec<Pod>, ClusterError> {
    let cluster = Cluster::connect(target).await?;
    if let Some(gaps) = gaps(&cluster, &needs(plan, target)).await? {
        eprintln!("warning: {gaps}");
    }
    list_pods(&cluster, &Reach::of(plan, target)).await
}

/// `firedrill rbac`
pub(super) fn rbac(args: &args::Rbac) -> Exit {
    let (_, plan) = match resolve(&args.scenario) {
        Ok(resolved) => resolved,
        Err(exit) => return exit,
    };
    let file = args.scenario.scenario.display();
    let what = match &plan.target {
        Target::Kubernetes(target) => {
            let own = || Account { namespace: target.namespace.clone(), name: "firedrill".to_owned() };
            let account = args.service_account.clone().unwrap_or_else(own);
            // Another service, drilled by the same scenario, has another role.
            let name = format!("firedrill-{}-{}", plan.name, target.namespace);
            println!("# What `firedrill run {file}` must be allowed on its cluster, and no more.");
            println!("# A token: kubectl -n {} create token {}", account.namespace, account.name);
            print!("{}", role(&needs(&plan, target), &name, &account));
            return Exit::Pass;
        }
        Target::Lab(_) => "the lab",
        Target::Url(_) => "a URL",
    };
    eprintln!(
        "error: {file}: the target is {what}, which knows no roles; name a Service on a cluster with \
         `--target kubernetes:NAMESPACE/SERVICE`"
    );
    Exit::Usage
}

/// `firedrill validate`
pub(super) fn validate(args: &args::Scenario) -> Exit {
    match resolve(args) {
        Ok((loaded, plan)) => {
            println!(
                "{}: valid ({}, {}, {})",
                args.scenario.display(),
                counted(loaded.files.len(), "file"),
                counted(plan.checks.len(), "check"),
                counted(plan.timeline.len(), "act"),
            );
            Exit::Pass
        }
        Err(exit) => exit,
    }
}

fn counted(n: usize, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// `firedrill schema`
pub(super) fn schema() -> Exit {
    println!("{:#}", scenario::schema());
    Exit::Pass
}

/// `firedrill init`
pub(super) fn init(path: &Path) -> Exit {
    if path.exists() {
        eprintln!("error: {}: exists already, and is left alone", path.display());
        return Exit::Usage;
    }
    match fs::write(path, scenario::starter()) {
        Ok(()) => {
            println!("{}: written; try `firedrill run {0}`", path.display());
            Exit::Pass
        }
        Err(error) => {
            eprintln!("error: write {}: {error}", path.display());
            Exit::Usage
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_may_be_replaced_by_any_other() {
        let to = |mut from: Target, given: &str| retarget(&mut from, given).map(|()| from);
        let lab = || Target::Lab(Default::default());
        let here = KubernetesTarget { healthy_floor: 3, ..KubernetesTarget::new("a", "b") };
        let cluster = || Target::Kubernetes(here.clone());
        assert_eq!(to(cluster(), "lab"), Ok(lab()));
        assert_eq!(to(cluster(), "kubernetes"), Ok(cluster()));
        assert_eq!(to(lab(), "http://x"), Ok(Target::Url(UrlTarget::new("http://x"))));
        let there = KubernetesTarget { port: Some(80), ..KubernetesTarget::new("c", "d") };
        assert_eq!(to(lab(), "kubernetes:c/d:80"), Ok(Target::Kubernetes(there.clone())));
        let kept = KubernetesTarget { healthy_floor: 3, ..there };
        assert_eq!(to(cluster(), "kubernetes:c/d:80"), Ok(Target::Kubernetes(kept)));
        for wrong in [
            "http://u:secret@x",
            "kubernetes",
            "kubernetes:c",
            "kubernetes:c/d:x",
            "kubernetes:kube-system/d",
            "x",
        ] {
            assert!(to(lab(), wrong).is_err(), "{wrong}");
        }
    }
}
