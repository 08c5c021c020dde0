//! OpenAI's embeddings: texts in, vectors out. Nothing streams, so there is no
//! first token.

use std::fmt::Write as _;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::json;

use super::{Question, json as quoted, openai::merged};
use crate::{
    load::answer::{Answer, snippet},
    scenario::model::OpenAiEmbeddings,
};

/// Texts of one request.
const INPUTS: usize = 1;

#[derive(Debug, Deserialize)]
struct Body {
    data: Option<Vec<Datum>>,
    error: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Datum {
    index: Option<usize>,
    /// Servers write `null` for what is no number.
    embedding: Vec<Option<f64>>,
}

/// The dialect.
#[derive(Debug)]
pub(crate) struct Embeddings {
    /// The body up to its input.
    head: String,
}

impl Embeddings {
    /// As the scenario sets it.
    pub(super) fn new(settings: &OpenAiEmbeddings) -> Self {
        let own = json!({ "model": settings.model, "encoding_format": "float" });
        let mut head = merged(own, &settings.extra).to_string();
        head.pop();
        if head.len() > 1 {
            head.push(',');
        }
        Self { head }
    }

    /// The request's body.
    pub(super) fn encode(&self, question: &Question<'_>) -> Bytes {
        let mut body = String::with_capacity(self.head.len() + 32 + question.len());
        body.push_str(&self.head);
        let input = match question.system {
            "" => quoted(question.user),
            system => quoted(&format!("{system} {}", question.user)),
        };
        // Writing to a String can't fail.
        let _ = write!(body, "\"input\":[{input}]}}");
        body.into()
    }

    /// The whole body came.
    pub(super) fn body(&self, answer: &mut Answer, body: &[u8]) {
        match serde_json::from_slice::<Body>(body) {
            Ok(Body { error: Some(error), .. }) => answer.failed(&error.to_string()),
            Ok(Body { data: Some(data), .. }) => {
                if let Err(why) = check(&data) {
                    answer.bad(why);
                }
            }
            Ok(Body { data: None, error: None }) => answer.bad("an answer without `data`".to_owned()),
            Err(error) => answer.bad(format!("{error} in `{}`", snippet(&String::from_utf8_lossy(body)))),
        }
        answer.done = true;
    }
}

/// Whether there is a vector for each input, of one length, all of it numbers.
fn check(data: &[Datum]) -> Result<(), String> {
    if data.len() != INPUTS {
        return Err(format!("{} embeddings for {INPUTS} inputs", data.len()));
    }
    let dimensions = data.first().map_or(0, |datum| datum.embedding.len());
    let mut seen = vec![false; data.len()];
    for (at, datum) in data.iter().enumerate() {
        let index = datum.index.unwrap_or(at);
        match seen.get_mut(index) {
            Some(seen) if !*seen => *seen = true,
            Some(_) => return Err(format!("two embeddings of the input {index}")),
            None => return Err(format!("an embedding of the input {index}, which was not given")),
        }
        if datum.embedding.is_empty() {
            return Err("an embedding without dimensions".to_owned());
        }
        if datum.embedding.len() != dimensions {
            return Err(format!("embeddings of {dimensions} and of {} dimensions", datum.embedding.len()));
        }
        if datum.embedding.iter().any(|value| !value.is_some_and(f64::is_finite)) {
            return Err("an embedding with a value that is no number".to_owned());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(body: &[u8]) -> Answer {
        let mut answer = Answer::default();
        Embeddings::new(&OpenAiEmbeddings::default()).body(&mut answer, body);
        answer
    }

    #[test]
    fn a_vector_for_each_input_is_whole() {
        let answer = read(br#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-1e-3,2]}],"usage":{"prompt_tokens":3,"total_tokens":3}}"#);
        assert!(answer.malformed.is_none() && answer.done && answer.first.is_none(), "{answer:?}");
        assert_eq!(answer.tokens(), 0);
        assert!(read(br#"{"error":{"message":"no such model"}}"#).error.is_some());
    }

    #[test]
    fn what_is_no_vector_is_malformed() {
        for (data, why) in [
            ("[]", "0 embeddings"),
            (r#"[{"index":0,"embedding":[1]},{"index":1,"embedding":[1]}]"#, "2 embeddings"),
            (r#"[{"index":1,"embedding":[1]}]"#, "input 1"),
            (r#"[{"index":0,"embedding":[]}]"#, "without dimensions"),
            (r#"[{"index":0,"embedding":[1,null]}]"#, "no number"),
            (r#"[{"index":0,"embedding":[1e999]}]"#, "number out of range"),
            (r#"[{"index":0,"embedding":"AACAPw=="}]"#, "expected a sequence"),
        ] {
            let answer = read(format!("{{\"data\":{data}}}").as_bytes());
            assert!(answer.malformed.as_ref().is_some_and(|got| got.contains(why)), "{data}: {answer:?}");
        }
        assert!(read(b"{}").malformed.is_some() && read(b"<html>").malformed.is_some());
        let of = |index, dimensions| Datum { index: Some(index), embedding: vec![Some(1.0); dimensions] };
        assert!(check(&[of(0, 0)]).is_err());
    }

    proptest! {
        #[test]
        fn any_finite_vector_is_whole(vector in prop::collection::vec(-1e30..1e30f64, 1..40)) {
            let body = json!({ "data": [{ "index": 0, "embedding": vector }] }).to_string();
            prop_assert!(read(body.as_bytes()).malformed.is_none());
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(read(&bytes).malformed.is_some());
        }
    }
}
