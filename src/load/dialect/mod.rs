//! The endpoints' protocols: how a question is put, and how its answer reads.
//!
//! A dialect turns a [`Question`] into a body, and the events or the body of
//! the answer into an [`Answer`]. It knows nothing of connections, times and
//! outcomes.

mod chat;
pub(crate) mod http;
pub(crate) mod kserve;

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
    /// The prompt.
    pub(crate) user: &'a str,
    /// Output tokens, at most.
    pub(crate) tokens: u32,
    /// Exactly so many (`ignore_eos`).
    pub(crate) exact: bool,
}

impl Question<'_> {
    /// Bytes of text.
    fn len(&self) -> usize {
        self.system.len() + self.user.len()
    }
}

/// A protocol, with an endpoint's settings.
#[derive(Debug)]
pub(crate) enum Dialect {
    /// OpenAI's chat completions.
    Chat(chat::Chat),
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
            // No prompts: their feeds make the bodies.
            Self::Kserve(_) | Self::Http(_) => Bytes::new(),
        }
    }

    /// Whether an answer with this status is one.
    pub(crate) fn accepts(&self, status: u16) -> bool {
        match self {
            Self::Chat(_) | Self::Kserve(_) => (200..=299).contains(&status),
            Self::Http(api) => api.accepts(status),
        }
    }

    /// Whether nothing is asked of a body but that it ends.
    pub(crate) fn ignores_body(&self) -> bool {
        match self {
            Self::Chat(_) | Self::Kserve(_) => false,
            Self::Http(api) => api.ignores_body(),
        }
    }

    /// An event of a stream came at `at`.
    pub(crate) fn event(&self, answer: &mut Answer, name: &str, data: &str, at: Instant) {
        match self {
            Self::Chat(chat) => chat.event(answer, name, data, at),
            // Neither asks for events.
            Self::Kserve(_) | Self::Http(_) => {}
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
            Self::Chat(chat) => chat.body(answer, body, at),
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
            Self::Chat(_) | Self::Http(_) => answer.bad("a gRPC message".to_owned()),
        }
    }
}

#[cfg(test)]
impl Dialect {
    /// Streaming chat completions, for tests.
    pub(crate) fn chat() -> Self {
        let settings = crate::scenario::model::OpenAiChat {
            model: "demo".to_owned(),
            stream: true,
            path: "/".to_owned(),
            headers: Default::default(),
        };
        Self::Chat(chat::Chat::new(&settings))
    }
}

/// A JSON string.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
