//! Chaos Mesh's documents in the schema: as a cluster takes them, not as the
//! model holds them.

use serde_json::{Map, Value, json};

/// Definitions made from the model, which YAML never has in that shape.
const MODEL_ONLY: [&str; 7] =
    ["NetworkEffect", "Scope", "Cadence", "Chaos", "LabelExpression", "CustomChaos", "CustomKind"];

/// Replaces what was made from the model.
pub(super) fn replace(definitions: &mut Map<String, Value>) {
    for name in MODEL_ONLY {
        definitions.remove(name);
    }
    for (name, schema) in definitions_of_chaos() {
        definitions.insert(name.to_owned(), schema);
    }
}

/// A mapping with these keys and no other.
fn mapping(description: &str, required: &[&str], properties: Value) -> Value {
    json!({
        "type": "object", "description": description, "required": required, "properties": properties,
        "additionalProperties": false,
    })
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{name}") })
}

/// A spec: the keys of every fault and its own.
fn spec(description: &str, required: &[&str], own: Value) -> Value {
    let mut properties = json!({
        "selector": reference("Selector"),
        "mode": {
            "enum": ["one", "all", "fixed", "fixed-percent", "random-max-percent"],
            "description": "How many of the selected pods are hit.",
        },
        "value": {
            "type": ["string", "integer"],
            "description": "How many, or how many per cent, in quotes.", "examples": ["50"],
        },
        "duration": { "$ref": "#/$defs/Span", "description": "How long it lasts. None: until recovered." },
    });
    if let (Some(all), Value::Object(own)) = (properties.as_object_mut(), own) {
        all.extend(own);
    }
    mapping(description, &[&["selector", "mode"], required].concat(), properties)
}

fn texts(description: &str) -> Value {
    json!({ "type": "array", "items": { "type": ["string", "number", "boolean"] }, "description": description })
}

fn pairs(description: &str) -> Value {
    let value = json!({ "type": ["string", "number", "boolean"] });
    json!({ "type": "object", "additionalProperties": value, "description": description })
}

fn percent(description: &str) -> Value {
    json!({
        "type": ["string", "number"], "pattern": "^[0-9.]+$", "examples": ["25"],
        "description": format!("{description}, in per cent, in quotes."),
    })
}

fn size(description: &str) -> Value {
    json!({ "type": "integer", "minimum": 1, "description": description })
}

fn ignored() -> Value {
    json!({ "description": "Ignored here." })
}

fn definitions_of_chaos() -> Vec<(&'static str, Value)> {
    let mut all = documents();
    all.extend(selectors());
    all.extend(network());
    all.extend(custom());
    all.extend([
        (
            "PodChaos",
            spec("Kills pods, or takes them away for a while.", &["action"], json!({
                "action": { "enum": ["pod-kill", "pod-failure", "container-kill"] },
                "gracePeriod": { "type": "integer", "minimum": 0, "description": "Seconds between SIGTERM and SIGKILL." },
                "containerNames": texts("The containers that a container-kill kills."),
            })),
        ),
        (
            "StressChaos",
            spec("CPU and memory that are used up beside a pod's own work.", &["stressors"], json!({
                "stressors": reference("Stressors"),
            })),
        ),
        (
            "Stressors",
            mapping("What is used up: one of them at least.", &[], json!({
                "cpu": reference("CpuStress"), "memory": reference("MemoryStress"),
            })),
        ),
        (
            "CpuStress",
            mapping("Threads that compute.", &["workers"], json!({
                "workers": size("How many."),
                "load": { "type": "integer", "minimum": 1, "maximum": 100, "description": "Per cent of a core." },
            })),
        ),
        (
            "MemoryStress",
            mapping("Memory that is held.", &["workers", "size"], json!({
                "workers": size("How many hold as much."),
                "size": { "type": ["string", "integer"], "examples": ["256MB"], "description": "How much each." },
            })),
        ),
        (
            "GpuChaos",
            spec("Slower steps, as on a GPU that throttles.", &["slowdown"], json!({
                "slowdown": { "type": "number", "exclusiveMinimum": 1, "description": "Steps take this many times as long." },
            })),
        ),
        (
            "LinkChaos",
            spec("What a TCP proxy can do and netem can't.", &["action"], json!({
                "action": { "enum": ["reset", "limit-data", "slice"] },
                "after": { "$ref": "#/$defs/Span", "description": "reset: this long after the first byte." },
                "bytes": size("limit-data: after so many bytes; slice: bytes of a piece."),
                "delay": { "$ref": "#/$defs/Span", "description": "slice: the pause between pieces." },
            })),
        ),
        (
            "KubernetesChaos",
            spec("What a cluster's API server can do by itself.", &["action"], json!({
                "action": { "enum": ["scale", "cordon", "drain", "rollout", "endpoints"] },
                "replicas": { "type": "integer", "minimum": 0, "description": "scale, rollout: how many replicas the pods' workloads get." },
                "container": { "type": "string", "description": "rollout: which container. None: the only one." },
                "image": { "type": "string", "description": "rollout: the new image." },
                "env": pairs("rollout: variables of the environment, new or changed."),
                "service": { "type": "string", "description": "endpoints: which Service. None: the target's." },
            })),
        ),
        (
            "Schedule",
            mapping("One of the other kinds, again and again.", &["schedule", "type"], json!({
                "schedule": { "type": "string", "examples": ["@every 10s", "*/5 * * * *"] },
                "type": { "enum": [
                    "PodChaos", "NetworkChaos", "GPUChaos", "LinkChaos", "KubernetesChaos",
                    "HTTPChaos", "StressChaos", "IOChaos", "DNSChaos", "TimeChaos",
                ] },
                "concurrencyPolicy": reference("ConcurrencyPolicy"),
                "historyLimit": size("How many past runs a cluster remembers."),
                "startingDeadlineSeconds": { "type": "integer", "minimum": 0 },
                "podChaos": reference("PodChaos"),
                "networkChaos": reference("NetworkChaos"),
                "gpuChaos": reference("GpuChaos"),
                "linkChaos": reference("LinkChaos"),
                "kubernetesChaos": reference("KubernetesChaos"),
                "httpChaos": reference("CustomSpec"),
                "stressChaos": reference("StressChaos"),
                "ioChaos": reference("CustomSpec"),
                "dnsChaos": reference("CustomSpec"),
                "timeChaos": reference("CustomSpec"),
            })),
        ),
    ]);
    all
}

