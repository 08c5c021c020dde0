//! OpenAI's chat completions: a question as messages, an answer as one JSON
//! object or as a stream of chunks that ends with `[DONE]`. Completions are
//! read here as well: their text stands beside, not within, a delta.

use std::{fmt::Write as _, time::Instant};

use bytes::Bytes;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;

use super::{
    Question, json as quoted,
    openai::{Frame, Text},
};
use crate::{
    load::answer::{Answer, Finish, snippet},
    scenario::model::OpenAi,
};

/// One chunk of a stream, or a whole answer.
#[derive(Debug, Deserialize)]
struct Completion<'a> {
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
    usage: Option<Usage>,
    #[serde(borrow)]
    system_fingerprint: Option<Text<'a>>,
    #[serde(borrow)]
    model: Option<Text<'a>>,
    error: Option<serde_json::Value>,
    /// vLLM's older form of an error.
    #[serde(borrow)]
    object: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Choice<'a> {
    /// In a stream.
    #[serde(borrow)]
    delta: Option<Delta<'a>>,
    /// In a whole answer.
    #[serde(borrow)]
    message: Option<Delta<'a>>,
    /// Of a completion that is no chat.
    #[serde(borrow)]
    text: Option<Text<'a>>,
    #[serde(borrow)]
    finish_reason: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow)]
    reasoning: Option<Text<'a>>,
    #[serde(borrow)]
    refusal: Option<Text<'a>>,
    tool_calls: Option<Vec<IgnoredAny>>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    completion_tokens: Option<u64>,
}

impl Delta<'_> {
    fn content(&self) -> &str {
        self.content.as_ref().map_or("", |text| &text.0)
    }

    /// Whether it holds a token. An empty role delta does not.
    fn is_token(&self) -> bool {
        [&self.content, &self.reasoning_content, &self.reasoning, &self.refusal]
            .into_iter()
            .flatten()
            .any(|text| !text.0.is_empty())
            || self.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty())
    }
}

/// The dialect.
#[derive(Debug)]
pub(crate) struct Chat(Frame);

/// What all requests for generated text say.
pub(super) fn frame(settings: &OpenAi) -> Frame {
    // Temperature 0: the answer depends on the prompt alone.
    let mut own = json!({ "model": settings.model, "temperature": 0 });
    if settings.stream {
        own["stream"] = json!(true);
        own["stream_options"] = json!({ "include_usage": true });
    }
    Frame::new(own, "max_tokens", true, &settings.extra)
}

impl Chat {
    /// As the scenario sets it.
    pub(super) fn new(settings: &OpenAi) -> Self {
        Self(frame(settings))
    }

    /// The request's body.
    pub(super) fn encode(&self, question: &Question<'_>) -> Bytes {
        let mut body = self.0.begin(question);
        body.push_str("\"messages\":[");
        if !question.system.is_empty() {
            // Writing to a String can't fail, here and below.
            let _ = write!(body, r#"{{"role":"system","content":{}}},"#, quoted(question.system));
        }
        messages(&mut body, question);
        body.push(']');
        self.0.end(body, question)
    }

    /// Whether it asks for exactly so many tokens, where it should.
    pub(super) fn can_be_exact(&self) -> bool {
        self.0.can_be_exact()
    }
}

/// What was said by both, ending with the question.
pub(super) fn messages(body: &mut String, question: &Question<'_>) {
    for turn in question.history {
        let _ = write!(
            body,
            r#"{{"role":"user","content":{}}},{{"role":"assistant","content":{}}},"#,
            quoted(&turn.user),
            quoted(&turn.answer)
        );
    }
    let _ = write!(body, r#"{{"role":"user","content":{}}}"#, quoted(question.user));
}

/// An event of a stream came at `at`.
pub(super) fn event(answer: &mut Answer, name: &str, data: &str, at: Instant) {
    if data.trim() == "[DONE]" {
        answer.done = true;
    } else if name == "error" {
        answer.failed(data);
    } else {
        completion(answer, data, at);
    }
}

/// The whole body came at `at`.
pub(super) fn body(answer: &mut Answer, body: &[u8], at: Instant) {
    match std::str::from_utf8(body) {
        Ok(text) => completion(answer, text, at),
        Err(_) => answer.bad("the body is not UTF-8".to_owned()),
    }
    if answer.chunks == 0 && answer.finish.is_none() {
        answer.bad("an answer without choices".to_owned());
    }
    answer.done = true;
}

fn completion(answer: &mut Answer, json: &str, at: Instant) {
    let completion: Completion<'_> = match serde_json::from_str(json) {
        Ok(completion) => completion,
        Err(error) => return answer.bad(format!("{error} in `{}`", snippet(json))),
    };
    if let Some(error) = completion.error {
        answer.failed(&error.to_string());
        return;
    }
    if completion.object.is_some_and(|object| object.0 == "error") {
        let message = completion.message.map_or_else(String::new, |text| text.0.into_owned());
        answer.failed(&message);
        return;
    }
    if answer.fingerprint.is_none() {
        answer.fingerprint = completion.system_fingerprint.map(|text| text.0.into_owned());
    }
    if answer.model.is_none() {
        answer.model = completion.model.map(|text| text.0.into_owned());
    }
    if let Some(tokens) = completion.usage.and_then(|usage| usage.completion_tokens) {
        answer.usage = Some(tokens);
    }
    for choice in completion.choices {
        if let Some(delta) = choice.delta.or(choice.message)
            && delta.is_token()
        {
            answer.token(delta.content(), at);
        }
        if let Some(text) = choice.text.filter(|text| !text.0.is_empty()) {
            answer.token(&text.0, at);
        }
        match choice.finish_reason.as_ref().map(|reason| &*reason.0) {
            None | Some("") => {}
            Some("length") => answer.finish = Some(Finish::Length),
            Some(reason @ ("error" | "abort")) => {
                answer.failed(&format!("finish_reason is `{reason}`"));
            }
            Some(_) => answer.finish = Some(Finish::Stop),
        }
    }
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::dialect::Dialect;

    fn chat() -> Dialect {
        Dialect::chat()
    }

    fn read(events: &[&str]) -> Answer {
        let mut answer = Answer::keeping_text();
        for event in events {
            chat().event(&mut answer, "", event, Instant::now());
        }
        answer
    }

    #[test]
    fn a_role_delta_is_no_token() {
        let answer = read(&[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"error":null}"#,
        ]);
        assert!(answer.first.is_none() && answer.chunks == 0 && answer.error.is_none());
    }

