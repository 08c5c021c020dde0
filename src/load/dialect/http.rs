//! Any HTTP API: nothing is known of an answer but what the scenario asks of it.

use std::time::Instant;

use http::{HeaderMap, header};
use jsonpath_rust::{
    parser::{model::JpQuery, parse_json_path},
    query::js_path_process,
};
use regex::Regex;
use serde_json::Value;

use crate::{
    journal::Feature,
    load::{
        LoadError,
        answer::{Answer, Carried, snippet},
    },
    scenario::endpoint::{GoodStatus, Http, JsonTest, StatusClass},
};

/// A JSONPath and how it was written.
#[derive(Debug)]
struct Path {
    text: String,
    query: JpQuery,
}

impl Path {
    fn new(text: &str) -> Result<Self, LoadError> {
        let wrong = |error| LoadError::Workload(format!("`{text}` is no JSONPath: {error}"));
        Ok(Self { text: text.to_owned(), query: parse_json_path(text).map_err(wrong)? })
    }

    /// The first value that is meant.
    fn find<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        js_path_process(&self.query, value).ok()?.into_iter().next().map(|found| found.val())
    }

    /// The feature of each value that is meant, or that there is none.
    fn features(&self, value: &Value) -> Vec<Feature> {
        let found = js_path_process(&self.query, value).unwrap_or_default();
        let all: Vec<Feature> = found.into_iter().map(|found| feature(found.val())).collect();
        if all.is_empty() { vec![Feature::Missing] } else { all }
    }
}

/// What a value must be. What it must equal comes with the request.
#[derive(Debug)]
enum Test {
    Exists(bool),
    Equals,
    Matches(Regex),
}

/// The dialect.
#[derive(Debug)]
pub(crate) struct Api {
    status: Option<Vec<u16>>,
    content_type: Option<String>,
    checks: Vec<(Path, Test)>,
    expect: Option<(Path, f64)>,
    version: Option<Path>,
    feature: Option<Path>,
    carry: Vec<(String, Path)>,
    done: Option<Path>,
}

/// What makes an answer to one request right.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Right {
    /// What each `equals` means, in their order.
    pub(crate) equals: Vec<Value>,
    /// The row's right answer.
    pub(crate) golden: Option<Value>,
}

impl Api {
    /// As the scenario sets it.
    pub(crate) fn new(http: &Http) -> Result<Self, LoadError> {
        let path = |text: &String| Path::new(text);
        let checks = http.good.json_path.iter().map(|check| {
            let test = match &check.is {
                JsonTest::Exists(there) => Test::Exists(*there),
                JsonTest::Equals(_) => Test::Equals,
                JsonTest::Matches(text) => Test::Matches(
                    Regex::new(text).map_err(|error| LoadError::Workload(format!("`{text}`: {error}")))?,
                ),
            };
            Ok((Path::new(&check.path)?, test))
        });
        let episode = http.episode.as_ref();
        let carry = episode.into_iter().flat_map(|episode| &episode.carry);
        Ok(Self {
            status: match &http.good.status {
                None | Some(GoodStatus::Class(StatusClass::Success)) => None,
                Some(GoodStatus::Of(all)) => Some(all.clone()),
            },
            content_type: http.good.content_type.as_ref().map(|text| text.to_ascii_lowercase()),
            checks: checks.collect::<Result<_, LoadError>>()?,
            expect: match &http.expect {
                Some(expect) => Some((Path::new(&expect.path)?, expect.tolerance)),
                None => None,
            },
            version: http.version.as_ref().map(path).transpose()?,
            feature: http.feature.as_ref().map(path).transpose()?,
            carry: carry
                .map(|(name, text)| Ok((name.clone(), Path::new(text)?)))
                .collect::<Result<_, LoadError>>()?,
            done: episode.and_then(|episode| episode.done.as_ref()).map(path).transpose()?,
        })
    }

    /// Whether an answer with this status is one.
    pub(crate) fn accepts(&self, status: u16) -> bool {
        match &self.status {
            Some(all) => all.contains(&status),
            None => (200..=299).contains(&status),
        }
    }

    /// Whether nothing is asked of a body but that it ends.
    pub(crate) fn ignores_body(&self) -> bool {
        self.checks.is_empty()
            && self.expect.is_none()
            && self.version.is_none()
            && self.feature.is_none()
            && self.carry.is_empty()
            && self.done.is_none()
    }

    /// The whole body came at `at`; empty, where nothing is asked of it.
    pub(crate) fn body(
        &self,
        answer: &mut Answer,
        headers: &HeaderMap,
        body: &[u8],
        right: &Right,
        at: Instant,
    ) {
        answer.whole(at);
        if let Some(wanted) = &self.content_type {
            let got =
                headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
            if !got.trim_start().to_ascii_lowercase().starts_with(wanted) {
                answer.bad(format!("the content type is `{got}`, not `{wanted}`"));
            }
        }
        if self.ignores_body() {
            return;
        }
        match serde_json::from_slice(body) {
            Ok(json) => self.json(answer, &json, right),
            Err(error) => {
                answer.bad(format!("{error} in `{}`", snippet(&String::from_utf8_lossy(body))));
            }
        }
    }

