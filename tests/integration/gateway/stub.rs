//! An upstream whose misbehaviour the test commands, chunk by chunk, which a
//! real replica would only show by chance.

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    response::Response,
    routing::post,
};
use firedrill::lab::api::{Role, Upstream};
use http::{HeaderMap, StatusCode};
use tokio::{net::TcpListener, sync::Semaphore, task::AbortHandle};

/// What an upstream does with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Act {
    /// Answers all of it.
    Answer,
    /// Answers with this status.
    Status(u16),
    /// Never answers.
    Hang,
    /// Breaks the connection after so many tokens.
    Break(usize),
    /// Ends the body cleanly after so many tokens.
    EndEarly(usize),
}

#[derive(Debug)]
struct Inner {
    pod: String,
    version: String,
    act: Mutex<Act>,
    // One permit a token.
    gate: Semaphore,
    requests: AtomicU32,
    open: AtomicU32,
    ids: Mutex<Vec<String>>,
}

/// An upstream.
#[derive(Debug)]
pub(super) struct Stub {
    inner: Arc<Inner>,
    address: SocketAddr,
    role: Role,
    server: AbortHandle,
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// How many tokens an answer has.
const TOKENS: usize = 4;

impl Stub {
    /// Starts one that answers.
    pub(super) async fn start(pod: &str, version: &str, role: Role) -> Self {
        let inner = Arc::new(Inner {
            pod: pod.to_owned(),
            version: version.to_owned(),
            act: Mutex::new(Act::Answer),
            gate: Semaphore::new(1_000_000),
            requests: AtomicU32::new(0),
            open: AtomicU32::new(0),
            ids: Mutex::default(),
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/v1/chat/completions", post(chat)).with_state(Arc::clone(&inner));
        let server = tokio::spawn(async move { axum::serve(listener, router).await }).abort_handle();
        Self { inner, address, role, server }
    }

    /// As the controller would name it.
    pub(super) fn upstream(&self) -> Upstream {
        Upstream {
            pod: self.inner.pod.as_str().into(),
            address: self.address,
            version: self.inner.version.as_str().into(),
            role: self.role,
        }
    }

    /// What it does from now on.
    pub(super) fn set(&self, act: Act) {
        *self.inner.act.lock().expect("no panic") = act;
    }

    /// Tokens come only as the test lets them.
    pub(super) fn hold(&self) {
        self.inner.gate.forget_permits(usize::MAX);
    }

    /// Lets so many tokens come.
    pub(super) fn release(&self, tokens: usize) {
        self.inner.gate.add_permits(tokens);
    }

    /// Requests that reached it.
    pub(super) fn requests(&self) -> u32 {
        self.inner.requests.load(Ordering::SeqCst)
    }

    /// Requests that it works on.
    pub(super) fn open(&self) -> u32 {
        self.inner.open.load(Ordering::SeqCst)
    }

    /// The requests' ids.
    pub(super) fn ids(&self) -> Vec<String> {
        self.inner.ids.lock().expect("no panic").clone()
    }
}

/// Open until it is dropped, however the request ends.
struct Open(Arc<Inner>);

impl Open {
    fn new(inner: &Arc<Inner>) -> Self {
        inner.open.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(inner))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn chat(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: Bytes) -> Response {
    let open = Open::new(&inner);
    inner.requests.fetch_add(1, Ordering::SeqCst);
    if let Some(id) = headers.get("x-request-id") {
        inner.ids.lock().expect("no panic").push(id.to_str().expect("text").to_owned());
    }
    let act = *inner.act.lock().expect("no panic");
    let builder = Response::builder().header("x-model-version", &inner.version);
    let last = match act {
        Act::Status(status) => {
            let status = StatusCode::from_u16(status).expect("a status");
            return builder.status(status).body(Body::from("{\"error\":{}}")).expect("a response");
        }
        Act::Hang => {
            std::future::pending::<()>().await;
            0
        }
        Act::Answer => TOKENS + 1,
        Act::Break(after) | Act::EndEarly(after) => after,
    };
    let chat: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let prompt = chat["messages"][0]["content"].as_str().expect("text").to_owned();
    if chat["stream"] != true {
        let text = format!("{} says {prompt}", inner.version);
        let answer = serde_json::json!({
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
        });
        return builder
            .header("content-type", "application/json")
            .body(Body::from(answer.to_string()))
            .expect("a response");
    }
    let chunks = futures::stream::unfold((0, open), move |(at, open)| {
        let prompt = prompt.clone();
        async move {
            if at == last {
                let broken = matches!(act, Act::Break(_));
                // What was said before is sent first.
                tokio::task::yield_now().await;
                return broken.then(|| (Err(std::io::Error::other("as commanded")), (at + 1, open)));
            }
            if at > last || at > TOKENS {
                return None;
            }
            open.0.gate.acquire().await.expect("never closed").forget();
            let event = |delta: serde_json::Value, finish: Option<&str>| {
                let choices = serde_json::json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
                format!("data: {}\n\n", serde_json::json!({"choices": choices}))
            };
            let text = if at < TOKENS {
                event(serde_json::json!({"content": format!("{} says {prompt} {at};", open.0.version)}), None)
            } else {
                event(serde_json::json!({}), Some("stop")) + "data: [DONE]\n\n"
            };
            Some((Ok(text), (at + 1, open)))
        }
    });
    builder.header("content-type", "text/event-stream").body(Body::from_stream(chunks)).expect("a response")
}
