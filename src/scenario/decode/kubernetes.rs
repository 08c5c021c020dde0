//! A Kubernetes cluster as the target.

use indexmap::IndexMap;

use super::{
    Context, Fields,
    lab::{self, url},
    manifest, selector,
};
use crate::{
    scenario::{
        chaos::{KubernetesAction, KubernetesChaos},
        diagnostic::Diagnostic,
        kubernetes::{KubernetesTarget, PodLimit, ServiceProxy, default_healthy_floor},
        workload_patch::WorkloadPatch,
        yaml::{Node, Value},
    },
    units::Ratio,
};

pub(super) fn kubernetes(cx: &mut Context<'_>, node: &Node) -> Option<KubernetesTarget> {
    let mut fields = Fields::of(cx, node, "KubernetesTarget", "a cluster and its service")?;
    let namespace =
        fields.required(cx, "namespace", "serving", |cx, node| cx.object_name(node, "a namespace"));
    let service =
        fields.required(cx, "service", "gateway", |cx, node| cx.object_name(node, "a Service's name"));
    let port =
        fields.optional(cx, "port", |cx, node| cx.number(node, "a port from 1 to 65535", 1..=65535_u16));
    let url = fields.optional(cx, "url", url);
    let context = fields.optional(cx, "context", |cx, node| cx.text(node, "a context of the kubeconfig"));
    let kubeconfig = fields.optional(cx, "kubeconfig", |cx, node| cx.text(node, "the path of a kubeconfig"));
    let pause_image = fields.optional(cx, "pause-image", |cx, node| cx.text(node, "an image"));
    let protect = fields.or(cx, "protect", Vec::new(), |cx, node| {
        cx.list(node, "namespaces", |cx, node| cx.object_name(node, "a namespace"))
    });
    let healthy_floor = fields.or(cx, "healthy-floor", default_healthy_floor(), |cx, node| {
        cx.number(node, "a number of pods from 0", 0..=100_000)
    });
    let faulted_ceiling = fields.optional(cx, "faulted-ceiling", pod_limit);
    let image = fields.optional(cx, "image", |cx, node| cx.text(node, "an image"));
    let has_image = fields.key("image").is_some();
    let proxy = fields.optional(cx, "proxy", |cx, node| {
        let proxy = proxy(cx, node)?;
        if has_image {
            return Some(proxy);
        }
        let help = "write `image: registry.example.com/firedrill:1`, an image whose program is Firedrill";
        cx.fail(&node.place, "a fault proxy needs an image beside it", help)
    });
    let protected = fields.get("namespace").map(|node| node.place.clone());
    fields.finish(cx);
    let target = KubernetesTarget {
        namespace: namespace?,
        service: service?,
        port: port?,
        url: url?,
        context: context?,
        kubeconfig: kubeconfig?.map(Into::into),
        pause_image: pause_image?,
        protect: protect?,
        healthy_floor: healthy_floor?,
        faulted_ceiling: faulted_ceiling?,
        image: image?,
        proxy: proxy?,
    };
    match protected {
        Some(place) if target.protects(&target.namespace) => {
            let message =
                format!("the namespace `{}` is protected: nothing may be broken there", target.namespace);
            cx.fail(&place, message, "")
        }
        Some(_) | None => Some(target),
    }
}

/// `on`, for the Service that gets the load, or another one.
fn proxy(cx: &mut Context<'_>, node: &Node) -> Option<ServiceProxy> {
    if matches!(node.value, Value::Scalar { .. }) {
        lab::mode(cx, node, "a fault proxy: `on`, or `{ service: … }`", &["on"])?;
        return Some(ServiceProxy { service: None });
    }
    let mut fields = Fields::of(cx, node, "ServiceProxy", "a fault proxy: `on`, or `{ service: … }`")?;
    let service = fields.optional(cx, "service", |cx, node| cx.object_name(node, "a Service's name"));
    fields.finish(cx);
    Some(ServiceProxy { service: service? })
}

