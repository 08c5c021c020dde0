//! Workloads: what a request is.

use indexmap::IndexMap;

use super::{
    Context, Fields,
    scalars::{boolean, share},
};
use crate::{
    scenario::{
        model::{
            Endpoint, Golden, GoldenPrompt, OpenAiChat, Popularity, Prompts, Synthetic, Tokens, Workload,
            default_idle, default_path, default_prompts, default_timeout,
        },
        yaml::{Node, Value},
    },
    units::Span,
};

pub(super) fn workload(cx: &mut Context<'_>, node: &Node) -> Option<Workload> {
    let mut fields = Fields::of(cx, node, "Workload", "a workload")?;
    let endpoint =
        fields.required(cx, "endpoint", "{ openai-chat: { model: demo, stream: true } }", endpoint);
    let prompts =
        fields.required(cx, "prompts", "{ synthetic: { input-tokens: 200, output-tokens: 64 } }", prompts);
    let timeout = fields.or(cx, "timeout", default_timeout(), span_above_zero);
    let idle_timeout = fields.or(cx, "idle-timeout", default_idle(), span_above_zero);
    fields.finish(cx);
    Some(Workload { endpoint: endpoint?, prompts: prompts?, timeout: timeout?, idle_timeout: idle_timeout? })
}

pub(super) fn span_above_zero(cx: &mut Context<'_>, node: &Node) -> Option<Span> {
    let span: Span = cx.unit(node)?;
    if span == Span::default() { cx.fail(&node.place, "this must be longer than 0s", "") } else { Some(span) }
}

fn endpoint(cx: &mut Context<'_>, node: &Node) -> Option<Endpoint> {
    let mut fields = Fields::of(cx, node, "Endpoint", "an endpoint")?;
    let found = fields.one_of(cx, &["openai-chat"]);
    let endpoint = found.and_then(|(_, node)| openai_chat(cx, node)).map(Endpoint::OpenaiChat);
    fields.finish(cx);
    endpoint
}

fn openai_chat(cx: &mut Context<'_>, node: &Node) -> Option<OpenAiChat> {
    let mut fields = Fields::of(cx, node, "OpenAiChat", "the settings of the endpoint")?;
    let model = fields.required(cx, "model", "demo", |cx, node| cx.text(node, "a model's name"));
    let stream = fields.or(cx, "stream", false, boolean);
    let path = fields.or(cx, "path", default_path(), |cx, node| {
        let path = cx.text(node, "a path")?;
        let message = format!("the path `{path}` does not start with `/`");
        if path.starts_with('/') { Some(path) } else { cx.fail(&node.place, message, "") }
    });
    let headers = fields.or(cx, "headers", IndexMap::new(), headers);
    fields.finish(cx);
    Some(OpenAiChat { model: model?, stream: stream?, path: path?, headers: headers? })
}

fn headers(cx: &mut Context<'_>, node: &Node) -> Option<IndexMap<String, String>> {
    let entries = cx.entries(node, "headers")?;
    let all: Vec<_> = entries
        .into_iter()
        .map(|(key, node)| {
            let value = cx.text(node, "a header's value")?;
            if http::HeaderName::try_from(&key.text).is_err() {
                return cx.fail(&key.place, format!("`{}` can't be a header's name", key.text), "");
            }
            if http::HeaderValue::try_from(&value).is_err() {
                return cx.fail(&node.place, "this can't be a header's value", "");
            }
            Some((key.text.clone(), value))
        })
        .collect();
    all.into_iter().collect()
}

fn prompts(cx: &mut Context<'_>, node: &Node) -> Option<Prompts> {
    let mut fields = Fields::of(cx, node, "Prompts", "prompts")?;
    let synthetic = fields.required(cx, "synthetic", "{ input-tokens: 200, output-tokens: 64 }", synthetic);
    let golden = fields.optional(cx, "golden", golden);
    fields.finish(cx);
    Some(Prompts { synthetic: synthetic?, golden: golden? })
}

