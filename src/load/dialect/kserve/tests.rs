use proptest::prelude::*;
use prost::Message as _;
use serde_json::json;

use super::{tensor::Tensor, *};
use crate::{
    journal::Feature,
    kserve::{
        InferTensor, InferTensorContents, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse,
    },
};

fn kserve(wire: Wire, outputs: Value) -> Kserve {
    let infer = json!({"model": "image", "inputs": [], "outputs": outputs});
    Kserve::new(&serde_json::from_value(infer).expect("an endpoint"), wire)
}

const JSON: Wire = Wire::Http(Encoding::Json);
const BINARY: Wire = Wire::Http(Encoding::Binary);

fn scores() -> Value {
    json!([{"name": "scores", "datatype": "FP32", "shape": ["batch", 2]}])
}

fn tensor(name: &str, datatype: Datatype, shape: &[u32], bytes: &[u8]) -> Tensor {
    Tensor { name: name.into(), datatype, shape: shape.to_vec(), bytes: bytes.to_vec() }
}

fn read(body: &[u8], length: Option<usize>) -> Answer {
    let mut headers = HeaderMap::new();
    if let Some(length) = length {
        headers.insert(HEADER_LENGTH, length.into());
    }
    let mut answer = Answer::default();
    kserve(JSON, scores()).body(&mut answer, &headers, body, 2, Instant::now());
    answer
}

#[test]
fn a_json_request_is_what_the_protocol_says() {
    let input = tensor("x", Datatype::Fp32, &[1, 2], &[1.5_f32, -2.0].map(f32::to_le_bytes).concat());
    let (body, header) = kserve(JSON, scores()).request(vec![input]);
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    let wanted = json!({
        "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1.5, -2.0]}],
        "outputs": [{"name": "scores"}],
    });
    // Numbers, not their spelling.
    assert_eq!(body["inputs"][0]["data"][1].as_f64(), Some(-2.0));
    assert_eq!((body["inputs"][0]["shape"].clone(), &body["outputs"]), (json!([1, 2]), &wanted["outputs"]));
    assert_eq!(header, None);
}

#[test]
fn a_binary_request_is_json_and_bytes() {
    let a = tensor("a", Datatype::Int16, &[2], &[1, 0, 2, 0]);
    let b = tensor("b", Datatype::Bytes, &[1], &[2, 0, 0, 0, b'h', b'i']);
    let (body, header) = kserve(BINARY, json!([])).request(vec![a, b]);
    let length: usize = header.expect("a header").1.to_str().expect("text").parse().expect("a number");
    let (json, raw) = body.split_at(length);
    let json: Value = serde_json::from_slice(json).expect("JSON");
    assert_eq!(json["inputs"][0]["parameters"]["binary_data_size"], 4);
    assert_eq!(json["inputs"][1]["parameters"]["binary_data_size"], 6);
    assert_eq!(json["parameters"]["binary_data_output"], true);
    assert_eq!(raw, [1, 0, 2, 0, 2, 0, 0, 0, b'h', b'i']);
}

#[test]
fn a_response_is_whole_with_every_output() {
    let answer = read(
        br#"{"model_name":"image","model_version":"7","outputs":[{"name":"scores","datatype":"FP32","shape":[2,2],"data":[[1,2.5],[3,4]]}]}"#,
        None,
    );
    assert_eq!((answer.malformed.as_deref(), answer.error.as_deref(), answer.done), (None, None, true));
    assert_eq!(answer.fingerprint.as_deref(), Some("7"));
    assert!(answer.first.is_none() && answer.last.is_some() && answer.tokens() == 0);
}

fn features(outputs: Value, feature: Option<&str>, body: Value) -> Vec<Feature> {
    let mut kserve = kserve(JSON, outputs);
    kserve.feature = feature.map(str::to_owned);
    let mut answer = Answer::default();
    kserve.body(&mut answer, &HeaderMap::new(), body.to_string().as_bytes(), 2, Instant::now());
    assert_eq!((answer.malformed, answer.error), (None, None));
    answer.features
}

