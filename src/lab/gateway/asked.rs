//! A client's request as the gateway needs it: what is sent on, and what the
//! cache knows it by.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri, header};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use serde_json::{Map, Value};

use crate::lab::api::Upstream;

/// Prompts of a drill are small; anything else is a mistake.
const MAX_BODY: usize = 4 << 20;
/// What a model answers alike whenever it is asked.
const CACHED: [&str; 4] = ["/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings"];
/// Fields that say who asks, and change nothing in the answer.
const ABOUT_THE_CLIENT: [&str; 3] = ["user", "metadata", "safety_identifier"];

/// A request, read to its end.
#[derive(Debug)]
pub(super) struct Asked {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Bytes,
    /// What a model's request is, for the cache: equal for requests that any
    /// one version answers alike. None: nothing that a cache could answer.
    pub(super) key: Option<String>,
    /// `Cache-Control` keeps the cache out of it.
    pub(super) bypass: bool,
}

/// Why a request could not be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    /// It is too long.
    #[error("the body has more than {MAX_BODY} bytes")]
    TooLong,
    /// The client stopped sending it.
    #[error("the body broke off")]
    BrokeOff,
}

impl Asked {
    /// Reads it.
    pub(super) async fn read(request: Request<Body>) -> Result<Self, Unread> {
        let (head, body) = request.into_parts();
        let body = Limited::new(body, MAX_BODY).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { Unread::TooLong } else { Unread::BrokeOff }
        })?;
        let mut asked = Self {
            method: head.method,
            path: head.uri.path_and_query().map_or_else(String::new, ToString::to_string),
            bypass: bypasses(&head.headers),
            headers: for_upstream(head.headers),
            body: body.to_bytes(),
            key: None,
        };
        if asked.method == Method::POST
            && CACHED.contains(&head.uri.path())
            && let Ok(Value::Object(body)) = serde_json::from_slice(&asked.body)
        {
            asked.key = Some(key(head.uri.path(), body));
        }
        Ok(asked)
    }

    /// The request as it is sent to `upstream`.
    pub(super) fn to(&self, upstream: &Upstream) -> Result<Request<Full<Bytes>>, http::Error> {
        let uri: Uri = format!("http://{}{}", upstream.address, self.path).parse()?;
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        Ok(request)
    }
}

/// Everything that may decide the answer, in one order.
fn key(path: &str, mut body: Map<String, Value>) -> String {
    for field in ABOUT_THE_CLIENT {
        body.shift_remove(field);
    }
    let mut body = Value::Object(body);
    body.sort_all_objects();
    format!("{path} {body}")
}

/// Headers that belong to one connection, not to the message.
pub(super) const HOP_BY_HOP: [http::HeaderName; 7] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
];

fn for_upstream(mut headers: HeaderMap) -> HeaderMap {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
    // Set anew for the upstream and the body as it was read.
    for name in [header::HOST, header::CONTENT_LENGTH, header::EXPECT] {
        headers.remove(name);
    }
    headers
}

fn bypasses(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CACHE_CONTROL).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|directive| {
        let directive = directive.trim();
        directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(body: &str, headers: &[(&str, &str)]) -> Asked {
        let mut request = Request::post("/v1/chat/completions");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Asked::read(request.body(Body::from(body.to_owned())).expect("a request")).await.expect("is read")
    }

    async fn key(body: &str) -> String {
        read(body, &[]).await.key.expect("a key")
    }

    #[tokio::test]
    async fn the_key_is_what_decides_the_answer() {
        let base = r#"{"model":"m","messages":[{"role":"user","content":"a"}],"max_tokens":4,"stream":true}"#;
        let same = r#"{"stream":true, "max_tokens":4,"user":"u","messages":[{"content":"a","role":"user"}],"model":"m"}"#;
        assert_eq!(key(base).await, key(same).await);
        for (from, to) in [
            ("\"m\"", "\"n\""),
            ("\"a\"", "\"b\""),
            (":4", ":5"),
            ("true", "false"),
            ("}],", "}],\"ignore_eos\":true,"),
        ] {
            assert_ne!(key(base).await, key(&base.replace(from, to)).await, "{from} and {to}");
        }
        assert_eq!(read("nonsense", &[]).await.key, None);
    }

    #[tokio::test]
    async fn headers_go_on_but_for_those_of_the_connection() {
        let asked = read(
            "{}",
            &[
                ("x-request-id", "7"),
                ("connection", "close"),
                ("host", "h"),
                ("cache-control", "max-age=0, No-Store"),
            ],
        )
        .await;
        assert!(asked.bypass);
        let upstream = Upstream {
            pod: "r".into(),
            address: ([127, 0, 0, 1], 7).into(),
            version: "v1".into(),
            role: crate::lab::api::Role::Stable,
        };
        let request = asked.to(&upstream).expect("a request");
        assert_eq!(request.headers()["x-request-id"], "7");
        assert!(!request.headers().contains_key("connection") && !request.headers().contains_key("host"));
        assert_eq!(request.uri(), "http://127.0.0.1:7/v1/chat/completions");
    }

    #[tokio::test]
    async fn a_body_without_end_is_refused() {
        let request = Request::post("/v1/x").body(Body::from(vec![b'a'; MAX_BODY + 1])).expect("a request");
        assert_eq!(Asked::read(request).await.err(), Some(Unread::TooLong));
    }
}
