//! Rollouts, and what programs of the user's do.

use super::{Context, Fields, TargetKind, fit, kubernetes, lab};
use crate::{
    lab::config::VersionDefect,
    scenario::{
        diagnostic::Diagnostic,
        model::{Deploy, Deployed},
        outside::{Command, DeployCommand, MlflowAlias, Program},
        yaml::{Node, Value},
    },
    units::Version,
};

/// What can be deployed, beside the lab and what is behind a target's Service.
const OF: [&str; 8] = [
    "deployment",
    "rollout",
    "application",
    "helm-release",
    "inference-service",
    "service",
    "mlflow",
    "command",
];

/// What a rollout says of its version.
#[derive(Clone, Copy, PartialEq, Eq)]
enum How {
    /// Image, variables, replicas of a workload.
    Workload,
    /// The spec of an object.
    Spec,
    /// Nothing more.
    Outside,
}

pub(super) fn deploy(cx: &mut Context<'_>, node: &Node) -> Option<Deploy> {
    let mut fields = Fields::of(cx, node, "Deploy", "a rollout: `{ version: v2 }`")?;
    let place = fields.place().clone();
    let version =
        fields.required(cx, "version", "v2", |cx, node| cx.word(node, "a version such as `v2`").map(Version));
    let defect = fields.or(cx, "defect", VersionDefect::None, |cx, node| {
        cx.choice(node, "a defect that the lab's versions can have", VersionDefect::ALL)
    });
    let of = fields.at_most_one_of(cx, &OF, of);
    for key in ["canary", "flagger"] {
        fields.elsewhere(cx, key, "name the Deployment that the Canary looks after: `deployment: ai-model`");
    }
    let namespace = fields.optional(cx, "namespace", |cx, node| cx.object_name(node, "a namespace"));
    let spec = fields.optional(cx, "spec", |cx, node| match &node.value {
        Value::Map(_) => cx.json(node),
        Value::Scalar { .. } | Value::List(_) => cx.mistyped(node, "a part of the object's spec (a mapping)"),
    });
    let patch = kubernetes::patch(cx, &mut fields);
    let how = match of.as_ref()? {
        None | Some(Deployed::Deployment(_) | Deployed::Rollout(_)) => How::Workload,
        Some(
            Deployed::Application(_)
            | Deployed::HelmRelease(_)
            | Deployed::InferenceService(_)
            | Deployed::Service(_),
        ) => How::Spec,
        Some(Deployed::Mlflow(_) | Deployed::Command(_)) => How::Outside,
    };
    let given: Vec<&'static str> = ["container", "image", "env", "replicas", "spec", "namespace"]
        .into_iter()
        .filter(|key| fields.key(key).is_some())
        .collect();
    let mut all_fit = true;
    for key in given {
        let fits = match how {
            How::Workload => key != "spec" && (key != "namespace" || matches!(of, Some(Some(_)))),
            How::Spec => matches!(key, "spec" | "namespace"),
            How::Outside => false,
        };
        if let (false, Some(found)) = (fits, fields.key(key)) {
            let message = format!("`{key}` has no meaning for what is deployed here");
            cx.report(Diagnostic::error(&found.place, message));
            all_fit = false;
        }
    }
    let defect_place = fields.key("defect").map(|key| key.place.clone());
    let known = fields.finish(cx);
    let deploy = Deploy {
        version: version?,
        defect: defect?,
        of: of?,
        namespace: namespace?,
        spec: spec?,
        patch: patch?,
    };
    // What is misspelt or out of place may be what is missing.
    if known && all_fit {
        fit::rollout(cx, &deploy, &place, defect_place.as_ref())?;
    }
    if how == How::Spec && deploy.spec.is_none() {
        let help = "write what makes it that version, such as `spec: { source: { targetRevision: v2 } }`";
        return cx.fail(&place, "`spec` is missing", help);
    }
    if let (Some(Deployed::Service(_)), Some(spec)) = (&deploy.of, &deploy.spec)
        && spec.as_object().is_none_or(|spec| spec.keys().any(|key| key != "selector"))
    {
        let help = "write `spec: { selector: { slot: green } }`";
        return cx.fail(&place, "a Service is switched by its selector alone", help);
    }
    Some(deploy)
}

