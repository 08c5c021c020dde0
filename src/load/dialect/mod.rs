//! The endpoints' protocols: how a question is put, and how its answer reads.
//!
//! A dialect turns a [`Question`] into a body, and the events or the body of
//! the answer into an [`Answer`]. It knows nothing of connections, times and
//! outcomes.

mod chat;
mod completions;
mod embeddings;
mod openai;
mod responses;

use std::time::Instant;

use bytes::Bytes;

use super::answer::Answer;
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
}

impl Dialect {
    /// What `endpoint` speaks.
    pub(crate) fn of(endpoint: &Endpoint) -> Self {
        match endpoint {
            Endpoint::OpenaiChat(settings) => Self::Chat(chat::Chat::new(settings)),
            Endpoint::OpenaiCompletions(settings) => {
                Self::Completions(completions::Completions::new(settings))
            }
            Endpoint::OpenaiResponses(settings) => Self::Responses(responses::Responses::new(settings)),
            Endpoint::OpenaiEmbeddings(settings) => Self::Embeddings(embeddings::Embeddings::new(settings)),
        }
    }

    /// The body of a request.
    pub(crate) fn encode(&self, question: &Question<'_>) -> Bytes {
        match self {
            Self::Chat(chat) => chat.encode(question),
            Self::Completions(completions) => completions.encode(question),
            Self::Responses(responses) => responses.encode(question),
            Self::Embeddings(embeddings) => embeddings.encode(question),
        }
    }

    /// An event of a stream came at `at`.
    pub(crate) fn event(&self, answer: &mut Answer, name: &str, data: &str, at: Instant) {
        match self {
            // The same stream but for where the text stands.
            Self::Chat(_) | Self::Completions(_) => chat::event(answer, name, data, at),
            Self::Responses(_) => responses::event(answer, name, data, at),
            Self::Embeddings(_) => answer.bad("a stream, where none was asked for".to_owned()),
        }
    }

    /// The whole body of an answer came at `at`.
    pub(crate) fn body(&self, answer: &mut Answer, body: &[u8], at: Instant) {
        match self {
            Self::Chat(_) | Self::Completions(_) => chat::body(answer, body, at),
            Self::Responses(_) => responses::body(answer, body, at),
            Self::Embeddings(embeddings) => embeddings.body(answer, body),
        }
    }

    /// Whether it can ask for exactly so many tokens.
    pub(crate) fn can_be_exact(&self) -> bool {
        match self {
            Self::Chat(chat) => chat.can_be_exact(),
            Self::Completions(completions) => completions.can_be_exact(),
            Self::Responses(responses) => responses.can_be_exact(),
            Self::Embeddings(_) => false,
        }
    }
}

#[cfg(test)]
impl Dialect {
    /// Streaming chat completions, for tests.
    pub(crate) fn chat() -> Self {
        Self::of(&Endpoint::OpenaiChat(Self::settings()))
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
