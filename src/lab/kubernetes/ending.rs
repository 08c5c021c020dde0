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
    tracing::info!(port, "listening");
    let told = async move {
        terminate.recv().await;
        tracing::info!(?drain, "told to end");
    };
    serve_until(listener, router, told, move || tokio::time::sleep(drain)).await.map_err(failed)?;
    tracing::info!("ended");
    Ok(())
}

/// Serves until it is `told` to end and then until it has `drained`, which
/// begins then; what is open in the end is finished.
async fn serve_until<D: Future<Output = ()> + Send>(
    listener: TcpListener,
    router: Router,
    told: impl Future<Output = ()> + Send + 'static,
    drained: impl FnOnce() -> D + Send + 'static,
) -> io::Result<()> {
    // Chunks are small and must not wait for each other.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let ending = Arc::new(AtomicBool::new(false));
    let router = router.layer(middleware::from_fn_with_state(Arc::clone(&ending), say_so));
    let last = async move {
        told.await;
        ending.store(true, Ordering::Relaxed);
        drained().await;
    };
    axum::serve(listener, router).with_graceful_shutdown(last).await
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

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::sync::{Notify, Semaphore, oneshot};

    use super::*;

    async fn ended(signal: oneshot::Receiver<()>) {
        // The sender may just be dropped.
        let _ = signal.await;
    }

    #[tokio::test]
    async fn told_to_end_it_says_so_and_finishes_what_it_began() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (entered, go_on) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        let (inside, wait) = (Arc::clone(&entered), Arc::clone(&go_on));
        let slow = move || {
            let (inside, wait) = (Arc::clone(&inside), Arc::clone(&wait));
            async move {
                inside.notify_one();
                wait.acquire().await.expect("it is open").forget();
                "done"
            }
        };
        let router = Router::new().route("/slow", get(slow)).route("/ready", get(|| async { "ready" }));
        let ((tell, told), (drain, drained)) = (oneshot::channel(), oneshot::channel());
        let server = tokio::spawn(serve_until(listener, router, ended(told), move || ended(drained)));
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let probe = async || http.get(format!("{url}/ready")).send().await.expect("an answer");
        assert_eq!(probe().await.status(), 200);
        let open = tokio::spawn(http.get(format!("{url}/slow")).send());
        entered.notified().await;

        tell.send(()).expect("it listens");
        while probe().await.status() != 503 {
            tokio::task::yield_now().await;
        }
        // Not ready, it still serves, on connections that end.
        let second = tokio::spawn(http.get(format!("{url}/slow")).send());
        entered.notified().await;
        drain.send(()).expect("it listens");
        while reqwest::get(format!("{url}/ready")).await.is_ok() {
            tokio::task::yield_now().await;
        }
        go_on.add_permits(2);
        let first = open.await.expect("no panic").expect("it is finished");
        let second = second.await.expect("no panic").expect("it is finished");
        assert_eq!((first.status(), second.status()), (StatusCode::OK, StatusCode::OK));
        assert_eq!(second.headers()[header::CONNECTION], "close");
        server.await.expect("no panic").expect("it ends by itself");
    }
}
