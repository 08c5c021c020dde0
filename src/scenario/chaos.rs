//! Chaos Mesh's manifests (`chaos-mesh.org/v1alpha1`) as types, and the two
//! kinds of our own for what Chaos Mesh lacks (`firedrill.dev/v1alpha1`).

use std::collections::BTreeSet;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{custom::CustomChaos, stress::StressChaos, workload_patch::WorkloadPatch};
use crate::units::{Ratio, Span};

/// A manifest that was read without an error.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    /// `metadata.name`, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `metadata.namespace`; where selectors without namespaces look. None:
    /// where the target is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Kind and spec.
    #[serde(flatten)]
    pub chaos: Chaos,
}

impl Manifest {
    /// The namespace where selectors without any look.
    pub fn home(&self) -> &str {
        self.namespace.as_deref().unwrap_or("default")
    }

    /// The namespaces that its selector looks in.
    pub fn namespaces(&self) -> BTreeSet<&str> {
        let selector = &self.chaos.scope().selector;
        match (selector.pods.is_empty(), selector.namespaces.is_empty()) {
            (false, _) => selector.pods.keys().map(String::as_str).collect(),
            (true, false) => selector.namespaces.iter().map(String::as_str).collect(),
            (true, true) => BTreeSet::from([self.home()]),
        }
    }
}

/// The fields that pods can be selected by.
pub const POD_FIELDS: [&str; 4] = ["metadata.name", "metadata.namespace", "spec.nodeName", "status.phase"];

/// A kind with its spec.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", content = "spec")]
pub enum Chaos {
    /// `PodChaos`
    PodChaos(PodChaos),
    /// `NetworkChaos`
    NetworkChaos(NetworkChaos),
    /// `Schedule`: one of the other kinds, again and again.
    Schedule(Box<Schedule>),
    /// `GPUChaos` (`firedrill.dev/v1alpha1`): slower steps.
    #[serde(rename = "GPUChaos")]
    GpuChaos(GpuChaos),
    /// `LinkChaos` (`firedrill.dev/v1alpha1`): what a TCP proxy can do and
    /// netem can't.
    LinkChaos(LinkChaos),
    /// `KubernetesChaos` (`firedrill.dev/v1alpha1`): what the API server of a
    /// cluster can do by itself.
    KubernetesChaos(KubernetesChaos),
    /// `StressChaos`
    StressChaos(StressChaos),
    /// Any kind that a tool's own controller on the cluster acts on.
    Custom(CustomChaos),
}

/// Where a fault acts: the selector and the mode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scope {
    /// Which pods may be hit.
    pub selector: Selector,
    /// How many of them are.
    #[serde(flatten)]
    pub mode: Mode,
}

/// Chaos Mesh's pod selector. All given parts must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Selector {
    /// Namespaces; empty: the manifest's own.
    pub namespaces: Vec<String>,
    /// Labels that must be equal.
    pub label_selectors: IndexMap<String, String>,
    /// Labels by expression.
    pub expression_selectors: Vec<LabelExpression>,
    /// Annotations that must be equal.
    pub annotation_selectors: IndexMap<String, String>,
    /// Fields that must be equal (`metadata.name`, `status.phase`…).
    pub field_selectors: IndexMap<String, String>,
    /// Names of nodes.
    pub nodes: Vec<String>,
    /// Labels of nodes.
    pub node_selectors: IndexMap<String, String>,
    /// Phases of pods (`Running`…).
    pub pod_phase_selectors: Vec<String>,
    /// Pods by namespace and name. Overrides every other part.
    pub pods: IndexMap<String, Vec<String>>,
}

/// `{key, operator, values}`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LabelExpression {
    /// The label.
    pub key: String,
    /// How it is compared.
    pub operator: LabelOperator,
    /// With what (`In` and `NotIn`).
    #[serde(default)]
    pub values: Vec<String>,
}

/// Kubernetes' label operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    /// The value is one of these.
    In,
    /// The value is none of these, or absent.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

/// Chaos Mesh's mode with its value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "mode", content = "value", rename_all = "kebab-case")]
pub enum Mode {
    /// One at random.
    One,
    /// All.
    All,
    /// So many, at random.
    Fixed(u32),
    /// ceil(n·p/100), at random; p in (0, 100].
    FixedPercent(f64),
    /// Like `fixed-percent` with a percentage drawn uniformly from 0 to p, so
    /// possibly none.
    RandomMaxPercent(f64),
}

