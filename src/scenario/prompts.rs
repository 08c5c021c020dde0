//! What is asked: prompts, sessions, golden prompts.

use std::{path::PathBuf, sync::Arc};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::units::{Ratio, Span};

/// Where prompts come from, and how they are asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Prompts {
    /// Where they come from. In YAML the variant's key stands beside the
    /// others.
    #[serde(flatten)]
    pub source: PromptSource,
    /// Marks each prompt as one of its kind, so that no cache has an answer,
    /// even where popularity or a file repeats it. Golden prompts are asked
    /// as they are.
    #[serde(default)]
    pub nonce: bool,
    /// Several turns, each with all that was said before. None: one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Session>,
    /// Prompts whose right answer is known, mixed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<Golden>,
}

/// Where prompts come from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PromptSource {
    /// Generated prompts of given sizes.
    Synthetic(Synthetic),
    /// Recorded conversations in ShareGPT's format.
    Sharegpt(ShareGpt),
    /// A file with a JSON object on each line, made prompts by a template.
    Jsonl(Jsonl),
}

/// Generated prompts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Synthetic {
    /// Length of a prompt, in tokens (about one word each).
    pub input_tokens: Tokens,
    /// `max_tokens` of a request.
    #[serde(default = "default_output_tokens")]
    pub output_tokens: Tokens,
    /// How often prompts repeat. None: every prompt is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub popularity: Option<Popularity>,
    /// Tokens that all prompts begin with (a system prompt).
    #[serde(default)]
    pub shared_prefix: u32,
}

/// Default of `output-tokens`.
pub fn default_output_tokens() -> Tokens {
    Tokens::Fixed(64)
}

/// Conversations in ShareGPT's format: `[{id, conversations: [{from, value}]}]`.
/// The user's part is asked; the answers are the server's own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct ShareGpt {
    /// The file.
    pub file: PromptFile,
    /// `max_tokens` of a request. None: as many as the recorded answer has
    /// words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<Tokens>,
    /// How often conversations repeat. None: one after the other, and again
    /// from the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub popularity: Option<FilePopularity>,
}

/// Lines of JSON objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Jsonl {
    /// The file.
    pub file: PromptFile,
    /// The prompt, in Jinja's language; a line's fields are its variables.
    /// One that a line does not have is an error.
    pub template: String,
    /// What all prompts begin with (a system prompt), likewise a template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// `max_tokens` of a request.
    #[serde(default = "default_output_tokens")]
    pub output_tokens: Tokens,
    /// How often lines repeat. None: one after the other, and again from the
    /// first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub popularity: Option<FilePopularity>,
}

/// A file of prompts as it was read. In YAML just its path. The plan keeps
/// what tells whether another file is the same; what it says is only kept
/// while the program runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PromptFile {
    /// Where it was found.
    pub path: PathBuf,
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// How many conversations it holds.
    pub entries: usize,
    /// What it says.
    #[serde(skip)]
    pub conversations: Conversations,
}

/// The conversations of a file.
pub type Conversations = Arc<[Conversation]>;

/// What a file has to ask: one turn, or several.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conversation {
    /// The system prompt; empty: none.
    pub system: String,
    /// What the user says, turn by turn, with the words of the recorded
    /// answer, where there is one. Never empty.
    pub turns: Vec<(String, Option<u32>)>,
}

/// A number of tokens: fixed, or drawn for each prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Tokens {
    /// Always this many. In YAML just the number.
    Fixed(u32),
    /// `{uniform: {min, max}}`
    Uniform {
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
    /// `{lognormal: {median, p99}}`
    Lognormal {
        /// Half of the prompts are shorter.
        median: u32,
        /// One in a hundred is longer.
        p99: u32,
    },
}

/// Prompts drawn from a fixed set, some more often than others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Popularity {
    /// Exponent of Zipf's law (> 0).
    pub zipf: f64,
    /// How many prompts there are.
    #[serde(default = "default_prompts")]
    pub prompts: u32,
}

/// Default of [`Popularity::prompts`].
pub fn default_prompts() -> u32 {
    1000
}

/// A file's prompts, the first ones more often than the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct FilePopularity {
    /// Exponent of Zipf's law (> 0).
    pub zipf: f64,
}

/// Several turns of one user. An arrival begins a session; each later turn is
/// due when the answer before it has come and been thought about, and counts
/// as a request of its own. A turn that fails ends its session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Session {
    /// How many turns.
    pub turns: Turns,
    /// From an answer to the next turn.
    #[serde(default)]
    pub think: Span,
}

/// A number of turns: fixed, or drawn for each session.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Turns {
    /// Always this many. In YAML just the number.
    Fixed(u32),
    /// `{uniform: {min, max}}`
    Uniform {
        /// The least.
        min: u32,
        /// The most.
        max: u32,
    },
}

impl Turns {
    /// The most turns.
    pub fn most(&self) -> u32 {
        match self {
            Self::Fixed(turns) => *turns,
            Self::Uniform { max, .. } => *max,
        }
    }
}

/// Prompts whose right answer is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Golden {
    /// Share of the workload's arrivals. A golden prompt is asked alone, also
    /// where others begin a session.
    pub share: Ratio,
    /// The prompts and what their answers must be.
    pub prompts: Vec<GoldenPrompt>,
}

/// One golden prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct GoldenPrompt {
    /// The user's message.
    pub ask: String,
    /// What a right answer is. In YAML the variant's key stands beside `ask`.
    #[serde(flatten)]
    pub expected: Expected,
}

/// What a right answer is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// This, but for blanks around it.
    Equals(String),
    /// It contains this.
    Contains(String),
    /// A part of it matches this regular expression.
    Matches(String),
    /// It is JSON, or has JSON in it, in which a path leads to a value.
    JsonPath(PathEquals),
    /// Its last number is near this one.
    Near(Near),
}

/// A value within JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct PathEquals {
    /// A JSONPath (RFC 9535).
    pub path: String,
    /// What one of the values that it finds must be.
    pub equals: Value,
}

/// A number and how far off another may be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Near {
    /// The number.
    pub value: f64,
    /// The largest difference.
    pub within: f64,
}
