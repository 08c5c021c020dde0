//! The way to the proxy's admin API: through the API server, which knows who
//! asks, and offered here on loopback for as long as the run goes on.

use std::net::{Ipv4Addr, SocketAddr};

use axum::{
    Router,
    body::{Bytes, to_bytes},
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::objects::ADMIN;
use crate::{
    chaos::proxy::api::TOKEN_HEADER,
    cluster::{Cluster, ClusterError, through},
};

/// Bodies are small.
const LARGEST: usize = 1 << 20;

/// A way that is open. Dropping it closes it.
#[derive(Debug)]
pub(super) struct Way {
    /// Where it is offered.
    pub(super) at: SocketAddr,
    server: JoinHandle<()>,
}

impl Drop for Way {
    fn drop(&mut self) {
        self.server.abort();
    }
}

#[derive(Clone)]
struct To {
    cluster: Cluster,
    /// The pod's path at the API server.
    path: String,
    token: String,
}

/// Opens the way to a pod's admin API.
pub(super) async fn open(
    cluster: Cluster,
    namespace: &str,
    pod: &str,
    token: &str,
) -> Result<Way, ClusterError> {
    let path = through::path(namespace, pod, ADMIN);
    let unfit = |error: std::io::Error| ClusterError::Unfit(format!("listen on loopback: {error}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(unfit)?;
    let at = listener.local_addr().map_err(unfit)?;
    let router = Router::new().fallback(forward).with_state(To { cluster, path, token: token.to_owned() });
    let server = tokio::spawn(async move {
        // It ends with the run, and what it can't do is said to who asks.
        let _ = axum::serve(listener, router).await;
    });
    Ok(Way { at, server })
}

async fn forward(State(to): State<To>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LARGEST).await.unwrap_or_default();
    match ask(&to, &head, body).await {
        Ok(text) => text.into_response(),
        Err(kube::Error::Api(status)) => {
            let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::BAD_GATEWAY);
            (code, status.message).into_response()
        }
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}

async fn ask(to: &To, head: &axum::http::request::Parts, body: Bytes) -> Result<String, kube::Error> {
    let mut request = http::Request::builder()
        .method(head.method.clone())
        .uri(format!("{}{}", to.path, head.uri.path()))
        .header(TOKEN_HEADER, &to.token);
    for (name, value) in head.headers.iter().filter(|(name, _)| *name == "content-type") {
        request = request.header(name, value);
    }
    let request = request.body(body.to_vec()).map_err(kube::Error::HttpError)?;
    to.cluster.client().request_text(request).await
}