/// The spec of a KubernetesChaos.
pub(super) fn chaos(cx: &mut Context<'_>, node: &Node) -> Option<KubernetesChaos> {
    let mut fields = Fields::of(cx, node, "KubernetesChaos", "the spec of a KubernetesChaos")?;
    let action = fields.required(cx, "action", "scale", |cx, node| {
        let actions = ["scale", "cordon", "drain", "rollout", "endpoints"];
        cx.choice(node, "an action of a KubernetesChaos", &actions)
    });
    let place = fields.get("action").map_or_else(|| fields.place().clone(), |node| node.place.clone());
    let scope = selector::scope(cx, &mut fields);
    let duration = fields.optional(cx, "duration", manifest::duration);
    let patch = patch(cx, &mut fields);
    let service = fields.optional(cx, "service", |cx, node| cx.object_name(node, "a Service's name"));
    let given: Vec<&'static str> = ["replicas", "container", "image", "env", "service"]
        .into_iter()
        .filter(|key| fields.key(key).is_some())
        .collect();
    for key in given {
        let fits = match (action, key) {
            (Some("scale"), "replicas") | (Some("rollout"), "replicas" | "container" | "image" | "env") => {
                true
            }
            (Some("endpoints"), "service") | (None, _) => true,
            (Some(_), _) => false,
        };
        if let (false, Some(found), Some(action)) = (fits, fields.key(key), action) {
            let message = format!("`{key}` has no meaning for the action `{action}`");
            cx.report(Diagnostic::error(&found.place, message));
        }
    }
    fields.finish(cx);
    let patch = patch?;
    let action = match action? {
        "scale" => match patch.replicas {
            Some(replicas) => KubernetesAction::Scale { replicas },
            None => return cx.fail(&place, "a scale needs `replicas`", "write `replicas: 0`"),
        },
        "cordon" => KubernetesAction::Cordon,
        "drain" => KubernetesAction::Drain,
        "rollout" if patch.is_empty() => {
            return cx.fail(
                &place,
                "a rollout needs something to change",
                "write `image:`, `env:` or `replicas:`",
            );
        }
        "rollout" => KubernetesAction::Rollout { patch },
        _ => KubernetesAction::Endpoints { service: service? },
    };
    Some(KubernetesChaos { action, scope: scope?, duration: duration? })
}

/// The keys of a workload's patch, which stand beside others.
pub(super) fn patch(cx: &mut Context<'_>, fields: &mut Fields<'_>) -> Option<WorkloadPatch> {
    let container = fields.optional(cx, "container", |cx, node| cx.object_name(node, "a container's name"));
    let image = fields.optional(cx, "image", |cx, node| cx.text(node, "an image"));
    let env = fields
        .or(cx, "env", IndexMap::new(), |cx, node| selector::pairs(cx, node, "variables of the environment"));
    let replicas = fields
        .optional(cx, "replicas", |cx, node| cx.number(node, "a number of replicas from 0", 0..=100_000));
    Some(WorkloadPatch { container: container?, image: image?, env: env?, replicas: replicas? })
}

/// `2` or `50%`
fn pod_limit(cx: &mut Context<'_>, node: &Node) -> Option<PodLimit> {
    let is_share = matches!(&node.value, Value::Scalar { text, .. } if text.trim_end().ends_with('%'));
    if !is_share {
        return cx
            .number(node, "a number of pods from 1, or a share such as `50%`", 1..=100_000)
            .map(PodLimit::Pods);
    }
    let share: Ratio = cx.share(node)?;
    if share.0 > 0.0 {
        Some(PodLimit::Share(share))
    } else {
        cx.fail(&node.place, "no pod may ever be hit with this", "")
    }
}

impl Context<'_> {
    /// A name as Kubernetes' objects have them (RFC 1123).
    pub(super) fn object_name(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = self.text(node, what)?;
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let right = text.starts_with(plain)
            && text.ends_with(plain)
            && text.len() <= 253
            && text.chars().all(|c| plain(c) || matches!(c, '-' | '.'));
        if right {
            return Some(text);
        }
        let help = "names on a cluster are made of small letters, digits, `-` and `.`, and begin and end with a letter or digit";
        self.fail(&node.place, format!("`{text}` can't be {what}"), help)
    }
}
