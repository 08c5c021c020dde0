//! `http`: any HTTP API.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use serde_json::Value as Json;

use super::{
    Context, Fields, data, endpoint, listed, nearest,
    scalars::{boolean, unit},
};
use crate::{
    scenario::{
        diagnostic::Diagnostic,
        endpoint::{
            Episode, Expect, Good, GoodStatus, Http, HttpMethod, JsonCheck, JsonTest, StatusClass,
            default_expect,
        },
        source::Place,
        template,
        yaml::{Node, Value},
    },
    units::Span,
};

const METHODS: [HttpMethod; 6] = [
    HttpMethod::Get,
    HttpMethod::Head,
    HttpMethod::Post,
    HttpMethod::Put,
    HttpMethod::Patch,
    HttpMethod::Delete,
];

pub(super) fn http(cx: &mut Context<'_>, node: &Node) -> Option<Http> {
    let mut fields = Fields::of(cx, node, "Http", "the settings of the endpoint")?;
    let method = fields.optional(cx, "method", |cx, node| cx.choice(node, "a method", &METHODS));
    let path = fields.required(cx, "path", "/predict", endpoint::path);
    let headers = fields.or(cx, "headers", IndexMap::new(), endpoint::headers);
    let body = fields.optional(cx, "body", endpoint::json);
    let data = fields.optional(cx, "data", data::data);
    let random =
        fields.or(cx, "random", IndexMap::new(), |cx, node| entries(cx, node, "variables", data::random));
    let good = fields.or(cx, "good", Good::default(), good);
    let expect = fields.optional(cx, "expect", expect);
    let version = fields.optional(cx, "version", json_path);
    let feature = fields.optional(cx, "feature", json_path);
    let episode = fields.optional(cx, "episode", episode);
    fields.finish(cx);
    let http = Http {
        method: method?,
        path: path?,
        headers: headers?,
        body: body?,
        data: data?,
        random: random?,
        good: good?,
        expect: expect?,
        version: version?,
        feature: feature?,
        episode: episode?,
    };
    let mut known = Known::of(cx, &http, node)?;
    let texts = [node.get("path"), node.get("headers"), node.get("body")];
    texts.into_iter().flatten().for_each(|node| known.check(cx, node));
    if let Some(Value::List(checks)) =
        node.get("good").and_then(|good| good.get("json-path")).map(|n| &n.value)
    {
        checks.iter().filter_map(|check| check.get("equals")).for_each(|node| known.check(cx, node));
    }
    if let Some(one) =
        node.get("good").and_then(|good| good.get("json-path")).and_then(|one| one.get("equals"))
    {
        known.check(cx, one);
    }
    if let Some(start) = node.get("episode").and_then(|episode| episode.get("start")) {
        known.without_carried().check(cx, start);
    }
    if let (Some(expect), Some(data)) = (&http.expect, &http.data)
        && !data.rows.iter().any(|row| row.contains_key(&expect.column))
    {
        let place = node.get("expect").map_or(&node.place, |node| &node.place);
        return cx.fail(place, format!("no row of the data has the column `{}`", expect.column), "");
    }
    if http.expect.is_some() && http.data.is_none() {
        let place = node.get("expect").map_or(&node.place, |node| &node.place);
        return cx.fail(place, "there is no data that could know the right answer", "add `data: rows.jsonl`");
    }
    if let Some(episode) = &http.episode {
        let missing = episode.carry.keys().find(|name| !episode.start.contains_key(*name));
        if let Some(name) = missing {
            let place = node.get("episode").map_or(&node.place, |node| &node.place);
            return cx.fail(
                place,
                format!("the first step has no `{name}`"),
                format!("add `start: {{ {name}: … }}`"),
            );
        }
    }
    known.right.then_some(http)
}

/// What templates may refer to.
struct Known {
    columns: BTreeSet<String>,
    others: BTreeSet<String>,
    carried: BTreeSet<String>,
    right: bool,
}

impl Known {
    fn of(cx: &mut Context<'_>, http: &Http, node: &Node) -> Option<Self> {
        let mut columns: Option<BTreeSet<String>> = None;
        for row in http.data.iter().flat_map(|data| &data.rows) {
            let keys: BTreeSet<String> = row.keys().cloned().collect();
            // Only what every row has can be relied on.
            columns = Some(columns.map_or(keys.clone(), |all| &all & &keys));
        }
        let columns = columns.unwrap_or_default();
        let mut others: BTreeSet<String> = http.random.keys().cloned().collect();
        others.extend(template::ALWAYS.map(str::to_owned));
        let carried = http.episode.iter().flat_map(|episode| episode.start.keys()).cloned().collect();
        for (a, b, what) in [
            (&columns, &others, "a column"),
            (&others, &carried, "a variable"),
            (&columns, &carried, "a column"),
        ] {
            if let Some(twice) = a.intersection(b).next() {
                return cx.fail(&node.place, format!("`{twice}` is {what} and something else, too"), "");
            }
        }
        Some(Self { columns, others, carried, right: true })
    }

    fn without_carried(&mut self) -> &mut Self {
        self.carried.clear();
        self
    }

    /// Checks all texts below `node`.
    fn check(&mut self, cx: &mut Context<'_>, node: &Node) {
        match &node.value {
            Value::List(items) => items.iter().for_each(|item| self.check(cx, item)),
            Value::Map(entries) => entries.iter().for_each(|(_, node)| self.check(cx, node)),
            Value::Scalar { text, .. } if template::is_template(text) => self.text(cx, text, &node.place),
            Value::Scalar { .. } => {}
        }
    }

