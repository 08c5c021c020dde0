//! From a request that was let in to its answer: through the engine, and in
//! the form of its API.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use tokio::sync::mpsc;

use super::{
    Shared,
    answer::{self, Answer, Finish},
    driver::{Command, Event},
    embeddings::Texts,
    exchange::Exchange,
    hash,
    http::{DEFECT_SHARE, refuse},
    mix, openai, responses,
    sim::{Engine, Prompt},
};
use crate::lab::config::VersionDefect;

/// Whose form an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Api {
    /// Chat completions.
    Chat,
    /// Completions.
    Completions,
    /// Responses.
    Responses,
}

/// An answer's form.
#[derive(Debug)]
enum Form {
    Openai(openai::Head),
    Responses(responses::Head),
}

impl Form {
    fn new(api: Api, id: u64, model: &str, version: &str) -> Self {
        match api {
            Api::Chat => Self::Openai(openai::Head::new(openai::Kind::Chat, id, model, version)),
            Api::Completions => Self::Openai(openai::Head::new(openai::Kind::Completion, id, model, version)),
            Api::Responses => Self::Responses(responses::Head::new(id, model)),
        }
    }

    fn begin(&mut self, out: &mut String) {
        match self {
            Self::Openai(head) => head.role(out),
            Self::Responses(head) => head.begin(out),
        }
    }

    fn token(&mut self, out: &mut String, text: &str, finish: Option<Finish>) {
        match self {
            Self::Openai(head) => head.token(out, text, finish),
            Self::Responses(head) => head.token(out, text),
        }
    }

    fn end(&mut self, out: &mut String, answer: &Answer, prompt: u32, usage: bool) {
        match self {
            Self::Openai(head) => {
                if usage {
                    head.usage(out, prompt, answer.tokens);
                }
                out.push_str("data: [DONE]\n\n");
            }
            Self::Responses(head) => head.end(out, answer, prompt),
        }
    }

    fn whole(&self, answer: &Answer, prompt: u32) -> Bytes {
        match self {
            Self::Openai(head) => head.whole(answer, prompt),
            Self::Responses(head) => head.whole(answer, prompt),
        }
    }
}

/// A request that is in the engine, with its first token.
struct Running {
    id: u64,
    prompt_tokens: u32,
    first: Event,
    events: mpsc::UnboundedReceiver<Event>,
}

/// Puts a prompt into the engine and waits for the first token.
async fn submit(
    shared: &Shared,
    exchange: &mut Exchange,
    tokens: &[u64],
    (output, finish): (u32, Finish),
) -> Result<Running, Response> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let prompt = Prompt::new(tokens);
    let prompt_tokens = prompt.tokens();
    let longest = Engine::max_model_len(&shared.timing.limits());
    if prompt_tokens.saturating_add(output) > longest {
        let why = format!("{prompt_tokens} prompt and {output} output tokens exceed the model's {longest}");
        return Err(refuse(exchange, StatusCode::BAD_REQUEST, "invalid_request_error", &why));
    }
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let (to, mut events) = mpsc::unbounded_channel();
    exchange.submitted(id);
    let submit = Command::Submit { id, prompt, tokens: output, finish, to };
    let first = if shared.engine.send(submit).is_ok() { events.recv().await } else { None };
    match first {
        Some(first @ Event::Token { .. }) => Ok(Running { id, prompt_tokens, first, events }),
        Some(Event::Rejected) => {
            exchange.computed();
            let status = StatusCode::TOO_MANY_REQUESTS;
            let mut response = refuse(exchange, status, "rate_limit_error", "the queue is full");
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
            Err(response)
        }
        None => {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            Err(refuse(exchange, status, "internal_error", "the engine is gone"))
        }
    }
}

/// Puts the request through the engine and answers as it asked.
pub(super) async fn generate(
    shared: Arc<Shared>,
    mut exchange: Exchange,
    asked: &openai::Asked,
    api: Api,
) -> Response {
    let prompt = asked.prompt.iter().fold(0, |hash, token| mix(hash ^ token));
    let answer = shared.voice.answer(answer::Asked {
        prompt: asked.temperature.map_or(prompt, |temperature| mix(prompt ^ temperature.to_bits())),
        question: &asked.question,
        max_tokens: asked.max_tokens,
        ignore_eos: asked.ignore_eos,
    });
    let length = (answer.tokens, answer.finish);
    let Running { id, prompt_tokens, first, events } =
        match submit(&shared, &mut exchange, &asked.prompt, length).await {
            Ok(running) => running,
            Err(refusal) => return refusal,
        };
    let id = mix(hash(shared.config.pod.as_str()) ^ id);
    let form = Form::new(
        api,
        id,
        shared.config.named.as_deref().unwrap_or(&asked.model),
        shared.config.version.as_str(),
    );
    exchange.status(StatusCode::OK);
    if asked.stream {
        let cut = cut(&shared, answer.tokens);
        let usage = asked.usage;
        let stream = Stream { exchange, events, form, answer, prompt_tokens, usage, cut, next: Some(first) };
        let headers =
            [(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")];
        (headers, Body::from_stream(futures::stream::unfold(stream, Stream::frame))).into_response()
    } else {
        to_the_end(&mut exchange, events, first).await;
        json(form.whole(&answer, prompt_tokens))
    }
}

/// Puts texts through the engine, which has to read them, and gives their
/// vectors.
pub(super) async fn embeddings(shared: Arc<Shared>, mut exchange: Exchange, texts: &Texts) -> Response {
    match submit(&shared, &mut exchange, &texts.tokens(), (1, Finish::Length)).await {
        Ok(Running { prompt_tokens, first, events, .. }) => {
            exchange.status(StatusCode::OK);
            to_the_end(&mut exchange, events, first).await;
            json(texts.answer(&shared.voice, prompt_tokens))
        }
        Err(refusal) => refusal,
    }
}

fn json(body: Bytes) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

/// Waits for all tokens.
async fn to_the_end(exchange: &mut Exchange, mut events: mpsc::UnboundedReceiver<Event>, first: Event) {
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
    form: Form,
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
            self.form.begin(&mut frame);
        }
        let finish = last.then_some(self.answer.finish);
        self.form.token(&mut frame, &self.answer.token(index), finish);
        self.exchange.token();
        if last {
            self.form.end(&mut frame, &self.answer, self.prompt_tokens, self.usage);
            self.exchange.computed();
            self.exchange.complete();
            self.events.close();
        }
        Some((Ok(frame), self))
    }
}
