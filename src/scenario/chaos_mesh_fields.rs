//! No field of a Chaos Mesh manifest is passed over in silence: each that its
//! CRDs know changes what is read, or is refused with its name.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::*;

/// What is read of a manifest with this spec, or the errors about it.
fn read(kind: &str, spec: &Value) -> Result<Value, Vec<String>> {
    let manifest = json!({ "apiVersion": "chaos-mesh.org/v1alpha1", "kind": kind, "spec": spec });
    let resolver = |_: &str| Ok((PathBuf::from("m.yaml"), manifest.to_string()));
    match parse(&super::tests::applying(Path::new("m.yaml")), Path::new("x.yaml"), &[], &resolver) {
        Ok(loaded) => Ok(serde_json::to_value(&loaded.scenario).expect("it serialises")),
        Err(errors) => Err(errors.items().iter().map(|error| error.message.clone()).collect()),
    }
}

/// A right spec that lacks the field or has another value of it, and one that
/// has it.
fn pair(kind: &str, field: &str) -> (Value, Value) {
    let mut spec = match kind {
        "PodChaos" => json!({ "action": "pod-failure", "duration": "5s" }),
        _ => json!({ "action": "delay", "delay": { "latency": "1s" }, "duration": "5s" }),
    };
    spec["mode"] = json!("all");
    spec["selector"] =
        json!({ "expressionSelectors": [{ "key": "app", "operator": "In", "values": ["a"] }] });
    if field.starts_with("target.") {
        spec["target"] = json!({ "mode": "all", "selector": spec["selector"].clone() });
    }
    let (parent, leaf) = field.rsplit_once('.').unwrap_or(("", field));
    let block = field.split('.').next().unwrap_or_default();
    match (kind, field, block) {
        (_, "gracePeriod", _) => spec["action"] = json!("pod-kill"),
        (_, "containerNames", _) => {
            spec["action"] = json!("container-kill");
            spec["containerNames"] = json!(["a"]);
        }
        ("NetworkChaos", _, "loss" | "duplicate" | "corrupt") => {
            spec["action"] = json!("netem");
            if field != block {
                spec[block] = json!({ (block): "10" });
            }
        }
        ("NetworkChaos", _, "bandwidth") => {
            spec["action"] = json!("bandwidth");
            spec["delay"] = Value::Null;
            spec["bandwidth"] = json!({ "rate": "1kbps", "limit": 1, "buffer": 1 });
        }
        _ => {}
    }
    if leaf == "value" {
        // The mode's own value: `fixed` needs one.
        let scope = if parent.is_empty() { &mut spec } else { &mut spec[parent] };
        scope["mode"] = json!("fixed");
        scope["value"] = json!("1");
    }
    let mut with = spec.clone();
    put(&mut with, field, sample(kind, field));
    (spec, with)
}

fn put(spec: &mut Value, field: &str, value: Value) {
    let mut at = spec;
    for part in field.split('.') {
        at = match at {
            Value::Array(items) => &mut items[0],
            other => other,
        };
        at = &mut at[part];
    }
    *at = value;
}

/// A right value of a field that no spec above has.
fn sample(kind: &str, field: &str) -> Value {
    let selector = json!({ "labelSelectors": { "app": "b" } });
    match field {
        "action" if kind == "PodChaos" => return json!("pod-kill"),
        "action" => return json!("partition"),
        "loss" | "duplicate" | "corrupt" => return json!({ (field): "25" }),
        "bandwidth" => return json!({ "rate": "2kbps", "limit": 2, "buffer": 2 }),
        "delay" => return json!({ "latency": "2s" }),
        "delay.reorder" => return json!({ "reorder": "50", "gap": 2 }),
        "rate" => return json!({ "rate": "2kbps" }),
        "target" => return json!({ "mode": "one", "selector": selector }),
        _ => {}
    }
    match field.rsplit('.').next().unwrap_or_default() {
        "selector" => selector,
        "mode" => json!("one"),
        "direction" => json!("both"),
        "operator" => json!("NotIn"),
        "duration" | "latency" | "jitter" => json!("7s"),
        "rate" => json!("2kbps"),
        "gracePeriod" | "limit" | "buffer" | "minburst" | "peakrate" | "gap" => json!(30),
        "value" | "correlation" | "loss" | "duplicate" | "corrupt" | "reorder" => json!("25"),
        "labelSelectors" | "annotationSelectors" | "nodeSelectors" => json!({ "app": "b" }),
        "fieldSelectors" => json!({ "metadata.name": "b" }),
        "expressionSelectors" => json!([{ "key": "tier", "operator": "Exists" }]),
        "pods" => json!({ "serving": ["b"] }),
        "podPhaseSelectors" => json!(["Running"]),
        "namespaces" | "nodes" | "values" | "containerNames" | "externalTargets" => json!(["b"]),
        _ => json!("b"),
    }
}

#[test]
fn each_field_of_chaos_mesh_is_honoured_or_refused_by_name() {
    let table = include_str!("../../tests/data/chaos-mesh-fields.txt");
    let mut wrong = Vec::new();
    let mut rows = 0;
    for row in table.lines().filter(|row| !row.starts_with('#')) {
        let [kind, field, fate] = row.split(' ').collect::<Vec<_>>()[..] else { panic!("{row}") };
        let (without, with) = pair(kind, field);
        let base = read(kind, &without).unwrap_or_else(|errors| panic!("{row}: {errors:?}"));
        let name = |part: &str| format!("`{part}`");
        let right = match (fate, read(kind, &with)) {
            ("honoured", Ok(read)) => read != base,
            ("refused", Err(errors)) => {
                field.split('.').any(|part| errors.iter().all(|error| error.contains(&name(part))))
            }
            _ => false,
        };
        if !right {
            wrong.push(format!("{row}: {:?}", read(kind, &with).err()));
        }
        rows += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(rows > 80, "{rows} fields");
}

#[test]
fn a_field_that_chaos_mesh_does_not_know_is_refused_by_name() {
    for kind in ["PodChaos", "NetworkChaos"] {
        let (mut spec, _) = pair(kind, "duration");
        spec["futureField"] = json!("b");
        let errors = read(kind, &spec).expect_err("nobody knows it");
        assert!(errors.iter().any(|error| error.contains("`futureField`")), "{errors:?}");
    }
}
