//! Any HTTP API: what a request is, and what a good answer.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::data::{Data, Random};
use crate::units::Span;

/// Any HTTP API. Texts of `path`, `headers` and `body` are templates
/// (minijinja), over the row, `random`, what an episode carries, and `load`,
/// `index`, `step` and `session`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Http {
    /// The method. None: POST with a body, GET without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<HttpMethod>,
    /// Path and query below the target's URL.
    pub path: String,
    /// Request headers.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// The body: a text as it is, anything else as JSON. In JSON, a text that
    /// is one `{{ expression }}` stands for the expression's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// A JSONL or CSV file; requests (or episodes) take its rows in turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub data: Option<Data>,
    /// Variables that are drawn anew for each request.
    #[serde(default)]
    pub random: IndexMap<String, Random>,
    /// What a good answer is.
    #[serde(default)]
    pub good: Good,
    /// The right answer, where the row knows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Expect>,
    /// JSONPath of the model's version in the answer, where no header names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// JSONPath of what a new version's answers are compared with the old one's
    /// by (`drift`): each value that is meant, of a list of numbers the index
    /// of the largest, of a list of texts the first. None: nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature: Option<String>,
    /// Several requests, each made of the last one's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<Episode>,
}

impl Http {
    /// The method in force.
    pub fn method(&self) -> HttpMethod {
        let usual = if self.body.is_some() { HttpMethod::Post } else { HttpMethod::Get };
        self.method.unwrap_or(usual)
    }
}

/// A method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum HttpMethod {
    /// Without a body, mostly.
    Get,
    /// As GET, and the answer has no body.
    Head,
    /// The usual one for inference.
    Post,
    /// As POST.
    Put,
    /// As POST.
    Patch,
    /// As GET.
    Delete,
}

/// What a good answer is. How fast it must be is an SLO's concern.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Good {
    /// Its status. None: any of 2xx.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<GoodStatus>,
    /// What its content type begins with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// What its JSON says, all of it. In YAML one, or a list.
    #[serde(default)]
    #[schemars(with = "OneOrMany<JsonCheck>")]
    pub json_path: Vec<JsonCheck>,
}

/// One thing, or several.
#[derive(JsonSchema)]
#[schemars(untagged, inline)]
#[expect(dead_code, reason = "only its schema is used")]
enum OneOrMany<T> {
    /// One.
    One(T),
    /// Several.
    Many(Vec<T>),
}

/// Statuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum GoodStatus {
    /// All of a class.
    Class(StatusClass),
    /// These.
    Of(Vec<u16>),
}

/// A class of statuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum StatusClass {
    /// 200 to 299.
    #[serde(rename = "2xx")]
    Success,
}

/// What an answer's JSON must say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct JsonCheck {
    /// JSONPath (RFC 9535) of the first value that is meant.
    pub path: String,
    /// What it must be. In YAML the variant's key stands beside `path`.
    #[serde(flatten)]
    pub is: JsonTest,
}

/// What a value must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JsonTest {
    /// There, or not.
    Exists(bool),
    /// This; a text that is one `{{ expression }}` stands for its value.
    Equals(Value),
    /// A text (or the JSON of anything else) in which this regular expression
    /// is found.
    Matches(String),
}

/// The right answer of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Expect {
    /// JSONPath of the answer's value.
    pub path: String,
    /// The column of the right one. Rows without it are not golden.
    #[serde(default = "default_expect")]
    pub column: String,
    /// How far numbers may be off, absolutely.
    #[serde(default)]
    pub tolerance: f64,
}

/// Default of [`Expect::column`].
pub fn default_expect() -> String {
    "expect".to_owned()
}

/// Several requests of one user, each made of the last one's answer. One
/// arrival is one episode. The first step is due when the arrival is, each
/// further one when the last has ended and `think` is over; a step that fails
/// is the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Episode {
    /// Steps, at most.
    pub steps: u32,
    /// Pause between an answer and the next step.
    #[serde(default)]
    pub think: Span,
    /// What the first step carries: texts that are one `{{ expression }}`
    /// stand for its value.
    #[serde(default)]
    pub start: IndexMap<String, Value>,
    /// JSONPaths of what each further step carries, in the last answer.
    #[serde(default)]
    pub carry: IndexMap<String, String>,
    /// JSONPath of a boolean: true ends the episode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<String>,
}
