//! What the controller (on a cluster: the API server) tells the gateway, and what the gateway tells about
//! itself.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    response::IntoResponse,
    routing::{any, get, put},
};
use http::{StatusCode, header};

use super::{Gateway, metrics::Text, proxy};
use crate::lab::api::{Routing, Upstream, UpstreamStatus};

/// All routes but those by which the controller tells something.
fn public(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/v1/{*path}", any(proxy::serve))
        .route("/v2/{*path}", any(proxy::serve))
        .route("/predict", any(proxy::serve))
        .route("/act", any(proxy::serve))
        .route("/health", get(|| async { "alive" }))
        .route("/metrics", get(metrics))
        .route("/admin/upstreams", get(upstreams))
        .route("/admin/routing", get(routing))
        .with_state(gateway)
}

/// All routes.
pub(super) fn router(gateway: Arc<Gateway>) -> Router {
    let told = Router::new()
        .route("/admin/upstreams", put(set_upstreams))
        .route("/admin/routing", put(set_routing))
        .with_state(Arc::clone(&gateway));
    public(gateway).merge(told)
}

/// The routes of a gateway in a pod, which nobody outside may tell anything.
pub(super) fn in_pod(gateway: Arc<Gateway>) -> Router {
    let probe = Router::new().route("/ready", get(ready)).with_state(Arc::clone(&gateway));
    public(gateway).merge(probe)
}

/// Ready once it knows whom to ask, and from then on: where all its replicas
/// are gone, it has something to say to its clients.
async fn ready(State(gateway): State<Arc<Gateway>>) -> (StatusCode, &'static str) {
    match gateway.fleet.routing() {
        Some(_) => (StatusCode::OK, "ready"),
        None => (StatusCode::SERVICE_UNAVAILABLE, "no replica was ready yet"),
    }
}

async fn upstreams(State(gateway): State<Arc<Gateway>>) -> Json<Vec<UpstreamStatus>> {
    Json(gateway.fleet.status())
}

async fn set_upstreams(State(gateway): State<Arc<Gateway>>, Json(list): Json<Vec<Upstream>>) -> StatusCode {
    take_upstreams(&gateway, list);
    StatusCode::NO_CONTENT
}

/// Replaces the list of upstreams.
pub(super) fn take_upstreams(gateway: &Gateway, list: Vec<Upstream>) {
    let pods = list.iter().map(|upstream| upstream.pod.as_str()).collect::<Vec<_>>().join(" ");
    tracing::info!(pods, "upstreams");
    gateway.fleet.replace(list);
}

async fn routing(State(gateway): State<Arc<Gateway>>) -> Result<Json<Routing>, StatusCode> {
    gateway.fleet.routing().map(Json).ok_or(StatusCode::NOT_FOUND)
}

async fn set_routing(
    State(gateway): State<Arc<Gateway>>,
    Json(routing): Json<Routing>,
) -> Result<StatusCode, (StatusCode, &'static str)> {
    if !(0.0..=1.0).contains(&routing.canary_weight) {
        return Err((StatusCode::BAD_REQUEST, "`canary_weight` must be between 0 and 1"));
    }
    take_routing(&gateway, routing);
    Ok(StatusCode::NO_CONTENT)
}

/// Takes over the split between versions.
pub(super) fn take_routing(gateway: &Gateway, routing: Routing) {
    tracing::info!(stable = %routing.stable, weight = routing.canary_weight, purge = ?routing.purge, "routing");
    let purge = routing.purge.clone();
    // First no more requests for them, then no more answers.
    gateway.fleet.set_routing(routing);
    if let Some(cache) = &gateway.cache {
        purge.iter().for_each(|version| cache.purge(version));
    }
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    let mut text = Text::default();
    gateway.metrics.render(&mut text, gateway.cache.is_some());
    gateway.fleet.render(&mut text);
    text.family("gateway_in_flight", "gauge", "Requests that are upstream, or on their way there.");
    text.sample("gateway_in_flight", &[], gateway.limits.in_flight());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.finish())
}