/// Spec of a `PodChaos`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PodChaos {
    /// What happens to the pods.
    #[serde(flatten)]
    pub action: PodAction,
    /// To which pods.
    #[serde(flatten)]
    pub scope: Scope,
    /// For how long (`pod-failure` only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// What a `PodChaos` does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum PodAction {
    /// Deletes the pod. Only its owner brings a new one.
    PodKill {
        /// Seconds between SIGTERM and SIGKILL; 0: SIGKILL at once.
        #[serde(default)]
        grace_period: u64,
    },
    /// The pod stays, its containers serve nothing.
    PodFailure,
    /// SIGKILL to containers; the pod stays and they start again.
    ContainerKill {
        /// Which ones.
        container_names: Vec<String>,
    },
}

/// Spec of a `NetworkChaos`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NetworkChaos {
    /// What happens to the packets. `netem` may do several.
    pub effects: Vec<NetworkEffect>,
    /// The pods.
    #[serde(flatten)]
    pub scope: Scope,
    /// Which packets, seen from the selected pods.
    #[serde(default)]
    pub direction: Direction,
    /// Only traffic with these pods.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Scope>,
    /// For how long. None: until recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// Which packets, seen from the selected pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Those that the pods send.
    #[default]
    To,
    /// Those that the pods receive.
    From,
    /// Both.
    Both,
}

/// One effect on the network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkEffect {
    /// Later.
    Delay {
        /// By how much.
        latency: Span,
        /// Give or take.
        jitter: Span,
        /// How much one delay resembles the last (0–1).
        correlation: Ratio,
    },
    /// Lost with this probability.
    Loss {
        /// 0–1.
        probability: Ratio,
        /// 0–1.
        correlation: Ratio,
    },
    /// Sent twice with this probability.
    Duplicate {
        /// 0–1.
        probability: Ratio,
        /// 0–1.
        correlation: Ratio,
    },
    /// Garbled with this probability.
    Corrupt {
        /// 0–1.
        probability: Ratio,
        /// 0–1.
        correlation: Ratio,
    },
    /// Nothing passes.
    Partition,
    /// No faster than this.
    Bandwidth {
        /// Bytes per second.
        bytes_per_second: u64,
        /// Bytes that may wait.
        limit: u32,
        /// Bytes that may pass at once.
        buffer: u32,
    },
}

/// Spec of a `GPUChaos`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GpuChaos {
    /// Steps take this many times as long (> 1).
    pub slowdown: f64,
    /// The pods.
    #[serde(flatten)]
    pub scope: Scope,
    /// For how long. None: until recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// Spec of a `LinkChaos`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LinkChaos {
    /// What happens to the connections.
    #[serde(flatten)]
    pub action: LinkAction,
    /// The pods.
    #[serde(flatten)]
    pub scope: Scope,
    /// For how long. None: until recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// What a `LinkChaos` does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum LinkAction {
    /// TCP reset, this long after the first byte of an answer.
    Reset {
        /// How long after.
        #[serde(default)]
        after: Span,
    },
    /// Answers end, cleanly, after so many bytes.
    LimitData {
        /// How many.
        bytes: u64,
    },
    /// Answers come in small pieces with pauses.
    Slice {
        /// Bytes of a piece.
        bytes: u32,
        /// The pause.
        delay: Span,
    },
}

/// Spec of a `KubernetesChaos`. Its selector picks pods; what keeps them
/// there, or where they run, is found by them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KubernetesChaos {
    /// What happens.
    #[serde(flatten)]
    pub action: KubernetesAction,
    /// The pods.
    #[serde(flatten)]
    pub scope: Scope,
    /// For how long. None: until recovered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Span>,
}

/// What a `KubernetesChaos` does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "action", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum KubernetesAction {
    /// The workloads of the pods get another number of replicas.
    Scale {
        /// How many; 0 takes the workload away.
        replicas: u32,
    },
    /// The nodes of the pods take no new ones.
    Cordon,
    /// The same, and the pods are evicted as disruption budgets allow
    /// (`kubectl drain --pod-selector`).
    Drain,
    /// The workloads of the pods get another image or environment.
    Rollout {
        /// What is changed. In YAML its keys stand here.
        #[serde(flatten)]
        patch: WorkloadPatch,
    },
    /// A Service sends the pods nothing more, and they run on: a partition.
    Endpoints {
        /// The Service. None: the target's.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        service: Option<String>,
    },
}