fn documents() -> Vec<(&'static str, Value)> {
    let kinds = [
        ("PodChaos", "PodChaos"),
        ("NetworkChaos", "NetworkChaos"),
        ("Schedule", "Schedule"),
        ("GPUChaos", "GpuChaos"),
        ("LinkChaos", "LinkChaos"),
        ("KubernetesChaos", "KubernetesChaos"),
        ("HTTPChaos", "CustomSpec"),
        ("StressChaos", "StressChaos"),
        ("IOChaos", "CustomSpec"),
        ("DNSChaos", "CustomSpec"),
        ("TimeChaos", "CustomSpec"),
        ("ChaosEngine", "EngineSpec"),
    ];
    let specs: Vec<Value> = kinds
        .iter()
        .map(|(kind, definition)| {
            json!({
                "if": { "required": ["kind"], "properties": { "kind": { "const": kind } } },
                "then": { "properties": { "spec": reference(definition) } },
            })
        })
        .collect();
    let properties = json!({
        "apiVersion": { "enum": ["chaos-mesh.org/v1alpha1", "firedrill.dev/v1alpha1", "litmuschaos.io/v1alpha1"] },
        "kind": { "enum": kinds.map(|(kind, _)| kind) },
        "metadata": reference("Metadata"),
        "spec": { "type": "object" },
        "status": ignored(),
    });
    let mut manifest = mapping("A Chaos Mesh manifest.", &["apiVersion", "kind", "spec"], properties);
    manifest["allOf"] = Value::Array(specs);
    let metadata = mapping(
        "The object's metadata.",
        &[],
        json!({
            "name": { "type": "string" },
            "namespace": { "type": "string", "description": "Where selectors without namespaces look." },
            "generateName": ignored(), "labels": ignored(), "annotations": ignored(), "finalizers": ignored(),
            "uid": ignored(), "resourceVersion": ignored(), "generation": ignored(), "creationTimestamp": ignored(),
        }),
    );
    vec![("Manifest", manifest), ("Metadata", metadata)]
}

/// Of what a tool's own controller does, as much as is read here.
fn custom() -> Vec<(&'static str, Value)> {
    let open = |mut schema: Value| {
        schema["additionalProperties"] = json!(true);
        schema
    };
    vec![
        (
            "CustomSpec",
            open(spec(
                "A spec for Chaos Mesh's own controller; the API server validates the rest.",
                &[],
                json!({
                    "action": { "type": "string", "description": "What happens." },
                }),
            )),
        ),
        (
            "EngineSpec",
            open(mapping(
                "A LitmusChaos experiment.",
                &["appinfo", "experiments"],
                json!({
                    "appinfo": reference("EngineApp"),
                    "experiments": { "type": "array", "items": reference("EngineExperiment"), "description": "One." },
                }),
            )),
        ),
        (
            "EngineApp",
            mapping(
                "Which pods.",
                &["applabel"],
                json!({
                    "appns": { "type": "string", "description": "Their namespace. None: the manifest's." },
                    "applabel": { "type": "string", "examples": ["app=llm"], "description": "Their labels." },
                    "appkind": { "type": "string", "description": "What keeps them." },
                }),
            ),
        ),
        (
            "EngineExperiment",
            mapping(
                "An experiment.",
                &["name"],
                json!({
                    "name": { "enum": ["pod-delete"] },
                    "spec": { "type": "object", "description": "Its variables and probes." },
                }),
            ),
        ),
    ]
}

