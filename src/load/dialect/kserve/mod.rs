//! KServe's v2 inference protocol: tensors there, tensors back.

mod elements;
mod feature;
mod grpc;
mod request;
pub(crate) mod tensor;

use std::{borrow::Cow, time::Instant};

use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;

use self::{
    elements::{Elements, without_nan},
    feature::{Content, features},
};
use crate::{
    load::answer::{Answer, snippet},
    scenario::endpoint::{Datatype, Dim, DimName, Encoding, Infer, Output},
};

/// Length of the JSON before the tensors' bytes, in both directions.
pub(crate) const HEADER_LENGTH: &str = "inference-header-content-length";

/// How tensors travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wire {
    /// Over HTTP.
    Http(Encoding),
    /// Over gRPC.
    Grpc,
}

/// The dialect.
#[derive(Debug)]
pub(crate) struct Kserve {
    model: String,
    version: Option<String>,
    outputs: Vec<Output>,
    allow_nan: bool,
    /// The output that versions are compared by.
    feature: Option<String>,
    wire: Wire,
}

/// An output as it came.
#[derive(Debug)]
struct Came<'a> {
    name: &'a str,
    datatype: &'a str,
    shape: &'a [i64],
    /// Its elements: all, and those that are NaN or infinite.
    elements: Result<(usize, usize), String>,
    content: Content<'a>,
}

#[derive(Debug, Deserialize)]
struct Response<'a> {
    model_name: Option<Value>,
    model_version: Option<Value>,
    #[serde(borrow, default)]
    outputs: Vec<JsonOutput<'a>>,
    error: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct JsonOutput<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    shape: Vec<i64>,
    parameters: Option<Parameters>,
    data: Option<Elements>,
}

#[derive(Debug, Deserialize)]
struct Parameters {
    binary_data_size: Option<usize>,
}

impl<'a> Came<'a> {
    fn of(name: &'a str, datatype: &'a str, shape: &'a [i64], content: Result<Content<'a>, String>) -> Self {
        let counted = |content: &Content<'_>| known(datatype).and_then(|datatype| content.count(datatype));
        let (elements, content) = match content {
            Ok(content) => (counted(&content), content),
            Err(why) => (Err(why), Content::Empty),
        };
        Self { name, datatype, shape, elements, content }
    }
}

impl Kserve {
    /// As the scenario sets it.
    pub(crate) fn new(infer: &Infer, wire: Wire) -> Self {
        Self {
            model: infer.model.clone(),
            version: infer.version.clone(),
            outputs: infer.outputs.clone(),
            allow_nan: infer.allow_nan,
            feature: infer.feature.clone(),
            wire,
        }
    }

    /// The whole body of an answer to a request with `batch` items came at
    /// `at`.
    pub(crate) fn body(
        &self,
        answer: &mut Answer,
        headers: &HeaderMap,
        body: &[u8],
        batch: u32,
        at: Instant,
    ) {
        answer.whole(at);
        if let Err(why) = self.read(answer, headers, body, batch) {
            answer.bad(why);
        }
    }

