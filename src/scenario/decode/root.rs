//! The scenario's top level.

use indexmap::IndexMap;

use super::{Context, Fields, judge, lab, scalars::unit, timeline, workload};
use crate::{
    scenario::{
        diagnostic::Diagnostic,
        model::{Arrivals, Executor, Load, Profile, Scenario, Unsteady},
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
    let load = fields.required(
        cx,
        "load",
        "[ { name: users, workload: chat, closed: { users: 5 } } ]",
        workload::loads,
    );
    let warm_up = fields.optional(cx, "warm-up", unit::<Span>);
    let phases =
        fields.or(cx, "phases", IndexMap::new(), |cx, node| named(cx, node, "phases", phase, PhaseName::new));
    let chaos = fields.or(cx, "chaos", Vec::new(), timeline::timeline);
    let stop_when = fields
        .or(cx, "stop-when", Vec::new(), |cx, node| cx.list(node, "conditions", timeline::stop_condition));
    let unless_steady = fields.or(cx, "unless-steady", Unsteady::Stop, |cx, node| {
        cx.choice(node, "an answer to a baseline that is not steady", &[Unsteady::Stop, Unsteady::Continue])
    });
    let slos = fields.or(cx, "slos", Vec::new(), |cx, node| cx.list(node, "SLOs", judge::slo));
    let expect =
        fields.or(cx, "expect", Vec::new(), |cx, node| cx.list(node, "expectations", judge::expectation));
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

/// How long a load lasts by itself. None: for ever. A closed load's length
/// is not known, but it ends.
pub(in crate::scenario) fn length(load: &Load) -> Option<Span> {
    match &load.executor {
        Executor::Closed(closed) => closed.requests.map(|_| Span::default()),
        Executor::Arrivals(Arrivals::Constant(profile) | Arrivals::Poisson(profile)) => match profile {
            Profile::Rate(_) => None,
            Profile::Stages(_) | Profile::Ramp { .. } | Profile::Spike { .. } => Some(profile.length()),
        },
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
    cx.names.is_lab = root.get("target").is_none_or(|target| target.get("url").is_none());
}