fn of(cx: &mut Context<'_>, kind: &'static str, node: &Node) -> Option<Deployed> {
    let named = |cx: &mut Context<'_>, of: fn(String) -> Deployed| {
        if cx.names.target != TargetKind::Cluster {
            let help = "deploy by a `command:`";
            let message = format!("`{kind}` names an object of a cluster, and the target is none");
            return cx.fail(&node.place, message, help);
        }
        cx.object_name(node, "an object's name").map(of)
    };
    match kind {
        "deployment" => named(cx, Deployed::Deployment),
        "rollout" => named(cx, Deployed::Rollout),
        "application" => named(cx, Deployed::Application),
        "helm-release" => named(cx, Deployed::HelmRelease),
        "inference-service" => named(cx, Deployed::InferenceService),
        "service" => named(cx, Deployed::Service),
        "mlflow" => alias(cx, node).map(Deployed::Mlflow),
        _ => {
            let mut fields =
                Fields::of(cx, node, "DeployCommand", "a program: `{ run: [./deploy.sh, v2] }`")?;
            let run = fields.required(cx, "run", "[./deploy.sh, v2]", program);
            let undo = fields.optional(cx, "undo", program);
            fields.finish(cx);
            Some(Deployed::Command(DeployCommand { run: run?, undo: undo? }))
        }
    }
}

fn alias(cx: &mut Context<'_>, node: &Node) -> Option<MlflowAlias> {
    let what = "an alias: `{ at: \"http://127.0.0.1:5000\", model: llm, alias: champion }`";
    let mut fields = Fields::of(cx, node, "MlflowAlias", what)?;
    let at = fields.required(cx, "at", "\"http://127.0.0.1:5000\"", lab::url);
    let model = fields.required(cx, "model", "llm", |cx, node| cx.text(node, "a registered model"));
    let alias = fields.required(cx, "alias", "champion", |cx, node| cx.text(node, "an alias"));
    fields.finish(cx);
    Some(MlflowAlias { at: at?, model: model?, alias: alias? })
}

/// A fault by programs.
pub(super) fn command(cx: &mut Context<'_>, node: &Node) -> Option<Command> {
    let what = "programs: `{ run: […], undo: […], proof: […] }`";
    let mut fields = Fields::of(cx, node, "Command", what)?;
    let run = fields.required(cx, "run", "[systemctl, stop, redis]", program);
    let undo = fields.optional(cx, "undo", program);
    let proof = fields.required(cx, "proof", "[sh, -c, \"! redis-cli ping\"]", program);
    fields.finish(cx);
    Some(Command { run: run?, undo: undo?, proof: proof? })
}

fn program(cx: &mut Context<'_>, node: &Node) -> Option<Program> {
    if let Some(text) = node.text() {
        let message = "expected a list of a program and its arguments, found a text";
        return cx.fail(&node.place, message, format!("write `{}`", as_words(text)));
    }
    let words = cx.some_list(node, "a program and its arguments", |cx, node| match node.text() {
        Some(text) => Some(text.to_owned()),
        None => cx.mistyped(node, "a word"),
    })?;
    match words[0].is_empty() {
        true => cx.fail(&node.place, "the program's name is empty", ""),
        false => Some(Program(words)),
    }
}

/// A line as people write it for a shell, as the list that is wanted.
fn as_words(line: &str) -> String {
    let quoted = |text: &str| match text.contains('"') {
        true => format!("'{}'", text.replace('\'', "''")),
        false => format!("\"{text}\""),
    };
    if line.contains(['|', '&', ';', '<', '>', '$', '*', '"', '\'', '`', '(']) {
        return format!("[sh, -c, {}]", quoted(line));
    }
    let plain = |word: &str| match word.contains([',', '{', '}', '[', ']', '#', ':']) {
        true => quoted(word),
        false => word.to_owned(),
    };
    format!("[{}]", line.split_whitespace().map(plain).collect::<Vec<_>>().join(", "))
}
