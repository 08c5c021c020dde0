//! What a workload asks.

use super::{
    Context, Fields,
    endpoint::json,
    prompt_file::{self, Made},
    scalars::{boolean, share, unit},
};
use crate::{
    scenario::{
        model::{
            Endpoint, Expected, FilePopularity, Golden, GoldenPrompt, Jsonl, Near, PathEquals, Popularity,
            PromptSource, Prompts, Session, ShareGpt, Synthetic, Tokens, Turns, default_output_tokens,
            default_prompts,
        },
        yaml::{Node, Value},
    },
    units::Span,
};

/// Turns that a session may have.
const MOST_TURNS: u32 = 1000;

pub(super) fn prompts(cx: &mut Context<'_>, node: &Node) -> Option<Prompts> {
    let mut fields = Fields::of(cx, node, "Prompts", "prompts")?;
    let source = fields.one_of(cx, &["synthetic", "sharegpt", "jsonl"]).and_then(|(kind, node)| match kind {
        "synthetic" => synthetic(cx, node).map(PromptSource::Synthetic),
        "sharegpt" => sharegpt(cx, node).map(PromptSource::Sharegpt),
        _ => jsonl(cx, node).map(PromptSource::Jsonl),
    });
    let nonce = fields.or(cx, "nonce", false, boolean);
    let session = fields.optional(cx, "session", session);
    let golden = fields.optional(cx, "golden", golden);
    fields.finish(cx);
    Some(Prompts { source: source?, nonce: nonce?, session: session?, golden: golden? })
}

/// Whether the endpoint can answer such prompts.
pub(super) fn check(cx: &mut Context<'_>, node: &Node, prompts: &Prompts, endpoint: &Endpoint) -> Option<()> {
    if endpoint.generates() {
        return Some(());
    }
    let unfit = [
        ("session", prompts.session.is_some(), "there is no answer to go on from"),
        ("golden", prompts.golden.is_some(), "there is no answer to compare"),
    ];
    let unfit: Vec<_> = unfit.into_iter().filter(|(_, there, _)| *there).collect();
    for (key, _, why) in &unfit {
        let place = node.get(key).map_or(&node.place, |node| &node.place).clone();
        let _: Option<()> = cx.fail(&place, format!("this endpoint can't have a `{key}`: {why}"), "");
    }
    unfit.is_empty().then_some(())
}

