//! Chaos Mesh's selectors and modes.

use indexmap::IndexMap;

use super::{Context, Fields, TargetKind, listed};
use crate::scenario::{
    chaos::{LabelExpression, LabelOperator, Mode, POD_FIELDS, Scope, Selector},
    diagnostic::Diagnostic,
    yaml::{Node, Value},
};

/// `selector`, `mode` and `value` of a spec.
pub(super) fn scope(cx: &mut Context<'_>, fields: &mut Fields<'_>) -> Option<Scope> {
    let selector = fields.required(cx, "selector", "{ namespaces: [default] }", selector);
    let mode_name = fields.required(cx, "mode", "one", |cx, node| {
        cx.choice(node, "a mode", &["one", "all", "fixed", "fixed-percent", "random-max-percent"])
    });
    let value = fields.get("value");
    let mode = mode_name.and_then(|name| mode(cx, fields, name, value));
    Some(Scope { selector: selector?, mode: mode? })
}

fn mode(cx: &mut Context<'_>, fields: &Fields<'_>, name: &str, value: Option<&Node>) -> Option<Mode> {
    if matches!(name, "one" | "all") {
        if let Some(node) = value.filter(|node| node.text() != Some("")) {
            cx.report(Diagnostic::warning(
                &node.place,
                format!("the mode `{name}` has no value: this is ignored"),
            ));
        }
        return Some(if name == "one" { Mode::One } else { Mode::All });
    }
    let Some(node) = value else {
        let place = fields.key("mode").map_or_else(|| fields.place().clone(), |key| key.place.clone());
        return cx.fail(&place, format!("the mode `{name}` needs a `value`"), "write `value: \"50\"`");
    };
    let text = cx.kube_text(node, "a number in quotes, such as `\"50\"`")?;
    let number: u32 = match text.trim().parse() {
        Ok(number) => number,
        Err(_) => {
            let help = "Chaos Mesh wants a whole number as a text, without `%`: `value: \"50\"`";
            return cx.fail(&node.place, format!("`{text}` is not a whole number"), help);
        }
    };
    let most = if name == "fixed" { u32::MAX } else { 100 };
    if !(1..=most).contains(&number) {
        let range = if name == "fixed" { "at least 1" } else { "from 1 to 100" };
        return cx.fail(&node.place, format!("the value of `{name}` must be {range}, not {number}"), "");
    }
    Some(match name {
        "fixed" => Mode::Fixed(number),
        "fixed-percent" => Mode::FixedPercent(f64::from(number)),
        _ => Mode::RandomMaxPercent(f64::from(number)),
    })
}

fn selector(cx: &mut Context<'_>, node: &Node) -> Option<Selector> {
    let mut fields = Fields::of(cx, node, "Selector", "a selector")?;
    let namespaces = fields.or(cx, "namespaces", Vec::new(), |cx, node| texts(cx, node, "namespaces"));
    let label_selectors =
        fields.or(cx, "labelSelectors", IndexMap::new(), |cx, node| pairs(cx, node, "labels"));
    let expression_selectors = fields
        .or(cx, "expressionSelectors", Vec::new(), |cx, node| cx.list(node, "label expressions", expression));
    let annotation_selectors =
        fields.or(cx, "annotationSelectors", IndexMap::new(), |cx, node| pairs(cx, node, "annotations"));
    let field_selectors = fields.or(cx, "fieldSelectors", IndexMap::new(), pod_fields);
    let nodes = fields.or(cx, "nodes", Vec::new(), |cx, node| texts(cx, node, "nodes"));
    let node_selectors = fields.or(cx, "nodeSelectors", IndexMap::new(), |cx, node| {
        let pairs = pairs(cx, node, "labels of nodes")?;
        if cx.names.target == TargetKind::Lab && !pairs.is_empty() {
            cx.report(Diagnostic::warning(
                &node.place,
                "the lab's nodes have no labels: this selects no node",
            ));
        }
        Some(pairs)
    });
    let pod_phase_selectors = fields.or(cx, "podPhaseSelectors", Vec::new(), |cx, node| {
        cx.list(node, "phases of pods", |cx, node| {
            let text = cx.kube_text(node, "a phase of pods such as `Running`")?;
            let known = ["Pending", "Running", "Succeeded", "Failed", "Unknown"];
            let name = text.trim_start_matches('!');
            if known.contains(&name) {
                return Some(text);
            }
            cx.fail(&node.place, format!("pods have no phase `{name}`"), format!("one of {}", listed(known)))
        })
    });
    let pods = fields.or(cx, "pods", IndexMap::new(), |cx, node| {
        let entries = cx.entries(node, "names of pods by namespace")?;
        let all: Vec<_> = entries
            .into_iter()
            .map(|(key, node)| Some((key.text.clone(), texts(cx, node, "names of pods")?)))
            .collect();
        all.into_iter().collect()
    });
    fields.finish(cx);
    let selector = Selector {
        namespaces: namespaces?,
        label_selectors: label_selectors?,
        expression_selectors: expression_selectors?,
        annotation_selectors: annotation_selectors?,
        field_selectors: field_selectors?,
        nodes: nodes?,
        node_selectors: node_selectors?,
        pod_phase_selectors: pod_phase_selectors?,
        pods: pods?,
    };
    if !selector.pods.is_empty()
        && selector != (Selector { pods: selector.pods.clone(), ..Selector::default() })
    {
        cx.report(Diagnostic::warning(&node.place, "`pods` overrides every other part of a selector"));
    }
    Some(selector)
}

