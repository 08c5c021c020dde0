//! OpenAI's chat completions: what is read of a request, and the bodies of
//! the answers.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{
    answer::{Answer, Finish},
    hash, mix,
};

/// Output tokens where the request doesn't say.
const DEFAULT_MAX_TOKENS: u32 = 64;
/// Letters that make one token, roughly, in longer words.
const LETTERS_PER_TOKEN: usize = 8;

/// `POST /v1/chat/completions`, as far as it is honoured.
#[derive(Debug, Deserialize)]
pub(super) struct ChatRequest {
    #[serde(default)]
    pub(super) model: String,
    #[serde(default)]
    messages: Vec<Message>,
    #[serde(default)]
    pub(super) stream: bool,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    pub(super) ignore_eos: bool,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Deserialize)]
struct Message {
    role: String,
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Debug, Deserialize)]
struct Part {
    #[serde(default)]
    text: String,
}

impl Message {
    fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => {
                parts.iter().map(|part| part.text.as_str()).collect::<Vec<_>>().join(" ")
            }
        }
    }
}

impl ChatRequest {
    /// Reads and checks a body. The error is a sentence for the client.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let request: Self = serde_json::from_slice(body)
            .map_err(|error| format!("the body is not a chat request: {error}"))?;
        if request.messages.is_empty() {
            return Err("`messages` must hold at least one message".to_owned());
        }
        if request.max_tokens() == 0 {
            return Err("`max_tokens` must be at least 1".to_owned());
        }
        Ok(request)
    }

    pub(super) fn max_tokens(&self) -> u32 {
        self.max_completion_tokens.or(self.max_tokens).unwrap_or(DEFAULT_MAX_TOKENS)
    }

    pub(super) fn include_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage)
    }

    /// The text of the user's last message.
    pub(super) fn question(&self) -> String {
        let of_user = self.messages.iter().rfind(|message| message.role == "user");
        of_user.map_or_else(String::new, Message::text)
    }

    /// The prompt as ids of tokens: a word is a token, a long one several.
    pub(super) fn prompt(&self) -> Vec<u64> {
        let mut tokens = Vec::new();
        for message in &self.messages {
            tokens.push(hash(&message.role));
            for word in message.text().split_whitespace() {
                let id = hash(word);
                let pieces = word.len().div_ceil(LETTERS_PER_TOKEN) as u64;
                tokens.extend((0..pieces).map(|piece| mix(id ^ piece)));
            }
        }
        tokens
    }
}

/// What is the same in all bodies of one answer.
#[derive(Debug)]
pub(super) struct Head {
    id: String,
    created: u64,
    model: String,
    fingerprint: String,
    // A chunk's JSON up to its choices; made once, tokens are many.
    opening: String,
}

impl Head {
    pub(super) fn new(id: u64, model: &str, version: &str) -> Self {
        let id = format!("chatcmpl-{id:016x}");
        let created = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let fingerprint = format!("fp_{version}");
        let opening = format!(
            "data: {{\"id\":\"{id}\",\"object\":\"chat.completion.chunk\",\"created\":{created},\"model\":{},\"system_fingerprint\":{},",
            json!(model),
            json!(fingerprint)
        );
        Self { id, created, model: model.to_owned(), fingerprint, opening }
    }

    /// The first event of a stream: the role, and no token.
    pub(super) fn role(&self, out: &mut String) {
        out.push_str(&self.opening);
        out.push_str("\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
    }

    /// The event of one token.
    pub(super) fn token(&self, out: &mut String, text: &str, finish: Option<Finish>) {
        out.push_str(&self.opening);
        out.push_str("\"choices\":[{\"index\":0,\"delta\":{\"content\":");
        // The lab's own words need no escapes, golden ones neither.
        out.push('"');
        out.push_str(text);
        out.push_str("\"},\"logprobs\":null,\"finish_reason\":");
        match finish {
            Some(finish) => {
                out.push('"');
                out.push_str(finish.as_str());
                out.push('"');
            }
            None => out.push_str("null"),
        }
        out.push_str("}]}\n\n");
    }

    /// The closing event with the counts.
    pub(super) fn usage(&self, out: &mut String, prompt: u32, completion: u32) {
        out.push_str(&self.opening);
        out.push_str("\"choices\":[],\"usage\":");
        out.push_str(&usage(prompt, completion).to_string());
        out.push_str("}\n\n");
    }

    /// The whole answer in one body.
    pub(super) fn whole(&self, answer: &Answer, prompt: u32) -> Bytes {
        let body = json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": answer.text()},
                "logprobs": null,
                "finish_reason": answer.finish.as_str(),
            }],
            "usage": usage(prompt, answer.tokens),
        });
        body.to_string().into()
    }
}

fn usage(prompt: u32, completion: u32) -> serde_json::Value {
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
}

/// An error's body.
pub(super) fn error(kind: &str, message: &str, code: u16) -> String {
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_without_messages_or_sense_are_refused() {
        for body in [r#"{"model":"m""#, r#"{"messages":[]}"#, r#"{"model":"m"}"#, r#"[]"#] {
            assert!(ChatRequest::parse(body.as_bytes()).is_err(), "{body}");
        }
        let zero = br#"{"messages":[{"role":"user","content":"x"}],"max_tokens":0}"#;
        assert!(ChatRequest::parse(zero).is_err());
    }

    #[test]
    fn the_question_is_the_users_last_message_in_text_or_parts() {
        let request = ChatRequest::parse(
            br#"{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"how are you"}]},
                 {"role":"assistant","content":null}],"max_tokens":5,"max_completion_tokens":7,"unknown":1}"#,
        )
        .expect("a request");
        assert_eq!((request.question().as_str(), request.max_tokens()), ("how are you", 7));
        assert_eq!(request.prompt().len(), 3 + 2 + 3);
        assert!(!request.stream && !request.include_usage());
    }

    #[test]
    fn every_event_is_json() {
        let head = Head::new(7, "a \"quoted\" model", "v1");
        let mut out = String::new();
        head.role(&mut out);
        head.token(&mut out, " tok-1 amber", None);
        head.token(&mut out, " tok-2 ash", Some(Finish::Length));
        head.usage(&mut out, 3, 2);
        let events: Vec<serde_json::Value> = out
            .split_terminator("\n\n")
            .map(|event| serde_json::from_str(event.strip_prefix("data: ").expect("data")).expect("JSON"))
            .collect();
        assert_eq!(events.len(), 4);
        assert_eq!(events[1]["choices"][0]["delta"]["content"], " tok-1 amber");
        assert_eq!(events[2]["choices"][0]["finish_reason"], "length");
        assert_eq!(events[3]["usage"]["total_tokens"], 5);
        assert!(events.iter().all(|event| event["system_fingerprint"] == "fp_v1"));
    }
}
