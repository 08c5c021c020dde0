//! `NetworkChaos`.

use super::{Context, Fields, listed, manifest, scalars::unit, selector};
use crate::{
    scenario::{
        chaos::{Direction, NetworkChaos, NetworkEffect, Scope},
        diagnostic::Diagnostic,
        source::Place,
        yaml::Node,
    },
    units::{Ratio, Span},
};

const ACTIONS: [&str; 7] = ["netem", "delay", "loss", "duplicate", "corrupt", "partition", "bandwidth"];
/// The blocks that a spec may have; each is an action's own.
const BLOCKS: [&str; 5] = ["delay", "loss", "duplicate", "corrupt", "bandwidth"];

pub(super) fn network(cx: &mut Context<'_>, node: &Node) -> Option<NetworkChaos> {
    let mut fields = Fields::of(cx, node, "NetworkChaos", "the spec of a NetworkChaos")?;
    manifest::refuse_scheduler(cx, &mut fields);
    let action = fields
        .required(cx, "action", "delay", |cx, node| cx.choice(node, "an action of a NetworkChaos", &ACTIONS));
    let scope = selector::scope(cx, &mut fields);
    let direction_place = fields.get("direction").map(|node| node.place.clone());
    let direction = fields.or(cx, "direction", Direction::To, |cx, node| {
        cx.choice(node, "a direction", &[Direction::To, Direction::From, Direction::Both])
    });
    let target = fields.optional(cx, "target", target);
    let duration = fields.optional(cx, "duration", manifest::duration);
    let effects = action.and_then(|action| effects(cx, &mut fields, action));
    if action.is_none() {
        for block in BLOCKS {
            fields.get(block);
        }
    }
    fields.refuse(cx, "externalTargets", "`externalTargets` is not supported here", "");
    fields.refuse(cx, "rate", "`rate` is not supported here", "`action: bandwidth` limits the rate");
    let device = "there are no interfaces to choose from: leave it out";
    fields.refuse(cx, "device", "`device` is not supported here", device);
    fields.refuse(cx, "targetDevice", "`targetDevice` is not supported here", device);
    manifest::refuse_remote_cluster(cx, &mut fields);
    fields.finish(cx);
    let spec = NetworkChaos {
        effects: effects?,
        scope: scope?,
        direction: direction?,
        target: target?,
        duration: duration?,
    };
    let one_way = spec.direction == Direction::To || spec.target.is_some() || action == Some("partition");
    if let (false, Some(place)) = (one_way, direction_place) {
        let warning = Diagnostic::warning(&place, "Chaos Mesh refuses this direction without a `target`");
        cx.report(warning.help("leave it out (`to`), or name the other side under `target:`"));
    }
    Some(spec)
}

fn target(cx: &mut Context<'_>, node: &Node) -> Option<Scope> {
    let mut fields = Fields::of(cx, node, "NetworkTarget", "a target: `selector` and `mode`")?;
    let scope = selector::scope(cx, &mut fields);
    fields.finish(cx);
    scope
}

fn effects(cx: &mut Context<'_>, fields: &mut Fields<'_>, action: &str) -> Option<Vec<NetworkEffect>> {
    let wanted: &[&str] = match action {
        "netem" => &["delay", "loss", "duplicate", "corrupt"],
        "partition" => &[],
        own => &[BLOCKS[BLOCKS.iter().position(|block| *block == own)?]],
    };
    let mut effects = Vec::new();
    let mut right = true;
    for block in BLOCKS {
        let Some(node) = fields.get(block) else { continue };
        if !wanted.contains(&block) {
            let place = fields.key(block).map_or(&node.place, |key| &key.place);
            let message = format!("the action `{action}` does not use `{block}`: it is ignored");
            cx.report(Diagnostic::warning(place, message));
            continue;
        }
        match effect(cx, node, block) {
            Some(effect) => effects.push(effect),
            None => right = false,
        }
    }
    if action == "partition" {
        return Some(vec![NetworkEffect::Partition]);
    }
    if effects.is_empty() && right {
        let place: Place =
            fields.key("action").map_or_else(|| fields.place().clone(), |key| key.place.clone());
        let example = match wanted {
            ["loss"] => "loss: { loss: \"25\" }",
            ["duplicate"] => "duplicate: { duplicate: \"25\" }",
            ["corrupt"] => "corrupt: { corrupt: \"25\" }",
            ["bandwidth"] => "bandwidth: { rate: 100kbps, limit: 20000, buffer: 10000 }",
            _ => "delay: { latency: 100ms }",
        };
        let message = format!("the action `{action}` needs {}", listed(wanted.iter().copied()));
        return cx.fail(&place, message, format!("write `{example}`"));
    }
    right.then_some(effects)
}

