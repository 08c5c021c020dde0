//! Sources of signals in the schema: what a source is asked stands beside it.

use serde_json::{Map, Value, json};

pub(super) fn source(definitions: &mut Map<String, Value>) {
    definitions.remove("PromQuery");
    let Some(source) = definitions.get_mut("Observed") else { return };
    if let Some(properties) = source.get_mut("properties").and_then(Value::as_object_mut) {
        let description = properties.get("prometheus-query").map(|query| query["description"].clone());
        properties
            .insert("prometheus-query".to_owned(), json!({ "type": "string", "description": description }));
        let query = "What a `prometheus-query` asks, in PromQL: an instant vector or a scalar.";
        properties.insert("query".to_owned(), json!({ "type": "string", "description": query }));
    }
    // It has a default, which depends on what is looked at.
    if let Some(required) = source.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|key| key != "every");
    }
}
