//! What OpenAI's bodies have in common: fields that are the same in each
//! request, what the scenario merges into them, and the limit of tokens.

use std::{borrow::Cow, fmt::Write as _};

use bytes::Bytes;
use indexmap::IndexMap;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Question;

/// A field that most chunks carry, without a copy.
#[derive(Debug, Deserialize)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

/// The field by which vLLM, SGLang, llama.cpp and others go on until the
/// limit.
const EXACT: &str = "ignore_eos";

/// The part of a body that is the same in each request.
#[derive(Debug)]
pub(super) struct Frame {
    /// The body up to the field that holds the prompt.
    head: String,
    /// The field for the limit of tokens. None: the scenario sets it itself.
    limit: Option<&'static str>,
    /// Whether [`EXACT`] is written where it is asked for.
    writes_exact: bool,
    can_be_exact: bool,
}

impl Frame {
    /// The fields `own`, with `extra` merged into them. `knows_exact`: the
    /// API has a way to ask for exactly so many tokens.
    pub(super) fn new(
        own: Value,
        limit: &'static str,
        knows_exact: bool,
        extra: &IndexMap<String, Value>,
    ) -> Self {
        let own = merged(own, extra);
        let mut head = own.to_string();
        head.pop();
        if head.len() > 1 {
            head.push(',');
        }
        let limit = (!extra.contains_key(limit)).then_some(limit);
        let writes_exact = knows_exact && !extra.contains_key(EXACT);
        let can_be_exact = writes_exact || extra.get(EXACT) == Some(&Value::Bool(true));
        Self { head, limit, writes_exact, can_be_exact: can_be_exact && limit.is_some() }
    }

    /// Whether an answer can be asked to have exactly so many tokens.
    pub(super) fn can_be_exact(&self) -> bool {
        self.can_be_exact
    }

    /// A body's begin; the prompt's field follows.
    pub(super) fn begin(&self, question: &Question<'_>) -> String {
        let mut body = String::with_capacity(self.head.len() + 160 + question.len());
        body.push_str(&self.head);
        body
    }

    /// The body, after the prompt's field.
    pub(super) fn end(&self, mut body: String, question: &Question<'_>) -> Bytes {
        if let Some(limit) = self.limit {
            // Writing to a String can't fail.
            let _ = write!(body, ",\"{limit}\":{}", question.tokens);
        }
        if question.exact && self.writes_exact {
            let _ = write!(body, ",\"{EXACT}\":true");
        }
        body.push('}');
        body.into()
    }
}

/// `own` with `extra` merged into it (RFC 7396).
pub(super) fn merged(mut own: Value, extra: &IndexMap<String, Value>) -> Value {
    let patch: Map<String, Value> = extra.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    merge(&mut own, &Value::Object(patch));
    own
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.shift_remove(key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn extra(value: Value) -> IndexMap<String, Value> {
        value
            .as_object()
            .expect("an object")
            .iter()
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }

    fn body(extra_fields: Value) -> Value {
        let own = json!({ "model": "m", "temperature": 0, "stream_options": { "include_usage": true } });
        let frame = Frame::new(own, "max_tokens", true, &extra(extra_fields));
        let question = Question { system: "", history: &[], user: "", tokens: 7, exact: true };
        let body = frame.end(frame.begin(&question) + "\"x\":1", &question);
        let mut body: Value = serde_json::from_slice(&body).expect("JSON");
        body["exact"] = json!(frame.can_be_exact());
        body
    }

    #[test]
    fn extra_fields_are_merged_and_null_takes_away() {
        let plain = body(json!({}));
        assert_eq!(plain["max_tokens"], 7);
        assert_eq!((&plain["ignore_eos"], &plain["exact"]), (&json!(true), &json!(true)));
        let changed = body(json!({ "temperature": 0.7, "stream_options": { "x": [1] }, "model": null }));
        assert_eq!(changed["stream_options"], json!({ "include_usage": true, "x": [1] }));
        assert_eq!((&changed["temperature"], changed.get("model")), (&json!(0.7), None));
    }

    #[test]
    fn who_sets_the_limit_is_not_held_to_ours() {
        let other = body(json!({ "max_tokens": null, "max_completion_tokens": 9 }));
        assert_eq!((other.get("max_tokens"), &other["exact"]), (None, &json!(false)));
        let plain = body(json!({ "ignore_eos": null }));
        assert_eq!((plain.get("ignore_eos"), &plain["exact"]), (None, &json!(false)));
        assert_eq!(body(json!({ "ignore_eos": true }))["exact"], true);
    }

    /// The examples of RFC 7396, appendix A.
    #[test]
    fn merging_is_that_of_the_rfc() {
        for (own, patch, wanted) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            assert_eq!(merged(own, &extra(patch)), wanted);
        }
    }
}
