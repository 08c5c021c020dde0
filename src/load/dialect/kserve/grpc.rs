//! gRPC's messages.

use std::time::Instant;

use prost::Message as _;

use super::{Came, Kserve, known, tensor::count};
use crate::{
    kserve::{InferTensorContents, ModelInferResponse, ModelStreamInferResponse},
    load::answer::Answer,
    scenario::endpoint::Datatype,
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
            self.outputs_came(&response, batch)
        });
        if let Err(why) = read {
            answer.bad(why);
        }
    }

    fn outputs_came(&self, response: &ModelInferResponse, batch: u32) -> Result<(), String> {
        let raw = &response.raw_output_contents;
        if !raw.is_empty() && raw.len() != response.outputs.len() {
            return Err(format!("{} raw contents of {} outputs", raw.len(), response.outputs.len()));
        }
        let all: Vec<Came<'_>> = response
            .outputs
            .iter()
            .enumerate()
            .map(|(i, output)| Came {
                name: &output.name,
                datatype: &output.datatype,
                shape: &output.shape,
                elements: known(&output.datatype).and_then(|datatype| match (raw.get(i), &output.contents) {
                    (Some(bytes), _) => count(bytes, datatype),
                    (None, Some(contents)) => in_contents(contents, datatype),
                    // Protocol buffers leave out what is empty.
                    (None, None) => Ok((0, 0)),
                }),
            })
            .collect();
        self.judge(&all, batch)
    }
}

/// Elements in the field of their type.
fn in_contents(contents: &InferTensorContents, datatype: Datatype) -> Result<(usize, usize), String> {
    let odd = |numbers: &[f64]| numbers.iter().filter(|number| !number.is_finite()).count();
    Ok(match datatype {
        Datatype::Bool => (contents.bool_contents.len(), 0),
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => (contents.int_contents.len(), 0),
        Datatype::Int64 => (contents.int64_contents.len(), 0),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => (contents.uint_contents.len(), 0),
        Datatype::Uint64 => (contents.uint64_contents.len(), 0),
        Datatype::Fp32 => {
            let all = &contents.fp32_contents;
            (all.len(), all.iter().filter(|number| !number.is_finite()).count())
        }
        Datatype::Fp64 => (contents.fp64_contents.len(), odd(&contents.fp64_contents)),
        Datatype::Bytes => (contents.bytes_contents.len(), 0),
        Datatype::Fp16 | Datatype::Bf16 => {
            return Err(format!("{} has no contents but raw ones", datatype.as_str()));
        }
    })
}
