//! The gateway's own words on an answer: who gave it, what the cache did, how
//! many attempts it took; and its own error answers.

use axum::body::Body;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::json;

use crate::units::{PodName, Version};

/// The name of the cache in `Cache-Status` (RFC 9211).
const CACHE: &str = "firedrill-lab";
/// What a client that was turned away should wait, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// What the cache did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CacheNote {
    /// There is none.
    Absent,
    /// It answered; the answer stays fresh for so many seconds.
    Hit {
        /// s; below 0 it is stale.
        ttl: i64,
    },
    /// It had nothing. `stored`: it will have, once the answer is whole.
    Miss {
        /// Whether.
        stored: bool,
    },
    /// It let the request share the answer to another one.
    Collapsed,
    /// It was not asked.
    Bypass,
    /// It had nothing, and the request was not sent on.
    NotForwarded,
}

impl CacheNote {
    fn value(self) -> Option<String> {
        Some(match self {
            Self::Absent => return None,
            Self::Hit { ttl } => format!("{CACHE}; hit; ttl={ttl}"),
            Self::Miss { stored: true } => format!("{CACHE}; fwd=uri-miss; stored"),
            Self::Miss { stored: false } => format!("{CACHE}; fwd=uri-miss"),
            Self::Collapsed => format!("{CACHE}; fwd=uri-miss; collapsed"),
            Self::Bypass => format!("{CACHE}; fwd=bypass"),
            Self::NotForwarded => format!("{CACHE}; detail=not-forwarded"),
        })
    }
}

/// What the headers of every answer say.
#[derive(Debug, Clone)]
pub(super) struct Note {
    /// What the cache did.
    pub(super) cache: CacheNote,
    /// Upstream attempts that this request caused.
    pub(super) attempts: u32,
    /// Whether a fallback gave it.
    pub(super) fallback: bool,
    /// The version that gave it.
    pub(super) version: Option<Version>,
    /// The pod that gave it to this request (none from the cache).
    pub(super) pod: Option<PodName>,
}

impl Note {
    /// Nobody answered.
    pub(super) fn of_none(cache: CacheNote, attempts: u32) -> Self {
        Self { cache, attempts, fallback: false, version: None, pod: None }
    }

    /// Writes it.
    pub(super) fn sign(&self, headers: &mut HeaderMap) {
        let texts = [
            ("x-model-version", self.version.as_ref().map(|version| version.to_string())),
            ("x-served-by", self.pod.as_ref().map(|pod| pod.to_string())),
            ("cache-status", self.cache.value()),
        ];
        for (name, text) in texts {
            let name = HeaderName::from_static(name);
            match text.map(HeaderValue::try_from) {
                Some(Ok(value)) => {
                    headers.insert(name, value);
                }
                Some(Err(_)) | None => {
                    headers.remove(name);
                }
            }
        }
        headers.insert("x-upstream-attempts", self.attempts.into());
        headers.insert("x-fallback", HeaderValue::from_static(if self.fallback { "true" } else { "false" }));
    }
}

/// Why the gateway itself refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The client's request can't be read.
    BadRequest(StatusCode),
    /// Too many requests are in flight.
    Overload,
    /// Too many requests a second.
    RateLimit,
    /// As overload, but it says nothing of it.
    Unmarked,
    /// All breakers are open.
    BreakersOpen,
    /// There are no upstreams.
    NoUpstream,
    /// An upstream was too slow.
    Timeout,
    /// Upstreams failed.
    BadGateway,
}

impl Refusal {
    /// The status.
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::BadRequest(status) => status,
            Self::Overload | Self::RateLimit => StatusCode::TOO_MANY_REQUESTS,
            Self::Unmarked => StatusCode::INTERNAL_SERVER_ERROR,
            Self::BreakersOpen | Self::NoUpstream => StatusCode::SERVICE_UNAVAILABLE,
            Self::Timeout => StatusCode::GATEWAY_TIMEOUT,
            Self::BadGateway => StatusCode::BAD_GATEWAY,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::BadRequest(_) => "invalid_request_error",
            Self::Overload | Self::RateLimit => "rate_limit_error",
            Self::Unmarked => "internal_error",
            Self::BreakersOpen | Self::NoUpstream => "service_unavailable",
            Self::Timeout | Self::BadGateway => "upstream_error",
        }
    }

    /// The marks by which a client can tell why.
    fn marks(self, headers: &mut HeaderMap) {
        match self {
            Self::Overload | Self::RateLimit => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
                let reason = if self == Self::Overload { "overload" } else { "rate" };
                headers.insert("x-ratelimit-reason", HeaderValue::from_static(reason));
            }
            Self::BreakersOpen => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER);
                headers.insert("x-circuit-breaker", HeaderValue::from_static("open"));
            }
            Self::BadRequest(_) | Self::Unmarked | Self::NoUpstream | Self::Timeout | Self::BadGateway => {}
        }
    }
}

/// An error answer in OpenAI's form.
pub(super) fn refuse(refusal: Refusal, message: &str, note: &Note) -> Response<Body> {
    let status = refusal.status();
    let body = json!({"error": {
        "message": message, "type": refusal.kind(), "param": null, "code": status.as_u16(),
    }});
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    refusal.marks(headers);
    note.sign(headers);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_from_the_cache_names_its_version_and_no_pod() {
        let mut headers = HeaderMap::new();
        headers.insert("x-served-by", HeaderValue::from_static("replica-1"));
        let note = Note {
            cache: CacheNote::Hit { ttl: 12 },
            attempts: 0,
            fallback: false,
            version: Some("v1".into()),
            pod: None,
        };
        note.sign(&mut headers);
        assert_eq!(headers["cache-status"], "firedrill-lab; hit; ttl=12");
        assert_eq!(headers["x-model-version"], "v1");
        assert_eq!(headers["x-upstream-attempts"], "0");
        assert!(!headers.contains_key("x-served-by"));
    }

    #[test]
    fn only_marked_refusals_are_marked() {
        let headers = |refusal| refuse(refusal, "", &Note::of_none(CacheNote::Absent, 0)).headers().clone();
        assert_eq!(headers(Refusal::Overload)["x-ratelimit-reason"], "overload");
        assert_eq!(headers(Refusal::BreakersOpen)["x-circuit-breaker"], "open");
        for refusal in [Refusal::Unmarked, Refusal::NoUpstream, Refusal::BadGateway] {
            assert!(!headers(refusal).contains_key("retry-after"), "{refusal:?}");
        }
        assert!(!headers(Refusal::Overload).contains_key("cache-status"));
    }
}
