//! Models beside the language model: a classifier (`/predict`), an image
//! model (KServe v2 over HTTP and gRPC), a policy (`/act`). Their answers are
//! fixed by their inputs, so that everybody can know the right ones.

mod classifier;
mod grid;
mod grpc;
mod image;
mod kserve;

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Shared, driver::SLOW_VERSION, exchange::Exchange, http::let_in};
use crate::{
    kserve::{MODEL_INFER, MODEL_STREAM_INFER},
    lab::config::VersionDefect,
};

/// Requests that are computed at once.
pub(super) const AT_ONCE: usize = 2;
/// Requests that may be open; more are turned away.
const MOST_OPEN: usize = 256;
/// How long the classifier and the policy compute.
const SMALL: Duration = Duration::from_micros(500);

/// Their routes.
pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/predict", post(predict))
        .route("/act", post(act))
        .route("/v2/health/ready", get(ready))
        .route("/v2/models/{model}/ready", get(ready))
        .route("/v2/models/{model}/infer", post(kserve::infer))
        .route("/v2/models/{model}/versions/{version}/infer", post(kserve::infer_version))
        .route(MODEL_INFER, post(grpc::infer))
        .route(MODEL_STREAM_INFER, post(grpc::stream_infer))
}

/// How right a model's answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    /// All of them are.
    Right,
    /// None is.
    Wrong,
    /// One class has a head start, where there are classes.
    Skewed,
}

/// A request that is turned away.
#[derive(Debug)]
struct Refused {
    status: StatusCode,
    why: String,
}

impl Refused {
    fn bad(why: impl Into<String>) -> Self {
        Self { status: StatusCode::BAD_REQUEST, why: why.into() }
    }

    /// As KServe says it, and most others.
    fn response(self) -> Response {
        let mut response = (self.status, Json(json!({"error": self.why}))).into_response();
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

impl Shared {
    /// How right this replica's answers are.
    fn truth(&self) -> Truth {
        match self.config.defect {
            VersionDefect::WrongAnswers => Truth::Wrong,
            _ if self.config.garbage => Truth::Wrong,
            VersionDefect::Skewed => Truth::Skewed,
            VersionDefect::None
            | VersionDefect::Slow
            | VersionDefect::Errors
            | VersionDefect::Truncates
            | VersionDefect::Throttled
            | VersionDefect::Leaks
            | VersionDefect::Short
            | VersionDefect::Crashes
            | VersionDefect::NeverReady => Truth::Right,
        }
    }

    /// Lets the accelerator compute for as long as it takes.
    async fn compute(&self, time: Duration) -> Result<(), Refused> {
        if self.in_flight.load(Ordering::Relaxed) > MOST_OPEN {
            return Err(Refused {
                status: StatusCode::TOO_MANY_REQUESTS,
                why: "the queue is full".to_owned(),
            });
        }
        let_in(self).await.map_err(|(status, why)| Refused { status, why: why.to_owned() })?;
        // It is never closed.
        let _permit = self.accelerator.acquire().await;
        let slow = if self.config.defect == VersionDefect::Slow { SLOW_VERSION } else { 1.0 };
        tokio::time::sleep(time.mul_f64(slow * self.slowdown.get())).await;
        Ok(())
    }
}

/// Opens the account of a request.
fn begin(shared: &Arc<Shared>, headers: &HeaderMap) -> Exchange {
    let id = headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    Exchange::begin(Arc::clone(shared), id, Instant::now())
}

/// Closes it with an answer.
fn finish(mut exchange: Exchange, answer: Result<Response, Refused>) -> Response {
    let response = answer.unwrap_or_else(Refused::response);
    exchange.status(response.status());
    exchange.complete();
    response
}

async fn ready(State(shared): State<Arc<Shared>>) -> StatusCode {
    if shared.is_warm() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

#[derive(Debug, Deserialize)]
struct Predict {
    input: [f64; classifier::FEATURES],
}

async fn predict(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let exchange = begin(&shared, &headers);
    let answer = async {
        let asked: Predict = parse(&body)?;
        shared.compute(SMALL).await?;
        let (label, scores) = classifier::classify(asked.input, shared.truth());
        Ok(Json(json!({"label": label, "scores": scores, "version": shared.config.version})).into_response())
    };
    let answer = answer.await;
    finish(exchange, answer)
}

#[derive(Debug, Deserialize)]
struct Act {
    observation: grid::Place,
    #[serde(default)]
    session: Value,
}

async fn act(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let exchange = begin(&shared, &headers);
    let answer = async {
        let asked: Act = parse(&body)?;
        if !grid::is_inside(asked.observation) {
            return Err(Refused::bad("the observation is outside of the grid"));
        }
        shared.compute(SMALL).await?;
        let (action, next) = grid::act(asked.observation, shared.truth() == Truth::Wrong);
        let done = next == grid::GOAL;
        Ok(Json(json!({
            "session": asked.session,
            "action": action,
            "next_state": next,
            "reward": if done { 10 } else { -1 },
            "done": done,
            "version": shared.config.version,
        }))
        .into_response())
    };
    let answer = answer.await;
    finish(exchange, answer)
}

fn parse<T: for<'de> Deserialize<'de>>(body: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(body).map_err(|error| Refused::bad(error.to_string()))
}
