//! What a workload's requests are sent to.

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::{Context, Fields, http::http, kserve, scalars::boolean, transport::is_secret};
use crate::scenario::{
    model::{Endpoint, OpenAi, OpenAiEmbeddings},
    yaml::{Key, Node, Value},
};

/// Endpoints that are asked by prompts.
const PROMPTED: [&str; 4] = ["openai-chat", "openai-completions", "openai-responses", "openai-embeddings"];
/// Endpoints that say themselves what is sent.
pub(super) const OTHERS: [&str; 3] = ["kserve-v2", "kserve-grpc", "http"];
/// Fields of a body that other keys decide, with these.
const DECIDED: [(&str, &str); 5] = [
    ("model", "`model:` beside it decides that"),
    ("stream", "`stream:` beside it decides that"),
    ("messages", "`prompts:` decides that"),
    ("prompt", "`prompts:` decides that"),
    ("input", "`prompts:` decides that"),
];

pub(super) fn endpoint(cx: &mut Context<'_>, node: &Node) -> Option<Endpoint> {
    let mut fields = Fields::of(cx, node, "Endpoint", "an endpoint")?;
    let found = fields.one_of(cx, &[PROMPTED.as_slice(), OTHERS.as_slice()].concat());
    let endpoint = found.and_then(|(api, node)| match api {
        "openai-chat" => openai(cx, node).map(Endpoint::OpenaiChat),
        "openai-completions" => openai(cx, node).map(Endpoint::OpenaiCompletions),
        "openai-responses" => openai(cx, node).map(Endpoint::OpenaiResponses),
        "openai-embeddings" => embeddings(cx, node).map(Endpoint::OpenaiEmbeddings),
        "kserve-v2" => kserve::over_http(cx, node).map(Endpoint::KserveV2),
        "kserve-grpc" => kserve::over_grpc(cx, node).map(Endpoint::KserveGrpc),
        _ => http(cx, node).map(Endpoint::Http),
    });
    fields.finish(cx);
    endpoint
}

fn openai(cx: &mut Context<'_>, node: &Node) -> Option<OpenAi> {
    let mut fields = Fields::of(cx, node, "OpenAi", "the settings of the endpoint")?;
    let model = fields.required(cx, "model", "demo", |cx, node| cx.text(node, "a model's name"));
    let stream = fields.or(cx, "stream", false, boolean);
    let path = fields.optional(cx, "path", path);
    let headers = fields.or(cx, "headers", IndexMap::new(), headers);
    let extra = fields.or(cx, "extra", IndexMap::new(), extra);
    fields.finish(cx);
    Some(OpenAi { model: model?, stream: stream?, path: path?, headers: headers?, extra: extra? })
}

fn embeddings(cx: &mut Context<'_>, node: &Node) -> Option<OpenAiEmbeddings> {
    let mut fields = Fields::of(cx, node, "OpenAiEmbeddings", "the settings of the endpoint")?;
    let model = fields.required(cx, "model", "demo", |cx, node| cx.text(node, "a model's name"));
    let path = fields.optional(cx, "path", path);
    let headers = fields.or(cx, "headers", IndexMap::new(), headers);
    let extra = fields.or(cx, "extra", IndexMap::new(), extra);
    fields.refuse(cx, "stream", "embeddings don't stream", "take it away");
    fields.finish(cx);
    Some(OpenAiEmbeddings { model: model?, path: path?, headers: headers?, extra: extra? })
}

/// A path below the target's URL.
pub(super) fn path(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let path = cx.text(node, "a path")?;
    let message = format!("the path `{path}` does not start with `/`");
    if path.starts_with('/') { Some(path) } else { cx.fail(&node.place, message, "") }
}

/// Headers with their values.
pub(super) fn headers(cx: &mut Context<'_>, node: &Node) -> Option<IndexMap<String, String>> {
    let entries = cx.entries(node, "headers")?;
    let all: Vec<_> = entries
        .into_iter()
        .map(|(key, node)| {
            let value = cx.text(node, "a header's value")?;
            if ::http::HeaderName::try_from(&key.text).is_err() {
                return cx.fail(&key.place, format!("`{}` can't be a header's name", key.text), "");
            }
            if is_secret(&key.text) {
                let message = format!("`{}` would be in the run's folder for everybody to read", key.text);
                let help = "name where its value is: `auth: { header: { name: …, env: VARIABLE } }`";
                return cx.fail(&key.place, message, help);
            }
            if ::http::HeaderValue::try_from(&value).is_err() {
                return cx.fail(&node.place, "this can't be a header's value", "");
            }
            Some((key.text.clone(), value))
        })
        .collect();
    all.into_iter().collect()
}

/// Fields of a body.
fn extra(cx: &mut Context<'_>, node: &Node) -> Option<IndexMap<String, Json>> {
    let entries = cx.entries(node, "fields of the body")?;
    let all: Vec<_> = entries
        .into_iter()
        .map(|(key, node)| {
            if let Some((_, why)) = DECIDED.iter().find(|(name, _)| *name == key.text) {
                return cx.fail(&key.place, format!("`{}` can't be set here", key.text), *why);
            }
            Some((key.text.clone(), json(cx, node)?))
        })
        .collect();
    all.into_iter().collect()
}

/// Anything, as JSON: what is written without quotes is a number, a boolean
/// or null where it looks like one.
pub(super) fn json(cx: &mut Context<'_>, node: &Node) -> Option<Json> {
    match &node.value {
        Value::Scalar { .. } if node.is_null() => Some(Json::Null),
        Value::Scalar { text, plain: true } => Some(match serde_json::from_str(text) {
            Ok(value @ (Json::Number(_) | Json::Bool(_))) => value,
            Ok(_) | Err(_) => Json::String(text.clone()),
        }),
        Value::Scalar { text, plain: false } => Some(Json::String(text.clone())),
        Value::List(items) => {
            let all: Vec<Option<Json>> = items.iter().map(|item| json(cx, item)).collect();
            all.into_iter().collect::<Option<Vec<_>>>().map(Json::Array)
        }
        Value::Map(_) => {
            let entries: Vec<(&Key, &Node)> = cx.entries(node, "JSON")?;
            let all: Vec<_> =
                entries.into_iter().map(|(key, node)| Some((key.text.clone(), json(cx, node)?))).collect();
            all.into_iter().collect::<Option<serde_json::Map<_, _>>>().map(Json::Object)
        }
    }
}
