//! OpenAI's completions: a question as one text. The answer reads as that of
//! a chat.

use std::fmt::Write as _;

use bytes::Bytes;

use super::{Question, chat, json as quoted, openai::Frame};
use crate::scenario::model::OpenAi;

/// The dialect.
#[derive(Debug)]
pub(crate) struct Completions(Frame);

impl Completions {
    /// As the scenario sets it.
    pub(super) fn new(settings: &OpenAi) -> Self {
        Self(chat::frame(settings))
    }

    /// The request's body.
    pub(super) fn encode(&self, question: &Question<'_>) -> Bytes {
        let mut body = self.0.begin(question);
        body.push_str("\"prompt\":");
        if question.system.is_empty() && question.history.is_empty() {
            body.push_str(&quoted(question.user));
        } else {
            body.push_str(&quoted(&script(question)));
        }
        self.0.end(body, question)
    }

    /// Whether it asks for exactly so many tokens, where it should.
    pub(super) fn can_be_exact(&self) -> bool {
        self.0.can_be_exact()
    }
}

/// What was said as one text: an API without messages knows no roles.
fn script(question: &Question<'_>) -> String {
    let mut text = String::with_capacity(question.len() + 64);
    if !question.system.is_empty() {
        text.push_str(question.system);
        text.push_str("\n\n");
    }
    if question.history.is_empty() {
        text.push_str(question.user);
        return text;
    }
    for turn in question.history {
        // Writing to a String can't fail.
        let _ = write!(text, "User: {}\nAssistant: {}\n", turn.user, turn.answer);
    }
    let _ = write!(text, "User: {}\nAssistant:", question.user);
    text
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::load::{
        answer::{Answer, Finish},
        dialect::{Dialect, Turn},
    };

    #[test]
    fn what_was_said_is_one_text() {
        let dialect = Completions::new(&Dialect::settings());
        let history = [Turn { user: "a?".into(), answer: "b".into() }];
        let prompt = |system, history| {
            let question = Question { system, history, user: "c?", tokens: 3, exact: true };
            let body: serde_json::Value = serde_json::from_slice(&dialect.encode(&question)).expect("JSON");
            assert_eq!((&body["max_tokens"], &body["stream"]), (&3.into(), &true.into()));
            body["prompt"].as_str().expect("a text").to_owned()
        };
        assert_eq!(prompt("", &[]), "c?");
        assert_eq!(prompt("s", &[]), "s\n\nc?");
        assert_eq!(prompt("s", &history), "s\n\nUser: a?\nAssistant: b\nUser: c?\nAssistant:");
    }

    #[test]
    fn chunks_of_text_are_tokens() {
        let dialect = Dialect::Completions(Completions::new(&Dialect::settings()));
        let mut answer = Answer::keeping_text();
        for event in [
            r#"{"choices":[{"text":"","index":0,"finish_reason":null}]}"#,
            r#"{"choices":[{"text":"a ","index":0,"logprobs":null,"finish_reason":null}],"usage":null}"#,
            r#"{"choices":[{"text":"b","index":0,"finish_reason":"length"}]}"#,
            r#"{"choices":[],"usage":{"completion_tokens":5}}"#,
            "[DONE]",
        ] {
            dialect.event(&mut answer, "", event, Instant::now());
        }
        assert_eq!((answer.chunks, answer.tokens(), answer.done), (2, 5, true));
        assert_eq!((answer.text.as_deref(), answer.finish), (Some("a b"), Some(Finish::Length)));
        let mut whole = Answer::keeping_text();
        let body = br#"{"object":"text_completion","choices":[{"text":"Paris","finish_reason":"stop"}],"usage":{"completion_tokens":1}}"#;
        dialect.plain_body(&mut whole, body, Instant::now());
        assert_eq!((whole.text.as_deref(), whole.finish), (Some("Paris"), Some(Finish::Stop)));
    }
}
