//! What a chat completion says, piece by piece.

use std::{borrow::Cow, time::Instant};

use serde::{Deserialize, de::IgnoredAny};

/// A field that most chunks carry, without a copy.
#[derive(Debug, Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

/// One chunk of a stream, or a whole answer.
#[derive(Debug, Deserialize)]
struct Completion<'a> {
    #[serde(borrow, default)]
    choices: Vec<Choice<'a>>,
    usage: Option<Usage>,
    #[serde(borrow)]
    system_fingerprint: Option<Text<'a>>,
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

/// Why an answer says that it is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    /// The limit of tokens.
    Length,
    /// Anything else that is no failure.
    Stop,
}

/// All that was seen of one answer.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// The first token.
    pub(crate) first: Option<Instant>,
    /// The last token.
    pub(crate) last: Option<Instant>,
    /// Gaps between content chunks, in microseconds.
    pub(crate) gaps: Vec<u64>,
    /// Chunks with content.
    pub(crate) chunks: u64,
    /// Tokens by the server's own count.
    pub(crate) usage: Option<u64>,
    /// Its finish reason.
    pub(crate) finish: Option<Finish>,
    /// `[DONE]` came.
    pub(crate) done: bool,
    /// An error in the body, in its own words.
    pub(crate) error: Option<String>,
    /// What is not the protocol.
    pub(crate) malformed: Option<String>,
    /// Numbered tokens that don't follow each other.
    pub(crate) discontinuity: Option<String>,
    /// `system_fingerprint`.
    pub(crate) fingerprint: Option<String>,
    /// The whole content, kept where [`Answer::keeping_text`] asked for it.
    pub(crate) text: Option<String>,
    numbering: Numbering,
}

/// Whether the content numbers its tokens as `tok-0 tok-1 …`.
#[derive(Debug, Clone, Copy, Default)]
enum Numbering {
    #[default]
    Unknown,
    None,
    Next(u64),
}

impl Answer {
    /// An answer whose content is kept, to compare it.
    pub(crate) fn keeping_text() -> Self {
        Self { text: Some(String::new()), ..Self::default() }
    }

    /// Output tokens: by the server's count, else by chunks.
    pub(crate) fn tokens(&self) -> u64 {
        self.usage.unwrap_or(self.chunks)
    }

    /// An event of a stream came at `at`.
    pub(crate) fn event(&mut self, name: &str, data: &str, at: Instant) {
        if data.trim() == "[DONE]" {
            self.done = true;
            return;
        }
        if name == "error" {
            self.error.get_or_insert_with(|| snippet(data));
            return;
        }
        self.completion(data, at);
    }

    /// The whole body came at `at`.
    pub(crate) fn body(&mut self, body: &[u8], at: Instant) {
        match std::str::from_utf8(body) {
            Ok(text) => self.completion(text, at),
            Err(_) => self.bad("the body is not UTF-8".to_owned()),
        }
    }

    fn bad(&mut self, why: String) {
        self.malformed.get_or_insert(why);
    }

    fn completion(&mut self, json: &str, at: Instant) {
        let completion: Completion<'_> = match serde_json::from_str(json) {
            Ok(completion) => completion,
            Err(error) => return self.bad(format!("{error} in `{}`", snippet(json))),
        };
        if let Some(error) = completion.error {
            self.error.get_or_insert_with(|| snippet(&error.to_string()));
            return;
        }
        if completion.object.is_some_and(|object| object.0 == "error") {
            let message = completion.message.map_or_else(String::new, |text| text.0.into_owned());
            self.error.get_or_insert_with(|| snippet(&message));
            return;
        }
        if self.fingerprint.is_none() {
            self.fingerprint = completion.system_fingerprint.map(|text| text.0.into_owned());
        }
        if let Some(tokens) = completion.usage.and_then(|usage| usage.completion_tokens) {
            self.usage = Some(tokens);
        }
        for choice in completion.choices {
            if let Some(delta) = choice.delta.or(choice.message)
                && delta.is_token()
            {
                self.token(delta.content(), at);
            }
            match choice.finish_reason.as_ref().map(|reason| &*reason.0) {
                None | Some("") => {}
                Some("length") => self.finish = Some(Finish::Length),
                Some(reason @ ("error" | "abort")) => {
                    self.error.get_or_insert_with(|| format!("finish_reason is `{reason}`"));
                }
                Some(_) => self.finish = Some(Finish::Stop),
            }
        }
    }

    fn token(&mut self, content: &str, at: Instant) {
        match self.last {
            None => self.first = Some(at),
            Some(last) => {
                let gap = at.saturating_duration_since(last).as_micros();
                self.gaps.push(u64::try_from(gap).unwrap_or(u64::MAX));
            }
        }
        self.last = Some(at);
        self.chunks += 1;
        if let Some(text) = &mut self.text {
            text.push_str(content);
        }
        self.number(content);
    }

    fn number(&mut self, content: &str) {
        if matches!(self.numbering, Numbering::None) {
            return;
        }
        for word in content.split_whitespace() {
            let number = word.strip_prefix("tok-").and_then(|digits| digits.parse::<u64>().ok());
            self.numbering = match (self.numbering, number) {
                (Numbering::Unknown, Some(first)) => Numbering::Next(first + 1),
                (Numbering::Next(wanted), Some(got)) => {
                    if got != wanted {
                        self.discontinuity
                            .get_or_insert_with(|| format!("tok-{got} after tok-{}", wanted - 1));
                    }
                    Numbering::Next(got + 1)
                }
                (Numbering::Unknown | Numbering::None, None) => Numbering::None,
                // A last word may be plain text.
                (Numbering::Next(wanted), None) => Numbering::Next(wanted),
                (Numbering::None, Some(_)) => Numbering::None,
            };
        }
    }
}

/// The start of a text, for people.
pub(crate) fn snippet(text: &str) -> String {
    const LONGEST: usize = 160;
    let text = text.trim();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(events: &[&str]) -> Answer {
        let mut answer = Answer::keeping_text();
        for event in events {
            answer.event("", event, Instant::now());
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
        answer.event("error", "boom", Instant::now());
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
        answer.body(
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
