//! Chaos Mesh's documents, and ours of the same shape.

use serde_json::Value as Json;

use super::{Context, Fields, custom, kubernetes, network, scalars::unit, schedule, selector, stress};
use crate::{
    scenario::{
        chaos::{Chaos, GpuChaos, LinkAction, LinkChaos, Manifest, PodAction, PodChaos},
        custom::{CustomKind, Tool},
        diagnostic::Diagnostic,
        model::{Applied, FaultDriver},
        source::SourceFile,
        yaml::{self, Node},
    },
    units::Span,
};

pub(super) const CHAOS_MESH: &str = "chaos-mesh.org/v1alpha1";
pub(super) const FIREDRILL: &str = "firedrill.dev/v1alpha1";
const LITMUS: &str = "litmuschaos.io/v1alpha1";
const KINDS: [&str; 12] = [
    "PodChaos",
    "NetworkChaos",
    "Schedule",
    "GPUChaos",
    "LinkChaos",
    "KubernetesChaos",
    "HTTPChaos",
    "StressChaos",
    "IOChaos",
    "DNSChaos",
    "TimeChaos",
    "ChaosEngine",
];
/// Kinds of Chaos Mesh that are not for pods.
const UNSUPPORTED: [&str; 8] = [
    "JVMChaos",
    "KernelChaos",
    "BlockChaos",
    "PhysicalMachineChaos",
    "AWSChaos",
    "GCPChaos",
    "AzureChaos",
    "Workflow",
];

/// Reads the file that `node` names. What is wrong in it is located in it.
pub(super) fn file(
    cx: &mut Context<'_>,
    node: &Node,
    name: &str,
    driver: Option<FaultDriver>,
) -> Option<Applied> {
    let (path, text) = match (cx.resolver)(name) {
        Ok(found) => found,
        Err(why) => return cx.fail(&node.place, format!("read the manifest `{name}`: {why}"), ""),
    };
    let known = cx.manifests.iter().find(|(known, by, _)| *known == path && *by == driver);
    if let Some((_, _, manifest)) = known {
        return manifest.clone().map(|manifest| Applied { path: Some(path), manifest });
    }
    let index = cx.files.len();
    let source = SourceFile { path: path.clone(), text };
    let documents = yaml::read(&source, index);
    cx.files.push(source);
    let manifest = match documents {
        Ok(documents) => {
            match documents.iter().filter(|document| !document.is_null()).collect::<Vec<_>>().as_slice() {
                [document] => manifest(cx, document, driver),
                [] => cx.fail(&node.place, format!("the manifest `{name}` is empty"), ""),
                [_, second, ..] => {
                    let help = "split the file, and give each manifest an entry of its own in `chaos:`";
                    cx.fail(&second.place, "there is more than one document in this file", help)
                }
            }
        }
        Err(error) => {
            cx.report(error);
            None
        }
    };
    cx.manifests.push((path.clone(), driver, manifest.clone()));
    manifest.map(|manifest| Applied { path: Some(path), manifest })
}

/// Reads a manifest.
pub(super) fn manifest(cx: &mut Context<'_>, node: &Node, driver: Option<FaultDriver>) -> Option<Manifest> {
    let mut fields = Fields::of(cx, node, "Manifest", "a Chaos Mesh manifest")?;
    let kind = fields.required(cx, "kind", "PodChaos", |cx, node| {
        let kind = kind(cx, node)?;
        check_driver(cx, node, &kind, driver)?;
        Some(kind)
    });
    let api_version = fields.required(cx, "apiVersion", CHAOS_MESH, |cx, node| {
        let text = cx.text(node, "an API version")?;
        check_api_version(cx, node, &text, kind.as_deref())?;
        Some(text)
    });
    let given = fields.get("metadata").map_or(Some(Json::Null), |node| custom::metadata(cx, node));
    let metadata = fields.optional(cx, "metadata", metadata);
    // What a cluster adds to an exported object.
    fields.get("status");
    let spec = fields.required(cx, "spec", "{ action: …, mode: one, selector: … }", |cx, node| {
        spec(cx, node, kind.as_deref()?, driver)
    });
    fields.finish(cx);
    let (name, namespace) = metadata?.unwrap_or_default();
    api_version?;
    let (mut chaos, given) = (spec?, given?);
    if let Chaos::Custom(custom) = &mut chaos {
        custom.metadata = given;
    }
    Some(Manifest { name, namespace, chaos })
}

