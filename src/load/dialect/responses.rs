//! OpenAI's responses: a stream of named events that ends with
//! `response.completed`, `response.incomplete` or `response.failed`, or one
//! JSON object.

use std::time::Instant;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Question, chat, json as quoted,
    openai::{Frame, Text},
};
use crate::{
    load::answer::{Answer, Finish, snippet},
    scenario::model::OpenAi,
};

/// An event of a stream.
#[derive(Debug, Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    delta: Option<Text<'a>>,
    item: Option<Item>,
    response: Option<Response>,
    error: Option<Value>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
}

/// A response as far as it has come.
#[derive(Debug, Deserialize)]
struct Response {
    status: Option<String>,
    error: Option<Value>,
    incomplete_details: Option<Incomplete>,
    output: Option<Vec<Item>>,
    usage: Option<Usage>,
    model: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Incomplete {
    reason: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Usage {
    output_tokens: Option<u64>,
}

/// A message, a reasoning, or a call of a tool.
#[derive(Debug, Deserialize)]
struct Item {
    #[serde(rename = "type")]
    kind: Option<String>,
    content: Option<Vec<Part>>,
    summary: Option<Vec<Part>>,
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: Option<String>,
    text: Option<String>,
    refusal: Option<String>,
}

impl Item {
    fn is_call(&self) -> bool {
        self.kind.as_deref().is_some_and(|kind| kind.ends_with("_call"))
    }

    /// Whether there is anything in it that was generated.
    fn says_something(&self) -> bool {
        let parts = self.content.iter().chain(&self.summary).flatten();
        let said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
        self.is_call() || parts.into_iter().any(|part| said(&part.text) || said(&part.refusal))
    }
}

/// The dialect.
#[derive(Debug)]
pub(crate) struct Responses(Frame);

impl Responses {
    /// As the scenario sets it.
    pub(super) fn new(settings: &OpenAi) -> Self {
        // Temperature 0: the answer depends on the prompt alone.
        let mut own = json!({ "model": settings.model, "temperature": 0 });
        if settings.stream {
            own["stream"] = json!(true);
        }
        // The API has no way to ask for more than the model has to say.
        Self(Frame::new(own, "max_output_tokens", false, &settings.extra))
    }

    /// The request's body.
    pub(super) fn encode(&self, question: &Question<'_>) -> Bytes {
        let mut body = self.0.begin(question);
        if !question.system.is_empty() {
            body.push_str("\"instructions\":");
            body.push_str(&quoted(question.system));
            body.push(',');
        }
        body.push_str("\"input\":");
        if question.history.is_empty() {
            body.push_str(&quoted(question.user));
        } else {
            body.push('[');
            chat::messages(&mut body, question);
            body.push(']');
        }
        self.0.end(body, question)
    }

    /// Whether it asks for exactly so many tokens, where it should.
    pub(super) fn can_be_exact(&self) -> bool {
        self.0.can_be_exact()
    }
}

/// An event of a stream came at `at`.
pub(super) fn event(answer: &mut Answer, name: &str, data: &str, at: Instant) {
    // Some servers add it out of habit. It is no end: it says nothing of how.
    if data.trim() == "[DONE]" {
        return;
    }
    let event: Event<'_> = match serde_json::from_str(data) {
        Ok(event) => event,
        // An error need not be JSON.
        Err(_) if name == "error" => return answer.failed(data),
        Err(error) => return answer.bad(format!("{error} in `{}`", snippet(data))),
    };
    let kind = event.kind.as_ref().map_or(name, |kind| &kind.0);
    match kind {
        "error" => match (&event.error, &event.message) {
            (Some(error), _) => answer.failed(&error.to_string()),
            (None, Some(message)) => answer.failed(&message.0),
            (None, None) => answer.failed(data),
        },
        "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
            match event.response {
                Some(response) => end(answer, response, kind.trim_start_matches("response."), at),
                None => answer.bad(format!("`{kind}` without a response")),
            }
        }
        "response.output_text.delta" => {
            if let Some(delta) = event.delta.filter(|delta| !delta.0.is_empty()) {
                answer.token(&delta.0, at);
            }
        }
        // A call is a token by its name; its arguments follow.
        "response.output_item.added" if event.item.as_ref().is_some_and(Item::is_call) => {
            answer.token("", at)
        }
        // Reasoning, arguments of calls, refusals: tokens, but no text.
        kind if kind.ends_with(".delta") => {
            if event.delta.is_some_and(|delta| !delta.0.is_empty()) {
                answer.token("", at);
            }
        }
        _ => {
            if let Some(error) = event.error.filter(|error| !error.is_null()) {
                answer.failed(&error.to_string());
            }
        }
    }
}

