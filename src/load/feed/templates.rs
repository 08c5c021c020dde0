//! Requests made of templates.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use minijinja::{Environment, Value, value::Serde};
use serde_json::Value as Json;

use super::{Ask, Turn, Wanted, draw::draw};
use crate::{
    load::{
        LoadError,
        connection::Base,
        dialect::{http::Right, kserve::tensor::Number},
        prompts::Prompt,
    },
    plan,
    scenario::{
        endpoint::{Http, JsonTest, Random, Row},
        template::{environment, has_template, is_template, json_source},
    },
    units::Span,
};

/// A part of a request: the same for all, or rendered for each.
#[derive(Debug)]
enum Part<T> {
    Fixed(T),
    /// The name of the template.
    Rendered(String),
}

/// A source of templated requests.
pub(crate) struct Templates {
    seed: u64,
    base: Base,
    environment: Environment<'static>,
    path: Option<String>,
    headers: Vec<(HeaderName, String)>,
    body: Part<Bytes>,
    equals: Vec<Part<Json>>,
    start: Vec<(String, Part<Json>)>,
    rows: Vec<Vec<(String, Value)>>,
    golden: Vec<Option<Json>>,
    random: Vec<(String, Random)>,
    episode: Option<(u32, Span)>,
    /// The one request, where all are the same.
    only: Option<Ask>,
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Templates")
            .field("path", &self.path)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

impl Templates {
    /// # Errors
    /// A template that is none, or fails for the first row.
    pub(super) fn new(http: &Http, base: &Base, seed: u64) -> Result<Self, LoadError> {
        let mut templates = Self {
            seed,
            base: base.clone(),
            environment: environment(),
            path: None,
            headers: Vec::new(),
            body: Part::Fixed(Bytes::new()),
            equals: Vec::new(),
            start: Vec::new(),
            rows: Vec::new(),
            golden: Vec::new(),
            random: http.random.iter().map(|(name, random)| (name.clone(), *random)).collect(),
            episode: http.episode.as_ref().map(|episode| (episode.steps, episode.think)),
            only: None,
        };
        if is_template(&http.path) {
            templates.path = Some(templates.add("path", http.path.clone())?);
        }
        for (name, text) in http.headers.iter().filter(|(_, text)| is_template(text)) {
            let template = templates.add(&format!("header {name}"), text.clone())?;
            let name = HeaderName::try_from(name)
                .map_err(|_| LoadError::Workload(format!("`{name}` is not a header's name")))?;
            templates.headers.push((name, template));
        }
        templates.body = match &http.body {
            None => Part::Fixed(Bytes::new()),
            Some(Json::String(text)) if is_template(text) => {
                Part::Rendered(templates.add("body", text.clone())?)
            }
            Some(Json::String(text)) => Part::Fixed(text.clone().into()),
            Some(json) if has_template(json) => Part::Rendered(templates.add("body", json_source(json))?),
            Some(json) => Part::Fixed(json.to_string().into()),
        };
        for (i, check) in http.good.json_path.iter().enumerate() {
            if let JsonTest::Equals(value) = &check.is {
                let part = templates.value(&format!("equals {i}"), value)?;
                templates.equals.push(part);
            }
        }
        for (name, value) in http.episode.iter().flat_map(|episode| &episode.start) {
            let part = templates.value(&format!("start {name}"), value)?;
            templates.start.push((name.clone(), part));
        }
        for row in http.data.iter().flat_map(|data| &data.rows) {
            templates.golden.push(http.expect.as_ref().and_then(|expect| row.get(&expect.column)).cloned());
            templates.rows.push(variables(row));
        }
        let is_fixed = templates.path.is_none()
            && templates.headers.is_empty()
            && matches!(templates.body, Part::Fixed(_))
            && templates.equals.iter().all(|part| matches!(part, Part::Fixed(_)))
            && templates.golden.iter().all(Option::is_none);
        let mut first = templates.make(Turn { load: "first", index: 0, step: 0, carried: None })?;
        if is_fixed {
            first.prompt.id = templates.episode.is_none().then_some(0);
            templates.only = Some(first);
        }
        Ok(templates)
    }

    fn add(&mut self, name: &str, source: String) -> Result<String, LoadError> {
        self.environment
            .add_template_owned(name.to_owned(), source)
            .map_err(|error| LoadError::Workload(format!("{name}: {error}")))?;
        Ok(name.to_owned())
    }

    fn value(&mut self, name: &str, value: &Json) -> Result<Part<Json>, LoadError> {
        Ok(if has_template(value) {
            Part::Rendered(self.add(name, json_source(value))?)
        } else {
            Part::Fixed(value.clone())
        })
    }

