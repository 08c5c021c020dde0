//! What a target can't have: found when the scenario is read, and not only
//! when a run begins.

use super::{Context, TargetKind};
use crate::{
    lab::config::VersionDefect,
    scenario::{
        chaos::Chaos,
        diagnostic::Diagnostic,
        model::{Act, Action, Deploy, Deployed},
        source::Place,
        yaml::Node,
    },
};

/// What is drilled, by the keys of `target:`.
pub(super) fn kind(target: Option<&Node>) -> TargetKind {
    let Some(target) = target else { return TargetKind::Lab };
    match (target.get("kubernetes"), target.get("url")) {
        (Some(_), _) => TargetKind::Cluster,
        (None, Some(url)) => match url.get("proxy").map(Node::text) {
            None | Some(Some("off" | "false")) => TargetKind::Url,
            Some(Some("on" | "true")) => TargetKind::Fronted,
            Some(_) => TargetKind::Proxied,
        },
        (None, None) => TargetKind::Lab,
    }
}

/// Whether a target of this kind can have the fault; reported if not.
pub(super) fn fault(cx: &mut Context<'_>, chaos: &Chaos, place: &Place) -> Option<()> {
    let chaos = match chaos {
        Chaos::Schedule(schedule) => &schedule.template,
        other => other,
    };
    match (cx.names.target, chaos) {
        (TargetKind::Cluster, _) => Some(()),
        // A tool's own controller acts on a cluster only.
        (_, Chaos::Custom(custom)) => {
            cx.fail(place, format!("`{}`: {}", chaos.kind(), custom.only_on_a_cluster()), "")
        }
        (TargetKind::Lab, _) => Some(()),
        (TargetKind::Proxied | TargetKind::Fronted, Chaos::NetworkChaos(_) | Chaos::LinkChaos(_)) => Some(()),
        (TargetKind::Proxied | TargetKind::Fronted, _) => {
            let help = "a proxy can do a NetworkChaos or a LinkChaos; break other things by a `command:`";
            cx.fail(place, format!("a fault proxy can't do a {}: it sees no pods", chaos.kind()), help)
        }
        (TargetKind::Url, _) => {
            let help = "write `target: { url: { at: …, proxy: on } }` to break the way to it, or break it by a \
                        `command:`";
            cx.fail(place, "nothing can be broken at a URL alone", help)
        }
    }
}

/// Whether something there rolls it out, and makes it another version;
/// reported if not.
pub(super) fn rollout(
    cx: &mut Context<'_>,
    deploy: &Deploy,
    place: &Place,
    defect: Option<&Place>,
) -> Option<()> {
    let by_patch = matches!(deploy.of, None | Some(Deployed::Deployment(_) | Deployed::Rollout(_)));
    match (cx.names.target, &deploy.of) {
        (TargetKind::Url | TargetKind::Proxied | TargetKind::Fronted, None) => {
            let help =
                "say who does: `command: { run: [./deploy.sh, v2], undo: [./deploy.sh, v1] }`, or `mlflow:`";
            return cx.fail(place, "a URL alone has nothing that rolls out a version", help);
        }
        (TargetKind::Cluster, _) if by_patch && deploy.patch.is_empty() => {
            let version = &deploy.version;
            let help = "write `image:`, `env:` or `replicas:`, such as `env: { VERSION: v2, FAIL: \"1\" }`";
            return cx.fail(place, format!("nothing says what makes it {version} on a cluster"), help);
        }
        _ => {}
    }
    let of_the_lab = cx.names.target == TargetKind::Lab && deploy.of.is_none();
    if let (Some(place), false) = (defect, of_the_lab || deploy.defect == VersionDefect::None) {
        let warning = Diagnostic::warning(place, "only the lab has versions with such a defect");
        cx.report(warning.help("elsewhere what is deployed has to be bad by itself"));
    }
    Some(())
}

/// Whether anybody tells of pods and their readiness; reported if not.
pub(super) fn pods(cx: &mut Context<'_>, place: &Place) -> Option<()> {
    match cx.names.target {
        TargetKind::Lab | TargetKind::Cluster => Some(()),
        TargetKind::Url | TargetKind::Proxied | TargetKind::Fronted => {
            let help = "drill it as `target: { kubernetes: { namespace: …, service: … } }`";
            cx.fail(place, "at a URL nobody tells of pods and their readiness", help)
        }
    }
}

/// Doubts that what is behind the target's address notices its faults: a proxy
/// of the run's own breaks the way to that address and nothing behind it.
pub(super) fn notices(cx: &mut Context<'_>, mechanism: &str, place: &Place) {
    let by_proxy = |act: &Act| matches!(act.action, Action::Apply(_));
    if cx.names.target == TargetKind::Fronted && cx.names.timeline.iter().all(by_proxy) {
        let message = format!("with `proxy: on` a {mechanism} of the target notices no fault");
        let help = "what breaks is the way from the load to it: let `firedrill proxy` stand between it and its \
                    upstream, and write `proxy: \"127.0.0.1:9001\"`";
        cx.report(Diagnostic::warning(place, message).help(help));
    }
}
