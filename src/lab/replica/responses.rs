//! OpenAI's responses: what is read of a request, and the events or the body
//! of the answer.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    answer::{Answer, Finish},
    openai::{Asked, Message, limit, now, prompt, question, quote},
};

/// `POST /v1/responses`, as far as it is honoured.
#[derive(Debug, Deserialize)]
struct Request {
    #[serde(default)]
    model: String,
    input: Input,
    instructions: Option<String>,
    #[serde(default)]
    stream: bool,
    max_output_tokens: Option<u32>,
    #[serde(default)]
    ignore_eos: bool,
    temperature: Option<f64>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Messages(Vec<Message>),
}

/// Reads and checks a body. The error is a sentence for the client.
pub(super) fn asked(body: &[u8]) -> Result<Asked, String> {
    let request: Request = serde_json::from_slice(body)
        .map_err(|error| format!("the body is not a request for a response: {error}"))?;
    let mut messages: Vec<Message> =
        request.instructions.iter().map(|text| Message::new("system", text)).collect();
    match request.input {
        Input::Text(text) => messages.push(Message::new("user", &text)),
        Input::Messages(input) => messages.extend(input),
    }
    Ok(Asked {
        usage: true,
        max_tokens: limit("max_output_tokens", request.max_output_tokens)?,
        prompt: prompt(&messages)?,
        question: question(&messages),
        model: request.model,
        stream: request.stream,
        ignore_eos: request.ignore_eos,
        temperature: request.temperature,
    })
}

/// What is the same in all events of one answer.
#[derive(Debug)]
pub(super) struct Head {
    id: u64,
    created: u64,
    model: String,
    /// The next event's number.
    sequence: u64,
}

impl Head {
    pub(super) fn new(id: u64, model: &str) -> Self {
        Self { id, created: now(), model: model.to_owned(), sequence: 0 }
    }

    fn event(&mut self, out: &mut String, kind: &str, mut rest: Value) {
        rest["type"] = json!(kind);
        rest["sequence_number"] = json!(self.sequence);
        self.sequence += 1;
        out.push_str(&format!("event: {kind}\ndata: {rest}\n\n"));
    }

    fn item_id(&self) -> String {
        format!("msg_{:016x}", self.id)
    }

    fn response(&self, status: &str, output: Value) -> Value {
        json!({
            "id": format!("resp_{:016x}", self.id), "object": "response", "created_at": self.created,
            "status": status, "error": null, "incomplete_details": null, "model": self.model,
            "output": output, "usage": null,
        })
    }

    /// What comes before the first token.
    pub(super) fn begin(&mut self, out: &mut String) {
        let begun = self.response("in_progress", json!([]));
        self.event(out, "response.created", json!({"response": begun}));
        self.event(out, "response.in_progress", json!({"response": begun}));
        let item = json!({"id": self.item_id(), "type": "message", "status": "in_progress", "role": "assistant", "content": []});
        self.event(out, "response.output_item.added", json!({"output_index": 0, "item": item}));
        let part = json!({"type": "output_text", "text": "", "annotations": []});
        let place = json!({"item_id": self.item_id(), "output_index": 0, "content_index": 0, "part": part});
        self.event(out, "response.content_part.added", place);
    }

    /// The event of one token.
    pub(super) fn token(&mut self, out: &mut String, text: &str) {
        // By hand: tokens are many.
        out.push_str(
            "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"item_id\":",
        );
        quote(out, &self.item_id());
        out.push_str(",\"output_index\":0,\"content_index\":0,\"delta\":");
        quote(out, text);
        out.push_str(&format!(",\"sequence_number\":{}}}\n\n", self.sequence));
        self.sequence += 1;
    }

    /// What comes after the last token.
    pub(super) fn end(&mut self, out: &mut String, answer: &Answer, prompt: u32) {
        let place =
            json!({"item_id": self.item_id(), "output_index": 0, "content_index": 0, "text": answer.text()});
        self.event(out, "response.output_text.done", place);
        let whole = self.finished(answer, prompt);
        self.event(out, "response.output_item.done", json!({"output_index": 0, "item": whole["output"][0]}));
        let kind = match answer.finish {
            Finish::Stop => "response.completed",
            Finish::Length => "response.incomplete",
        };
        self.event(out, kind, json!({"response": whole}));
    }

    /// The whole answer in one body.
    pub(super) fn whole(&self, answer: &Answer, prompt: u32) -> Bytes {
        self.finished(answer, prompt).to_string().into()
    }

    fn finished(&self, answer: &Answer, prompt: u32) -> Value {
        let status = match answer.finish {
            Finish::Stop => "completed",
            Finish::Length => "incomplete",
        };
        let text = json!({"type": "output_text", "text": answer.text(), "annotations": []});
        let item = json!({"id": self.item_id(), "type": "message", "status": status, "role": "assistant", "content": [text]});
        let mut response = self.response(status, json!([item]));
        if answer.finish == Finish::Length {
            response["incomplete_details"] = json!({"reason": "max_output_tokens"});
        }
        let tokens = answer.tokens;
        response["usage"] =
            json!({"input_tokens": prompt, "output_tokens": tokens, "total_tokens": prompt + tokens});
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_the_same_in_either_form() {
        let text = asked(br#"{"input":"how are you","instructions":"be brief","max_output_tokens":7}"#)
            .expect("one");
        let list = asked(
            br#"{"input":[{"role":"system","content":"be brief"},{"role":"user","content":"how are you"}],"max_output_tokens":7}"#,
        )
        .expect("one");
        assert_eq!((text.prompt, text.question.as_str(), text.max_tokens), (list.prompt, "how are you", 7));
        for body in [r#"{"model":"m"}"#, r#"{"input":[]}"#, r#"{"input":"x","max_output_tokens":0}"#] {
            assert!(asked(body.as_bytes()).is_err(), "{body}");
        }
    }
}
