//! Workloads and who sends them.

use super::{Context, Fields, endpoint::endpoint, prompts, scalars::unit, transport::transport};
use crate::{
    scenario::{
        diagnostic::Diagnostic,
        model::{Arrivals, Closed, Executor, Load, Profile, Stage, Workload, default_idle, default_timeout},
        yaml::Node,
    },
    units::{Rate, Span, WorkloadName},
};

pub(super) fn workload(cx: &mut Context<'_>, node: &Node) -> Option<Workload> {
    let mut fields = Fields::of(cx, node, "Workload", "a workload")?;
    let endpoint =
        fields.required(cx, "endpoint", "{ openai-chat: { model: demo, stream: true } }", endpoint);
    let prompts = fields.required(
        cx,
        "prompts",
        "{ synthetic: { input-tokens: 200, output-tokens: 64 } }",
        |cx, node| {
            let prompts = prompts::prompts(cx, node)?;
            prompts::check(cx, node, &prompts, endpoint.as_ref()?)?;
            Some(prompts)
        },
    );
    let timeout = fields.or(cx, "timeout", default_timeout(), span_above_zero);
    let idle_timeout = fields.or(cx, "idle-timeout", default_idle(), span_above_zero);
    let transport = transport(cx, &mut fields);
    fields.finish(cx);
    Some(Workload {
        endpoint: endpoint?,
        prompts: prompts?,
        timeout: timeout?,
        idle_timeout: idle_timeout?,
        transport: transport?,
    })
}

pub(super) fn span_above_zero(cx: &mut Context<'_>, node: &Node) -> Option<Span> {
    let span: Span = cx.unit(node)?;
    if span == Span::default() { cx.fail(&node.place, "this must be longer than 0s", "") } else { Some(span) }
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
