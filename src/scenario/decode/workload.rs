//! Workloads and who sends them.

use indexmap::IndexMap;

use super::{
    Context, Fields, kserve,
    scalars::{boolean, share, unit},
};
use crate::{
    scenario::{
        diagnostic::Diagnostic,
        model::{
            Arrivals, Closed, Endpoint, Executor, Golden, GoldenPrompt, Load, OpenAiChat, Popularity,
            Profile, Prompts, Stage, Synthetic, Tokens, Workload, default_idle, default_path,
            default_prompts, default_timeout,
        },
        yaml::{Node, Value},
    },
    units::{Rate, Span, WorkloadName},
};

pub(super) fn workload(cx: &mut Context<'_>, node: &Node) -> Option<Workload> {
    let mut fields = Fields::of(cx, node, "Workload", "a workload")?;
    let endpoint =
        fields.required(cx, "endpoint", "{ openai-chat: { model: demo, stream: true } }", endpoint);
    // By its key: an endpoint that can't be read has errors enough.
    let own = ["kserve-v2", "kserve-grpc", "http"];
    let has_none =
        node.get("endpoint").is_some_and(|node| own.into_iter().any(|key| node.get(key).is_some()));
    let prompts = if has_none {
        fields.refuse(cx, "prompts", "this endpoint has no prompts", "what is sent is said in `endpoint`");
        Some(None)
    } else {
        let example = "{ synthetic: { input-tokens: 200, output-tokens: 64 } }";
        fields.required(cx, "prompts", example, prompts).map(Some)
    };
    let timeout = fields.or(cx, "timeout", default_timeout(), span_above_zero);
    let idle_timeout = fields.or(cx, "idle-timeout", default_idle(), span_above_zero);
    fields.finish(cx);
    Some(Workload { endpoint: endpoint?, prompts: prompts?, timeout: timeout?, idle_timeout: idle_timeout? })
}

fn span_above_zero(cx: &mut Context<'_>, node: &Node) -> Option<Span> {
    let span: Span = cx.unit(node)?;
    if span == Span::default() { cx.fail(&node.place, "this must be longer than 0s", "") } else { Some(span) }
}

fn endpoint(cx: &mut Context<'_>, node: &Node) -> Option<Endpoint> {
    let mut fields = Fields::of(cx, node, "Endpoint", "an endpoint")?;
    let found = fields.one_of(cx, &["openai-chat", "kserve-v2", "kserve-grpc", "http"]);
    let endpoint = found.and_then(|(kind, node)| match kind {
        "openai-chat" => openai_chat(cx, node).map(Endpoint::OpenaiChat),
        "kserve-v2" => kserve::over_http(cx, node).map(Endpoint::KserveV2),
        "kserve-grpc" => kserve::over_grpc(cx, node).map(Endpoint::KserveGrpc),
        _ => super::http::http(cx, node).map(Endpoint::Http),
    });
    fields.finish(cx);
    endpoint
}

fn openai_chat(cx: &mut Context<'_>, node: &Node) -> Option<OpenAiChat> {
    let mut fields = Fields::of(cx, node, "OpenAiChat", "the settings of the endpoint")?;
    let model = fields.required(cx, "model", "demo", |cx, node| cx.text(node, "a model's name"));
    let stream = fields.or(cx, "stream", false, boolean);
    let path = fields.or(cx, "path", default_path(), path);
    let headers = fields.or(cx, "headers", IndexMap::new(), headers);
    fields.finish(cx);
    Some(OpenAiChat { model: model?, stream: stream?, path: path?, headers: headers? })
}

pub(super) fn path(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let path = cx.text(node, "a path")?;
    let message = format!("the path `{path}` does not start with `/`");
    if path.starts_with('/') { Some(path) } else { cx.fail(&node.place, message, "") }
}