/// Spec of a `Schedule`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Schedule {
    /// When.
    pub schedule: Cadence,
    /// What to do when one is due and the last is still active.
    #[serde(default)]
    pub concurrency_policy: ConcurrencyPolicy,
    /// What is done each time.
    pub template: Chaos,
}

/// When a `Schedule` acts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cadence {
    /// `@every 10s`, the first after one interval.
    Every(Span),
    /// A cron line of five fields (minutes and longer).
    Cron(String),
}

/// What to do when one is due and the last is still active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    /// Skip the new one.
    #[default]
    Forbid,
    /// Have both.
    Allow,
}

impl Chaos {
    /// The pods it selects and how many of them (a schedule: its template's).
    pub fn scope(&self) -> &Scope {
        match self {
            Self::PodChaos(spec) => &spec.scope,
            Self::NetworkChaos(spec) => &spec.scope,
            Self::Schedule(spec) => spec.template.scope(),
            Self::GpuChaos(spec) => &spec.scope,
            Self::LinkChaos(spec) => &spec.scope,
            Self::KubernetesChaos(spec) => &spec.scope,
            Self::StressChaos(spec) => &spec.scope,
            Self::Custom(spec) => &spec.scope,
        }
    }

    /// The manifest's `kind`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::PodChaos(_) => "PodChaos",
            Self::NetworkChaos(_) => "NetworkChaos",
            Self::Schedule(_) => "Schedule",
            Self::GpuChaos(_) => "GPUChaos",
            Self::LinkChaos(_) => "LinkChaos",
            Self::KubernetesChaos(_) => "KubernetesChaos",
            Self::StressChaos(_) => "StressChaos",
            Self::Custom(spec) => spec.object.name(),
        }
    }

    /// What it does, in one word: `pod-kill`, `delay`…
    pub fn action(&self) -> &str {
        match self {
            Self::PodChaos(spec) => match spec.action {
                PodAction::PodKill { .. } => "pod-kill",
                PodAction::PodFailure => "pod-failure",
                PodAction::ContainerKill { .. } => "container-kill",
            },
            Self::NetworkChaos(spec) => match spec.effects.as_slice() {
                [NetworkEffect::Delay { .. }] => "delay",
                [NetworkEffect::Loss { .. }] => "loss",
                [NetworkEffect::Duplicate { .. }] => "duplicate",
                [NetworkEffect::Corrupt { .. }] => "corrupt",
                [NetworkEffect::Partition] => "partition",
                [NetworkEffect::Bandwidth { .. }] => "bandwidth",
                _ => "netem",
            },
            Self::Schedule(spec) => spec.template.action(),
            Self::GpuChaos(_) => "slow",
            Self::LinkChaos(spec) => match spec.action {
                LinkAction::Reset { .. } => "reset",
                LinkAction::LimitData { .. } => "limit-data",
                LinkAction::Slice { .. } => "slice",
            },
            Self::KubernetesChaos(spec) => match spec.action {
                KubernetesAction::Scale { .. } => "scale",
                KubernetesAction::Cordon => "cordon",
                KubernetesAction::Drain => "drain",
                KubernetesAction::Rollout { .. } => "rollout",
                KubernetesAction::Endpoints { .. } => "endpoints",
            },
            Self::StressChaos(spec) => spec.stressors.action(),
            Self::Custom(spec) => &spec.action,
        }
    }

    /// The manifest's own duration. One-shot actions have none.
    pub fn duration(&self) -> Option<Span> {
        match self {
            Self::PodChaos(spec) => spec.duration,
            Self::NetworkChaos(spec) => spec.duration,
            Self::Schedule(spec) => spec.template.duration(),
            Self::GpuChaos(spec) => spec.duration,
            Self::LinkChaos(spec) => spec.duration,
            Self::KubernetesChaos(spec) => spec.duration,
            Self::StressChaos(spec) => spec.duration,
            Self::Custom(spec) => spec.duration,
        }
    }

    /// Whether it happens at an instant, so that nothing has to be recovered.
    pub fn is_one_shot(&self) -> bool {
        match self {
            Self::PodChaos(spec) => !matches!(spec.action, PodAction::PodFailure),
            Self::Schedule(spec) => spec.template.is_one_shot(),
            Self::Custom(spec) => spec.is_one_shot(),
            Self::NetworkChaos(_)
            | Self::GpuChaos(_)
            | Self::LinkChaos(_)
            | Self::KubernetesChaos(_)
            | Self::StressChaos(_) => false,
        }
    }
}
