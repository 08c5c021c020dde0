//! What was seen of one answer, whatever its protocol.

use std::time::Instant;

use super::origin::Words;
use crate::journal::Feature;

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
    /// The protocol's own end came: `[DONE]`, or the whole of a body.
    pub(crate) done: bool,
    /// An error in the body, in its own words.
    pub(crate) error: Option<String>,
    /// What is not the protocol.
    pub(crate) malformed: Option<String>,
    /// Numbered tokens that don't follow each other.
    pub(crate) discontinuity: Option<String>,
    /// `system_fingerprint`.
    pub(crate) fingerprint: Option<String>,
    /// `model`.
    pub(crate) model: Option<String>,
    /// The whole content, kept where [`Answer::keeping_text`] asked for it.
    pub(crate) text: Option<String>,
    /// What it said, where it is compared with other answers.
    pub(crate) words: Option<Words>,
    /// A feature of each of its outputs, where it is no text.
    pub(crate) features: Vec<Feature>,
    /// What is wrong with an answer whose right one is known.
    pub(crate) mismatch: Option<String>,
    /// What an episode's next step is made of.
    pub(crate) carried: Option<Carried>,
    numbering: Numbering,
}

/// What one step of an episode leaves to the next.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Carried {
    /// Variables.
    pub(crate) values: Vec<(String, serde_json::Value)>,
    /// There is no next step.
    pub(crate) over: bool,
}

/// What a good answer leaves to the next request of its arrival.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Its text, where that was kept.
    pub(crate) text: Option<String>,
    /// What an episode carries on.
    pub(crate) carried: Option<Carried>,
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

    /// The answer is not the protocol; the first reason is kept.
    pub(crate) fn bad(&mut self, why: String) {
        self.malformed.get_or_insert(why);
    }

    /// The answer says itself that it failed; the first reason is kept.
    pub(crate) fn failed(&mut self, why: &str) {
        self.error.get_or_insert_with(|| snippet(why));
    }

    /// The answer is not the right one; the first reason is kept.
    pub(crate) fn wrong(&mut self, why: String) {
        self.mismatch.get_or_insert(why);
    }

    /// All of it came at `at`; it is no text, and has no tokens.
    pub(crate) fn whole(&mut self, at: Instant) {
        self.last = Some(at);
        self.done = true;
    }

    /// Whether it said that it is complete.
    pub(crate) fn is_finished(&self) -> bool {
        self.done || self.finish.is_some()
    }

    /// Takes what the next request of its arrival is made of.
    pub(crate) fn leave(&mut self) -> Left {
        Left { text: self.text.take(), carried: self.carried.take() }
    }

    /// A piece of what it is compared by: of its text, or of a body that holds none.
    pub(crate) fn says(&mut self, piece: &[u8]) {
        if let Some(words) = &mut self.words {
            words.push(piece);
        }
    }

    /// A piece of content came at `at`.
    pub(crate) fn token(&mut self, content: &str, at: Instant) {
        match self.last {
            None => self.first = Some(at),
            Some(last) => {
                let gap = at.saturating_duration_since(last).as_micros();
                self.gaps.push(u64::try_from(gap).unwrap_or(u64::MAX));
            }
        }
        self.last = Some(at);
        self.chunks += 1;
        self.says(content.as_bytes());
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
