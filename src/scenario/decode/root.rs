//! The scenario's top level.

use indexmap::IndexMap;

use super::{Context, Fields, fit, judge, lab, limits, load, observe, scalars::unit, timeline, workload};
use crate::{
    scenario::{
        diagnostic::Diagnostic,
        model::{Arrivals, Executor, Load, Scenario, Unsteady},
        yaml::{Node, Value},
    },
    units::{PhaseName, Span, WorkloadName},
};

/// Name of the only phase of a scenario that names none.
pub(in crate::scenario) const ONLY_PHASE: &str = "load";

/// Reads a scenario.
pub(in crate::scenario) fn scenario(cx: &mut Context<'_>, root: &Node) -> Option<Scenario> {
    let mut fields = Fields::of(cx, root, "Scenario", "a scenario")?;
    collect_names(cx, root);
    let version = fields.required(cx, "version", "1", |cx, node| {
        let version = cx.number(node, "the format's version, 1", 0..u32::MAX)?;
        let help = "this program reads version 1";
        if version == 1 {
            Some(1)
        } else {
            cx.fail(&node.place, format!("there is no version {version}"), help)
        }
    });
    let name = fields.required(cx, "name", "holiday-readiness", |cx, node| cx.identifier(node, "a name"));
    let description = fields.optional(cx, "description", |cx, node| cx.text(node, "a text"));
    let seed = fields.or(cx, "seed", 0, |cx, node| cx.number(node, "a whole number from 0", 0..u64::MAX));
    let target = fields.required(cx, "target", "lab", lab::target);
    let workloads =
        fields.required(cx, "workloads", "{ chat: { endpoint: …, prompts: … } }", |cx, node| {
            named(cx, node, "workloads", workload::workload, WorkloadName::new)
        });
    let load =
        fields.required(cx, "load", "[ { name: users, workload: chat, closed: { users: 5 } } ]", load::loads);
    let warm_up = fields.optional(cx, "warm-up", unit::<Span>);
    let phases =
        fields.or(cx, "phases", IndexMap::new(), |cx, node| named(cx, node, "phases", phase, PhaseName::new));
    let chaos = fields.or(cx, "chaos", Vec::new(), timeline::timeline);
    let observe = fields.or(cx, "observe", Vec::new(), observe::sources);
    let stop_when = fields
        .or(cx, "stop-when", Vec::new(), |cx, node| cx.list(node, "conditions", timeline::stop_condition));
    let unless_steady = fields.or(cx, "unless-steady", Unsteady::Stop, |cx, node| {
        cx.choice(node, "an answer to a baseline that is not steady", &[Unsteady::Stop, Unsteady::Continue])
    });
    let slos = fields.or(cx, "slos", Vec::new(), |cx, node| cx.list(node, "SLOs", judge::slo));
    let expect =
        fields.or(cx, "expect", Vec::new(), |cx, node| cx.list(node, "expectations", judge::expectation));
    if let Some(node) = fields.get("expect") {
        limits::beyond_the_end(cx, node);
    }
    let searches = load.as_ref().is_some_and(|load: &Vec<Load>| {
        load.iter().any(|load| matches!(load.executor, Executor::Capacity(_)))
    });
    if searches {
        alone(cx, &fields);
        if let Some(slos) = &slos {
            if slos.is_empty() {
                let help = "such as `- { ttft: \"p95 < 500ms\" }`";
                let _: Option<()> =
                    cx.fail(fields.place(), "a capacity search needs `slos:` to search for", help);
            } else if slos.iter().any(|slo| slo.phase.is_some()) {
                let place =
                    fields.key("slos").map_or_else(|| fields.place().clone(), |key| key.place.clone());
                let _: Option<()> = cx.fail(&place, "a capacity search has no phases for an `in:`", "");
            }
        }
    }
    let load_place = fields.key("load").map(|key| key.place.clone());
    let whole = fields.place().clone();
    fields.finish(cx);
    let scenario = Scenario {
        version: version?,
        name: name?,
        description: description?,
        seed: seed?,
        target: target?,
        workloads: workloads?,
        load: load?,
        warm_up: warm_up?,
        phases: phases?,
        chaos: chaos?,
        observe: observe?,
        stop_when: stop_when?,
        unless_steady: unless_steady?,
        slos: slos?,
        expect: expect?,
    };
    let load_place = load_place.unwrap_or(whole);
    if scenario.phases.is_empty() && scenario.load.iter().all(|load| length(load).is_none()) {
        let help = "add `phases: { load: 30s }`, or `requests:` to a closed load";
        return cx.fail(&load_place, "nothing says when this scenario ends", help);
    }
    if scenario.slos.is_empty() && scenario.expect.is_empty() && scenario.chaos.is_empty() {
        let warning = Diagnostic::warning(&load_place, "nothing is judged but the load generator itself");
        cx.report(warning.help("add `slos:`, such as `- { availability: \">= 99%\" }`"));
    }
    Some(scenario)
}

