//! A request's look into the cache: an answer, someone else's answer that is
//! on its way, or the duty to bring one.

use std::sync::Arc;

use axum::body::Body;
use http::{HeaderValue, Response, header};

use super::{
    Gateway,
    answer::{CacheNote, Note},
    asked::Asked,
    cache::{Hit, Key, ResponseCache},
    coalesce::{Coalescing, Follower, Publisher, Role as Joined, SharedHead},
    fleet::Route,
    metrics::CacheEnd,
};
use crate::lab::api::Role;

/// How often a request waits for another one's answer before it goes itself.
const FOLLOWS: u32 = 2;

/// What a look into the cache gave.
#[derive(Debug)]
pub(super) enum Looked {
    /// An answer.
    Answered(Response<Body>),
    /// The head of someone else's answer, and its rest.
    Along(Response<()>, Follower),
    /// Nothing. The publisher shares what comes, where that is wanted.
    Missed(Option<Publisher>, CacheNote),
}

/// Looks for an answer to `asked`.
pub(super) async fn look_up(gateway: &Gateway, asked: &Asked, route: &Route) -> Looked {
    let Some(cache) = &gateway.cache else { return Looked::Missed(None, CacheNote::Absent) };
    let (Some(request), Some(version), false) = (&asked.key, &route.version, asked.bypass) else {
        gateway.metrics.cache(CacheEnd::Bypass);
        return Looked::Missed(None, CacheNote::Bypass);
    };
    let request: Arc<str> = request.as_str().into();
    let key = cache.key(version, route.role == Role::Canary, &request);
    let looked = if cache.coalesces() { join(gateway, cache, &key).await } else { alone(cache, &key).await };
    gateway.metrics.cache(match looked {
        Looked::Answered(_) => CacheEnd::Hit,
        Looked::Along(..) => CacheEnd::Collapsed,
        Looked::Missed(..) => CacheEnd::Miss,
    });
    looked
}

/// The cache, or else upstream, whoever else is on the way.
async fn alone(cache: &ResponseCache, key: &Key) -> Looked {
    match cache.get(key) {
        Some(hit) => Looked::Answered(replay(&hit).await),
        None => Looked::Missed(Some(Publisher::alone(key.clone())), CacheNote::Miss { stored: false }),
    }
}

/// The cache, or else whoever is on the way, or else upstream.
async fn join(gateway: &Gateway, cache: &ResponseCache, key: &Key) -> Looked {
    for _ in 0..FOLLOWS {
        if let Some(hit) = cache.get(key) {
            return Looked::Answered(replay(&hit).await);
        }
        match Coalescing::join(&gateway.coalescing, key) {
            Joined::Leader(publisher) => {
                // The last answer may have been stored in between.
                return match cache.get(key) {
                    Some(hit) => Looked::Answered(replay(&hit).await),
                    None => Looked::Missed(Some(publisher), CacheNote::Miss { stored: false }),
                };
            }
            Joined::Follower(mut follower) => {
                if let Ok(head) = follower.head().await {
                    return Looked::Along(head_along(head), follower);
                }
            }
        }
    }
    alone(cache, key).await
}

/// An answer from the cache.
async fn replay(Hit { entry, age, ttl, takes }: &Hit) -> Response<Body> {
    if !takes.is_zero() {
        tokio::time::sleep(*takes).await;
    }
    let mut response = Response::new(Body::from(entry.body.clone()));
    let headers = response.headers_mut();
    if let Some(kind) = &entry.content_type {
        headers.insert(header::CONTENT_TYPE, kind.clone());
    }
    headers.insert(header::AGE, HeaderValue::from(*age));
    let note = Note {
        cache: CacheNote::Hit { ttl: *ttl },
        attempts: 0,
        fallback: false,
        version: Some(entry.version.clone()),
        pod: None,
    };
    note.sign(headers);
    response
}

/// The head of an answer that is read along.
fn head_along(head: SharedHead) -> Response<()> {
    let mut response = Response::new(());
    if let Some(kind) = head.content_type {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    let note = Note {
        cache: CacheNote::Collapsed,
        attempts: 0,
        fallback: head.fallback,
        version: Some(head.version),
        pod: Some(head.pod),
    };
    note.sign(response.headers_mut());
    response
}