    fn json(&self, answer: &mut Answer, json: &Value, right: &Right) {
        if let Some(version) = self.version.as_ref().and_then(|path| path.find(json)) {
            answer.fingerprint = Some(text(version));
        }
        if let Some(path) = &self.feature {
            answer.features = path.features(json);
        }
        let mut equals = right.equals.iter();
        for (path, test) in &self.checks {
            let found = path.find(json);
            let shown = || {
                found.map_or_else(
                    || "nothing".to_owned(),
                    |value| format!("`{}`", snippet(&value.to_string())),
                )
            };
            match test {
                Test::Exists(there) if found.is_some() == *there => {}
                Test::Exists(true) => {
                    answer.bad(format!("there is no {} in `{}`", path.text, snippet(&json.to_string())))
                }
                Test::Exists(false) => answer.bad(format!("{} is {}", path.text, shown())),
                Test::Equals => {
                    let wanted = equals.next();
                    if !wanted.zip(found).is_some_and(|(wanted, found)| same(wanted, found, 0.0)) {
                        let wanted = wanted.unwrap_or(&Value::Null);
                        answer.wrong(format!("{} is {}, not `{wanted}`", path.text, shown()));
                    }
                }
                Test::Matches(regex) => {
                    if !found.is_some_and(|value| regex.is_match(&text(value))) {
                        answer.wrong(format!("{} is {}, which `{regex}` does not match", path.text, shown()));
                    }
                }
            }
        }
        if let (Some((path, tolerance)), Some(wanted)) = (&self.expect, &right.golden) {
            let found = path.find(json);
            if !found.is_some_and(|found| same(wanted, found, *tolerance)) {
                let found = found.unwrap_or(&Value::Null);
                answer.wrong(format!("{} is `{}`, not `{wanted}`", path.text, snippet(&found.to_string())));
            }
        }
        let over = self
            .done
            .as_ref()
            .and_then(|path| path.find(json))
            .is_some_and(|done| *done == Value::Bool(true));
        if over || self.carry.is_empty() {
            answer.carried = Some(Carried { values: Vec::new(), over });
            return;
        }
        let mut values = Vec::with_capacity(self.carry.len());
        for (name, path) in &self.carry {
            match path.find(json) {
                Some(value) => values.push((name.clone(), value.clone())),
                None => answer.bad(format!("there is no {} for the next step", path.text)),
            }
        }
        answer.carried = Some(Carried { values, over });
    }
}

/// What a value says: a number itself, a text or a truth its name; a list of
/// numbers the class by their largest, a list of texts its first.
fn feature(value: &Value) -> Feature {
    match value {
        Value::Number(number) => Feature::number(number.as_f64().unwrap_or(f64::NAN)),
        Value::String(text) => Feature::text(text),
        Value::Bool(truth) => Feature::text(if *truth { "true" } else { "false" }),
        Value::Array(items) => match items.first() {
            Some(Value::String(first)) => Feature::text(first),
            Some(_) => {
                // `null` is how NaN is written by some.
                let numbers = items.iter().map(|item| match item {
                    Value::Null => Some(f64::NAN),
                    _ => item.as_f64(),
                });
                let numbers: Option<Vec<f64>> = numbers.collect();
                numbers.map_or(Feature::Missing, |numbers| Feature::of_scores(&numbers))
            }
            None => Feature::Missing,
        },
        Value::Null | Value::Object(_) => Feature::Missing,
    }
}

