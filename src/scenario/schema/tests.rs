use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::*;
use crate::scenario::{
    SourceFile,
    decode::{self, Context},
    tests::below,
    yaml::{self, Node},
};

/// Where the definitions are that have no name of their own in the schema.
const INLINE: [(&str, &str); 5] = [
    ("Uniform", "/$defs/Tokens/oneOf/1/properties/uniform"),
    ("Lognormal", "/$defs/Tokens/oneOf/2/properties/lognormal"),
    ("Ramp", "/$defs/Profile/oneOf/2/properties/ramp"),
    ("Spike", "/$defs/Profile/oneOf/3/properties/spike"),
    ("Sine", "/$defs/Profile/oneOf/4/properties/sine"),
];

/// The keys that a schema names, in all of its alternatives.
fn keys(schema: &Value) -> BTreeSet<&str> {
    let own = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    let branches = ["oneOf", "anyOf"].into_iter().filter_map(|key| schema.get(key)?.as_array()).flatten();
    own.map(|(key, _)| key.as_str()).chain(branches.flat_map(keys)).collect()
}

/// The keys that were asked for while every file that we have was read.
fn asked() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut shapes: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for path in below("scenarios").into_iter().chain(below("tests/data")) {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        let file = SourceFile::new(&path, text);
        let Ok(documents) = yaml::read(&file, 0) else { continue };
        let none = |_: &str| Err("not here".to_owned());
        let mut cx = Context::new(vec![file], &none);
        for document in &documents {
            decode::scenario(&mut cx, document);
        }
        for (definition, keys) in cx.shapes {
            shapes.entry(definition).or_default().extend(keys);
        }
    }
    shapes
}

#[test]
fn the_schema_has_the_keys_that_are_read_and_no_others() {
    let schema = schema();
    let asked = asked();
    for (definition, asked) in &asked {
        let inline = INLINE.iter().find(|(name, _)| name == definition).map(|(_, path)| (*path).to_owned());
        let path = match *definition {
            "Scenario" => String::new(),
            name => inline.unwrap_or_else(|| format!("/$defs/{name}")),
        };
        let found = schema.pointer(&path).unwrap_or_else(|| panic!("{definition} is not in the schema"));
        assert_eq!(keys(found), asked.iter().copied().collect(), "keys of {definition}");
    }
    let definitions = schema["$defs"].as_object().expect("definitions");
    let mappings =
        definitions.iter().filter(|(_, schema)| !keys(schema).is_empty()).map(|(name, _)| name.as_str());
    let unread: Vec<_> = mappings.filter(|name| !asked.contains_key(name)).collect();
    assert!(unread.is_empty(), "no file of ours has a {unread:?}");
}

/// As much of JSON Schema as ours uses. Patterns are left out.
fn fits(root: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
        let target = root.pointer(path.trim_start_matches('#')).ok_or_else(|| format!("no {path}"))?;
        fits(root, target, value)?;
    }
    let is = |name: &str| match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|n| n.fract() == 0.0),
        "array" => value.is_array(),
        _ => value.is_object(),
    };
    match schema.get("type") {
        Some(Value::String(name)) if !is(name) => return Err(format!("{value} is not {name}")),
        Some(Value::Array(names)) if !names.iter().filter_map(Value::as_str).any(is) => {
            return Err(format!("{value} is none of {names:?}"));
        }
        _ => {}
    }
    if schema.get("const").is_some_and(|wanted| wanted != value) {
        return Err(format!("{value} is not {}", schema["const"]));
    }
    if schema.get("enum").and_then(Value::as_array).is_some_and(|all| !all.contains(value)) {
        return Err(format!("{value} is none of {}", schema["enum"]));
    }
    let branches = |key: &str| schema.get(key).and_then(Value::as_array);
    for branch in branches("allOf").into_iter().flatten() {
        let applies = branch.get("if").is_none_or(|condition| fits(root, condition, value).is_ok());
        if applies {
            fits(root, branch.get("then").unwrap_or(branch), value)?;
        }
    }
    for (key, exactly) in [("oneOf", true), ("anyOf", false)] {
        let Some(all) = branches(key) else { continue };
        let results: Vec<_> = all.iter().map(|branch| fits(root, branch, value)).collect();
        let right = results.iter().filter(|result| result.is_ok()).count();
        if right == 0 || (exactly && right > 1) {
            return Err(format!("{right} of {key} fit {value}: {results:?}"));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    if let Value::Object(object) = value {
        for key in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            if !object.contains_key(key.as_str().unwrap_or_default()) {
                return Err(format!("{key} is missing"));
            }
        }
        for (key, value) in object {
            let own = properties.and_then(|properties| properties.get(key));
            match (own, schema.get("additionalProperties")) {
                (Some(own), _) => fits(root, own, value).map_err(|e| format!("{key}: {e}"))?,
                (None, Some(Value::Bool(false))) => return Err(format!("unknown key {key}")),
                (None, Some(other)) => fits(root, other, value).map_err(|e| format!("{key}: {e}"))?,
                (None, None) => {}
            }
        }
    }
    for item in value.as_array().into_iter().flatten() {
        fits(root, schema.get("items").unwrap_or(&Value::Null), item)?;
    }
    Ok(())
}

/// The tree as an editor sees it.
fn json_of(node: &Node) -> Value {
    match &node.value {
        yaml::Value::List(items) => items.iter().map(json_of).collect(),
        yaml::Value::Map(entries) => {
            entries.iter().map(|(key, node)| (key.text.clone(), json_of(node))).collect()
        }
        yaml::Value::Scalar { .. } => node.scalar(),
    }
}

fn document(path: &Path) -> Value {
    let file = SourceFile::new(path, fs::read_to_string(path).expect("it reads"));
    json_of(&yaml::read(&file, 0).expect("YAML")[0])
}

#[test]
fn what_ships_fits_the_schema() {
    let schema = schema();
    let manifest = json!({ "$ref": "#/$defs/Manifest" });
    for (folder, part) in [("scenarios", &schema), ("tests/data/valid", &schema), ("chaos", &manifest)] {
        for path in below(folder) {
            fits(&schema, part, &document(&path)).unwrap_or_else(|why| panic!("{}: {why}", path.display()));
        }
    }
}

#[test]
fn the_schema_refuses_what_is_wrong() {
    let schema = schema();
    let right = document(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/ci-gate.yaml"));
    fits(&schema, &schema, &right).expect("it is right");
    for (path, wrong) in [
        ("/version", json!("one")),
        ("/load/0/closed", json!({ "users": 5 })),
        ("/load/0/name", json!(["a"])),
        ("/load/0/unknown", json!(1)),
        ("/target/lab/gateway", json!({ "breaker": "opens-never" })),
        (
            "/chaos/0/apply",
            json!({ "kind": "PodChaos", "apiVersion": "chaos-mesh.org/v1alpha1", "spec": { "mode": "two" } }),
        ),
        ("/expect/0/pods/replaced", json!("1s")),
    ] {
        let mut value = right.clone();
        let (parent, key) = path.rsplit_once('/').expect("a path");
        let parent = value.pointer_mut(parent).expect("it is there");
        parent.as_object_mut().expect("a mapping").insert(key.to_owned(), wrong);
        assert!(fits(&schema, &schema, &value).is_err(), "{path}");
    }
}