fn effect(cx: &mut Context<'_>, node: &Node, block: &'static str) -> Option<NetworkEffect> {
    match block {
        "delay" => delay(cx, node),
        "bandwidth" => bandwidth(cx, node),
        "loss" => {
            let (probability, correlation) = probability(cx, node, "Loss", "loss")?;
            Some(NetworkEffect::Loss { probability, correlation })
        }
        "duplicate" => {
            let (probability, correlation) = probability(cx, node, "Duplicate", "duplicate")?;
            Some(NetworkEffect::Duplicate { probability, correlation })
        }
        _ => {
            let (probability, correlation) = probability(cx, node, "Corrupt", "corrupt")?;
            Some(NetworkEffect::Corrupt { probability, correlation })
        }
    }
}

fn delay(cx: &mut Context<'_>, node: &Node) -> Option<NetworkEffect> {
    let mut fields = Fields::of(cx, node, "Delay", "a delay")?;
    let latency = fields.required(cx, "latency", "100ms", unit::<Span>);
    let jitter = fields.or(cx, "jitter", Span::default(), unit::<Span>);
    let correlation = fields.or(cx, "correlation", Ratio(0.0), percent);
    fields.refuse(cx, "reorder", "`reorder` is not supported here", "");
    fields.finish(cx);
    let (latency, jitter) = (latency?, jitter?);
    if latency == Span::default() && jitter == Span::default() {
        return cx.fail(&node.place, "this delays nothing", "");
    }
    Some(NetworkEffect::Delay { latency, jitter, correlation: correlation? })
}

fn probability(
    cx: &mut Context<'_>,
    node: &Node,
    definition: &'static str,
    key: &'static str,
) -> Option<(Ratio, Ratio)> {
    let mut fields = Fields::of(cx, node, definition, "a probability")?;
    let probability = fields.required(cx, key, "\"25\"", percent);
    let correlation = fields.or(cx, "correlation", Ratio(0.0), percent);
    fields.finish(cx);
    Some((probability?, correlation?))
}

/// Chaos Mesh's per cents: a number as a text, from 0 to 100, without a sign.
fn percent(cx: &mut Context<'_>, node: &Node) -> Option<Ratio> {
    let text = cx.kube_text(node, "per cent in quotes, such as `\"25\"`")?;
    match text.trim().parse::<f64>() {
        Ok(percent) if (0.0..=100.0).contains(&percent) => Some(Ratio(percent / 100.0)),
        Ok(percent) => cx.fail(&node.place, format!("{percent} is not between 0 and 100 per cent"), ""),
        Err(_) => {
            let help = "Chaos Mesh wants per cent as a text, without the sign: `\"25\"`";
            cx.fail(&node.place, format!("`{text}` is not a number"), help)
        }
    }
}

fn bandwidth(cx: &mut Context<'_>, node: &Node) -> Option<NetworkEffect> {
    let mut fields = Fields::of(cx, node, "Bandwidth", "a bandwidth")?;
    let rate = fields.required(cx, "rate", "100kbps", rate);
    let size = |cx: &mut Context<'_>, node: &Node| cx.number(node, "a number of bytes from 1", 1..);
    let limit = fields.required(cx, "limit", "20000", size);
    let buffer = fields.required(cx, "buffer", "10000", size);
    fields.refuse(cx, "peakrate", "`peakrate` is not supported here", "");
    fields.refuse(cx, "minburst", "`minburst` is not supported here", "");
    fields.finish(cx);
    Some(NetworkEffect::Bandwidth { bytes_per_second: rate?, limit: limit?, buffer: buffer? })
}

/// A rate as Chaos Mesh reads it: `bps` are *bytes* a second, and each prefix
/// is 1024 times the last. tc's own `kbit`… pass with a warning.
fn rate(cx: &mut Context<'_>, node: &Node) -> Option<u64> {
    let text = cx.text(node, "a rate such as `100kbps`")?.to_lowercase();
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = (&text[..split], text[split..].trim());
    let known = [("bps", 1), ("kbps", 1 << 10), ("mbps", 1 << 20), ("gbps", 1 << 30), ("tbps", 1 << 40)];
    let bits: [(&str, u64); 4] = [("bit", 1), ("kbit", 1_000), ("mbit", 1_000_000), ("gbit", 1_000_000_000)];
    let bytes = match (digits.parse::<u64>(), known.iter().find(|(name, _)| *name == unit)) {
        (Ok(number), Some((_, scale))) => number.checked_mul(*scale),
        (Ok(number), None) => bits.iter().find(|(name, _)| *name == unit).and_then(|(_, scale)| {
            let warning =
                Diagnostic::warning(&node.place, format!("Chaos Mesh does not know the unit `{unit}`"));
            cx.report(warning.help("it knows bps, kbps, mbps, gbps and tbps, all in bytes per second"));
            number.checked_mul(*scale).map(|bits| bits / 8)
        }),
        (Err(_), _) => None,
    };
    match bytes {
        Some(0) => cx.fail(&node.place, "a bandwidth of nothing is a partition", "use `action: partition`"),
        Some(bytes) => Some(bytes),
        None => {
            let help = "a whole number with bps, kbps, mbps, gbps or tbps, in bytes per second: `100kbps`";
            cx.fail(&node.place, format!("`{text}` is not a rate"), help)
        }
    }
}
