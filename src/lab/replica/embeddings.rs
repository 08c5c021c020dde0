//! OpenAI's embeddings: what is read of a request, and vectors that depend on
//! the lab's seed, the version and the text alone.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{answer::Voice, hash, mix, openai::words};

/// Numbers of a vector.
const DIMENSIONS: u64 = 64;

/// `POST /v1/embeddings`, as far as it is honoured.
#[derive(Debug, Deserialize)]
struct Request {
    #[serde(default)]
    model: String,
    input: Input,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Input {
    One(String),
    Many(Vec<String>),
}

/// What is to be embedded.
#[derive(Debug)]
pub(super) struct Texts {
    model: String,
    texts: Vec<String>,
}

impl Texts {
    /// Reads and checks a body. The error is a sentence for the client.
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let request: Request = serde_json::from_slice(body)
            .map_err(|error| format!("the body is not a request for embeddings: {error}"))?;
        let texts = match request.input {
            Input::One(text) => vec![text],
            Input::Many(texts) => texts,
        };
        if texts.is_empty() || texts.iter().any(|text| text.trim().is_empty()) {
            return Err("`input` must hold texts".to_owned());
        }
        Ok(Self { model: request.model, texts })
    }

    /// All texts as ids of tokens.
    pub(super) fn tokens(&self) -> Vec<u64> {
        self.texts.iter().flat_map(|text| words(text)).collect()
    }

    /// The answer.
    pub(super) fn answer(&self, voice: &Voice, prompt: u32) -> Bytes {
        let data: Vec<Value> = self
            .texts
            .iter()
            .enumerate()
            .map(|(index, text)| json!({"object": "embedding", "index": index, "embedding": vector(voice, text)}))
            .collect();
        let usage = json!({"prompt_tokens": prompt, "total_tokens": prompt});
        json!({"object": "list", "data": data, "model": self.model, "usage": usage}).to_string().into()
    }
}

/// A vector of length 1.
fn vector(voice: &Voice, text: &str) -> Vec<f64> {
    let key = mix(mix(voice.seed ^ hash(voice.version.as_str())) ^ hash(text));
    let raw: Vec<f64> =
        (0..DIMENSIONS).map(|at| mix(key ^ at) as f64 / u64::MAX as f64 * 2.0 - 1.0).collect();
    let length = raw.iter().map(|value| value * value).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    raw.iter().map(|value| (value / length * 1e6).round() / 1e6).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{lab::config::VersionDefect, units::Version};

    #[test]
    fn a_vector_is_that_of_its_text_and_version() {
        let voice = |version: &str| Voice {
            seed: 1,
            version: Version::from(version),
            defect: VersionDefect::None,
            garbage: false,
        };
        let of = |version: &str, text| vector(&voice(version), text);
        assert_eq!(of("v1", "a"), of("v1", "a"));
        assert_ne!(of("v1", "a"), of("v1", "b"));
        assert_ne!(of("v1", "a"), of("v2", "a"));
        let length: f64 = of("v1", "a").iter().map(|value| value * value).sum();
        assert!((length - 1.0).abs() < 1e-3, "{length}");
        let texts = Texts::parse(br#"{"input":["a b","c"],"model":"m"}"#).expect("texts");
        assert_eq!(texts.tokens().len(), 3);
        let answer: Value = serde_json::from_slice(&texts.answer(&voice("v1"), 3)).expect("JSON");
        assert_eq!(answer["data"][1]["index"], 1);
        for body in [r#"{"input":[]}"#, r#"{"input":""}"#, r#"{}"#] {
            assert!(Texts::parse(body.as_bytes()).is_err(), "{body}");
        }
    }
}