fn kind(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let text = cx.text(node, "a kind such as `PodChaos`")?;
    if KINDS.contains(&text.as_str()) {
        return Some(text);
    }
    if UNSUPPORTED.contains(&text.as_str()) {
        let help = format!("supported are {}", super::listed(KINDS));
        return cx.fail(
            &node.place,
            format!("`{text}` is a kind of Chaos Mesh that is not supported here"),
            help,
        );
    }
    let mut error = Diagnostic::error(&node.place, format!("there is no kind `{text}`"));
    if let Some(meant) = super::nearest(&text, KINDS) {
        error = error.label(format!("did you mean `{meant}`?"));
    }
    cx.report(error.help(format!("one of {}", super::listed(KINDS))));
    None
}

/// Whether whoever is to do it knows the kind.
pub(super) fn check_driver(
    cx: &mut Context<'_>,
    node: &Node,
    kind: &str,
    driver: Option<FaultDriver>,
) -> Option<()> {
    let tool = match kind {
        "Schedule" => Some(Tool::ChaosMesh),
        kind => CustomKind::named(kind).map(CustomKind::tool),
    };
    let is_native = !CustomKind::named(kind).is_some_and(CustomKind::needs_its_tool);
    let fits = match driver {
        None => true,
        Some(FaultDriver::Native) => is_native,
        Some(FaultDriver::ChaosMesh) => tool == Some(Tool::ChaosMesh),
        Some(FaultDriver::Litmus) => tool == Some(Tool::Litmus),
    };
    if fits {
        return Some(());
    }
    let help = match tool {
        None => "leave `driver` out: Firedrill does it itself".to_owned(),
        Some(tool) if is_native => {
            format!("write `driver: native`, or one with which {} does it", tool.name())
        }
        Some(tool) => format!("only {} can do it: leave `driver` out", tool.name()),
    };
    cx.fail(&node.place, format!("`{kind}` is not for this driver"), help)
}

fn check_api_version(cx: &mut Context<'_>, node: &Node, text: &str, kind: Option<&str>) -> Option<()> {
    let right: &[&str] = match kind {
        Some("GPUChaos" | "LinkChaos" | "KubernetesChaos") => &[FIREDRILL],
        Some("ChaosEngine") => &[LITMUS],
        Some("Schedule") | None => &[CHAOS_MESH, FIREDRILL],
        Some(_) => &[CHAOS_MESH],
    };
    if right.contains(&text) {
        return Some(());
    }
    let of = kind.map(|kind| format!(" of a {kind}")).unwrap_or_default();
    cx.fail(
        &node.place,
        format!("the API version{of} is not `{text}`"),
        format!("write `apiVersion: {}`", right[0]),
    )
}

/// Name and namespace; the rest of what Kubernetes knows is let pass.
fn metadata(cx: &mut Context<'_>, node: &Node) -> Option<(Option<String>, Option<String>)> {
    let mut fields = Fields::of(cx, node, "Metadata", "metadata")?;
    let name = fields.optional(cx, "name", |cx, node| cx.text(node, "a name"));
    let namespace = fields.optional(cx, "namespace", |cx, node| cx.text(node, "a namespace"));
    for ignored in [
        "generateName",
        "labels",
        "annotations",
        "finalizers",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
    ] {
        fields.get(ignored);
    }
    fields.finish(cx);
    Some((name?, namespace?))
}

/// Reads the spec of `kind`.
pub(super) fn spec(
    cx: &mut Context<'_>,
    node: &Node,
    kind: &str,
    driver: Option<FaultDriver>,
) -> Option<Chaos> {
    let by_tool = driver == Some(FaultDriver::ChaosMesh);
    if let Some(kind) = CustomKind::named(kind).filter(|kind| by_tool || kind.needs_its_tool()) {
        return custom::custom(cx, node, kind).map(Chaos::Custom);
    }
    match kind {
        "PodChaos" => pod(cx, node).map(Chaos::PodChaos),
        "NetworkChaos" => network::network(cx, node).map(Chaos::NetworkChaos),
        "Schedule" => {
            schedule::schedule(cx, node, driver).map(|schedule| Chaos::Schedule(Box::new(schedule)))
        }
        "StressChaos" => stress::stress(cx, node).map(Chaos::StressChaos),
        "GPUChaos" => gpu(cx, node).map(Chaos::GpuChaos),
        "KubernetesChaos" => kubernetes::chaos(cx, node).map(Chaos::KubernetesChaos),
        _ => link(cx, node).map(Chaos::LinkChaos),
    }
}

/// A Go duration above zero. A number lacks its unit.
pub(super) fn duration(cx: &mut Context<'_>, node: &Node) -> Option<Span> {
    let span: Span = cx.unit(node)?;
    if span == Span::default() {
        cx.fail(&node.place, "a fault must last longer than 0s", "")
    } else {
        Some(span)
    }
}

/// The field `scheduler` of Chaos Mesh 1.
pub(super) fn refuse_scheduler(cx: &mut Context<'_>, fields: &mut Fields<'_>) {
    let help = "since Chaos Mesh 2 a `kind: Schedule` says when, with this spec embedded in it";
    fields.refuse(cx, "scheduler", "`scheduler` is no longer part of a spec", help);
}

