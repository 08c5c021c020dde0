//! gRPC's messages.

use std::time::Instant;

use prost::Message as _;

use super::{Came, Kserve, feature::Content};
use crate::{
    kserve::{ModelInferResponse, ModelStreamInferResponse},
    load::answer::Answer,
};

impl Kserve {
    /// A message of the answer to a request with `batch` items came at `at`;
    /// of a stream, one of several.
    pub(crate) fn message_came(
        &self,
        answer: &mut Answer,
        message: &[u8],
        stream: bool,
        batch: u32,
        at: Instant,
    ) {
        let response = if stream {
            match ModelStreamInferResponse::decode(message) {
                Ok(response) if !response.error_message.is_empty() => {
                    answer.failed(&response.error_message);
                    return;
                }
                Ok(response) => response.infer_response.ok_or_else(|| "an empty message".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        } else {
            ModelInferResponse::decode(message).map_err(|error| error.to_string())
        };
        if stream {
            answer.token("", at);
        } else {
            answer.whole(at);
        }
        let read = response.and_then(|response| {
            self.served(answer, &response.model_name, &response.model_version);
            self.outputs_came(answer, &response, batch)
        });
        if let Err(why) = read {
            answer.bad(why);
        }
    }

    fn outputs_came(
        &self,
        answer: &mut Answer,
        response: &ModelInferResponse,
        batch: u32,
    ) -> Result<(), String> {
        let raw = &response.raw_output_contents;
        if !raw.is_empty() && raw.len() != response.outputs.len() {
            return Err(format!("{} raw contents of {} outputs", raw.len(), response.outputs.len()));
        }
        let all: Vec<Came<'_>> = response
            .outputs
            .iter()
            .enumerate()
            .map(|(i, output)| {
                let content = match (raw.get(i), &output.contents) {
                    (Some(bytes), _) => Content::Raw(bytes),
                    (None, Some(contents)) => Content::Typed(contents),
                    (None, None) => Content::Empty,
                };
                Came::of(&output.name, &output.datatype, &output.shape, Ok(content))
            })
            .collect();
        self.judge(answer, &all, batch)
    }
}