fn synthetic(cx: &mut Context<'_>, node: &Node) -> Option<Synthetic> {
    let mut fields = Fields::of(cx, node, "Synthetic", "the sizes of prompts")?;
    let input_tokens =
        fields.required(cx, "input-tokens", "{ lognormal: { median: 220, p99: 1800 } }", tokens);
    let output_tokens = fields.required(cx, "output-tokens", "64", tokens);
    let popularity = fields.optional(cx, "popularity", popularity);
    let shared_prefix =
        fields.or(cx, "shared-prefix", 0, |cx, node| cx.number(node, "a number of tokens from 0", 0..));
    fields.finish(cx);
    Some(Synthetic {
        input_tokens: input_tokens?,
        output_tokens: output_tokens?,
        popularity: popularity?,
        shared_prefix: shared_prefix?,
    })
}

fn tokens(cx: &mut Context<'_>, node: &Node) -> Option<Tokens> {
    let count = |cx: &mut Context<'_>, node: &Node| {
        cx.number(node, "a number of tokens from 1 to 1000000", 1..=1_000_000)
    };
    if !matches!(node.value, Value::Map(_)) {
        return count(cx, node).map(Tokens::Fixed);
    }
    let mut fields = Fields::of(cx, node, "Tokens", "a distribution of tokens")?;
    let found = fields.one_of(cx, &["uniform", "lognormal"]);
    fields.finish(cx);
    let (kind, node) = found?;
    let uniform = kind == "uniform";
    let (definition, [low, high]) =
        if uniform { ("Uniform", ["min", "max"]) } else { ("Lognormal", ["median", "p99"]) };
    let mut fields = Fields::of(cx, node, definition, "two numbers of tokens")?;
    let from = fields.required(cx, low, "100", count);
    let to = fields.required(cx, high, "1000", count);
    fields.finish(cx);
    let (from, to) = (from?, to?);
    if to < from {
        return cx.fail(&node.place, format!("`{high}` is less than `{low}`"), "");
    }
    Some(if uniform {
        Tokens::Uniform { min: from, max: to }
    } else {
        Tokens::Lognormal { median: from, p99: to }
    })
}

fn popularity(cx: &mut Context<'_>, node: &Node) -> Option<Popularity> {
    let mut fields = Fields::of(cx, node, "Popularity", "a popularity")?;
    let zipf = fields.required(cx, "zipf", "1.1", |cx, node| {
        cx.number(node, "an exponent above 0, such as 1.1", f64::MIN_POSITIVE..=20.0)
    });
    let prompts = fields.or(cx, "prompts", default_prompts(), |cx, node| {
        cx.number(node, "a number of prompts from 1 to 1000000", 1..=1_000_000)
    });
    fields.finish(cx);
    Some(Popularity { zipf: zipf?, prompts: prompts? })
}

fn golden(cx: &mut Context<'_>, node: &Node) -> Option<Golden> {
    let mut fields = Fields::of(cx, node, "Golden", "golden prompts")?;
    let share = fields.required(cx, "share", "5%", share);
    let prompts = fields.required(cx, "prompts", "[ { ask: \"…?\", contains: \"…\" } ]", |cx, node| {
        cx.some_list(node, "golden prompts", |cx, node| {
            let mut fields = Fields::of(cx, node, "GoldenPrompt", "a golden prompt")?;
            let ask = fields
                .required(cx, "ask", "\"What is the capital of France?\"", |cx, n| cx.text(n, "a prompt"));
            let contains =
                fields.required(cx, "contains", "Paris", |cx, n| cx.text(n, "a part of the answer"));
            fields.finish(cx);
            Some(GoldenPrompt { ask: ask?, contains: contains? })
        })
    });
    fields.finish(cx);
    Some(Golden { share: share?, prompts: prompts? })
}
