//! What the controller tells the gateway, and what the gateway tells about
//! itself.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    response::IntoResponse,
    routing::{any, get},
};
use http::{StatusCode, header};

use super::{Gateway, metrics::Text, proxy};
use crate::lab::api::{Routing, Upstream, UpstreamStatus};

/// All routes.
pub(super) fn router(gateway: Arc<Gateway>) -> Router {
    Router::new()
        .route("/v1/{*path}", any(proxy::serve))
        .route("/v2/{*path}", any(proxy::serve))
        .route("/predict", any(proxy::serve))
        .route("/act", any(proxy::serve))
        .route("/health", get(|| async { "alive" }))
        .route("/metrics", get(metrics))
        .route("/admin/upstreams", get(upstreams).put(set_upstreams))
        .route("/admin/routing", get(routing).put(set_routing))
        .with_state(gateway)
}

async fn upstreams(State(gateway): State<Arc<Gateway>>) -> Json<Vec<UpstreamStatus>> {
    Json(gateway.fleet.status())
}

async fn set_upstreams(State(gateway): State<Arc<Gateway>>, Json(list): Json<Vec<Upstream>>) -> StatusCode {
    let pods = list.iter().map(|upstream| upstream.pod.as_str()).collect::<Vec<_>>().join(" ");
    tracing::info!(pods, "upstreams");
    gateway.fleet.replace(list);
    StatusCode::NO_CONTENT
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
    tracing::info!(stable = %routing.stable, weight = routing.canary_weight, purge = ?routing.purge, "routing");
    let purge = routing.purge.clone();
    // First no more requests for them, then no more answers.
    gateway.fleet.set_routing(routing);
    if let Some(cache) = &gateway.cache {
        purge.iter().for_each(|version| cache.purge(version));
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn metrics(State(gateway): State<Arc<Gateway>>) -> impl IntoResponse {
    let mut text = Text::default();
    gateway.metrics.render(&mut text, gateway.cache.is_some());
    gateway.fleet.render(&mut text);
    text.family("gateway_in_flight", "gauge", "Requests that are upstream, or on their way there.");
    text.sample("gateway_in_flight", &[], gateway.limits.in_flight());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text.finish())
}