/// The field `remoteCluster`, by which Chaos Mesh acts on other clusters.
pub(super) fn refuse_remote_cluster(cx: &mut Context<'_>, fields: &mut Fields<'_>) {
    let help = "name the cluster's context in the target";
    fields.refuse(cx, "remoteCluster", "`remoteCluster` is not supported here", help);
}

fn pod(cx: &mut Context<'_>, node: &Node) -> Option<PodChaos> {
    let mut fields = Fields::of(cx, node, "PodChaos", "the spec of a PodChaos")?;
    refuse_scheduler(cx, &mut fields);
    refuse_remote_cluster(cx, &mut fields);
    let action = fields.required(cx, "action", "pod-kill", |cx, node| {
        let actions = ["pod-kill", "pod-failure", "container-kill"];
        cx.choice(node, "an action of a PodChaos", &actions)
    });
    let scope = selector::scope(cx, &mut fields);
    let grace_period = fields
        .or(cx, "gracePeriod", 0, |cx, node| cx.number(node, "a number of seconds from 0", 0..=86_400_u64));
    let containers = fields.optional(cx, "containerNames", |cx, node| {
        cx.some_list(node, "names of containers", |cx, node| cx.text(node, "a container's name"))
    });
    let duration_place = fields.get("duration").map(|node| node.place.clone());
    let duration = fields.optional(cx, "duration", duration);
    let grace_place = fields.get("gracePeriod").map(|node| node.place.clone());
    let place = fields.place().clone();
    fields.finish(cx);
    let action = match action? {
        "pod-kill" => PodAction::PodKill { grace_period: grace_period? },
        "pod-failure" => PodAction::PodFailure,
        _ => match containers? {
            Some(container_names) => PodAction::ContainerKill { container_names },
            None => {
                let help = "write `containerNames: [server]`";
                return cx.fail(&place, "a container-kill needs `containerNames`", help);
            }
        },
    };
    let is_kill = !matches!(action, PodAction::PodFailure);
    if let (Some(place), true) = (&duration_place, is_kill) {
        let warning = Diagnostic::warning(place, "a kill happens at once: Chaos Mesh ignores its duration");
        cx.report(warning);
    }
    if let (Some(place), false) = (&grace_place, matches!(action, PodAction::PodKill { .. })) {
        cx.report(Diagnostic::warning(place, "only a pod-kill has a grace period: this is ignored"));
    }
    Some(PodChaos { action, scope: scope?, duration: if is_kill { None } else { duration? } })
}

fn gpu(cx: &mut Context<'_>, node: &Node) -> Option<GpuChaos> {
    let mut fields = Fields::of(cx, node, "GpuChaos", "the spec of a GPUChaos")?;
    let slowdown = fields.required(cx, "slowdown", "4", |cx, node| {
        let factor = cx.number(node, "a factor above 1, such as 4", 1.0..=1000.0)?;
        if factor > 1.0 { Some(factor) } else { cx.fail(&node.place, "a factor of 1 slows nothing down", "") }
    });
    let scope = selector::scope(cx, &mut fields);
    let duration = fields.optional(cx, "duration", duration);
    fields.finish(cx);
    Some(GpuChaos { slowdown: slowdown?, scope: scope?, duration: duration? })
}

fn link(cx: &mut Context<'_>, node: &Node) -> Option<LinkChaos> {
    let mut fields = Fields::of(cx, node, "LinkChaos", "the spec of a LinkChaos")?;
    let action = fields.required(cx, "action", "reset", |cx, node| {
        cx.choice(node, "an action of a LinkChaos", &["reset", "limit-data", "slice"])
    });
    let scope = selector::scope(cx, &mut fields);
    let duration = fields.optional(cx, "duration", duration);
    let action = match action {
        Some("reset") => {
            fields.or(cx, "after", Span::default(), unit::<Span>).map(|after| LinkAction::Reset { after })
        }
        Some("limit-data") => fields
            .required(cx, "bytes", "2000", |cx, node| cx.number(node, "a number of bytes from 1", 1..))
            .map(|bytes| LinkAction::LimitData { bytes }),
        Some(_) => {
            let bytes = fields
                .required(cx, "bytes", "20", |cx, node| cx.number(node, "a number of bytes from 1", 1..));
            let delay = fields.required(cx, "delay", "50ms", unit::<Span>);
            bytes.zip(delay).map(|(bytes, delay)| LinkAction::Slice { bytes, delay })
        }
        None => {
            for key in ["after", "bytes", "delay"] {
                fields.get(key);
            }
            None
        }
    };
    fields.finish(cx);
    Some(LinkChaos { action: action?, scope: scope?, duration: duration? })
}
