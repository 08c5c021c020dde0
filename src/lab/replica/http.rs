//! The replica's HTTP routes.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    Shared,
    answer::{Answer, Asked},
    driver::{Command, Event},
    exchange::Exchange,
    hash, mix, model_name, models,
    openai::{self, ChatRequest, Head},
    sim::{Engine, Prompt},
};
use crate::lab::{api::Slowdown, config::VersionDefect};

/// Share of requests that a version with a defect fails or cuts short.
const DEFECT_SHARE: f64 = 0.4;
/// What a request to a cold replica that says ready waits before it is
/// worked on, where it isn't refused.
const COLD_DELAY: Duration = Duration::from_secs(3);
/// Prompts of a drill are small; anything else is a mistake.
const MAX_BODY: usize = 4 << 20;

/// All routes.
pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat))
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
fn refuse(exchange: &mut Exchange, status: StatusCode, kind: &str, message: &str) -> Response {
    exchange.status(status);
    exchange.complete();
    let body = openai::error(kind, message, status.as_u16());
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}

async fn chat(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let id = headers.get("x-request-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let mut exchange = Exchange::begin(Arc::clone(&shared), id, Instant::now());
    let request = match ChatRequest::parse(&body) {
        Ok(request) => request,
        Err(why) => {
            return refuse(&mut exchange, StatusCode::BAD_REQUEST, "invalid_request_error", &why);
        }
    };
    if let Err((status, why)) = let_in(&shared).await {
        let kind =
            if status == StatusCode::SERVICE_UNAVAILABLE { "service_unavailable" } else { "internal_error" };
        return refuse(&mut exchange, status, kind, why);
    }
    generate(shared, exchange, &request).await
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
        | VersionDefect::WrongAnswers => 0.0,
    };
    shared.config.error_rate.max(of_version)
}

/// Puts the request through the engine and answers as it asked.
async fn generate(shared: Arc<Shared>, mut exchange: Exchange, request: &ChatRequest) -> Response {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let tokens = request.prompt();
    let prompt_hash = tokens.iter().fold(0, |hash, token| mix(hash ^ token));
    let question = request.question();
    let answer = shared.voice.answer(Asked {
        prompt: prompt_hash,
        question: &question,
        max_tokens: request.max_tokens(),
        ignore_eos: request.ignore_eos,
    });
    let prompt = Prompt::new(&tokens);
    let prompt_tokens = prompt.tokens();
    let longest = Engine::max_model_len(&shared.timing.limits());
    if prompt_tokens.saturating_add(answer.tokens) > longest {
        let why = format!(
            "{prompt_tokens} prompt and {} output tokens exceed the model's {longest}",
            answer.tokens
        );
        return refuse(&mut exchange, StatusCode::BAD_REQUEST, "invalid_request_error", &why);
    }
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let (to, mut events) = mpsc::unbounded_channel();
    exchange.submitted(id);
    let submit = Command::Submit { id, prompt, tokens: answer.tokens, finish: answer.finish, to };
    let first = if shared.engine.send(submit).is_ok() { events.recv().await } else { None };
    let first = match first {
        Some(event @ Event::Token { .. }) => event,
        Some(Event::Rejected) => {
            exchange.computed();
            let status = StatusCode::TOO_MANY_REQUESTS;
            let mut response = refuse(&mut exchange, status, "rate_limit_error", "the queue is full");
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            return response;
        }
        None => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return refuse(&mut exchange, status, "internal_error", "the engine is gone");
        }
    };
    let head =
        Head::new(mix(hash(shared.config.pod.as_str()) ^ id), &request.model, shared.config.version.as_str());
    exchange.status(StatusCode::OK);
    if request.stream {
        let cut = cut(&shared, answer.tokens);
        let usage = request.include_usage();
        let stream = Stream { exchange, events, head, answer, prompt_tokens, usage, cut, next: Some(first) };
        let headers =
            [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
        (headers, Body::from_stream(futures::stream::unfold(stream, Stream::frame))).into_response()
    } else {
        whole(exchange, events, &head, &answer, prompt_tokens, first).await
    }
}

async fn whole(
    mut exchange: Exchange,
    mut events: mpsc::UnboundedReceiver<Event>,
    head: &Head,
    answer: &Answer,
    prompt_tokens: u32,
    first: Event,
) -> Response {
    let mut next = Some(first);
    while let Some(Event::Token { last, .. }) = next {
        exchange.token();
        if last {
            break;
        }
        next = events.recv().await;
    }
    exchange.computed();
    exchange.complete();
    let headers = [(header::CONTENT_TYPE, "application/json")];
    (headers, head.whole(answer, prompt_tokens)).into_response()
}

/// How a stream is cut short.
#[derive(Debug, Clone, Copy)]
struct Cut {
    // After so many tokens.
    after: u32,
    // By aborting the connection, else by a clean end of the body.
    abort: bool,
}

fn cut(shared: &Shared, tokens: u32) -> Option<Cut> {
    let truncates = matches!(shared.config.defect, VersionDefect::Truncates);
    if !truncates || !shared.happens(DEFECT_SHARE) {
        return None;
    }
    let after = (f64::from(tokens) * shared.draw()) as u32;
    Some(Cut { after: after.max(1), abort: shared.happens(0.5) })
}

/// A streamed answer under way.
struct Stream {
    exchange: Exchange,
    events: mpsc::UnboundedReceiver<Event>,
    head: Head,
    answer: Answer,
    prompt_tokens: u32,
    usage: bool,
    cut: Option<Cut>,
    // The token that is there already; none after the last.
    next: Option<Event>,
}

impl Stream {
    /// The next token as one frame, with what belongs before and after it.
    async fn frame(mut self) -> Option<(Result<String, std::io::Error>, Self)> {
        let event = match self.next.take() {
            Some(event) => event,
            None => self.events.recv().await?,
        };
        let Event::Token { index, last } = event else { return None };
        if let Some(cut) = self.cut.filter(|cut| index >= cut.after) {
            self.events.close();
            while self.events.try_recv().is_ok() {}
            // A pause lets out what was written, be it only the head.
            tokio::time::sleep(Duration::from_millis(1)).await;
            return cut.abort.then(|| (Err(std::io::ErrorKind::ConnectionAborted.into()), self));
        }
        let mut frame = String::with_capacity(512);
        if index == 0 {
            self.head.role(&mut frame);
        }
        self.head.token(&mut frame, &self.answer.token(index), last.then_some(self.answer.finish));
        self.exchange.token();
        if last {
            if self.usage {
                self.head.usage(&mut frame, self.prompt_tokens, self.answer.tokens);
            }
            frame.push_str("data: [DONE]\n\n");
            self.exchange.computed();
            self.exchange.complete();
            self.events.close();
        }
        Some((Ok(frame), self))
    }
}