    #[test]
    fn reasoning_and_tool_calls_are_tokens() {
        let answer = read(&[
            r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{"}}]}}]}"#,
            r#"{"choices":[{"delta":{"content":"a \"b\""}}]}"#,
        ]);
        assert_eq!((answer.chunks, answer.gaps.len()), (3, 2));
        assert_eq!(answer.text.as_deref(), Some("a \"b\""));
    }

    #[test]
    fn usage_is_taken_before_chunks() {
        let answer = read(&[
            r#"{"choices":[{"delta":{"content":"a"}}],"usage":null}"#,
            r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":7},"system_fingerprint":"fp_v1"}"#,
            "[DONE]",
        ]);
        assert_eq!((answer.tokens(), answer.chunks), (7, 1));
        assert_eq!((answer.finish, answer.done), (Some(Finish::Length), true));
        assert_eq!(answer.fingerprint.as_deref(), Some("fp_v1"));
    }

    #[test]
    fn errors_are_seen_in_every_form() {
        for event in [
            r#"{"error":{"message":"out of memory","code":500}}"#,
            r#"{"error":"out of memory"}"#,
            r#"{"object":"error","message":"out of memory","type":"x"}"#,
        ] {
            assert!(read(&[event]).error.is_some_and(|error| error.contains("out of memory")), "{event}");
        }
        assert!(read(&[r#"{"choices":[{"delta":{},"finish_reason":"abort"}]}"#]).error.is_some());
        let mut answer = Answer::default();
        chat().event(&mut answer, "error", "boom", Instant::now());
        assert_eq!(answer.error.as_deref(), Some("boom"));
    }

    #[test]
    fn what_is_not_json_is_malformed() {
        assert!(read(&["{\"choices\": [{"]).malformed.is_some());
        assert!(read(&["<html>"]).malformed.is_some());
        assert!(read(&[r#"{"choices":[{"delta":{"content":5}}]}"#]).malformed.is_some());
    }

    #[test]
    fn a_whole_answer_reads_too() {
        let mut answer = Answer::keeping_text();
        chat().plain_body(
            &mut answer,
            br#"{"choices":[{"message":{"role":"assistant","content":"Paris"},"finish_reason":"stop"}],"usage":{"completion_tokens":1}}"#,
            Instant::now(),
        );
        assert_eq!(answer.text.as_deref(), Some("Paris"));
        assert_eq!((answer.finish, answer.tokens()), (Some(Finish::Stop), 1));
    }

    #[test]
    fn numbered_tokens_must_follow_each_other() {
        let chunk = |text: &str| format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#);
        let numbered = |words: &[&str]| {
            let events: Vec<String> = words.iter().map(|word| chunk(word)).collect();
            read(&events.iter().map(String::as_str).collect::<Vec<_>>()).discontinuity
        };
        assert_eq!(numbered(&["tok-0", " tok-1", " tok-2 tok-3"]), None);
        assert!(numbered(&["tok-0", " tok-2"]).is_some());
        assert!(numbered(&["tok-1 ", "tok-1 "]).is_some());
        assert_eq!(numbered(&["well, ", "tok-1 ", "tok-7 "]), None);
    }
}