pub(super) fn headers(cx: &mut Context<'_>, node: &Node) -> Option<IndexMap<String, String>> {
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

/// The `load:` list.
pub(super) fn loads(cx: &mut Context<'_>, node: &Node) -> Option<Vec<Load>> {
    let mut names: Vec<String> = Vec::new();
    cx.some_list(node, "loads", |cx, node| {
        let load = load(cx, node)?;
        if names.contains(&load.name) {
            let place = node.get("name").map_or(&node.place, |name| &name.place);
            return cx.fail(place, format!("there is another load `{}`", load.name), "names must differ");
        }
        names.push(load.name.clone());
        Some(load)
    })
}

fn load(cx: &mut Context<'_>, node: &Node) -> Option<Load> {
    let mut fields = Fields::of(cx, node, "Load", "a load")?;
    let name = fields.required(cx, "name", "users", |cx, node| cx.identifier(node, "a name"));
    let known = cx.names.workloads.clone();
    let workload = fields.required(cx, "workload", "chat", |cx, node| {
        // Without any, that is the error.
        if known.is_empty() { cx.text(node, "a workload") } else { cx.reference(node, "workload", &known) }
    });
    let executor = match fields.one_of(cx, &["arrivals", "closed"]) {
        Some(("arrivals", node)) => arrivals(cx, node).map(Executor::Arrivals),
        Some((_, node)) => closed(cx, node).map(Executor::Closed),
        None => None,
    };
    fields.finish(cx);
    Some(Load { name: name?, workload: WorkloadName(workload?), executor: executor? })
}

fn closed(cx: &mut Context<'_>, node: &Node) -> Option<Closed> {
    let mut fields = Fields::of(cx, node, "Closed", "a closed loop")?;
    let users = fields.required(cx, "users", "5", |cx, node| {
        cx.number(node, "a number of users from 1 to 100000", 1..=100_000)
    });
    let requests =
        fields.optional(cx, "requests", |cx, node| cx.number(node, "a number of requests from 1", 1..));
    let think = fields.or(cx, "think", Span::default(), unit::<Span>);
    fields.finish(cx);
    Some(Closed { users: users?, requests: requests?, think: think? })
}

fn arrivals(cx: &mut Context<'_>, node: &Node) -> Option<Arrivals> {
    let mut fields = Fields::of(cx, node, "Arrivals", "arrivals: `{ poisson: … }` or `{ constant: … }`")?;
    let found = fields.one_of(cx, &["poisson", "constant"]);
    fields.finish(cx);
    let (kind, node) = found?;
    let profile = profile(cx, node)?;
    Some(if kind == "poisson" { Arrivals::Poisson(profile) } else { Arrivals::Constant(profile) })
}

fn profile(cx: &mut Context<'_>, node: &Node) -> Option<Profile> {
    let mut fields = Fields::of(cx, node, "Profile", "a load profile such as `{ rate: 20/s }`")?;
    let found = fields.one_of(cx, &["rate", "stages", "ramp", "spike"]);
    fields.finish(cx);
    let (kind, node) = found?;
    let profile = match kind {
        "rate" => Profile::Rate(rate(cx, node)?),
        "stages" => Profile::Stages(cx.some_list(node, "stages", stage)?),
        "ramp" => {
            let mut fields = Fields::of(cx, node, "Ramp", "a ramp")?;
            let from = fields.required(cx, "from", "5/s", rate);
            let to = fields.required(cx, "to", "20/s", rate);
            let over = fields.required(cx, "over", "30s", unit::<Span>);
            fields.finish(cx);
            Profile::Ramp { from: from?, to: to?, over: over? }
        }
        _ => {
            let mut fields = Fields::of(cx, node, "Spike", "a spike")?;
            let base = fields.required(cx, "base", "20/s", rate);
            let peak = fields.required(cx, "peak", "60/s", rate);
            let at = fields.required(cx, "at", "20s", unit::<Span>);
            let rise = fields.required(cx, "rise", "2s", unit::<Span>);
            let hold = fields.required(cx, "hold", "8s", unit::<Span>);
            fields.finish(cx);
            Profile::Spike { base: base?, peak: peak?, at: at?, rise: rise?, hold: hold? }
        }
    };
    if profile.is_nothing() {
        return cx.fail(&node.place, "this load sends nothing: its rate is always 0/s", "");
    }
    if let Profile::Spike { base, peak, .. } = &profile
        && peak.0 <= base.0
    {
        cx.report(Diagnostic::warning(
            &node.place,
            format!("the peak of {peak} is no higher than the base of {base}"),
        ));
    }
    Some(profile)
}

fn rate(cx: &mut Context<'_>, node: &Node) -> Option<Rate> {
    let rate: Rate = cx.unit(node)?;
    if rate.0 > 1e6 { cx.fail(&node.place, "this is more than 1000000/s", "") } else { Some(rate) }
}

fn stage(cx: &mut Context<'_>, node: &Node) -> Option<Stage> {
    let mut fields = Fields::of(cx, node, "Stage", "a stage: `{ to: 20/s, over: 10s }` or `{ hold: 10s }`")?;
    let found = fields.one_of(cx, &["to", "hold"]);
    let stage = match found {
        Some(("to", node)) => {
            let to = rate(cx, node);
            let over = fields.required(cx, "over", "10s", unit::<Span>);
            to.zip(over).map(|(to, over)| Stage::To { to, over })
        }
        Some((_, node)) => match fields.get("over") {
            Some(over) => {
                cx.fail(&over.place, "`over` belongs to `to`; a `hold` says itself how long it lasts", "")
            }
            None => cx.unit(node).map(|hold| Stage::Hold { hold }),
        },
        None => {
            fields.get("over");
            None
        }
    };
    fields.finish(cx);
    stage
}