/// A value as people read it.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Whether two values are the same, numbers within `tolerance`.
fn same(wanted: &Value, found: &Value, tolerance: f64) -> bool {
    match (wanted, found) {
        (Value::Number(a), Value::Number(b)) => match (a.as_f64(), b.as_f64()) {
            (Some(a), Some(b)) => (a - b).abs() <= tolerance,
            _ => a == b,
        },
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b, tolerance))
        }
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b, tolerance)))
        }
        (a, b) => a == b,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(endpoint: Value, body: &str, right: &Right) -> Answer {
        let api = Api::new(&serde_json::from_value(endpoint).expect("an endpoint")).expect("an API");
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, "application/json; charset=utf-8".parse().expect("a value"));
        let mut answer = Answer::default();
        api.body(&mut answer, &headers, body.as_bytes(), right, Instant::now());
        answer
    }

    fn checked(check: Value, right: Right) -> Answer {
        let endpoint = json!({"path": "/", "good": {"json-path": [check]}});
        read(endpoint, r#"{"label": "cat", "score": 0.5, "tags": ["a", "b"]}"#, &right)
    }

    #[test]
    fn nothing_is_read_where_nothing_is_asked() {
        let answer = read(json!({"path": "/"}), "<html>", &Right::default());
        assert_eq!((answer.malformed.as_deref(), answer.done, answer.tokens()), (None, true, 0));
        assert!(answer.first.is_none() && answer.last.is_some(), "it has no tokens");
    }

    #[test]
    fn what_is_there_and_what_it_says() {
        let equals = |value: Value| Right { equals: vec![value], golden: None };
        let none = Right::default;
        assert_eq!(checked(json!({"path": "$.label", "exists": true}), none()).malformed, None);
        assert!(checked(json!({"path": "$.labels", "exists": true}), none()).malformed.is_some());
        assert!(checked(json!({"path": "$.label", "exists": false}), none()).malformed.is_some());
        assert_eq!(checked(json!({"path": "$.tags[1]", "equals": "b"}), equals(json!("b"))).mismatch, None);
        assert!(checked(json!({"path": "$.tags[0]", "equals": "b"}), equals(json!("b"))).mismatch.is_some());
        assert!(checked(json!({"path": "$.none", "equals": "b"}), equals(json!("b"))).mismatch.is_some());
        assert_eq!(checked(json!({"path": "$.label", "matches": "^c.t$"}), none()).mismatch, None);
        assert!(checked(json!({"path": "$.label", "matches": "dog"}), none()).mismatch.is_some());
    }

    #[test]
    fn a_row_knows_its_answer() {
        let endpoint =
            json!({"path": "/", "expect": {"path": "$.score", "tolerance": 0.01}, "version": "$.v"});
        let golden = |value: Value| Right { golden: Some(value), ..Right::default() };
        let body = r#"{"score": [0.5, 1], "v": 3}"#;
        let answer = read(endpoint.clone(), body, &golden(json!([0.505, 1])));
        assert_eq!((answer.mismatch, answer.fingerprint.as_deref()), (None, Some("3")));
        assert!(read(endpoint.clone(), body, &golden(json!([0.52, 1]))).mismatch.is_some());
        assert_eq!(read(endpoint.clone(), body, &Right::default()).mismatch, None, "not golden");
        assert!(read(endpoint, "oops", &Right::default()).malformed.is_some());
    }

    #[test]
    fn an_output_has_a_feature_where_the_path_leads() {
        let features = |path: &str, body: &str| {
            let answer = read(json!({"path": "/", "feature": path}), body, &Right::default());
            assert_eq!((answer.malformed, answer.mismatch), (None, None));
            answer.features
        };
        let body = r#"{"label": "cat", "score": -0.5, "ok": true, "scores": [0.1, 0.7, null], "top": ["b", "a"],
            "batch": [[1, 0], [0, 1]], "none": null, "odd": [1, "a"]}"#;
        for (path, wanted) in [
            ("$.label", vec![Feature::text("cat")]),
            ("$.score", vec![Feature::number(-0.5)]),
            ("$.ok", vec![Feature::text("true")]),
            ("$.scores", vec![Feature::number(1.0)]),
            ("$.top", vec![Feature::text("b")]),
            ("$.batch[*]", vec![Feature::number(0.0), Feature::number(1.0)]),
        ] {
            assert_eq!(features(path, body), wanted, "{path}");
        }
        for path in ["$.batch", "$.none", "$.odd", "$.other", "$"] {
            assert_eq!(features(path, body), [Feature::Missing], "{path}");
        }
        assert_eq!(features("$", "7"), [Feature::number(7.0)]);
        // Somebody has to ask.
        assert!(read(json!({"path": "/"}), body, &Right::default()).features.is_empty());
        assert!(
            read(json!({"path": "/", "feature": "$.a"}), "<html>", &Right::default()).malformed.is_some()
        );
    }

    #[test]
    fn content_types_and_statuses_are_asked_for() {
        let endpoint = json!({"path": "/", "good": {"status": [201], "content-type": "text/html"}});
        assert!(read(endpoint.clone(), "", &Right::default()).malformed.is_some());
        let api = Api::new(&serde_json::from_value(endpoint).expect("an endpoint")).expect("an API");
        assert!(api.accepts(201) && !api.accepts(200) && api.ignores_body());
    }

    #[test]
    fn the_next_step_is_carried_until_the_episode_is_over() {
        let endpoint =
            json!({"path": "/", "episode": {"steps": 3, "carry": {"s": "$.next"}, "done": "$.done"}});
        let carried = |body: &str| read(endpoint.clone(), body, &Right::default());
        let step = carried(r#"{"next": [1, 2], "done": false}"#).carried.expect("a step");
        assert_eq!((step.values, step.over), (vec![("s".to_owned(), json!([1, 2]))], false));
        assert!(carried(r#"{"done": true}"#).carried.expect("the end").over);
        assert!(carried(r#"{"done": false}"#).malformed.is_some());
    }
}
