//! OpenAI's chat completions and completions: what is read of a request, and
//! the bodies of the answers.

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

/// What a request for a text asks for, whatever its API.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) model: String,
    pub(super) stream: bool,
    /// The counts are wanted at a stream's end.
    pub(super) usage: bool,
    pub(super) max_tokens: u32,
    pub(super) ignore_eos: bool,
    /// An answer at another temperature is another one.
    pub(super) temperature: Option<f64>,
    /// The prompt as ids of tokens.
    pub(super) prompt: Vec<u64>,
    /// The text of the user's last message.
    pub(super) question: String,
}

/// `POST /v1/chat/completions`, as far as it is honoured.
#[derive(Debug, Deserialize)]
struct ChatRequest {
    #[serde(default)]
    model: String,
    #[serde(default)]
    messages: Vec<Message>,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    max_completion_tokens: Option<u32>,
    #[serde(default)]
    ignore_eos: bool,
    temperature: Option<f64>,
}

/// `POST /v1/completions`, as far as it is honoured.
#[derive(Debug, Deserialize)]
struct CompletionRequest {
    #[serde(default)]
    model: String,
    prompt: String,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
    max_tokens: Option<u32>,
    #[serde(default)]
    ignore_eos: bool,
    temperature: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Message {
    #[serde(default)]
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

/// Reads and checks a chat's body. The error is a sentence for the client.
pub(super) fn chat(body: &[u8]) -> Result<Asked, String> {
    let request: ChatRequest =
        serde_json::from_slice(body).map_err(|error| format!("the body is not a chat request: {error}"))?;
    Ok(Asked {
        usage: include_usage(request.stream_options.as_ref()),
        max_tokens: limit("max_tokens", request.max_completion_tokens.or(request.max_tokens))?,
        prompt: prompt(&request.messages)?,
        question: question(&request.messages),
        model: request.model,
        stream: request.stream,
        ignore_eos: request.ignore_eos,
        temperature: request.temperature,
    })
}

/// Reads and checks a completion's body.
pub(super) fn completion(body: &[u8]) -> Result<Asked, String> {
    let request: CompletionRequest = serde_json::from_slice(body)
        .map_err(|error| format!("the body is not a completion request: {error}"))?;
    let tokens: Vec<u64> = words(&request.prompt).collect();
    if tokens.is_empty() {
        return Err("`prompt` must not be empty".to_owned());
    }
    Ok(Asked {
        usage: include_usage(request.stream_options.as_ref()),
        max_tokens: limit("max_tokens", request.max_tokens)?,
        prompt: tokens,
        question: request.prompt,
        model: request.model,
        stream: request.stream,
        ignore_eos: request.ignore_eos,
        temperature: request.temperature,
    })
}

/// The limit of tokens under this name.
pub(super) fn limit(name: &str, given: Option<u32>) -> Result<u32, String> {
    match given {
        Some(0) => Err(format!("`{name}` must be at least 1")),
        given => Ok(given.unwrap_or(DEFAULT_MAX_TOKENS)),
    }
}

fn include_usage(options: Option<&StreamOptions>) -> bool {
    options.is_some_and(|options| options.include_usage)
}

/// The text of the user's last message.
pub(super) fn question(messages: &[Message]) -> String {
    let of_user = messages.iter().rfind(|message| message.role == "user");
    of_user.map_or_else(String::new, Message::text)
}

/// Messages as ids of tokens.
pub(super) fn prompt(messages: &[Message]) -> Result<Vec<u64>, String> {
    if messages.is_empty() {
        return Err("`messages` must hold at least one message".to_owned());
    }
    let mut tokens = Vec::new();
    for message in messages {
        tokens.push(hash(&message.role));
        tokens.extend(words(&message.text()));
    }
    Ok(tokens)
}

/// A text as ids of tokens: a word is a token, a long one several.
pub(super) fn words(text: &str) -> impl Iterator<Item = u64> {
    text.split_whitespace().flat_map(|word| {
        let id = hash(word);
        let pieces = word.len().div_ceil(LETTERS_PER_TOKEN) as u64;
        (0..pieces).map(move |piece| mix(id ^ piece))
    })
}

impl Message {
    /// A message with this text.
    pub(super) fn new(role: &str, text: &str) -> Self {
        Self { role: role.to_owned(), content: Some(Content::Text(text.to_owned())) }
    }
}

/// The two APIs whose answers are nearly alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Chat completions.
    Chat,
    /// Completions.
    Completion,
}

/// What is the same in all bodies of one answer.
#[derive(Debug)]
pub(super) struct Head {
    kind: Kind,
    id: String,
    created: u64,
    model: String,
    fingerprint: String,
    // A chunk's JSON up to its choices; made once, tokens are many.
    opening: String,
}

/// The seconds of the wall clock.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

impl Head {
    pub(super) fn new(kind: Kind, id: u64, model: &str, version: &str) -> Self {
        let (prefix, object) = match kind {
            Kind::Chat => ("chatcmpl", "chat.completion.chunk"),
            Kind::Completion => ("cmpl", "text_completion"),
        };
        let id = format!("{prefix}-{id:016x}");
        let created = now();
        let fingerprint = format!("fp_{version}");
        let opening = format!(
            "data: {{\"id\":\"{id}\",\"object\":\"{object}\",\"created\":{created},\"model\":{},\"system_fingerprint\":{},",
            json!(model),
            json!(fingerprint)
        );
        Self { kind, id, created, model: model.to_owned(), fingerprint, opening }
    }