/// An act's manifest, by who does it: what Chaos Mesh does itself may have
/// fields that Firedrill refuses.
pub(super) fn act(definitions: &mut Map<String, Value>) {
    let Some(act) = definitions.get_mut("Act") else { return };
    let path = json!({ "type": "string", "description": "Path of the manifest, from the scenario's folder or one above it." });
    let by_mesh = json!({ "properties": { "driver": { "const": "chaos-mesh" } }, "required": ["driver"] });
    let others = json!({ "properties": { "driver": { "enum": ["native", "litmus"] } } });
    let open = json!({ "type": "object", "required": ["apiVersion", "kind", "spec"] });
    act["properties"]["apply"] =
        json!({ "description": "A chaos manifest: the path of its file, or the manifest itself." });
    act["allOf"] = json!([
        { "if": by_mesh, "then": { "properties": { "apply": { "anyOf": [path, open] } } } },
        { "if": others, "then": { "properties": { "apply": reference("Applied") } } },
    ]);
}

fn selectors() -> Vec<(&'static str, Value)> {
    let selector = mapping(
        "Which pods may be hit. All given parts must hold.",
        &[],
        json!({
            "namespaces": texts("Namespaces; none: the manifest's own."),
            "labelSelectors": pairs("Labels that must be equal."),
            "expressionSelectors": { "type": "array", "items": reference("LabelExpression") },
            "annotationSelectors": pairs("Annotations that must be equal."),
            "fieldSelectors": pairs("Fields that must be equal, such as `metadata.name`."),
            "nodes": texts("Names of nodes."),
            "nodeSelectors": pairs("Labels of nodes."),
            "podPhaseSelectors": texts("Phases of pods, such as `Running`."),
            "pods": {
                "type": "object", "additionalProperties": texts("Names of pods."),
                "description": "Names of pods by namespace. Overrides every other part.",
            },
        }),
    );
    let expression = mapping(
        "Compares a label.",
        &["key", "operator"],
        json!({
            "key": { "type": "string" },
            "operator": reference("LabelOperator"),
            "values": texts("With what (`In` and `NotIn`)."),
        }),
    );
    vec![("Selector", selector), ("LabelExpression", expression)]
}

fn network() -> Vec<(&'static str, Value)> {
    let probability = |what: &str, key: &str| {
        let properties = json!({ key: percent("How probable"), "correlation": percent("How much one resembles the last") });
        mapping(what, &[key], properties)
    };
    vec![
        (
            "NetworkChaos",
            spec(
                "What happens to packets.",
                &["action"],
                json!({
                    "action": { "enum": ["netem", "delay", "loss", "duplicate", "corrupt", "partition", "bandwidth"] },
                    "direction": reference("Direction"),
                    "target": reference("NetworkTarget"),
                    "delay": reference("Delay"),
                    "loss": reference("Loss"),
                    "duplicate": reference("Duplicate"),
                    "corrupt": reference("Corrupt"),
                    "bandwidth": reference("Bandwidth"),
                }),
            ),
        ),
        (
            "NetworkTarget",
            mapping(
                "Only traffic with these pods.",
                &["selector", "mode"],
                json!({
                    "selector": reference("Selector"),
                    "mode": { "enum": ["one", "all", "fixed", "fixed-percent", "random-max-percent"] },
                    "value": { "type": ["string", "integer"] },
                }),
            ),
        ),
        (
            "Delay",
            mapping(
                "Packets come later.",
                &["latency"],
                json!({
                    "latency": { "$ref": "#/$defs/Span", "description": "By how much." },
                    "jitter": { "$ref": "#/$defs/Span", "description": "Give or take." },
                    "correlation": percent("How much one delay resembles the last"),
                }),
            ),
        ),
        ("Loss", probability("Packets are lost.", "loss")),
        ("Duplicate", probability("Packets are sent twice.", "duplicate")),
        ("Corrupt", probability("Packets are garbled.", "corrupt")),
        (
            "Bandwidth",
            mapping(
                "No faster than this.",
                &["rate", "limit", "buffer"],
                json!({
                    "rate": {
                        "type": "string", "pattern": "^[0-9]+ *([kmgtKMGT]?bps|[kmg]?bit)$", "examples": ["100kbps"],
                        "description": "Bytes per second; each prefix is 1024 times the last.",
                    },
                    "limit": size("Bytes that may wait."),
                    "buffer": size("Bytes that may pass at once."),
                }),
            ),
        ),
    ]
}