/// When a load is over by itself, from the first phase's start. None: never.
/// A closed load with a number of requests ends, and so does a search, but
/// nobody knows when: zero.
pub(in crate::scenario) fn length(load: &Load) -> Option<Span> {
    let own = match &load.executor {
        Executor::Closed(closed) => closed.requests.map(|_| Span::default()),
        Executor::Capacity(_) => Some(Span::default()),
        Executor::Arrivals(arrivals) => match arrivals {
            Arrivals::Constant(profile) | Arrivals::Poisson(profile) => profile.length(),
            Arrivals::Gamma(gamma) => gamma.profile.length(),
            Arrivals::Trace(trace) => Some(trace.length()),
        },
    };
    let after_start = |length: Span| Span(load.start.0.saturating_add(length.0));
    match (own.filter(|own| *own > Span::default()), load.lasting) {
        (Some(own), Some(limit)) => Some(after_start(own.min(limit))),
        (None, Some(limit)) => Some(after_start(limit)),
        (Some(own), None) => Some(after_start(own)),
        (None, None) => own,
    }
}

/// What stands beside a capacity search that only makes sense on a timeline.
fn alone(cx: &mut Context<'_>, fields: &Fields<'_>) {
    for key in ["warm-up", "phases", "chaos", "expect"].into_iter().filter_map(|key| fields.key(key)) {
        let message = format!("`{}` can't stand beside a capacity search", key.text);
        let help = "a search has its own steps, and the SLOs are judged in each of them";
        let _: Option<()> = cx.fail(&key.place, message, help);
    }
}

/// A mapping from names that people choose.
fn named<K: std::hash::Hash + Eq, V>(
    cx: &mut Context<'_>,
    node: &Node,
    what: &str,
    decode: impl Fn(&mut Context<'_>, &Node) -> Option<V>,
    key: impl Fn(String) -> K,
) -> Option<IndexMap<K, V>> {
    let entries = cx.entries(node, what)?;
    if entries.is_empty() {
        return cx.fail(&node.place, format!("this is empty, and needs {what}"), "");
    }
    let all: Vec<Option<(K, V)>> = entries
        .into_iter()
        .map(|(name, node)| {
            let right = cx.check_identifier(&name.text, &name.place, "a name");
            let value = decode(cx, node);
            right.then_some(())?;
            Some((key(name.text.clone()), value?))
        })
        .collect();
    all.into_iter().collect()
}

fn phase(cx: &mut Context<'_>, node: &Node) -> Option<Span> {
    let length: Span = cx.unit(node)?;
    if length == Span::default() {
        cx.fail(&node.place, "a phase can't be this short", "")
    } else {
        Some(length)
    }
}

/// Notes what the rest of the scenario may refer to, before it is read, so
/// that references can be checked wherever they stand.
fn collect_names(cx: &mut Context<'_>, root: &Node) {
    let keys = |key: &str| match root.get(key).map(|node| &node.value) {
        Some(Value::Map(entries)) => entries.iter().map(|(k, node)| (k.text.clone(), node)).collect(),
        Some(Value::Scalar { .. } | Value::List(_)) | None => Vec::new(),
    };
    cx.names.phases = keys("phases")
        .into_iter()
        .map(|(name, node)| (name, node.text().and_then(|text| text.parse().ok())))
        .collect();
    if cx.names.phases.is_empty() {
        cx.names.phases.push((ONLY_PHASE.to_owned(), None));
    }
    cx.names.workloads = keys("workloads").into_iter().map(|(name, _)| name).collect();
    if let Some(Value::List(acts)) = root.get("chaos").map(|node| &node.value) {
        cx.names.acts = acts.iter().filter_map(|act| act.get("id")?.text().map(str::to_owned)).collect();
    }
    if let Some(Value::List(sources)) = root.get("observe").map(|node| &node.value) {
        cx.names.sources =
            sources.iter().filter_map(|source| source.get("name")?.text().map(str::to_owned)).collect();
    }
    cx.names.target = fit::kind(root.get("target"));
}
