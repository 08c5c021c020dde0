//! The image model over KServe v2's HTTP, tensors as JSON or as bytes.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{Path, State},
    response::{IntoResponse as _, Response},
};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Refused, Shared, begin, finish, image, parse};

/// Length of the JSON before the tensors' bytes.
const HEADER_LENGTH: &str = "inference-header-content-length";

#[derive(Debug, Deserialize)]
struct Request {
    #[serde(default)]
    id: Option<String>,
    inputs: Vec<Input>,
    #[serde(default)]
    outputs: Vec<Output>,
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Debug, Deserialize)]
struct Input {
    name: String,
    datatype: String,
    shape: Vec<i64>,
    #[serde(default)]
    parameters: Parameters,
    data: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Output {
    #[serde(default)]
    parameters: Parameters,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Parameters {
    binary_data_size: Option<usize>,
    binary_data: bool,
    binary_data_output: bool,
}

pub(super) async fn infer_version(
    state: State<Arc<Shared>>,
    Path((model, _)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    infer(state, Path(model), headers, body).await
}

pub(super) async fn infer(
    State(shared): State<Arc<Shared>>,
    Path(model): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let exchange = begin(&shared, &headers);
    let answer = async {
        if model != image::NAME {
            return Err(Refused {
                status: StatusCode::NOT_FOUND,
                why: format!("there is no model `{model}`"),
            });
        }
        let (request, pixels) = read(&headers, &body)?;
        let shape = request.inputs.first().map_or(&[][..], |input| &input.shape);
        let batch = image::batch(shape, pixels.len()).map_err(Refused::bad)?;
        shared.compute(image::time(batch)).await?;
        Ok(response(&shared, &request, batch, &image::scores(&pixels, shared.truth())))
    };
    let answer = answer.await;
    finish(exchange, answer)
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<(Request, Vec<f32>), Refused> {
    let length = match headers.get(HEADER_LENGTH) {
        None => body.len(),
        Some(length) => length
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Refused::bad("the header's length is no number"))?,
    };
    let (json, raw) =
        body.split_at_checked(length).ok_or_else(|| Refused::bad("the header is longer than the body"))?;
    let request: Request = parse(json)?;
    let [input] = request.inputs.as_slice() else { return Err(Refused::bad("there is one input")) };
    if (input.name.as_str(), input.datatype.as_str()) != (image::INPUT, "FP32") {
        return Err(Refused::bad("the input is `pixels`, of FP32"));
    }
    let pixels = match (input.parameters.binary_data_size, &input.data) {
        (Some(size), None) if size == raw.len() && size % 4 == 0 => floats(raw),
        (Some(_), None) => return Err(Refused::bad(format!("{} bytes of tensors came", raw.len()))),
        (None, Some(data)) => {
            let mut all = Vec::new();
            numbers(data, &mut all)?;
            all
        }
        _ => return Err(Refused::bad("the input has no data, or too much")),
    };
    Ok((request, pixels))
}

/// Little endian.
pub(super) fn floats(raw: &[u8]) -> Vec<f32> {
    raw.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}

fn numbers(value: &Value, all: &mut Vec<f32>) -> Result<(), Refused> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| numbers(item, all)),
        Value::Number(number) => {
            all.push(number.as_f64().unwrap_or_default() as f32);
            Ok(())
        }
        other => Err(Refused::bad(format!("`{other}` is no number"))),
    }
}

fn response(shared: &Shared, request: &Request, batch: usize, scores: &[f32]) -> Response {
    let binary = request.parameters.binary_data_output
        || request.outputs.first().is_some_and(|output| output.parameters.binary_data);
    let mut output = json!({"name": image::OUTPUT, "datatype": "FP32", "shape": [batch, image::SCORES]});
    if binary {
        output["parameters"] = json!({"binary_data_size": scores.len() * 4});
    } else {
        output["data"] = json!(scores);
    }
    let mut body =
        json!({"model_name": image::NAME, "model_version": shared.config.version, "outputs": [output]});
    if let Some(id) = &request.id {
        body["id"] = json!(id);
    }
    let mut body = body.to_string().into_bytes();
    if !binary {
        return ([(header::CONTENT_TYPE, "application/json")], body).into_response();
    }
    let length = body.len().to_string();
    body.extend(scores.iter().flat_map(|score| score.to_le_bytes()));
    let headers = [(header::CONTENT_TYPE.as_str(), "application/octet-stream"), (HEADER_LENGTH, &length)];
    (headers, body).into_response()
}