#[test]
fn each_item_has_a_class_or_a_value() {
    let number = Feature::number;
    let body = json!({"outputs": [
        {"name": "scores", "datatype": "FP32", "shape": [2, 3], "data": [[0.1, 0.7, 0.2], [5, -1, 2]]},
        {"name": "value", "datatype": "FP64", "shape": [2, 1], "data": [[-1.5], [3]]},
        {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["cat", "dog"]},
        {"name": "ranked", "datatype": "BYTES", "shape": [2, 2], "data": ["a", "b", "b", "a"]},
        {"name": "sure", "datatype": "BOOL", "shape": [2], "data": [true, false]},
        {"name": "nothing", "datatype": "FP32", "shape": [0], "data": []},
    ]});
    let of = |name: &str| features(json!([]), Some(name), body.clone());
    assert_eq!(of("scores"), [number(1.0), number(0.0)]);
    assert_eq!(of("value"), [number(-1.5), number(3.0)]);
    assert_eq!(of("label"), [Feature::text("cat"), Feature::text("dog")]);
    assert_eq!(of("ranked"), [Feature::text("a"), Feature::text("b")]);
    assert_eq!(of("sure"), [number(1.0), number(0.0)]);
    assert_eq!(of("nothing"), []);
    assert_eq!(of("other"), [Feature::Missing]);
    // Unnamed: the first that is declared, or else that came.
    assert_eq!(features(json!([]), None, body.clone()), of("scores"));
    assert_eq!(features(json!([{"name": "label"}, {"name": "scores"}]), None, body.clone()), of("label"));
}

#[test]
fn what_is_no_answer_has_no_features() {
    let body = r#"{"outputs":[{"name":"scores","datatype":"FP32","shape":[2,2],"data":[1,2,3]}]}"#;
    assert!(read(body.as_bytes(), None).features.is_empty());
    let (body, length) = binary(&[1.0, 2.0, 4.0, 3.0]);
    assert_eq!(read(&body, Some(length)).features, [Feature::number(1.0), Feature::number(0.0)]);
}

