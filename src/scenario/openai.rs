//! The settings of OpenAI's endpoints.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An endpoint of OpenAI's that generates text.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct OpenAi {
    /// The body's `model`.
    pub model: String,
    /// Server-sent events, or one JSON body.
    #[serde(default)]
    pub stream: bool,
    /// Path below the target's URL. None: the API's own, such as
    /// `/v1/chat/completions`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Further request headers.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// Merged into each body (RFC 7396: `null` takes a field away).
    #[serde(default)]
    pub extra: IndexMap<String, Value>,
}

/// OpenAI's embeddings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct OpenAiEmbeddings {
    /// The body's `model`.
    pub model: String,
    /// Path below the target's URL. None: `/v1/embeddings`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Further request headers.
    #[serde(default)]
    pub headers: IndexMap<String, String>,
    /// Merged into each body (RFC 7396: `null` takes a field away).
    #[serde(default)]
    pub extra: IndexMap<String, Value>,
}