fn synthetic(cx: &mut Context<'_>, node: &Node) -> Option<Synthetic> {
    let mut fields = Fields::of(cx, node, "Synthetic", "the sizes of prompts")?;
    let input_tokens =
        fields.required(cx, "input-tokens", "{ lognormal: { median: 220, p99: 1800 } }", tokens);
    let output_tokens = fields.or(cx, "output-tokens", default_output_tokens(), tokens);
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

fn sharegpt(cx: &mut Context<'_>, node: &Node) -> Option<ShareGpt> {
    let mut fields = Fields::of(cx, node, "ShareGpt", "a file in ShareGPT's format")?;
    let file = fields.required(cx, "file", "prompts/sharegpt.json", |cx, node| {
        prompt_file::read(cx, node, &Made::ShareGpt)
    });
    let output_tokens = fields.optional(cx, "output-tokens", tokens);
    let popularity = fields.optional(cx, "popularity", file_popularity);
    fields.finish(cx);
    Some(ShareGpt { file: file?, output_tokens: output_tokens?, popularity: popularity? })
}

fn jsonl(cx: &mut Context<'_>, node: &Node) -> Option<Jsonl> {
    let mut fields = Fields::of(cx, node, "Jsonl", "a file of JSON lines")?;
    let template = fields.required(cx, "template", "\"{{ question }}\"", prompt_file::template);
    let system = fields.optional(cx, "system", prompt_file::template);
    let file = fields.required(cx, "file", "prompts/questions.jsonl", |cx, node| {
        let made = Made::Jsonl { template: template.as_deref()?, system: system.as_ref()?.as_deref() };
        prompt_file::read(cx, node, &made)
    });
    let output_tokens = fields.or(cx, "output-tokens", default_output_tokens(), tokens);
    let popularity = fields.optional(cx, "popularity", file_popularity);
    fields.finish(cx);
    Some(Jsonl {
        file: file?,
        template: template?,
        system: system?,
        output_tokens: output_tokens?,
        popularity: popularity?,
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
    let zipf = fields.required(cx, "zipf", "1.1", zipf);
    let prompts = fields.or(cx, "prompts", default_prompts(), |cx, node| {
        cx.number(node, "a number of prompts from 1 to 1000000", 1..=1_000_000)
    });
    fields.finish(cx);
    Some(Popularity { zipf: zipf?, prompts: prompts? })
}

fn file_popularity(cx: &mut Context<'_>, node: &Node) -> Option<FilePopularity> {
    let mut fields = Fields::of(cx, node, "FilePopularity", "a popularity")?;
    let zipf = fields.required(cx, "zipf", "1.1", zipf);
    fields.refuse(cx, "prompts", "the file says how many prompts there are", "take it away");
    fields.finish(cx);
    Some(FilePopularity { zipf: zipf? })
}

fn zipf(cx: &mut Context<'_>, node: &Node) -> Option<f64> {
    cx.number(node, "an exponent above 0, such as 1.1", f64::MIN_POSITIVE..=20.0)
}

fn session(cx: &mut Context<'_>, node: &Node) -> Option<Session> {
    let mut fields = Fields::of(cx, node, "Session", "a session")?;
    let turns = fields.required(cx, "turns", "4", turns);
    let think = fields.or(cx, "think", Span::default(), unit::<Span>);
    fields.finish(cx);
    Some(Session { turns: turns?, think: think? })
}

fn turns(cx: &mut Context<'_>, node: &Node) -> Option<Turns> {
    let count = |cx: &mut Context<'_>, node: &Node| {
        cx.number(node, "a number of turns from 1 to 1000", 1..=MOST_TURNS)
    };
    if !matches!(node.value, Value::Map(_)) {
        return count(cx, node).map(Turns::Fixed);
    }
    let mut fields = Fields::of(cx, node, "Turns", "a distribution of turns")?;
    let found = fields.one_of(cx, &["uniform"]);
    fields.finish(cx);
    let (_, node) = found?;
    let mut fields = Fields::of(cx, node, "Uniform", "two numbers of turns")?;
    let min = fields.required(cx, "min", "2", count);
    let max = fields.required(cx, "max", "6", count);
    fields.finish(cx);
    let (min, max) = (min?, max?);
    if max < min {
        return cx.fail(&node.place, "`max` is less than `min`", "");
    }
    Some(Turns::Uniform { min, max })
}

fn golden(cx: &mut Context<'_>, node: &Node) -> Option<Golden> {
    let mut fields = Fields::of(cx, node, "Golden", "golden prompts")?;
    let share = fields.required(cx, "share", "5%", share);
    let prompts = fields.required(cx, "prompts", "[ { ask: \"…?\", contains: \"…\" } ]", |cx, node| {
        cx.some_list(node, "golden prompts", golden_prompt)
    });
    fields.finish(cx);
    Some(Golden { share: share?, prompts: prompts? })
}

fn golden_prompt(cx: &mut Context<'_>, node: &Node) -> Option<GoldenPrompt> {
    let mut fields = Fields::of(cx, node, "GoldenPrompt", "a golden prompt")?;
    let ask =
        fields.required(cx, "ask", "\"What is the capital of France?\"", |cx, n| cx.text(n, "a prompt"));
    let found = fields.one_of(cx, &["equals", "contains", "matches", "json-path", "near"]);
    let expected = found.and_then(|(kind, node)| match kind {
        "equals" => cx.text(node, "the answer").map(Expected::Equals),
        "contains" => cx.text(node, "a part of the answer").map(Expected::Contains),
        "matches" => regex(cx, node).map(Expected::Matches),
        "json-path" => path_equals(cx, node).map(Expected::JsonPath),
        _ => near(cx, node).map(Expected::Near),
    });
    fields.finish(cx);
    Some(GoldenPrompt { ask: ask?, expected: expected? })
}

fn regex(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let text = cx.text(node, "a regular expression")?;
    match regex::Regex::new(&text) {
        Ok(_) => Some(text),
        Err(error) => {
            // The lines before draw the expression once more.
            let why = error.to_string();
            let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            cx.fail(&node.place, format!("this is not a regular expression: {why}"), "")
        }
    }
}

fn path_equals(cx: &mut Context<'_>, node: &Node) -> Option<PathEquals> {
    let mut fields = Fields::of(cx, node, "PathEquals", "a path and a value")?;
    let path = fields.required(cx, "path", "\"$.answer\"", |cx, node| {
        let text = cx.text(node, "a JSONPath")?;
        match jsonpath_rust::parser::parse_json_path(&text) {
            Ok(_) => Some(text),
            Err(_) => {
                let help = "write one as in RFC 9535, such as `$.items[0].name`";
                cx.fail(&node.place, format!("`{text}` is not a JSONPath"), help)
            }
        }
    });
    let equals = fields.required(cx, "equals", "42", json);
    fields.finish(cx);
    Some(PathEquals { path: path?, equals: equals? })
}

fn near(cx: &mut Context<'_>, node: &Node) -> Option<Near> {
    let mut fields = Fields::of(cx, node, "Near", "a number and how far off another may be")?;
    let value =
        fields.required(cx, "value", "3.14", |cx, node| cx.number(node, "a number", f64::MIN..=f64::MAX));
    let within = fields
        .required(cx, "within", "0.01", |cx, node| cx.number(node, "a difference from 0", 0.0..=f64::MAX));
    fields.finish(cx);
    Some(Near { value: value?, within: within? })
}
