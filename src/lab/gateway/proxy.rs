//! One client request from its arrival to its answer: route, cache, limits,
//! upstreams.

use std::sync::{Arc, PoisonError};

use axum::{body::Body, extract::State};
use http::{Request, Response, StatusCode, header};
use rand::RngExt as _;

use super::{
    Gateway,
    answer::{CacheNote, Note, Refusal, refuse},
    asked::{Asked, HOP_BY_HOP, Unread},
    attempt::Begun,
    coalesce::{Publisher, SharedHead},
    fleet::Route,
    forward::{Tally, forward},
    lookup::{Looked, look_up},
    metrics::{RequestEnd, add},
    relay::{Account, Flow, Relay, Store, Tee, along},
    shed::Slot,
};
use crate::{lab::api::Upstream, units::Version};

/// Answers a request to a model.
pub(super) async fn serve(State(gateway): State<Arc<Gateway>>, request: Request<Body>) -> Response<Body> {
    let mut account = Account::open(&gateway.metrics);
    let asked = match Asked::read(request).await {
        Ok(asked) => asked,
        Err(unread) => {
            account.end(RequestEnd::Error);
            let status = match unread {
                Unread::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
                Unread::BrokeOff => StatusCode::BAD_REQUEST,
            };
            let note = Note::of_none(CacheNote::Absent, 0);
            return refuse(Refusal::BadRequest(status), &unread.to_string(), &note);
        }
    };
    let lot = gateway.chance.lock().unwrap_or_else(PoisonError::into_inner).random();
    let route = gateway.fleet.route(lot);
    match look_up(&gateway, &asked, &route).await {
        Looked::Answered(response) => {
            account.end(RequestEnd::Ok);
            response
        }
        Looked::Along(head, follower) => head.map(|()| Body::from_stream(along(follower, account))),
        Looked::Missed(publisher, cache) => {
            Miss { gateway, route, publisher, cache, account }.answer(&asked).await
        }
    }
}

/// A request that the cache can't answer.
struct Miss {
    gateway: Arc<Gateway>,
    route: Route,
    publisher: Option<Publisher>,
    cache: CacheNote,
    account: Account,
}

impl Miss {
    /// Goes upstream, if the limits allow.
    async fn answer(self, asked: &Asked) -> Response<Body> {
        let gateway = Arc::clone(&self.gateway);
        let slot = match gateway.limits.admit().await {
            Ok(slot) => slot,
            Err(refusal) => return self.shed(refusal),
        };
        let mut tally = Tally::default();
        match forward(&gateway, asked, self.route.role, &mut tally).await {
            Some(begun) => self.pass_on(begun, &tally, slot),
            None => {
                if tally.refusal() == Refusal::BreakersOpen {
                    tokio::time::sleep(gateway.fleet.rejects_after()).await;
                }
                self.fail(&tally)
            }
        }
    }

    fn shed(mut self, refusal: Refusal) -> Response<Body> {
        add(&self.gateway.metrics.shed);
        self.account.end(RequestEnd::Shed);
        let why = match refusal {
            Refusal::Unmarked => "internal error",
            _ => "too many requests, try again in a second",
        };
        refuse(refusal, why, &Note::of_none(self.not_forwarded(), 0))
    }

    fn fail(mut self, tally: &Tally) -> Response<Body> {
        let refusal = tally.refusal();
        let rejected = refusal == Refusal::BreakersOpen;
        self.account.end(if rejected { RequestEnd::Rejected } else { RequestEnd::Error });
        let cache = if tally.attempts == 0 { self.not_forwarded() } else { self.cache };
        refuse(refusal, &tally.why(), &Note::of_none(cache, tally.attempts))
    }

    fn not_forwarded(&self) -> CacheNote {
        match self.cache {
            CacheNote::Absent => CacheNote::Absent,
            _ => CacheNote::NotForwarded,
        }
    }

    /// The answer of an upstream, as it comes.
    fn pass_on(self, begun: Begun, tally: &Tally, slot: Slot) -> Response<Body> {
        let Begun { mut head, upstream, body: pull } = begun;
        let version = version_of(&head, &upstream);
        for name in HOP_BY_HOP {
            head.headers.remove(name);
        }
        let content_type = head.headers.get(header::CONTENT_TYPE).cloned();
        let is_answer = head.status == StatusCode::OK;
        // A fallback's answer is better than none, and worse than the model's;
        // and a request may have ended at another version than it was for.
        let storable = is_answer && !tally.fallback && self.route.version.as_ref() == Some(&version);
        let mut cache = self.cache;
        let mut tee = None;
        if let Some(publisher) = self.publisher.filter(|_| is_answer) {
            publisher.head(SharedHead {
                content_type: content_type.clone(),
                version: version.clone(),
                pod: upstream.pod.clone(),
                fallback: tally.fallback,
            });
            let of = |cache| Store { cache, content_type, version: version.clone() };
            let store = self.gateway.cache.clone().filter(|_| storable).map(of);
            cache = CacheNote::Miss { stored: store.is_some() };
            tee = Some(Tee { publisher, store });
        }
        let end = match head.status {
            StatusCode::TOO_MANY_REQUESTS => RequestEnd::Shed,
            status if status.is_client_error() => RequestEnd::Error,
            _ => RequestEnd::Ok,
        };
        let relay = Relay::new(Flow::new(pull, tee, slot), self.account, end);
        let mut response = Response::from_parts(head, Body::new(relay));
        let note = Note {
            cache,
            attempts: tally.attempts,
            fallback: tally.fallback,
            version: Some(version),
            pod: Some(upstream.pod.clone()),
        };
        note.sign(response.headers_mut());
        response
    }
}

/// The version that answers: what it says itself, or else what the
/// controller says of it.
fn version_of(head: &http::response::Parts, upstream: &Upstream) -> Version {
    let said = head.headers.get("x-model-version").and_then(|version| version.to_str().ok());
    said.map_or_else(|| upstream.version.clone(), Version::new)
}
