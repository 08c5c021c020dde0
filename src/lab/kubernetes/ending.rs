//! How a server in a pod ends: told to (SIGTERM), it says that it is not
//! ready, goes on serving until nobody sends it anything, and finishes what
//! it began.

use std::{
    io,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    serve::ListenerExt as _,
};
use http::{HeaderValue, StatusCode, Version, header};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};

use super::PodError;

/// Serves on all addresses until SIGTERM, and `drain` longer.
pub(in crate::lab) async fn serve(port: u16, drain: Duration, router: Router) -> Result<(), PodError> {
    let failed = |source: io::Error| PodError::Serve { port, source };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await.map_err(failed)?;
    // Chunks are small and must not wait for each other.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let ending = Arc::new(AtomicBool::new(false));
    let router = router.layer(middleware::from_fn_with_state(Arc::clone(&ending), say_so));
    tracing::info!(port, "listening");
    let told = async move {
        terminate.recv().await;
        tracing::info!(?drain, "told to end");
        ending.store(true, Ordering::Relaxed);
        tokio::time::sleep(drain).await;
    };
    axum::serve(listener, router).with_graceful_shutdown(told).await.map_err(failed)?;
    tracing::info!("ended");
    Ok(())
}

/// Once the end is near, tells probes and clients, whose kept connections
/// would else break in the middle of their next request.
async fn say_so(State(ending): State<Arc<AtomicBool>>, request: Request, next: Next) -> Response {
    let is_probe = request.uri().path() == "/ready";
    let may_close = request.version() <= Version::HTTP_11;
    if is_probe && ending.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "ending").into_response();
    }
    let mut response = next.run(request).await;
    if may_close && ending.load(Ordering::Relaxed) {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
