//! The JSON Schema of a scenario, for editors.
//!
//! It is made from the model's own types, so that it knows every key and says
//! of each what the model's documentation says. Where YAML's shape is another
//! than the type's, it is put right here.

mod chaos;
mod observe;

use serde_json::{Map, Value, json};

use super::model::Scenario;

/// The JSON Schema (draft 2020-12) of a scenario.
pub fn schema() -> Value {
    let mut root = schemars::schema_for!(Scenario).to_value();
    flatten(&mut root);
    close(&mut root);
    if let Some(Value::Object(definitions)) = root.get_mut("$defs") {
        shorthands(definitions);
        texts(definitions);
        chaos::replace(definitions);
        chaos::act(definitions);
        observe::source(definitions);
    }
    root["title"] = json!("Firedrill scenario");
    root
}

/// `{a: …, oneOf: [{b: …}, {c: …}]}`: a tagged enum whose key stands beside
/// others. All keys are made the mapping's own, of which one of several is
/// required, since few editors know `unevaluatedProperties`. Where none is
/// required, the branches lie a step deeper, beside an empty one.
fn flatten(schema: &mut Value) {
    each(schema, &mut |schema| {
        if !schema.contains_key("properties") {
            return;
        }
        let optional = schema.get("anyOf").and_then(|any| any.get(0)?.get("oneOf").cloned());
        if optional.is_some() {
            schema.remove("anyOf");
        }
        let required = optional.is_none();
        let Some(Value::Array(branches)) = optional.or_else(|| schema.remove("oneOf")) else { return };
        let mut alternatives = Vec::new();
        for branch in branches {
            alternatives.push(json!({ "required": branch["required"] }));
            let description = branch.get("description").cloned();
            let (Some(Value::Object(keys)), Some(Value::Object(own))) =
                (branch.get("properties").cloned(), schema.get_mut("properties"))
            else {
                continue;
            };
            for (key, mut value) in keys {
                if let (Some(value), Some(description)) = (value.as_object_mut(), &description) {
                    value.insert("description".to_owned(), description.clone());
                }
                own.insert(key, value);
            }
        }
        if required {
            schema.insert("oneOf".to_owned(), Value::Array(alternatives));
        }
    });
}

/// No mapping has keys that it does not know.
fn close(schema: &mut Value) {
    each(schema, &mut |schema| {
        if schema.contains_key("properties") {
            schema.entry("additionalProperties").or_insert(Value::Bool(false));
        }
    });
}

/// Calls `change` for every schema in `schema`.
fn each(schema: &mut Value, change: &mut impl FnMut(&mut Map<String, Value>)) {
    match schema {
        Value::Object(object) => {
            // A mapping of names to schemas is none itself.
            if !object.is_empty() && object.values().all(Value::is_object) && !object.contains_key("items") {
                object.values_mut().for_each(|value| each(value, change));
                return;
            }
            change(object);
            object.values_mut().for_each(|value| each(value, change));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each(item, change)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Shorter forms that YAML allows.
fn shorthands(definitions: &mut Map<String, Value>) {
    if let Some(Value::Array(branches)) = definitions.get_mut("Target").and_then(|d| d.get_mut("oneOf")) {
        if let Some(lab) = branches.first_mut().and_then(|branch| branch.pointer_mut("/properties/lab")) {
            *lab = json!({ "anyOf": [lab.clone(), { "type": "null" }] });
        }
        branches.push(json!({ "const": "lab", "description": "The built-in lab as it comes." }));
    }
    if let Some(limit) = definitions.get_mut("PodLimit") {
        *limit = json!({
            "anyOf": [{ "type": "integer", "minimum": 1 }, { "$ref": "#/$defs/Ratio" }],
            "description": limit["description"].clone(), "examples": [2, "50%"],
        });
    }
    if let Some(Value::Array(branches)) = definitions.get_mut("Tokens").and_then(|d| d.get_mut("oneOf")) {
        branches[0] = json!({ "type": "integer", "minimum": 1, "description": "Always this many." });
    }
    if let Some(Value::Array(branches)) = definitions.get_mut("Turns").and_then(|d| d.get_mut("oneOf")) {
        branches[0] = json!({ "type": "integer", "minimum": 1, "description": "Always this many." });
    }
    if let Some(Value::Array(branches)) = definitions.get_mut("Think").and_then(|d| d.get_mut("oneOf")) {
        branches[0] = json!({ "$ref": "#/$defs/Span" });
    }
    let modes = ["Breaker", "Cache", "Fallback", "Shedding", "Retry", "Rollback", "Pod"];
    for mode in modes.map(|mode| format!("{mode}Mode")) {
        if let Some(Value::Array(branches)) = definitions.get_mut(&mode).and_then(|d| d.get_mut("oneOf")) {
            branches.push(json!({ "type": "boolean", "description": "As `on` and `off`." }));
        }
    }
    if let Some(proxy) =
        definitions.get_mut("KubernetesTarget").and_then(|d| d.pointer_mut("/properties/proxy"))
    {
        *proxy = json!({
            "anyOf": [{ "enum": ["on", true] }, { "$ref": "#/$defs/ServiceProxy" }],
            "description": "A fault proxy between a Service and its pods: `on`, or `{ service: … }`.",
        });
    }
    if let Some(version) = definitions.get_mut("HttpVersion") {
        // YAML's numbers, too.
        *version = json!({ "enum": [1, 2, "auto", "1", "2"], "description": version["description"].clone() });
    }
    if let Some(rate) = definitions.get_mut("LabConfig").and_then(|d| d.pointer_mut("/properties/error-rate"))
    {
        let description = rate["description"].clone();
        *rate = json!({ "$ref": "#/$defs/Ratio", "description": description });
    }
}

/// Types that are one text in YAML.
fn texts(definitions: &mut Map<String, Value>) {
    let mut text = |name: &str, pattern: &str, example: &str| {
        let description =
            definitions.get(name).and_then(|d| d.get("description")).cloned().unwrap_or_default();
        let schema = json!({
            "type": "string", "pattern": pattern, "examples": [example], "description": description,
        });
        definitions.insert(name.to_owned(), schema);
    };
    text("At", r"^[A-Za-z0-9][A-Za-z0-9._-]*( *\+ *[0-9][0-9.a-zµ]*)?$", "fault + 10s");
    text(
        "StopCondition",
        r"^error-rate *(<|<=|>|>=) *[0-9.]+ *%? +for +[0-9.a-zµ]+$",
        "error-rate > 50% for 10s",
    );
    let applied = json!({
        "description": "A Chaos Mesh manifest: the path of its file, or the manifest itself.",
        "anyOf": [
            { "type": "string", "description": "Path of the manifest, from the scenario's folder or one above it." },
            { "$ref": "#/$defs/Manifest" },
        ],
    });
    definitions.insert("Applied".to_owned(), applied);
    let file = json!({
        "type": "string", "description": "Path of a file, from the scenario's folder or one above it.",
    });
    definitions.insert("PromptFile".to_owned(), file);
}

#[cfg(test)]
mod tests;