/// The whole body came at `at`.
pub(super) fn body(answer: &mut Answer, body: &[u8], at: Instant) {
    match serde_json::from_slice::<Response>(body) {
        Ok(response) => match response.status.clone() {
            Some(status) => end(answer, response, &status, at),
            None if response.error.is_some() => end(answer, response, "failed", at),
            None => answer.bad("a response without a status".to_owned()),
        },
        Err(error) => answer.bad(format!("{error} in `{}`", snippet(&String::from_utf8_lossy(body)))),
    }
    answer.done = true;
}

/// The response is over.
fn end(answer: &mut Answer, response: Response, status: &str, at: Instant) {
    if answer.model.is_none() {
        answer.model = response.model;
    }
    // A server that sent no deltas says all at once.
    if answer.chunks == 0 {
        let output = response.output.unwrap_or_default();
        if output.iter().any(Item::says_something) {
            let parts = output.iter().filter_map(|item| item.content.as_ref()).flatten();
            let text: String = parts
                .filter(|part| part.kind.as_deref() == Some("output_text"))
                .filter_map(|part| part.text.as_deref())
                .collect();
            answer.token(&text, at);
        }
    }
    if let Some(tokens) = response.usage.and_then(|usage| usage.output_tokens) {
        answer.usage = Some(tokens);
    }
    match status {
        "completed" => answer.finish = Some(Finish::Stop),
        "incomplete" => {
            let reason = response.incomplete_details.and_then(|details| details.reason);
            let full = reason.as_deref().is_some_and(|reason| reason == "max_output_tokens");
            answer.finish = Some(if full { Finish::Length } else { Finish::Stop });
        }
        _ => {
            let why = response.error.filter(|error| !error.is_null());
            answer.failed(&why.map_or_else(|| format!("the response is {status}"), |why| why.to_string()));
        }
    }
    answer.done = true;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::dialect::{Dialect, Turn};

    fn dialect() -> Dialect {
        Dialect::Responses(Responses::new(&Dialect::settings()))
    }

    fn read(events: &[(&str, &str)]) -> Answer {
        let mut answer = Answer::keeping_text();
        for (name, data) in events {
            dialect().event(&mut answer, name, data, Instant::now());
        }
        answer
    }

    #[test]
    fn a_session_is_a_list_of_messages() {
        let history = [Turn { user: "a?".into(), answer: "b".into() }];
        let of = |system, history| {
            let question = Question { system, history, user: "c?", tokens: 3, exact: true };
            serde_json::from_slice::<Value>(&dialect().encode(&question)).expect("JSON")
        };
        let plain = of("", &[]);
        assert_eq!(
            (&plain["input"], &plain["max_output_tokens"], &plain["stream"]),
            (&json!("c?"), &json!(3), &json!(true))
        );
        assert!(plain.get("ignore_eos").is_none() && !dialect().can_be_exact());
        let later = of("s", &history);
        assert_eq!(later["instructions"], "s");
        assert_eq!(later["input"][1], json!({ "role": "assistant", "content": "b" }));
        assert_eq!(later["input"].as_array().map(Vec::len), Some(3));
    }

    #[test]
    fn a_stream_is_read_to_its_terminal_event() {
        let answer = read(&[
            (
                "response.created",
                r#"{"type":"response.created","response":{"status":"in_progress","error":null,"output":[]},"sequence_number":0}"#,
            ),
            (
                "response.output_item.added",
                r#"{"type":"response.output_item.added","item":{"type":"reasoning","summary":[]}}"#,
            ),
            (
                "response.reasoning_summary_text.delta",
                r#"{"type":"response.reasoning_summary_text.delta","delta":"hm"}"#,
            ),
            (
                "response.output_text.delta",
                r#"{"type":"response.output_text.delta","delta":"Pa","logprobs":[]}"#,
            ),
            ("response.output_text.delta", r#"{"type":"response.output_text.delta","delta":""}"#),
            // The name may be missing.
            ("", r#"{"type":"response.output_text.delta","delta":"ris"}"#),
            ("response.output_text.done", r#"{"type":"response.output_text.done","text":"Paris"}"#),
            (
                "response.output_item.added",
                r#"{"type":"response.output_item.added","item":{"type":"function_call","name":"f","arguments":""}}"#,
            ),
            (
                "response.function_call_arguments.delta",
                r#"{"type":"response.function_call_arguments.delta","delta":"{}"}"#,
            ),
            (
                "response.completed",
                r#"{"type":"response.completed","response":{"status":"completed","output":[{"type":"message","content":[{"type":"output_text","text":"Paris"}]}],"usage":{"output_tokens":9}}}"#,
            ),
        ]);
        assert_eq!((answer.chunks, answer.tokens(), answer.text.as_deref()), (5, 9, Some("Paris")));
        assert_eq!((answer.done, answer.finish, &answer.error), (true, Some(Finish::Stop), &None));
    }

    #[test]
    fn without_a_terminal_event_it_is_not_finished() {
        let delta = ("response.output_text.delta", r#"{"delta":"a"}"#);
        assert!(!read(&[delta]).is_finished() && !read(&[delta, ("", "[DONE]")]).is_finished());
        assert_eq!(read(&[delta]).chunks, 1, "the event's name will do");
    }

    #[test]
    fn incomplete_by_length_is_a_finish_and_failed_is_none() {
        let end = |kind: &str, rest: &str| {
            read(&[("", &format!(r#"{{"type":"response.{kind}","response":{{"status":"{kind}",{rest}}}}}"#))])
        };
        let full = end("incomplete", r#""incomplete_details":{"reason":"max_output_tokens"}"#);
        assert_eq!((full.finish, full.done), (Some(Finish::Length), true));
        let filtered = end("incomplete", r#""incomplete_details":{"reason":"content_filter"}"#);
        assert_eq!(filtered.finish, Some(Finish::Stop));
        let failed = end("failed", r#""error":{"code":"server_error","message":"out of memory"}"#);
        assert!(failed.error.is_some_and(|error| error.contains("out of memory")));
        assert!(end("cancelled", r#""error":null"#).error.is_some());
    }

    #[test]
    fn errors_are_seen_in_every_form() {
        for (name, data) in [
            ("error", r#"{"type":"error","code":"x","message":"boom","param":null}"#),
            ("error", r#"{"type":"error","error":{"message":"boom"}}"#),
            ("error", "boom"),
            ("", r#"{"error":{"message":"boom"}}"#),
        ] {
            assert!(read(&[(name, data)]).error.is_some_and(|error| error.contains("boom")), "{data}");
        }
        assert!(read(&[("response.created", "{\"type\":")]).malformed.is_some());
    }

    #[test]
    fn a_whole_answer_reads_too() {
        let whole = |body: &str| {
            let mut answer = Answer::keeping_text();
            dialect().plain_body(&mut answer, body.as_bytes(), Instant::now());
            answer
        };
        let answer = whole(
            r#"{"object":"response","status":"completed","error":null,"incomplete_details":null,"output":[
                {"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},
                {"type":"message","role":"assistant","content":[{"type":"output_text","text":"Paris","annotations":[]}]}],
                "usage":{"input_tokens":3,"output_tokens":4}}"#,
        );
        assert_eq!((answer.text.as_deref(), answer.tokens(), answer.chunks), (Some("Paris"), 4, 1));
        assert!(whole(r#"{"status":"failed","error":{"message":"x"}}"#).error.is_some());
        assert!(whole(r#"{"error":{"message":"x"}}"#).error.is_some());
        assert!(whole("{}").malformed.is_some() && whole("x").malformed.is_some());
    }

    mod any {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            #[test]
            fn no_data_panics(name in "(response\\.)?[a-z._]{0,12}", data in "\\PC{0,60}") {
                read(&[(&name, &data)]);
            }

            /// The text is that of the deltas, however they are cut, and each
            /// is a token.
            #[test]
            fn deltas_add_up(parts in prop::collection::vec("\\PC{1,8}", 1..10)) {
                let events: Vec<String> = parts
                    .iter()
                    .map(|part| json!({ "type": "response.output_text.delta", "delta": part }).to_string())
                    .collect();
                let events: Vec<(&str, &str)> = events.iter().map(|event| ("", event.as_str())).collect();
                let answer = read(&events);
                prop_assert_eq!(answer.text, Some(parts.concat()));
                prop_assert_eq!(answer.chunks, parts.len() as u64);
            }
        }
    }
}
