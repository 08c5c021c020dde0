//! Who sends: the `load:` list.

use super::{
    Context, Fields,
    arrivals::{arrivals, rate},
    scalars::unit,
    workload::span_above_zero,
};
use crate::{
    scenario::{
        model::{
            Capacity, CapacityArrivals, Closed, Executor, Load, Think, default_refine, default_step_hold,
            default_step_warm_up,
        },
        yaml::{Node, Value},
    },
    units::{RateStep, Span, WorkloadName},
};

/// Users of a load.
const MOST_USERS: u32 = 100_000;

/// The `load:` list.
pub(super) fn loads(cx: &mut Context<'_>, node: &Node) -> Option<Vec<Load>> {
    let mut names: Vec<String> = Vec::new();
    let loads = cx.some_list(node, "loads", |cx, node| {
        let load = load(cx, node)?;
        if names.contains(&load.name) {
            let place = node.get("name").map_or(&node.place, |name| &name.place);
            return cx.fail(place, format!("there is another load `{}`", load.name), "names must differ");
        }
        names.push(load.name.clone());
        Some(load)
    })?;
    let searches = loads.iter().any(|load| matches!(load.executor, Executor::Capacity(_)));
    if searches && loads.len() > 1 {
        let help = "a search must know what it changes: give it a scenario of its own";
        return cx.fail(&node.place, "a capacity search stands beside other loads", help);
    }
    Some(loads)
}

fn load(cx: &mut Context<'_>, node: &Node) -> Option<Load> {
    let mut fields = Fields::of(cx, node, "Load", "a load")?;
    let name = fields.required(cx, "name", "users", |cx, node| cx.identifier(node, "a name"));
    let known = cx.names.workloads.clone();
    let workload = fields.required(cx, "workload", "chat", |cx, node| {
        // Without any, that is the error.
        if known.is_empty() { cx.text(node, "a workload") } else { cx.reference(node, "workload", &known) }
    });
    let executor = match fields.one_of(cx, &["arrivals", "closed", "capacity"]) {
        Some(("arrivals", node)) => arrivals(cx, node).map(Executor::Arrivals),
        Some(("closed", node)) => closed(cx, node).map(Executor::Closed),
        Some((_, node)) => capacity(cx, node).map(Executor::Capacity),
        None => None,
    };
    let start = fields.or(cx, "start", Span::default(), unit::<Span>);
    let lasting = fields.optional(cx, "for", span_above_zero);
    let users = fields.optional(cx, "users", users);
    if let (Some(Executor::Closed(_)), Some(key)) = (&executor, fields.key("users")) {
        let _: Option<()> =
            cx.fail(&key.place, "the users of a closed loop belong into `closed`", "closed: { users: 5 }");
    }
    if let Some(Executor::Capacity(_)) = &executor {
        for key in ["start", "for"].into_iter().filter_map(|key| fields.key(key)) {
            let message =
                format!("a capacity search has no `{}`: it starts at once and ends by itself", key.text);
            let _: Option<()> = cx.fail(&key.place, message, "");
        }
    }
    fields.finish(cx);
    Some(Load {
        name: name?,
        workload: WorkloadName(workload?),
        start: start?,
        lasting: lasting?,
        users: users?,
        executor: executor?,
    })
}

fn users(cx: &mut Context<'_>, node: &Node) -> Option<u32> {
    cx.number(node, "a number of users from 1 to 100000", 1..=MOST_USERS)
}

fn closed(cx: &mut Context<'_>, node: &Node) -> Option<Closed> {
    let mut fields = Fields::of(cx, node, "Closed", "a closed loop")?;
    let users = fields.required(cx, "users", "5", users);
    let requests =
        fields.optional(cx, "requests", |cx, node| cx.number(node, "a number of requests from 1", 1..));
    let think = fields.or(cx, "think", Think::default(), think);
    fields.finish(cx);
    Some(Closed { users: users?, requests: requests?, think: think? })
}

fn think(cx: &mut Context<'_>, node: &Node) -> Option<Think> {
    if !matches!(node.value, Value::Map(_)) {
        return cx.unit(node).map(Think::Fixed);
    }
    let mut fields = Fields::of(cx, node, "Think", "a think time: `1s` or `{ between: [1s, 5s] }`")?;
    let between = fields.required(cx, "between", "[1s, 5s]", |cx, node| {
        let spans = cx.list(node, "two durations", unit::<Span>)?;
        match spans.as_slice() {
            [from, to] if from <= to => Some(Think::Between(*from, *to)),
            [_, _] => cx.fail(&node.place, "the second duration is shorter than the first", ""),
            _ => cx.fail(&node.place, format!("two durations are wanted, there are {}", spans.len()), ""),
        }
    });
    fields.finish(cx);
    between
}

fn capacity(cx: &mut Context<'_>, node: &Node) -> Option<Capacity> {
    let mut fields = Fields::of(cx, node, "Capacity", "a capacity search")?;
    let from = fields.required(cx, "from", "10/s", rate);
    let to = fields.required(cx, "to", "500/s", rate);
    let step = fields.or(cx, "step", RateStep::default(), |cx, node| cx.unit(node));
    let warm_up = fields.or(cx, "warm-up", default_step_warm_up(), whole_seconds);
    let hold = fields.or(cx, "hold", default_step_hold(), |cx, node| {
        let hold = whole_seconds(cx, node)?;
        if hold == Span::default() {
            cx.fail(&node.place, "this must be longer than 0s", "")
        } else {
            Some(hold)
        }
    });
    let refine = fields
        .or(cx, "refine", default_refine(), |cx, node| cx.number(node, "a number from 0 to 10", 0..=10));
    let arrivals = fields.or(cx, "arrivals", CapacityArrivals::Poisson, |cx, node| {
        cx.choice(node, "a kind of arrivals", &[CapacityArrivals::Poisson, CapacityArrivals::Constant])
    });
    let at_least = fields.optional(cx, "at-least", rate);
    fields.finish(cx);
    let (from, to) = (from?, to?);
    if from.0 <= 0.0 {
        return cx.fail(&node.place, "a search can't start from 0/s", "");
    }
    if to < from {
        return cx.fail(&node.place, "`to` is less than `from`", "");
    }
    let at_least = at_least?;
    if at_least.is_some_and(|wanted| wanted > to) {
        return cx.fail(&node.place, "`at-least` is more than `to`, where the search ends", "");
    }
    let capacity = Capacity {
        from,
        to,
        step: step?,
        warm_up: warm_up?,
        hold: hold?,
        refine: refine?,
        arrivals: arrivals?,
        at_least,
    };
    let steps = capacity.rates().take(MOST_STEPS + 1).count();
    if steps > MOST_STEPS {
        let message = format!("more than {MOST_STEPS} steps lead from {from} to {to}");
        return cx.fail(&node.place, message, "take larger ones, with `step: 1.5x`");
    }
    Some(capacity)
}

/// Steps of a search on its way up.
const MOST_STEPS: usize = 100;

/// Requests are counted by the second that they are due in, so steps begin
/// and end with one.
fn whole_seconds(cx: &mut Context<'_>, node: &Node) -> Option<Span> {
    let span: Span = cx.unit(node)?;
    if span.0.subsec_nanos() == 0 {
        Some(span)
    } else {
        cx.fail(&node.place, format!("{span} is not a whole number of seconds"), "")
    }
}
