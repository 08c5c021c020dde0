//! The endpoints' protocols: how a question is put, and how its answer reads.
//!
//! A dialect turns a [`Question`] into a body, and the events or the body of
//! the answer into an [`Answer`]. It knows nothing of connections, times and
//! outcomes.

mod chat;
mod completions;
mod embeddings;
pub(crate) mod http;
pub(crate) mod kserve;
mod openai;
mod responses;

use std::time::Instant;

use ::http::HeaderMap;
use bytes::Bytes;

use super::{LoadError, answer::Answer, feed::Wanted};
use crate::scenario::model::Endpoint;

/// What is asked, before a protocol puts it into its form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// What all prompts begin with; empty: nothing.
    pub(crate) system: &'a str,
    /// What was said before, in a session.
    pub(crate) history: &'a [Turn],
    /// The prompt.
    pub(crate) user: &'a str,
    /// Output tokens, at most.
    pub(crate) tokens: u32,
    /// Exactly so many (`ignore_eos`).
    pub(crate) exact: bool,
}

/// A turn of a session that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Turn {
    /// What was asked.
    pub(crate) user: String,
    /// What was answered.
    pub(crate) answer: String,
}

impl Question<'_> {
    /// Bytes of text.
    fn len(&self) -> usize {
        let before: usize = self.history.iter().map(|turn| turn.user.len() + turn.answer.len() + 64).sum();
        self.system.len() + before + self.user.len()
    }
}

/// A protocol, with an endpoint's settings.
#[derive(Debug)]
pub(crate) enum Dialect {
    /// OpenAI's chat completions.
    Chat(chat::Chat),
    /// OpenAI's completions.
    Completions(completions::Completions),
    /// OpenAI's responses.
    Responses(responses::Responses),
    /// OpenAI's embeddings.
    Embeddings(embeddings::Embeddings),
    /// KServe v2.
    Kserve(kserve::Kserve),
    /// Any HTTP API.
    Http(http::Api),
}

impl Dialect {
    /// What `endpoint` speaks.
    ///
    /// # Errors
    /// An endpoint that can't be spoken to as it is described.
    pub(crate) fn of(endpoint: &Endpoint) -> Result<Self, LoadError> {
        Ok(match endpoint {
            Endpoint::OpenaiChat(settings) => Self::Chat(chat::Chat::new(settings)),
            Endpoint::OpenaiCompletions(settings) => {
                Self::Completions(completions::Completions::new(settings))
            }
            Endpoint::OpenaiResponses(settings) => Self::Responses(responses::Responses::new(settings)),
            Endpoint::OpenaiEmbeddings(settings) => Self::Embeddings(embeddings::Embeddings::new(settings)),
            Endpoint::KserveV2(settings) => {
                Self::Kserve(kserve::Kserve::new(&settings.infer, kserve::Wire::Http(settings.encoding)))
            }
            Endpoint::KserveGrpc(settings) => {
                Self::Kserve(kserve::Kserve::new(&settings.infer, kserve::Wire::Grpc))
            }
            Endpoint::Http(settings) => Self::Http(http::Api::new(settings)?),
        })
    }

    /// The body of a request.
    pub(crate) fn encode(&self, question: &Question<'_>) -> Bytes {
        match self {
            Self::Chat(chat) => chat.encode(question),
            Self::Completions(completions) => completions.encode(question),
            Self::Responses(responses) => responses.encode(question),
            Self::Embeddings(embeddings) => embeddings.encode(question),
            // No prompts: their feeds make the bodies.
            Self::Kserve(_) | Self::Http(_) => Bytes::new(),
        }
    }

    /// Whether an answer with this status is one.
    pub(crate) fn accepts(&self, status: u16) -> bool {
        match self {
            Self::Http(api) => api.accepts(status),
            Self::Chat(_)
            | Self::Completions(_)
            | Self::Responses(_)
            | Self::Embeddings(_)
            | Self::Kserve(_) => (200..=299).contains(&status),
        }
    }

    /// Whether nothing is asked of a body but that it ends.
    pub(crate) fn ignores_body(&self) -> bool {
        match self {
            Self::Http(api) => api.ignores_body(),
            Self::Chat(_)
            | Self::Completions(_)
            | Self::Responses(_)
            | Self::Embeddings(_)
            | Self::Kserve(_) => false,
        }
    }

    /// Whether an answer without a body can be one.
    pub(crate) fn may_be_empty(&self) -> bool {
        match self {
            Self::Http(_) => true,
            Self::Chat(_)
            | Self::Completions(_)
            | Self::Responses(_)
            | Self::Embeddings(_)
            | Self::Kserve(_) => false,
        }
    }

    /// An event of a stream came at `at`.
    pub(crate) fn event(&self, answer: &mut Answer, name: &str, data: &str, at: Instant) {
        match self {
            // The same stream but for where the text stands.
            Self::Chat(_) | Self::Completions(_) => chat::event(answer, name, data, at),
            Self::Responses(_) => responses::event(answer, name, data, at),
            Self::Embeddings(_) | Self::Kserve(_) | Self::Http(_) => {
                answer.bad("a stream, where none was asked for".to_owned());
            }
        }
    }

    /// The whole body of an answer came at `at`; `wanted` is what is right.
    pub(crate) fn body(
        &self,
        answer: &mut Answer,
        headers: &HeaderMap,
        body: &[u8],
        wanted: &Wanted,
        at: Instant,
    ) {
        match self {
            Self::Chat(_) | Self::Completions(_) => chat::body(answer, body, at),
            Self::Responses(_) => responses::body(answer, body, at),
            Self::Embeddings(embeddings) => embeddings.body(answer, body),
            Self::Kserve(kserve) => kserve.body(answer, headers, body, wanted.batch(), at),
            Self::Http(api) => api.body(answer, headers, body, wanted.right(), at),
        }
    }

    /// A message of a gRPC answer came at `at`; of a stream, one of several.
    pub(crate) fn message(
        &self,
        answer: &mut Answer,
        message: &[u8],
        stream: bool,
        wanted: &Wanted,
        at: Instant,
    ) {
        match self {
            Self::Kserve(kserve) => kserve.message_came(answer, message, stream, wanted.batch(), at),
            // Not spoken over gRPC.
            Self::Chat(_)
            | Self::Completions(_)
            | Self::Responses(_)
            | Self::Embeddings(_)
            | Self::Http(_) => answer.bad("a gRPC message".to_owned()),
        }
    }

    /// Whether it can ask for exactly so many tokens.
    pub(crate) fn can_be_exact(&self) -> bool {
        match self {
            Self::Chat(chat) => chat.can_be_exact(),
            Self::Completions(completions) => completions.can_be_exact(),
            Self::Responses(responses) => responses.can_be_exact(),
            Self::Embeddings(_) | Self::Kserve(_) | Self::Http(_) => false,
        }
    }
}

#[cfg(test)]
impl Dialect {
    /// Streaming chat completions, for tests.
    pub(crate) fn chat() -> Self {
        Self::Chat(chat::Chat::new(&Self::settings()))
    }

    /// The whole body of an answer of which nothing is known, for tests.
    pub(crate) fn plain_body(&self, answer: &mut Answer, body: &[u8], at: Instant) {
        self.body(answer, &HeaderMap::new(), body, &Wanted::Anything, at);
    }

    /// Settings of a stream.
    pub(crate) fn settings() -> crate::scenario::model::OpenAi {
        crate::scenario::model::OpenAi { model: "demo".to_owned(), stream: true, ..Default::default() }
    }
}

/// A JSON string.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
