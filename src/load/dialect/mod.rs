//! The endpoints' protocols: how a question is put, and how its answer reads.
//!
//! A dialect turns a [`Question`] into a body, and the events or the body of
//! the answer into an [`Answer`]. It knows nothing of connections, times and
//! outcomes.

mod chat;

use std::time::Instant;

use bytes::Bytes;

use super::answer::Answer;
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
}

impl Dialect {
    /// What `endpoint` speaks.
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::OpenaiChat(settings) => Self::Chat(chat::Chat::new(settings)),
        }
    }

    /// The body of a request.
    pub(crate) fn encode(&self, question: &Question<'_>) -> Bytes {
        match self {
            Self::Chat(chat) => chat.encode(question),
        }
    }

    /// An event of a stream came at `at`.
    pub(crate) fn event(&self, answer: &mut Answer, name: &str, data: &str, at: Instant) {
        match self {
            Self::Chat(chat) => chat.event(answer, name, data, at),
        }
    }

    /// The whole body of an answer came at `at`.
    pub(crate) fn body(&self, answer: &mut Answer, body: &[u8], at: Instant) {
        match self {
            Self::Chat(chat) => chat.body(answer, body, at),
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
        Self::of(&Endpoint::OpenaiChat(settings))
    }
}

/// A JSON string.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
