//! The settings of OpenAI's endpoints.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::model::Endpoint;

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

impl Endpoint {
    /// Path below the target's URL.
    pub fn path(&self) -> &str {
        let (given, own) = match self {
            Self::OpenaiChat(api) => (&api.path, "/v1/chat/completions"),
            Self::OpenaiCompletions(api) => (&api.path, "/v1/completions"),
            Self::OpenaiResponses(api) => (&api.path, "/v1/responses"),
            Self::OpenaiEmbeddings(api) => (&api.path, "/v1/embeddings"),
        };
        given.as_deref().unwrap_or(own)
    }

    /// Further request headers.
    pub fn headers(&self) -> &IndexMap<String, String> {
        match self {
            Self::OpenaiChat(api) | Self::OpenaiCompletions(api) | Self::OpenaiResponses(api) => &api.headers,
            Self::OpenaiEmbeddings(api) => &api.headers,
        }
    }

    /// Whether answers are to come as server-sent events.
    pub fn streams(&self) -> bool {
        match self {
            Self::OpenaiChat(api) | Self::OpenaiCompletions(api) | Self::OpenaiResponses(api) => api.stream,
            Self::OpenaiEmbeddings(_) => false,
        }
    }

    /// Whether answers are made of tokens: then they have a TTFT, and a
    /// session can go on from them.
    pub fn generates(&self) -> bool {
        match self {
            Self::OpenaiChat(_) | Self::OpenaiCompletions(_) | Self::OpenaiResponses(_) => true,
            Self::OpenaiEmbeddings(_) => false,
        }
    }
}