    /// Steps of an arrival, and the pause between them.
    pub(super) fn episode(&self) -> Option<(u32, Span)> {
        self.episode
    }

    /// The request of this turn.
    pub(super) fn ask(&self, turn: Turn<'_>) -> Result<Cow<'_, Ask>, LoadError> {
        match &self.only {
            Some(only) => Ok(Cow::Borrowed(only)),
            None => self.make(turn).map(Cow::Owned),
        }
    }

    fn make(&self, turn: Turn<'_>) -> Result<Ask, LoadError> {
        let row = (!self.rows.is_empty())
            .then(|| usize::try_from(turn.index % self.rows.len() as u64).unwrap_or_default());
        let context = self.context(turn, row)?;
        let uri = match &self.path {
            None => None,
            Some(path) => Some(self.base.uri(&self.render(path, &context)?)?),
        };
        let header = |(name, template): &(HeaderName, String)| {
            let text = self.render(template, &context)?;
            let value = HeaderValue::try_from(&text)
                .map_err(|_| LoadError::Workload(format!("`{text}` is not a header's value")))?;
            Ok((name.clone(), value))
        };
        let body = match &self.body {
            Part::Fixed(body) => body.clone(),
            Part::Rendered(template) => self.render(template, &context)?.into(),
        };
        let equals = self.equals.iter().map(|part| self.json(part, &context));
        let golden = row.and_then(|row| self.golden[row].clone());
        // Only what depends on the row alone may come again.
        let repeats = self.random.is_empty() && self.episode.is_none();
        Ok(Ask {
            prompt: Prompt {
                body,
                id: row.filter(|_| repeats).map(|row| row as u64),
                tokens: None,
                golden: golden.is_some().then_some(0),
                keeps_text: false,
            },
            uri,
            headers: self.headers.iter().map(header).collect::<Result<_, LoadError>>()?,
            wanted: Wanted::Says(Box::new(Right { equals: equals.collect::<Result<_, _>>()?, golden })),
        })
    }

    /// What the templates may refer to.
    fn context(&self, turn: Turn<'_>, row: Option<usize>) -> Result<Value, LoadError> {
        let mut context: BTreeMap<&str, Value> = BTreeMap::new();
        let session = format!("{}-{}-{:x}", turn.load, turn.index, self.seed);
        context.insert("load", Value::from(turn.load));
        context.insert("index", Value::from(turn.index));
        context.insert("step", Value::from(turn.step));
        context.insert("session", Value::from(session));
        for (name, value) in row.into_iter().flat_map(|row| &self.rows[row]) {
            context.insert(name, value.clone());
        }
        if !self.random.is_empty() {
            let name = format!("values/{}/{}/{}", turn.load, turn.index, turn.step);
            let mut rng = plan::stream(self.seed, &name);
            for (name, random) in &self.random {
                let mut one = || match draw(random.draw, &mut rng) {
                    Number::Whole(whole) => Value::from(whole),
                    Number::Real(real) => Value::from(real),
                };
                let value = match random.size {
                    None => one(),
                    Some(size) => (0..size).map(|_| one()).collect(),
                };
                context.insert(name, value);
            }
        }
        match turn.carried {
            Some(carried) => {
                for (name, value) in &carried.values {
                    context.insert(name, Value::from(Serde(value)));
                }
                // What is not carried stays what it was.
                for (name, part) in &self.start {
                    if !carried.values.iter().any(|(carried, _)| carried == name) {
                        let value = self.json(part, &Value::from_pairs(context.clone()))?;
                        context.insert(name, Value::from(Serde(value)));
                    }
                }
            }
            None => {
                for (name, part) in &self.start {
                    let value = self.json(part, &Value::from_pairs(context.clone()))?;
                    context.insert(name, Value::from(Serde(value)));
                }
            }
        }
        Ok(Value::from_pairs(context))
    }

    fn render(&self, name: &str, context: &Value) -> Result<String, LoadError> {
        let render = || self.environment.get_template(name)?.render(context);
        render().map_err(|error| LoadError::Workload(format!("{name}: {error}")))
    }

    fn json(&self, part: &Part<Json>, context: &Value) -> Result<Json, LoadError> {
        match part {
            Part::Fixed(value) => Ok(value.clone()),
            Part::Rendered(name) => serde_json::from_str(&self.render(name, context)?)
                .map_err(|error| LoadError::Workload(format!("{name}: {error}"))),
        }
    }
}

/// A row's columns, ready for templates.
fn variables(row: &Row) -> Vec<(String, Value)> {
    row.iter().map(|(name, value)| (name.clone(), Value::from(Serde(value)))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::load::answer::Carried;

    fn templates(endpoint: Json) -> Templates {
        let base = Base::of(&"http://h:1/deep".parse::<http::Uri>().expect("a URI").into()).expect("a base");
        Templates::new(&serde_json::from_value(endpoint).expect("an endpoint"), &base, 7).expect("templates")
    }

    fn turn(index: u64) -> Turn<'static> {
        Turn { load: "a", index, step: 0, carried: None }
    }

    fn body(ask: &Ask) -> Json {
        serde_json::from_slice(&ask.prompt.body).expect("JSON")
    }

    #[test]
    fn a_row_fills_path_headers_body_and_what_is_right() {
        let source = templates(json!({
            "path": "/predict/{{ id }}?q={{ text|urlencode }}",
            "headers": {"x-user": "u{{ id }}", "x-fixed": "f"},
            "body": {"input": "{{ features }}"},
            "data": {"file": "rows.jsonl", "rows": [
                {"id": 1, "features": [0.5, 2], "text": "a b", "label": "cat"},
                {"id": 2, "features": [], "text": "é", "label": null, "more": 1},
            ]},
            "expect": {"path": "$.label", "column": "label"},
        }));
        let ask = source.ask(turn(4)).expect("a request");
        assert_eq!(ask.uri.as_ref().map(ToString::to_string).as_deref(), Some("/deep/predict/1?q=a%20b"));
        assert_eq!(ask.headers, [("x-user".parse().expect("a name"), "u1".parse().expect("a value"))]);
        assert_eq!(body(&ask), json!({"input": [0.5, 2]}));
        assert_eq!((ask.wanted.right().golden.as_ref(), ask.prompt.golden), (Some(&json!("cat")), Some(0)));
        assert_eq!(ask, source.ask(turn(0)).expect("a request"), "rows come in turn");
    }

    #[test]
    fn what_is_not_templated_is_made_once() {
        let source = templates(json!({"path": "/x", "body": {"input": [1, 2, "{ }"]}}));
        let (one, two) = (source.ask(turn(1)).expect("a request"), source.ask(turn(2)).expect("a request"));
        assert_eq!(one.prompt.body.as_ptr(), two.prompt.body.as_ptr());
        assert_eq!((body(&one), one.uri.clone()), (json!({"input": [1, 2, "{ }"]}), None));
    }

    #[test]
    fn random_variables_are_fixed_by_load_and_index() {
        let source = templates(json!({
            "path": "/x", "body": "v={{ v|tojson }} n={{ n }}",
            "random": {"v": {"normal": {"mean": 0, "std-dev": 1}, "size": 3}, "n": {"integers": {"min": 0, "max": 1000000}}},
        }));
        let text =
            |index| String::from_utf8(source.ask(turn(index)).expect("a request").prompt.body.to_vec());
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
        assert_eq!(text(1).expect("text").matches(',').count(), 2);
    }

    #[test]
    fn a_step_is_made_of_what_the_last_one_left() {
        let source = templates(json!({
            "path": "/act", "body": {"observation": "{{ state }}", "session": "{{ session }}", "step": "{{ step }}", "goal": "{{ goal }}"},
            "good": {"json-path": [{"path": "$.session", "equals": "{{ session }}"}]},
            "random": {"x": {"integers": {"min": 0, "max": 4}}},
            "episode": {"steps": 3, "start": {"state": ["{{ x }}", 0], "goal": 9}, "carry": {"state": "$.next"}},
        }));
        let first = source.ask(turn(5)).expect("a request");
        assert_eq!(body(&first)["observation"][1], 0);
        let carried = Carried { values: vec![("state".into(), json!([3, 4]))], over: false };
        let next = Turn { step: 1, carried: Some(&carried), ..turn(5) };
        let second = source.ask(next).expect("a request");
        assert_eq!(body(&second), json!({"observation": [3, 4], "session": "a-5-7", "step": 1, "goal": 9}));
        assert_eq!(second.wanted.right().equals, [json!("a-5-7")]);
        assert_eq!(source.episode(), Some((3, Span::default())));
    }

    #[test]
    fn what_fails_is_told_before_anything_is_sent() {
        let base = Base::of(&"http://h:1".parse::<http::Uri>().expect("a URI").into()).expect("a base");
        let bad = json!({"path": "/x", "body": "{{ missing }}"});
        let error =
            Templates::new(&serde_json::from_value(bad).expect("an endpoint"), &base, 7).expect_err("strict");
        assert!(error.to_string().contains("body"), "{error}");
    }
}