fn texts(cx: &mut Context<'_>, node: &Node, what: &str) -> Option<Vec<String>> {
    cx.list(node, what, |cx, node| cx.kube_text(node, "a text"))
}

pub(super) fn pairs(cx: &mut Context<'_>, node: &Node, what: &str) -> Option<IndexMap<String, String>> {
    let entries = cx.entries(node, what)?;
    let all: Vec<_> = entries
        .into_iter()
        .map(|(key, node)| Some((key.text.clone(), cx.kube_text(node, "a text")?)))
        .collect();
    all.into_iter().collect()
}

fn pod_fields(cx: &mut Context<'_>, node: &Node) -> Option<IndexMap<String, String>> {
    for (key, _) in cx.entries(node, "fields of pods")? {
        if !POD_FIELDS.contains(&key.text.as_str()) {
            let message = format!("pods can't be selected by the field `{}`", key.text);
            return cx.fail(&key.place, message, format!("one of {}", listed(POD_FIELDS)));
        }
    }
    pairs(cx, node, "fields of pods")
}

fn expression(cx: &mut Context<'_>, node: &Node) -> Option<LabelExpression> {
    let mut fields = Fields::of(cx, node, "LabelExpression", "a label expression")?;
    let key = fields.required(cx, "key", "app", |cx, node| cx.kube_text(node, "a label's key"));
    let operators =
        [LabelOperator::In, LabelOperator::NotIn, LabelOperator::Exists, LabelOperator::DoesNotExist];
    let operator =
        fields.required(cx, "operator", "In", |cx, node| cx.choice(node, "an operator", &operators));
    let values_node = fields.get("values");
    let values = fields.or(cx, "values", Vec::new(), |cx, node| texts(cx, node, "values"));
    fields.finish(cx);
    let (key, operator, values) = (key?, operator?, values?);
    let place = values_node.map_or(&node.place, |node| &node.place);
    match operator {
        LabelOperator::In | LabelOperator::NotIn if values.is_empty() => {
            cx.fail(place, "`In` and `NotIn` need values", "write `values: [llm]`")
        }
        LabelOperator::Exists | LabelOperator::DoesNotExist if !values.is_empty() => {
            cx.fail(place, "`Exists` and `DoesNotExist` have no values", "")
        }
        LabelOperator::In | LabelOperator::NotIn | LabelOperator::Exists | LabelOperator::DoesNotExist => {
            Some(LabelExpression { key, operator, values })
        }
    }
}

impl Context<'_> {
    /// A text, as Kubernetes reads it: a number without quotes is none. It is
    /// let pass with a warning.
    pub(super) fn kube_text(&mut self, node: &Node, what: &str) -> Option<String> {
        let Some(text) = node.text() else { return self.mistyped(node, what) };
        let is_text = match &node.value {
            Value::Scalar { plain: true, text } => {
                text.parse::<f64>().is_err() && !matches!(text.as_str(), "true" | "false")
            }
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => true,
        };
        if !is_text {
            let warning = Diagnostic::warning(&node.place, "Kubernetes wants a text here, in quotes");
            self.report(warning.help(format!("write `\"{text}\"`, or a cluster will refuse this manifest")));
        }
        Some(text.to_owned())
    }
}
