//! Manifests that a tool's own controller acts on. Read is what must be known
//! of them here (whom they hit, how long); the rest is the tool's, and its API
//! server validates it before anything is done.

use indexmap::IndexMap;
use serde_json::{Value as Json, json};

use super::{Context, Fields, manifest, selector};
use crate::{
    scenario::{
        chaos::{Mode, Scope, Selector},
        custom::{CustomChaos, CustomKind, Tool},
        diagnostic::Diagnostic,
        yaml::{Node, Value},
    },
    units::Span,
};

/// How long LitmusChaos' pod-delete goes on where nothing is said.
const ENGINE_LASTS: Span = Span::secs(15);
/// The only experiment whose effect is known here.
const EXPERIMENT: &str = "pod-delete";

/// Reads the spec of `kind`.
pub(super) fn custom(cx: &mut Context<'_>, node: &Node, kind: CustomKind) -> Option<CustomChaos> {
    let (scope, duration, action) = match kind.tool() {
        Tool::Litmus => engine(cx, node)?,
        Tool::ChaosMesh => mesh(cx, node, kind)?,
    };
    Some(CustomChaos { object: kind, action, scope, duration, metadata: Json::Null, spec: cx.json(node)? })
}

/// What a user wrote of labels and annotations: some mean something to a tool.
pub(super) fn metadata(cx: &mut Context<'_>, node: &Node) -> Option<Json> {
    let mut given = serde_json::Map::new();
    for key in ["labels", "annotations"] {
        if let Some(node) = node.get(key).filter(|node| !node.is_null()) {
            given.insert(key.to_owned(), json!(selector::pairs(cx, node, key)?));
        }
    }
    Some(if given.is_empty() { Json::Null } else { Json::Object(given) })
}

fn mesh(cx: &mut Context<'_>, node: &Node, kind: CustomKind) -> Option<(Scope, Option<Span>, String)> {
    let mut fields = Fields::of(cx, node, "CustomSpec", &format!("the spec of a {}", kind.name()))?;
    let scope = selector::scope(cx, &mut fields);
    let duration = fields.optional(cx, "duration", manifest::duration);
    let needs_action = matches!(
        kind,
        CustomKind::PodChaos | CustomKind::NetworkChaos | CustomKind::IOChaos | CustomKind::DNSChaos
    );
    let action = match needs_action {
        true => fields.required(cx, "action", "delay", |cx, node| cx.text(node, "an action")),
        false => Some(without_action(kind, node)),
    };
    manifest::refuse_remote_cluster(cx, &mut fields);
    fields.finish_partly(cx);
    Some((scope?, duration?, action?))
}

/// What a kind that has no `action` does, in a word.
fn without_action(kind: CustomKind, node: &Node) -> String {
    let given = |parent: &Node, keys: &[&str]| {
        let there: Vec<&str> = keys.iter().copied().filter(|key| parent.get(key).is_some()).collect();
        if there.is_empty() { "change".to_owned() } else { there.join("-and-") }
    };
    match kind {
        CustomKind::HTTPChaos => given(node, &["abort", "delay", "replace", "patch"]),
        CustomKind::StressChaos => node
            .get("stressors")
            .map_or_else(|| "stress".to_owned(), |stressors| given(stressors, &["cpu", "memory"])),
        CustomKind::TimeChaos => "time-shift".to_owned(),
        CustomKind::PodChaos
        | CustomKind::NetworkChaos
        | CustomKind::IOChaos
        | CustomKind::DNSChaos
        | CustomKind::ChaosEngine => String::new(),
    }
}

/// A ChaosEngine: one experiment, on the pods that its `appinfo` names.
fn engine(cx: &mut Context<'_>, node: &Node) -> Option<(Scope, Option<Span>, String)> {
    let mut fields = Fields::of(cx, node, "EngineSpec", "the spec of a ChaosEngine")?;
    let app = fields.required(cx, "appinfo", "{ appns: serving, applabel: app=llm }", app);
    let experiments = fields.required(cx, "experiments", "[{ name: pod-delete }]", |cx, node| {
        let all = cx.some_list(node, "experiments", experiment)?;
        match <[Knobs; 1]>::try_from(all) {
            Ok([one]) => Some(one),
            Err(_) => {
                let help = "write an entry of `chaos:` for each, with an engine of its own";
                cx.fail(&node.place, "there is more than one experiment in this engine", help)
            }
        }
    });
    let help = "name the pods by `appinfo: { appns: …, applabel: … }`";
    fields.refuse(cx, "selectors", "`selectors` of a ChaosEngine is not supported here", help);
    fields.finish_partly(cx);
    let (mut selector, knobs) = (app?, experiments?);
    if !knobs.pods.is_empty() {
        let namespace = selector.namespaces.first().cloned();
        // Where no namespace is said, the manifest's own is meant.
        match namespace {
            Some(namespace) => {
                selector =
                    Selector { pods: IndexMap::from([(namespace, knobs.pods)]), ..Selector::default() };
            }
            None => {
                let place = &node.place;
                return cx.fail(place, "TARGET_PODS needs `appinfo.appns` beside it", "");
            }
        }
    }
    let mode = if knobs.percent > 0.0 { Mode::FixedPercent(knobs.percent) } else { Mode::One };
    Some((Scope { selector, mode }, Some(knobs.lasts), EXPERIMENT.to_owned()))
}

