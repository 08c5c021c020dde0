//! The replica's HTTP routes.

use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use super::{
    Shared,
    embeddings::Texts,
    exchange::Exchange,
    generate::{Api, embeddings, generate},
    model_name, models, openai, responses,
};
use crate::lab::{api::Slowdown, config::VersionDefect};

/// Share of requests that a version with a defect fails or cuts short.
pub(super) const DEFECT_SHARE: f64 = 0.4;
/// What a request to a cold replica that says ready waits before it is
/// worked on, where it isn't refused.
const COLD_DELAY: Duration = Duration::from_secs(3);
/// Prompts of a drill are small; anything else is a mistake.
const MAX_BODY: usize = 4 << 20;

/// All routes.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
        .route("/v1/completions", post(completions))
        .route("/v1/responses", post(respond))
        .route("/v1/embeddings", post(embed))
        .route("/v1/models", get(list))
        .merge(models::router())
        .route("/metrics", get(metrics))
        .route("/health", get(|| async { "alive" }))
        .route("/ready", get(ready))
        .route("/startup", get(startup))
        .route("/admin/slowdown", put(slow_down).get(slowdown))
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(middleware::map_response_with_state(Arc::clone(&shared), sign))
        .with_state(shared)
}

/// Puts the pod's and the version's name on every answer.
async fn sign(State(shared): State<Arc<Shared>>, mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in
        [("x-served-by", shared.config.pod.as_str()), ("x-model-version", shared.config.version.as_str())]
    {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    }
    response
}

async fn list(State(shared): State<Arc<Shared>>) -> Json<serde_json::Value> {
    let id = model_name(shared.config.model);
    Json(json!({"object": "list", "data": [{"id": id, "object": "model", "owned_by": "firedrill"}]}))
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let in_flight = shared.in_flight.load(Ordering::Relaxed);
    let text = shared.metrics().render(model_name(shared.config.model), shared.slowdown.get(), in_flight);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text)
}

async fn ready(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    if shared.config.ready_before_warm || shared.is_warm() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "loading")
    }
}

/// The stages of a cold start, by the share of its time that is over.
async fn startup(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    let cold_ms = shared.config.cold_start_ms.max(1) as f64;
    let done = shared.started.elapsed().as_secs_f64() * 1e3 / cold_ms;
    match done {
        _ if shared.is_warm() => (StatusCode::OK, "ready"),
        _ if done < 0.05 => (StatusCode::SERVICE_UNAVAILABLE, "schedule"),
        _ if done < 0.3 => (StatusCode::SERVICE_UNAVAILABLE, "image"),
        _ if done < 0.85 => (StatusCode::SERVICE_UNAVAILABLE, "weights"),
        _ => (StatusCode::SERVICE_UNAVAILABLE, "warm-up"),
    }
}

async fn slowdown(State(shared): State<Arc<Shared>>) -> Json<Slowdown> {
    Json(Slowdown { factor: shared.slowdown.get() })
}

async fn slow_down(State(shared): State<Arc<Shared>>, Json(asked): Json<Slowdown>) -> Response {
    if !(asked.factor.is_finite() && asked.factor > 0.0) {
        let error = openai::error("invalid_request_error", "`factor` must be a positive number", 400);
        return (StatusCode::BAD_REQUEST, error).into_response();
    }
    shared.slowdown.set(asked.factor);
    Json(asked).into_response()
}

/// An error answer.
pub(super) fn refuse(exchange: &mut Exchange, status: StatusCode, kind: &str, message: &str) -> Response {
    exchange.status(status);
    exchange.complete();
    let body = openai::error(kind, message, status.as_u16());
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn chat(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    text(shared, &headers, openai::chat(&body), Api::Chat).await
}

async fn completions(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    text(shared, &headers, openai::completion(&body), Api::Completions).await
}

async fn respond(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    text(shared, &headers, responses::asked(&body), Api::Responses).await
}

async fn embed(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    match admit(&shared, &headers, Texts::parse(&body)).await {
        Ok((exchange, texts)) => embeddings(shared, exchange, &texts).await,
        Err(refusal) => refusal,
    }
}

/// Answers a request for a text.
async fn text(
    shared: Arc<Shared>,
    headers: &HeaderMap,
    asked: Result<openai::Asked, String>,
    api: Api,
) -> Response {
    match admit(&shared, headers, asked).await {
        Ok((exchange, asked)) => generate(shared, exchange, &asked, api).await,
        Err(refusal) => refusal,
    }
}

/// Opens a request's account, and lets in what can be read while the replica
/// is warm and well.
async fn admit<T>(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    asked: Result<T, String>,
) -> Result<(Exchange, T), Response> {
    let id = headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let mut exchange = Exchange::begin(Arc::clone(shared), id, Instant::now());
    let asked = match asked {
        Ok(asked) => asked,
        Err(why) => {
            return Err(refuse(&mut exchange, StatusCode::BAD_REQUEST, "invalid_request_error", &why));
        }
    };
    if let Err((status, why)) = let_in(shared).await {
        let kind =
            if status == StatusCode::SERVICE_UNAVAILABLE { "service_unavailable" } else { "internal_error" };
        return Err(refuse(&mut exchange, status, kind, why));
    }
    Ok((exchange, asked))
}

/// What every request to a model goes through first: a replica that is cold,
/// a version that fails.
pub(super) async fn let_in(shared: &Shared) -> Result<(), (StatusCode, &'static str)> {
    if !shared.is_warm() {
        if !shared.config.ready_before_warm || shared.happens(0.5) {
            return Err((StatusCode::SERVICE_UNAVAILABLE, "model loading"));
        }
        tokio::time::sleep(COLD_DELAY).await;
    }
    if shared.happens(error_share(shared)) {
        return Err((StatusCode::INTERNAL_SERVER_ERROR, "the engine died on this request"));
    }
    tokio::time::sleep(Duration::from_millis(shared.config.extra_delay_ms)).await;
    Ok(())
}

fn error_share(shared: &Shared) -> f64 {
    let of_version = match shared.config.defect {
        VersionDefect::Errors => DEFECT_SHARE,
        VersionDefect::None
        | VersionDefect::Slow
        | VersionDefect::Truncates
        | VersionDefect::WrongAnswers
        | VersionDefect::Throttled
        | VersionDefect::Leaks
        | VersionDefect::Short
        | VersionDefect::Skewed
        | VersionDefect::Crashes
        | VersionDefect::NeverReady => 0.0,
    };
    shared.config.error_rate.max(of_version)
}
