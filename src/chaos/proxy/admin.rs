//! The admin API.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::{get, put},
};
use indexmap::IndexMap;

use super::{
    api::{LinkStatus, NewLink, NewToxic, TOKEN_HEADER, ToxicStatus},
    link::Link,
};

/// All links by name.
#[derive(Debug, Clone, Default)]
struct Links(Arc<Mutex<IndexMap<String, Arc<Link>>>>);

impl Links {
    fn with<T>(&self, act: impl FnOnce(&mut IndexMap<String, Arc<Link>>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn get(&self, name: &str) -> Result<Arc<Link>, Refused> {
        self.with(|links| links.get(name).cloned()).ok_or_else(|| Refused::no_link(name))
    }
}

/// Why a request was not done.
#[derive(Debug)]
struct Refused(StatusCode, String);

impl Refused {
    fn no_link(name: &str) -> Self {
        Self(StatusCode::NOT_FOUND, format!("no link `{name}`"))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(serde_json::json!({ "error": self.1 }))).into_response()
    }
}

/// The API over links that it owns.
pub(super) fn router() -> Router {
    over(Links::default())
}

/// The same with links that are there from the start, for those only who
/// carry the token, if there is one.
pub(super) fn with_links(all: Vec<Arc<Link>>, token: Option<String>) -> Router {
    let links = Links::default();
    for link in all {
        links.with(|links| links.insert(link.status().name, link));
    }
    let router = over(links);
    let Some(token) = token else { return router };
    router.layer(from_fn(move |request: Request, next: Next| {
        let right =
            request.headers().get(TOKEN_HEADER).is_some_and(|given| given.as_bytes() == token.as_bytes());
        async move { if right { next.run(request).await } else { StatusCode::UNAUTHORIZED.into_response() } }
    }))
}

fn over(links: Links) -> Router {
    Router::new()
        .route("/links", get(list).post(open))
        .route("/links/{name}", get(show).delete(close))
        .route("/links/{name}/toxics/{id}", put(poison).delete(cure))
        .with_state(links)
}

async fn list(State(links): State<Links>) -> Json<Vec<LinkStatus>> {
    Json(links.with(|links| links.values().map(|link| link.status()).collect()))
}

async fn open(State(links): State<Links>, Json(new): Json<NewLink>) -> Result<Json<LinkStatus>, Refused> {
    let name = new.name.clone();
    let taken = || Refused(StatusCode::CONFLICT, format!("a link `{name}` exists"));
    if links.get(&name).is_ok() {
        return Err(taken());
    }
    let link = Link::open(new)
        .await
        .map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let status = link.status();
    let lost = links.with(|links| {
        if links.contains_key(&name) {
            return Some(link);
        }
        links.insert(name.clone(), link);
        None
    });
    match lost {
        None => Ok(Json(status)),
        Some(link) => {
            link.close();
            Err(taken())
        }
    }
}

async fn show(State(links): State<Links>, Path(name): Path<String>) -> Result<Json<LinkStatus>, Refused> {
    links.get(&name).map(|link| Json(link.status()))
}

async fn close(State(links): State<Links>, Path(name): Path<String>) -> Result<Json<LinkStatus>, Refused> {
    let link = links.with(|links| links.shift_remove(&name)).ok_or_else(|| Refused::no_link(&name))?;
    link.close();
    Ok(Json(link.status()))
}

async fn poison(
    State(links): State<Links>,
    Path((name, id)): Path<(String, String)>,
    Json(toxic): Json<NewToxic>,
) -> Result<Json<ToxicStatus>, Refused> {
    Ok(Json(links.get(&name)?.put(&id, toxic)))
}

async fn cure(
    State(links): State<Links>,
    Path((name, id)): Path<(String, String)>,
) -> Result<Json<ToxicStatus>, Refused> {
    let gone = links.get(&name)?.take_back(&id);
    gone.map(Json).ok_or_else(|| Refused(StatusCode::NOT_FOUND, format!("no toxic `{id}` on `{name}`")))
}