#[test]
fn what_is_wrong_with_a_response_is_told() {
    let output =
        |rest: &str| format!(r#"{{"outputs":[{{"name":"scores","datatype":"FP32","shape":[2,2],{rest}}}]}}"#);
    for (body, part) in [
        ("{}".to_owned(), "without outputs"),
        (output(r#""data":[1,2,3]"#), "3 elements"),
        (output(r#""data":[1,2,3,"4"]"#), "1 elements are no FP32"),
        (output(r#""data":[1,2,3,null]"#), "NaN"),
        (output(r#""data":[1,2,3,NaN]"#), "NaN"),
        (output(r#""data":[1,2,3,4}"#), "in `"),
        (output(r#""parameters":{"binary_data_size":16}"#), "promised"),
        (output(r#""parameters":{}"#), "no data"),
        (output(r#""data":[1,2,3,4]"#).replace("FP32", "FP64"), "is FP64"),
        (output(r#""data":[1,2,3,4]"#).replace("FP32", "FLOAT"), "no datatype"),
        (output(r#""data":[1,2,3,4]"#).replace("[2,2]", "[4,1]"), "the shape [4, 1]"),
        (output(r#""data":[1,2,3,4]"#).replace("[2,2]", "[-2,-2]"), "elements"),
        (output(r#""data":[1,2,3,4]"#).replace("scores", "other"), "no output `scores`"),
    ] {
        let why = read(body.as_bytes(), None).malformed;
        assert!(why.as_deref().is_some_and(|why| why.contains(part)), "{body}: {why:?}");
    }
    let answer = read(br#"{"error":"no such model"}"#, None);
    assert_eq!((answer.error.as_deref(), answer.malformed), (Some("no such model"), None));
}

#[test]
fn nan_may_be_allowed() {
    let mut lenient = kserve(JSON, scores());
    lenient.allow_nan = true;
    let mut answer = Answer::default();
    let body =
        br#"{"outputs":[{"name":"scores","datatype":"FP32","shape":[2,2],"data":[1,NaN,-Infinity,null]}]}"#;
    lenient.body(&mut answer, &HeaderMap::new(), body, 2, Instant::now());
    assert_eq!(answer.malformed, None);
}

fn binary(values: &[f32]) -> (Vec<u8>, usize) {
    let raw = values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
    let json = format!(
        r#"{{"outputs":[{{"name":"scores","datatype":"FP32","shape":[2,2],"parameters":{{"binary_data_size":{}}}}}]}}"#,
        raw.len()
    );
    ([json.as_bytes(), &raw].concat(), json.len())
}

#[test]
fn binary_responses_are_read() {
    let (body, length) = binary(&[1.0, 2.0, 3.0, 4.0]);
    assert_eq!(read(&body, Some(length)).malformed, None);
    assert!(read(&body, Some(body.len() + 1)).malformed.is_some_and(|why| why.contains("not within")));
    assert!(
        read(&[&body[..], b"x"].concat(), Some(length))
            .malformed
            .is_some_and(|why| why.contains("after the last"))
    );
    let (body, length) = binary(&[1.0, f32::NAN, 3.0, 4.0]);
    assert!(read(&body, Some(length)).malformed.is_some_and(|why| why.contains("NaN")));
}

fn response(values: &[f32]) -> ModelInferResponse {
    ModelInferResponse {
        model_version: "3".into(),
        outputs: vec![InferTensor {
            name: "scores".into(),
            datatype: "FP32".into(),
            shape: vec![2, 2],
            ..InferTensor::default()
        }],
        raw_output_contents: vec![
            values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>().into(),
        ],
        ..ModelInferResponse::default()
    }
}

#[test]
fn grpc_messages_are_read() {
    let read = |message: Vec<u8>, stream| {
        let mut answer = Answer::default();
        kserve(Wire::Grpc, scores()).message_came(&mut answer, &message, stream, 2, Instant::now());
        answer
    };
    let right = response(&[1.0, 2.0, 3.0, 4.0]);
    let answer = read(right.encode_to_vec(), false);
    assert_eq!((answer.malformed, answer.fingerprint.as_deref(), answer.done), (None, Some("3"), true));
    assert_eq!(answer.features, [Feature::number(1.0), Feature::number(1.0)]);
    assert!(read(response(&[1.0]).encode_to_vec(), false).malformed.is_some());
    assert!(read(response(&[1.0, 2.0, 3.0, f32::NAN]).encode_to_vec(), false).malformed.is_some());
    assert!(read(b"\xff\xff".to_vec(), false).malformed.is_some());
    let streamed = |error_message: &str, infer_response| {
        ModelStreamInferResponse { error_message: error_message.into(), infer_response }.encode_to_vec()
    };
    let answer = read(streamed("", Some(right)), true);
    assert_eq!((answer.malformed, answer.chunks, answer.done), (None, 1, false));
    assert_eq!(answer.features.len(), 2);
    assert_eq!(read(streamed("out of memory", None), true).error.as_deref(), Some("out of memory"));
    assert!(read(streamed("", None), true).malformed.is_some());
}

/// Tensors in the fields of their types.
#[test]
fn typed_contents_have_features() {
    let output = |name: &str, datatype: &str, contents| InferTensor {
        name: name.into(),
        datatype: datatype.into(),
        shape: vec![2],
        contents: Some(contents),
        ..InferTensor::default()
    };
    let contents = InferTensorContents::default;
    let response = ModelInferResponse {
        outputs: vec![
            output("id", "INT64", InferTensorContents { int64_contents: vec![7, -1], ..contents() }),
            output(
                "label",
                "BYTES",
                InferTensorContents { bytes_contents: vec![b"a"[..].into(); 2], ..contents() },
            ),
            output("sure", "BOOL", InferTensorContents { bool_contents: vec![true, false], ..contents() }),
        ],
        ..ModelInferResponse::default()
    };
    let of = |name: &str| {
        let mut kserve = kserve(Wire::Grpc, json!([]));
        kserve.feature = Some(name.to_owned());
        let mut answer = Answer::default();
        kserve.message_came(&mut answer, &response.encode_to_vec(), false, 2, Instant::now());
        assert_eq!(answer.malformed, None);
        answer.features
    };
    assert_eq!(of("id"), [Feature::number(7.0), Feature::number(-1.0)]);
    assert_eq!(of("label"), [Feature::text("a"), Feature::text("a")]);
    assert_eq!(of("sure"), [Feature::number(1.0), Feature::number(0.0)]);
}

proptest! {
    /// What goes out over gRPC decodes to the tensors that went in.
    #[test]
    fn a_message_round_trips(names in prop::collection::vec("[a-z]{1,5}", 1..4), bytes in prop::collection::vec(any::<u8>(), 0..30)) {
        let inputs: Vec<Tensor> = names.iter().map(|name| tensor(name, Datatype::Uint8, &[bytes.len() as u32], &bytes)).collect();
        let (body, _) = kserve(Wire::Grpc, json!([])).request(inputs);
        prop_assert_eq!((body[0], u32::from_be_bytes([body[1], body[2], body[3], body[4]]) as usize), (0, body.len() - 5));
        let request = ModelInferRequest::decode(&body[5..]).expect("a message");
        prop_assert_eq!(request.inputs.iter().map(|input| input.name.clone()).collect::<Vec<_>>(), names);
        prop_assert!(request.raw_input_contents.iter().all(|raw| raw[..] == bytes[..]));
    }

    #[test]
    fn any_body_is_survived(body in prop::collection::vec(any::<u8>(), 0..60), length in prop::option::of(0_usize..70)) {
        read(&body, length);
        let mut answer = Answer::default();
        kserve(Wire::Grpc, scores()).message_came(&mut answer, &body, true, 2, Instant::now());
    }
}