    fn read(&self, answer: &mut Answer, headers: &HeaderMap, body: &[u8], batch: u32) -> Result<(), String> {
        let (json, mut raw) = match headers.get(HEADER_LENGTH) {
            None => (body, &[][..]),
            Some(length) => {
                let length = length.to_str().ok().and_then(|text| text.trim().parse().ok());
                let split = length.and_then(|length: usize| body.split_at_checked(length));
                split
                    .ok_or_else(|| format!("{HEADER_LENGTH} is not within the body's {} bytes", body.len()))?
            }
        };
        let json = std::str::from_utf8(json).map_err(|_| "the body is not UTF-8".to_owned())?;
        let lenient;
        let (response, has_nan): (Response<'_>, bool) = match serde_json::from_str(json) {
            Ok(response) => (response, false),
            Err(error) => {
                let wrong = || format!("{error} in `{}`", snippet(json));
                lenient = without_nan(json).ok_or_else(wrong)?;
                (serde_json::from_str(&lenient).map_err(|_| wrong())?, true)
            }
        };
        if let Some(error) = response.error.filter(|error| !error.is_null()) {
            answer.failed(error.as_str().unwrap_or(&error.to_string()));
            return Ok(());
        }
        let text = |value: Option<Value>| match value {
            Some(Value::String(text)) => text,
            Some(Value::Number(number)) => number.to_string(),
            _ => String::new(),
        };
        self.served(answer, &text(response.model_name), &text(response.model_version));
        let mut all = Vec::with_capacity(response.outputs.len());
        for output in &response.outputs {
            let size = output.parameters.as_ref().and_then(|parameters| parameters.binary_data_size);
            let content = match (size, &output.data) {
                (Some(size), _) => match raw.split_at_checked(size) {
                    Some((bytes, rest)) => {
                        raw = rest;
                        Ok(Content::Raw(bytes))
                    }
                    None => Err(format!("{size} bytes are promised, and {} are there", raw.len())),
                },
                (None, Some(data)) => Ok(Content::Json(data)),
                (None, None) => Err("there is no data".to_owned()),
            };
            all.push(Came::of(&output.name, &output.datatype, &output.shape, content));
        }
        if !raw.is_empty() {
            return Err(format!("{} bytes after the last output", raw.len()));
        }
        if has_nan && !self.allow_nan {
            return Err(format!("NaN or infinity, which is no JSON, in `{}`", snippet(json)));
        }
        self.judge(answer, &all, batch)
    }

    /// Who answered.
    fn served(&self, answer: &mut Answer, model: &str, version: &str) {
        let name = if version.is_empty() { model } else { version };
        if answer.fingerprint.is_none() && !name.is_empty() {
            answer.fingerprint = Some(name.to_owned());
        }
    }

    /// Whether every output is there and is as it was declared; then what it
    /// says is kept.
    fn judge(&self, answer: &mut Answer, all: &[Came<'_>], batch: u32) -> Result<(), String> {
        if all.is_empty() {
            return Err("a response without outputs".to_owned());
        }
        for came in all {
            let name = came.name;
            let (count, odd) = came.elements.as_ref().map_err(|why| format!("output `{name}`: {why}"))?;
            let wanted = came
                .shape
                .iter()
                .try_fold(1_usize, |product, dim| product.checked_mul(usize::try_from(*dim).ok()?));
            if wanted != Some(*count) {
                return Err(format!("output `{name}` has {count} elements, and the shape {:?}", came.shape));
            }
            if *odd > 0 && !self.allow_nan {
                return Err(format!("output `{name}` has {odd} elements that are NaN or infinite"));
            }
        }
        for output in &self.outputs {
            let name = &output.name;
            let came = all.iter().find(|came| came.name == name);
            let came = came.ok_or_else(|| format!("there is no output `{name}`"))?;
            if let Some(datatype) = output.datatype.map(Datatype::as_str)
                && datatype != came.datatype
            {
                return Err(format!("output `{name}` is {}, not {datatype}", came.datatype));
            }
            if let Some(shape) = &output.shape {
                let fits = shape.len() == came.shape.len()
                    && shape.iter().zip(came.shape).all(|(dim, came)| match dim {
                        Dim::Fixed(size) => i64::from(*size) == *came,
                        Dim::Named(DimName::Batch) => i64::from(batch) == *came,
                        Dim::Named(DimName::Any) => true,
                    });
                if !fits {
                    return Err(format!(
                        "output `{name}` has the shape {:?} for a batch of {batch}",
                        came.shape
                    ));
                }
            }
        }
        answer.features.extend(features(all, &self.outputs, self.feature.as_deref(), batch));
        Ok(())
    }
}

/// The datatype of this name.
fn known(name: &str) -> Result<Datatype, String> {
    let found = Datatype::ALL.into_iter().find(|datatype| datatype.as_str() == name);
    found.ok_or_else(|| format!("`{name}` is no datatype"))
}

#[cfg(test)]
mod tests;