fn app(cx: &mut Context<'_>, node: &Node) -> Option<Selector> {
    let mut fields = Fields::of(cx, node, "EngineApp", "which pods: `{ appns: …, applabel: … }`")?;
    let namespace = fields.optional(cx, "appns", |cx, node| cx.object_name(node, "a namespace"));
    fields.get("appkind");
    let labels = fields.required(cx, "applabel", "app=llm", |cx, node| {
        let text = cx.text(node, "labels such as `app=llm`")?;
        let pairs = text.split(',').map(|pair| {
            let (key, value) = pair.split_once('=')?;
            Some((key.trim().to_owned(), value.trim_start_matches('=').trim().to_owned()))
        });
        match pairs.collect::<Option<IndexMap<_, _>>>() {
            Some(pairs) => Some(pairs),
            None => cx.fail(&node.place, format!("`{text}` is no label"), "write `app=llm`"),
        }
    });
    fields.finish(cx);
    let namespaces = namespace?.into_iter().collect();
    Some(Selector { namespaces, label_selectors: labels?, ..Selector::default() })
}

/// What the variables of an experiment say.
struct Knobs {
    lasts: Span,
    percent: f64,
    pods: Vec<String>,
}

fn experiment(cx: &mut Context<'_>, node: &Node) -> Option<Knobs> {
    let mut fields = Fields::of(cx, node, "EngineExperiment", "an experiment: `{ name: pod-delete }`")?;
    let name = fields.required(cx, "name", EXPERIMENT, |cx, node| {
        cx.choice(node, "an experiment that is known here", &[EXPERIMENT])
    });
    let spec = fields.get("spec");
    fields.finish(cx);
    name?;
    let mut knobs = Knobs { lasts: ENGINE_LASTS, percent: 0.0, pods: Vec::new() };
    let env = spec.and_then(|spec| spec.get("components")?.get("env"));
    let Some(Node { value: Value::List(variables), .. }) = env else { return Some(knobs) };
    for variable in variables {
        let (Some(name), Some(value)) = (variable.get("name").and_then(Node::text), variable.get("value"))
        else {
            continue;
        };
        let text = value.text().unwrap_or_default().trim();
        let mut number = |what: &str| match text.parse::<u32>() {
            Ok(number) => Some(number),
            Err(_) => {
                cx.fail(&value.place, format!("`{text}` is no {what}"), format!("write `{name}: \"30\"`"))
            }
        };
        match name {
            "TOTAL_CHAOS_DURATION" => {
                knobs.lasts = Span::secs(u64::from(number("number of seconds")?.max(1)))
            }
            "PODS_AFFECTED_PERC" if !text.is_empty() => {
                let percent = number("percentage")?;
                if percent > 100 {
                    cx.report(Diagnostic::error(&value.place, "more than all of the pods can't be hit"));
                    return None;
                }
                knobs.percent = f64::from(percent);
            }
            "TARGET_PODS" if !text.is_empty() => {
                knobs.pods = text.split(',').map(|name| name.trim().to_owned()).collect();
            }
            _ => {}
        }
    }
    Some(knobs)
}

impl Context<'_> {
    /// The node as JSON, as an API server reads it. Repeated keys are
    /// reported.
    pub(super) fn json(&mut self, node: &Node) -> Option<Json> {
        Some(match &node.value {
            Value::Map(_) => {
                let entries = self.entries(node, "a mapping")?;
                let all: Vec<_> = entries
                    .into_iter()
                    .map(|(key, node)| Some((key.text.clone(), self.json(node)?)))
                    .collect();
                all.into_iter().collect::<Option<serde_json::Map<_, _>>>()?.into()
            }
            Value::List(items) => {
                let all: Vec<_> = items.iter().map(|item| self.json(item)).collect();
                all.into_iter().collect::<Option<Vec<_>>>()?.into()
            }
            Value::Scalar { .. } => node.scalar(),
        })
    }
}
