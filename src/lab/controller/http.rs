//! The controller's API.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use http::StatusCode;
use serde::Deserialize;
use tokio::sync::oneshot;

use super::{
    fleet::Controller,
    pod::{Done, Order},
    rollout,
};
use crate::{
    lab::api::{DeployRequest, PodStatus, RolloutStatus, Slowdown},
    units::PodName,
};

/// Kubernetes' default between SIGTERM and SIGKILL.
const DEFAULT_GRACE_SECONDS: u64 = 30;

/// Why a request was not done.
#[derive(Debug)]
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(serde_json::json!({ "error": self.1 }))).into_response()
    }
}

type Answer<T> = Result<Json<T>, Refused>;
type Fleet = State<Arc<Controller>>;

/// All routes.
pub(super) fn router(controller: Arc<Controller>) -> Router {
    Router::new()
        .route("/pods", get(list))
        .route("/pods/{name}", get(show).delete(delete))
        .route("/pods/{name}/kill-container", post(kill_container))
        .route("/pods/{name}/failure", put(fail).delete(recover))
        .route("/pods/{name}/slowdown", put(slow))
        .route("/deploy", post(deploy))
        .route("/rollout", get(rollout_status))
        .with_state(controller)
}

async fn list(State(controller): Fleet) -> Json<Vec<PodStatus>> {
    Json(controller.pods())
}

async fn show(State(controller): Fleet, Path(name): Path<PodName>) -> Answer<PodStatus> {
    controller.pod(&name).map(Json).ok_or_else(|| no_pod(&name))
}

fn no_pod(name: &PodName) -> Refused {
    Refused(StatusCode::NOT_FOUND, format!("no pod `{name}`"))
}

/// Gives an order and waits until it is done; answers with the pod as it is
/// then (or was, if it is gone).
async fn order(
    controller: &Controller,
    name: &PodName,
    order: impl FnOnce(Done) -> Order,
) -> Answer<PodStatus> {
    let orders = controller.orders(name).ok_or_else(|| no_pod(name))?;
    let (done, result) = oneshot::channel();
    orders.send(order(done)).await.map_err(|_| no_pod(name))?;
    match result.await {
        Ok(Ok(())) => controller.pod(name).map(Json).ok_or_else(|| no_pod(name)),
        Ok(Err(why)) => Err(Refused(StatusCode::CONFLICT, why)),
        // It died before it could obey.
        Err(_) => Err(Refused(StatusCode::GONE, format!("pod `{name}` is gone"))),
    }
}

#[derive(Debug, Deserialize)]
struct Grace {
    grace_period_seconds: Option<u64>,
}

async fn delete(
    State(controller): Fleet,
    Path(name): Path<PodName>,
    Query(grace): Query<Grace>,
) -> Answer<PodStatus> {
    let grace = Duration::from_secs(grace.grace_period_seconds.unwrap_or(DEFAULT_GRACE_SECONDS));
    order(&controller, &name, |done| Order::Delete { grace, replace: true, done }).await
}

async fn kill_container(State(controller): Fleet, Path(name): Path<PodName>) -> Answer<PodStatus> {
    order(&controller, &name, Order::KillContainer).await
}

async fn fail(State(controller): Fleet, Path(name): Path<PodName>) -> Answer<PodStatus> {
    order(&controller, &name, Order::Fail).await
}

async fn recover(State(controller): Fleet, Path(name): Path<PodName>) -> Answer<PodStatus> {
    order(&controller, &name, Order::Recover).await
}

async fn slow(
    State(controller): Fleet,
    Path(name): Path<PodName>,
    Json(slowdown): Json<Slowdown>,
) -> Answer<PodStatus> {
    if !(slowdown.factor.is_finite() && slowdown.factor > 0.0) {
        return Err(Refused(StatusCode::BAD_REQUEST, "`factor` must be a positive number".to_owned()));
    }
    order(&controller, &name, |done| Order::Slow(slowdown, done)).await
}

async fn deploy(State(controller): Fleet, Json(request): Json<DeployRequest>) -> Answer<RolloutStatus> {
    rollout::start(&controller, request).map(Json).map_err(|why| Refused(StatusCode::CONFLICT, why))
}

async fn rollout_status(State(controller): Fleet) -> Json<RolloutStatus> {
    Json(controller.state().rollout.clone())
}