    fn text(&mut self, cx: &mut Context<'_>, text: &str, place: &Place) {
        // As it will be rendered.
        let source = template::json_source(&Json::from(text));
        let wanted = match template::variables(&source) {
            Ok(wanted) => wanted,
            Err(why) => {
                self.right = false;
                cx.report(Diagnostic::error(place, format!("this is no template: {why}")));
                return;
            }
        };
        let all: Vec<&str> =
            self.columns.iter().chain(&self.others).chain(&self.carried).map(String::as_str).collect();
        for name in wanted.iter().filter(|name| !all.contains(&name.as_str())) {
            self.right = false;
            let mut error = Diagnostic::error(place, format!("there is no `{name}`"));
            if let Some(meant) = nearest(name, all.iter().copied()) {
                error = error.label(format!("did you mean `{meant}`?"));
            }
            cx.report(error.help(format!("there is {}", listed(all.iter().copied()))));
        }
    }
}

/// A mapping of names.
fn entries<T>(
    cx: &mut Context<'_>,
    node: &Node,
    what: &str,
    decode: impl Fn(&mut Context<'_>, &Node) -> Option<T>,
) -> Option<IndexMap<String, T>> {
    let all: Vec<Option<(String, T)>> = cx
        .entries(node, what)?
        .into_iter()
        .map(|(key, node)| {
            let value = decode(cx, node);
            let right = key.text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                && key.text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if !right {
                let help = "a variable is made of letters, digits and `_`";
                return cx.fail(&key.place, format!("`{}` can't be a variable", key.text), help);
            }
            Some((key.text.clone(), value?))
        })
        .collect();
    all.into_iter().collect()
}

fn good(cx: &mut Context<'_>, node: &Node) -> Option<Good> {
    let mut fields = Fields::of(cx, node, "Good", "what a good answer is")?;
    let status = fields.optional(cx, "status", |cx, node| match node.text() {
        Some("2xx") => Some(GoodStatus::Class(StatusClass::Success)),
        _ => {
            let status =
                |cx: &mut Context<'_>, node: &Node| cx.number(node, "a status from 200 to 599", 200..=599);
            cx.some_list(node, "statuses, or `2xx`", status).map(GoodStatus::Of)
        }
    });
    let content_type = fields.optional(cx, "content-type", |cx, node| cx.text(node, "a content type"));
    let json_path = fields.or(cx, "json-path", Vec::new(), |cx, node| match &node.value {
        Value::Map(_) => json_check(cx, node).map(|check| vec![check]),
        Value::List(_) | Value::Scalar { .. } => cx.list(node, "checks", json_check),
    });
    fields.finish(cx);
    Some(Good { status: status?, content_type: content_type?, json_path: json_path? })
}

fn json_check(cx: &mut Context<'_>, node: &Node) -> Option<JsonCheck> {
    let mut fields = Fields::of(cx, node, "JsonCheck", "a check of the answer's JSON")?;
    let path = fields.required(cx, "path", "$.label", json_path);
    let found = fields.one_of(cx, &["exists", "equals", "matches"]);
    fields.finish(cx);
    let is = match found? {
        ("exists", node) => JsonTest::Exists(boolean(cx, node)?),
        ("equals", node) => JsonTest::Equals(endpoint::json(cx, node)?),
        (_, node) => {
            let text = cx.text(node, "a regular expression")?;
            if let Err(error) = regex::Regex::new(&text) {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
                return cx.fail(&node.place, format!("this is no regular expression: {why}"), "");
            }
            JsonTest::Matches(text)
        }
    };
    Some(JsonCheck { path: path?, is })
}

fn json_path(cx: &mut Context<'_>, node: &Node) -> Option<String> {
    let text = cx.text(node, "a JSONPath")?;
    match jsonpath_rust::parser::parse_json_path(&text) {
        Ok(_) => Some(text),
        Err(_) => cx.fail(&node.place, format!("`{text}` is no JSONPath"), "such as `$.outputs[0].label`"),
    }
}

fn expect(cx: &mut Context<'_>, node: &Node) -> Option<Expect> {
    let mut fields = Fields::of(cx, node, "Expect", "the right answer")?;
    let path = fields.required(cx, "path", "$.label", json_path);
    let column = fields.or(cx, "column", default_expect(), |cx, node| cx.text(node, "a column's name"));
    let tolerance =
        fields.or(cx, "tolerance", 0.0, |cx, node| cx.number(node, "a tolerance from 0", 0.0..=1e300));
    fields.finish(cx);
    Some(Expect { path: path?, column: column?, tolerance: tolerance? })
}

fn episode(cx: &mut Context<'_>, node: &Node) -> Option<Episode> {
    let mut fields = Fields::of(cx, node, "Episode", "an episode")?;
    let steps = fields.required(cx, "steps", "10", |cx, node| {
        cx.number(node, "a number of steps from 1 to 10000", 1..=10_000)
    });
    let think = fields.or(cx, "think", Span::default(), unit::<Span>);
    let start =
        fields.or(cx, "start", IndexMap::new(), |cx, node| entries(cx, node, "variables", endpoint::json));
    let carry = fields.or(cx, "carry", IndexMap::new(), |cx, node| entries(cx, node, "variables", json_path));
    let done = fields.optional(cx, "done", json_path);
    fields.finish(cx);
    Some(Episode { steps: steps?, think: think?, start: start?, carry: carry?, done: done? })
}