    /// The first event of a chat's stream: the role, and no token.
    pub(super) fn role(&self, out: &mut String) {
        if self.kind == Kind::Chat {
            out.push_str(&self.opening);
            out.push_str("\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
        }
    }

    /// The event of one token.
    pub(super) fn token(&self, out: &mut String, text: &str, finish: Option<Finish>) {
        out.push_str(&self.opening);
        out.push_str(match self.kind {
            Kind::Chat => "\"choices\":[{\"index\":0,\"delta\":{\"content\":",
            Kind::Completion => "\"choices\":[{\"index\":0,\"text\":",
        });
        quote(out, text);
        out.push_str(match self.kind {
            Kind::Chat => "},\"logprobs\":null,\"finish_reason\":",
            Kind::Completion => ",\"logprobs\":null,\"finish_reason\":",
        });
        match finish {
            Some(finish) => quote(out, finish.as_str()),
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
        let mut choice = json!({"index": 0, "logprobs": null, "finish_reason": answer.finish.as_str()});
        let object = match self.kind {
            Kind::Chat => {
                choice["message"] = json!({"role": "assistant", "content": answer.text()});
                "chat.completion"
            }
            Kind::Completion => {
                choice["text"] = json!(answer.text());
                "text_completion"
            }
        };
        let body = json!({
            "id": self.id,
            "object": object,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint,
            "choices": [choice],
            "usage": usage(prompt, answer.tokens),
        });
        body.to_string().into()
    }
}

/// A text in quotes.
pub(super) fn quote(out: &mut String, text: &str) {
    if text.contains(['"', '\\']) {
        return out.push_str(&json!(text).to_string());
    }
    // The lab's own words need no escapes.
    out.push('"');
    out.push_str(text);
    out.push('"');
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
            assert!(chat(body.as_bytes()).is_err() && completion(body.as_bytes()).is_err(), "{body}");
        }
        let zero = br#"{"messages":[{"role":"user","content":"x"}],"max_tokens":0}"#;
        assert!(chat(zero).is_err());
        assert!(completion(br#"{"prompt":" "}"#).is_err());
    }

    #[test]
    fn the_question_is_the_users_last_message_in_text_or_parts() {
        let asked = chat(
            br#"{"messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"how are you"}]},
                 {"role":"assistant","content":null}],"max_tokens":5,"max_completion_tokens":7,"unknown":1}"#,
        )
        .expect("a request");
        assert_eq!((asked.question.as_str(), asked.max_tokens), ("how are you", 7));
        assert_eq!(asked.prompt.len(), 3 + 2 + 3);
        assert!(!asked.stream && !asked.usage);
        let asked = completion(br#"{"prompt":"how are you","stream":true}"#).expect("a request");
        assert_eq!((asked.question.as_str(), asked.prompt.len(), asked.stream), ("how are you", 3, true));
    }

    #[test]
    fn every_event_is_json() {
        for kind in [Kind::Chat, Kind::Completion] {
            let head = Head::new(kind, 7, "a \"quoted\" model", "v1");
            let mut out = String::new();
            head.role(&mut out);
            head.token(&mut out, " tok-1 \"amber\"", None);
            head.token(&mut out, " tok-2 ash", Some(Finish::Length));
            head.usage(&mut out, 3, 2);
            let mut events: Vec<serde_json::Value> = out
                .split_terminator("\n\n")
                .map(|event| serde_json::from_str(event.strip_prefix("data: ").expect("data")).expect("JSON"))
                .collect();
            let text = match kind {
                Kind::Chat => {
                    events.remove(0);
                    "/choices/0/delta/content"
                }
                Kind::Completion => "/choices/0/text",
            };
            assert_eq!(events.len(), 3);
            assert_eq!(events[0].pointer(text), Some(&json!(" tok-1 \"amber\"")));
            assert_eq!(events[1]["choices"][0]["finish_reason"], "length");
            assert_eq!(events[2]["usage"]["total_tokens"], 5);
            assert!(events.iter().all(|event| event["system_fingerprint"] == "fp_v1"));
        }
    }
}
