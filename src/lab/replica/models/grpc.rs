//! The image model over KServe v2's gRPC: one answer, or, in Triton's stream,
//! one for each image of the batch.

use std::{pin::Pin, sync::Arc};

use axum::{body::Body, extract::State};
use futures::{Stream, StreamExt as _};
use http::{Request, Response, StatusCode};
use tonic::{
    Code, Status, Streaming,
    server::{Grpc, StreamingService, UnaryService},
};
use tonic_prost::ProstCodec;

use super::{Refused, Shared, begin, image, kserve::floats};
use crate::{
    kserve::{InferTensor, ModelInferRequest, ModelInferResponse, ModelStreamInferResponse},
    lab::replica::exchange::Exchange,
};

type Answer<T> = Pin<Box<dyn Future<Output = Result<tonic::Response<T>, Status>> + Send>>;
type Stream1 = Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

/// A call: the replica, and its account.
struct Call(Arc<Shared>, Option<Exchange>);

/// Unary.
pub(super) async fn infer(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response<Body> {
    let call = Call(Arc::clone(&shared), Some(begin(&shared, request.headers())));
    let mut grpc = Grpc::new(ProstCodec::<ModelInferResponse, ModelInferRequest>::default());
    grpc.unary(call, request).await.map(Body::new)
}

/// Triton's stream.
pub(super) async fn stream_infer(
    State(shared): State<Arc<Shared>>,
    request: Request<Body>,
) -> Response<Body> {
    let call = Call(Arc::clone(&shared), Some(begin(&shared, request.headers())));
    let mut grpc = Grpc::new(ProstCodec::<ModelStreamInferResponse, ModelInferRequest>::default());
    grpc.streaming(call, request).await.map(Body::new)
}

impl From<Refused> for Status {
    fn from(refused: Refused) -> Self {
        let code = match refused.status {
            StatusCode::BAD_REQUEST => Code::InvalidArgument,
            StatusCode::NOT_FOUND => Code::NotFound,
            StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
            StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
            _ => Code::Internal,
        };
        Self::new(code, refused.why)
    }
}

impl UnaryService<ModelInferRequest> for Call {
    type Response = ModelInferResponse;
    type Future = Answer<ModelInferResponse>;

    fn call(&mut self, request: tonic::Request<ModelInferRequest>) -> Self::Future {
        let (shared, exchange) = (Arc::clone(&self.0), self.1.take());
        Box::pin(async move {
            let answer = whole(&shared, &request.into_inner()).await;
            if let Some(mut exchange) = exchange {
                exchange.status(answer.as_ref().err().map_or(StatusCode::OK, |refused| refused.status));
                exchange.complete();
            }
            Ok(tonic::Response::new(answer?))
        })
    }
}

impl StreamingService<ModelInferRequest> for Call {
    type Response = ModelStreamInferResponse;
    type ResponseStream = Stream1;
    type Future = Answer<Stream1>;

    fn call(&mut self, request: tonic::Request<Streaming<ModelInferRequest>>) -> Self::Future {
        let (shared, mut exchange) = (Arc::clone(&self.0), self.1.take());
        Box::pin(async move {
            let requests = request.into_inner();
            let answers = requests.flat_map(move |request| {
                let shared = Arc::clone(&shared);
                // The first request's account; a client of ours sends one.
                let exchange = exchange.take();
                futures::stream::once(parts(shared, exchange, request)).flatten()
            });
            Ok(tonic::Response::new(Box::pin(answers) as Stream1))
        })
    }
}

/// The images of a request.
fn pixels(request: &ModelInferRequest) -> Result<(Vec<f32>, usize), Refused> {
    if request.model_name != image::NAME {
        let why = format!("there is no model `{}`", request.model_name);
        return Err(Refused { status: StatusCode::NOT_FOUND, why });
    }
    let [input] = request.inputs.as_slice() else { return Err(Refused::bad("there is one input")) };
    if (input.name.as_str(), input.datatype.as_str()) != (image::INPUT, "FP32") {
        return Err(Refused::bad("the input is `pixels`, of FP32"));
    }
    let pixels = match (request.raw_input_contents.as_slice(), &input.contents) {
        ([raw], None) if raw.len() % 4 == 0 => floats(raw),
        ([], Some(contents)) => contents.fp32_contents.clone(),
        _ => return Err(Refused::bad("the input has no data, or too much")),
    };
    let batch = image::batch(&input.shape, pixels.len()).map_err(Refused::bad)?;
    Ok((pixels, batch))
}

fn response(shared: &Shared, batch: usize, scores: &[f32]) -> ModelInferResponse {
    let output = InferTensor {
        name: image::OUTPUT.to_owned(),
        datatype: "FP32".to_owned(),
        shape: vec![i64::try_from(batch).unwrap_or(i64::MAX), image::SCORES as i64],
        ..InferTensor::default()
    };
    let raw: Vec<u8> = scores.iter().flat_map(|score| score.to_le_bytes()).collect();
    ModelInferResponse {
        model_name: image::NAME.to_owned(),
        model_version: shared.config.version.to_string(),
        outputs: vec![output],
        raw_output_contents: vec![raw.into()],
        ..ModelInferResponse::default()
    }
}

async fn whole(shared: &Shared, request: &ModelInferRequest) -> Result<ModelInferResponse, Refused> {
    let (pixels, batch) = pixels(request)?;
    shared.compute(image::time(batch)).await?;
    Ok(response(shared, batch, &image::scores(&pixels, shared.truth())))
}

/// One image after the other; what is wrong is said in the stream.
async fn parts(
    shared: Arc<Shared>,
    exchange: Option<Exchange>,
    request: Result<ModelInferRequest, Status>,
) -> Stream1 {
    let read = match request {
        Ok(request) => pixels(&request),
        Err(status) => return Box::pin(futures::stream::iter([Err(status)])),
    };
    let size = image::IMAGE.iter().product::<i64>() as usize;
    let images: Vec<Result<Vec<f32>, Refused>> = match read {
        Ok((pixels, _)) => pixels.chunks(size).map(|image| Ok(image.to_vec())).collect(),
        Err(refused) => vec![Err(refused)],
    };
    let state = (shared, exchange, images.into_iter());
    Box::pin(futures::stream::unfold(state, |(shared, mut exchange, mut images)| async move {
        let Some(image) = images.next() else {
            if let Some(exchange) = &mut exchange {
                exchange.complete();
            }
            return None;
        };
        let answer = match image {
            Ok(image) => shared
                .compute(image::time(1))
                .await
                .map(|()| response(&shared, 1, &image::scores(&image, shared.truth()))),
            Err(refused) => Err(refused),
        };
        if let Some(exchange) = &mut exchange {
            exchange.status(StatusCode::OK);
            exchange.token();
        }
        let answer = match answer {
            Ok(response) => {
                ModelStreamInferResponse { error_message: String::new(), infer_response: Some(response) }
            }
            Err(refused) => ModelStreamInferResponse { error_message: refused.why, infer_response: None },
        };
        Some((Ok(answer), (shared, exchange, images)))
    }))
}
