//! Requests as HTTP and gRPC have them.

use std::fmt::Write as _;

use bytes::{BufMut as _, Bytes, BytesMut};
use http::{HeaderName, HeaderValue};
use prost::Message as _;

use super::{HEADER_LENGTH, Kserve, Wire, tensor::Tensor};
use crate::{
    kserve::{InferRequestedOutput, InferTensor, ModelInferRequest},
    load::dialect::json,
    scenario::endpoint::Encoding,
};

impl Kserve {
    /// The body of a request with these tensors, and the header that is of
    /// this body alone, if there is one.
    pub(crate) fn request(&self, inputs: Vec<Tensor>) -> (Bytes, Option<(HeaderName, HeaderValue)>) {
        match self.wire {
            Wire::Http(Encoding::Json) => (self.json(&inputs, false).into(), None),
            Wire::Http(Encoding::Binary) => {
                let json = self.json(&inputs, true);
                let length = HeaderValue::from(json.len());
                let raw: usize = inputs.iter().map(|input| input.bytes.len()).sum();
                let mut body = Vec::with_capacity(json.len() + raw);
                body.extend_from_slice(json.as_bytes());
                inputs.iter().for_each(|input| body.extend_from_slice(&input.bytes));
                (body.into(), Some((HeaderName::from_static(HEADER_LENGTH), length)))
            }
            Wire::Grpc => (self.message(inputs), None),
        }
    }

    fn json(&self, inputs: &[Tensor], binary: bool) -> String {
        let raw: usize = inputs.iter().map(|input| input.bytes.len()).sum();
        let mut out = String::with_capacity(256 + if binary { 0 } else { raw * 4 });
        out.push_str("{\"inputs\":[");
        for (i, input) in inputs.iter().enumerate() {
            // Writing to a String can't fail.
            let _ = write!(
                out,
                "{}{{\"name\":{},\"shape\":{:?},\"datatype\":\"{}\",",
                if i == 0 { "" } else { "," },
                json(&input.name),
                input.shape,
                input.datatype.as_str()
            );
            if binary {
                let _ = write!(out, "\"parameters\":{{\"binary_data_size\":{}}}}}", input.bytes.len());
            } else {
                out.push_str("\"data\":");
                input.write_json(&mut out);
                out.push('}');
            }
        }
        out.push(']');
        if self.outputs.is_empty() {
            // All of them, then.
            out.push_str(if binary { ",\"parameters\":{\"binary_data_output\":true}" } else { "" });
        } else {
            out.push_str(",\"outputs\":[");
            for (i, output) in self.outputs.iter().enumerate() {
                let _ = write!(out, "{}{{\"name\":{}", if i == 0 { "" } else { "," }, json(&output.name));
                out.push_str(if binary { ",\"parameters\":{\"binary_data\":true}}" } else { "}" });
            }
            out.push(']');
        }
        out.push('}');
        out
    }

    /// One gRPC message with its prefix: not compressed, its length.
    fn message(&self, inputs: Vec<Tensor>) -> Bytes {
        let tensor = |input: &Tensor| InferTensor {
            name: input.name.clone(),
            datatype: input.datatype.as_str().to_owned(),
            shape: input.shape.iter().map(|dim| i64::from(*dim)).collect(),
            ..InferTensor::default()
        };
        let wanted =
            |name: &String| InferRequestedOutput { name: name.clone(), ..InferRequestedOutput::default() };
        let request = ModelInferRequest {
            model_name: self.model.clone(),
            model_version: self.version.clone().unwrap_or_default(),
            inputs: inputs.iter().map(tensor).collect(),
            outputs: self.outputs.iter().map(|output| wanted(&output.name)).collect(),
            raw_input_contents: inputs.into_iter().map(|input| input.bytes.into()).collect(),
            ..ModelInferRequest::default()
        };
        let length = request.encoded_len();
        let mut body = BytesMut::with_capacity(5 + length);
        body.put_u8(0);
        body.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        // Only a full buffer fails, and this one grows.
        let _ = request.encode(&mut body);
        body.freeze()
    }
}
