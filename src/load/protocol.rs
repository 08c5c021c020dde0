//! What all requests of a workload have in common: path, headers, limits.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};
use http_body_util::Full;
use indexmap::IndexMap;

use super::{LoadError, connection::Base, dialect::Dialect, feed::Ask};
use crate::{
    kserve::{MODEL_INFER, MODEL_STREAM_INFER},
    scenario::{
        endpoint::{Encoding, HttpMethod, Infer},
        model::{Endpoint, Workload},
        template::is_template,
    },
};

/// A workload made ready: what all its requests have in common.
#[derive(Debug)]
pub(crate) struct Protocol {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    /// How it asks, and how answers read.
    pub(crate) dialect: Arc<Dialect>,
    /// Server-sent events, or several gRPC messages, are asked for.
    pub(crate) stream: bool,
    /// It is spoken over gRPC.
    pub(crate) grpc: bool,
    /// From sent to the end, at most.
    pub(crate) timeout: Duration,
    /// From one event of a stream to the next, at most.
    pub(crate) idle: Duration,
}

impl Protocol {
    /// The protocol of `workload`, spoken to `base`.
    pub(crate) fn new(base: &Base, workload: &Workload) -> Result<Self, LoadError> {
        let form = Form::of(base, &workload.endpoint);
        let mut headers = HeaderMap::new();
        let host = if form.grpc { None } else { Some((header::HOST, base.authority.as_str())) };
        let fixed = [
            (header::CONTENT_TYPE, form.content_type),
            (header::ACCEPT, form.accept),
            (header::USER_AGENT, concat!("firedrill/", env!("CARGO_PKG_VERSION"))),
        ];
        let fixed = host.into_iter().chain(fixed.into_iter().filter(|(_, text)| !text.is_empty()));
        let given = form.headers.iter().filter(|(_, text)| !is_template(text)).map(|(name, value)| {
            let name = HeaderName::try_from(name)
                .map_err(|_| LoadError::Workload(format!("`{name}` is not a header's name")))?;
            Ok((name, value.as_str()))
        });
        for header in fixed.map(Ok).chain(given) {
            let (name, text) = header?;
            let value = HeaderValue::from_str(text)
                .map_err(|_| LoadError::Workload(format!("`{text}` is not a header's value")))?;
            headers.insert(name, value);
        }
        Ok(Self {
            method: form.method,
            uri: form.uri?,
            headers,
            dialect: Arc::new(Dialect::of(&workload.endpoint)?),
            stream: form.stream,
            grpc: form.grpc,
            timeout: workload.timeout.0,
            idle: workload.idle_timeout.0,
        })
    }

    /// The request that `ask` is, with some headers more.
    pub(crate) fn request(&self, ask: &Ask, extra: &[(HeaderName, HeaderValue)]) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(ask.prompt.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = ask.uri.as_ref().unwrap_or(&self.uri).clone();
        *request.headers_mut() = self.headers.clone();
        for (name, value) in ask.headers.iter().chain(extra) {
            request.headers_mut().insert(name, value.clone());
        }
        request
    }
}

/// What the requests of an endpoint look like.
struct Form<'e> {
    method: Method,
    uri: Result<Uri, LoadError>,
    content_type: &'static str,
    accept: &'static str,
    headers: &'e IndexMap<String, String>,
    stream: bool,
    grpc: bool,
}

impl<'e> Form<'e> {
    fn of(base: &Base, endpoint: &'e Endpoint) -> Self {
        match endpoint {
            Endpoint::OpenaiChat(chat) => Self {
                method: Method::POST,
                uri: base.uri(&chat.path),
                content_type: "application/json",
                accept: if chat.stream { "text/event-stream" } else { "application/json" },
                headers: &chat.headers,
                stream: chat.stream,
                grpc: false,
            },
            Endpoint::KserveV2(settings) => Self {
                method: Method::POST,
                uri: base.uri(&infer_path(&settings.infer)),
                content_type: match settings.encoding {
                    Encoding::Json => "application/json",
                    Encoding::Binary => "application/octet-stream",
                },
                accept: "",
                headers: &settings.infer.headers,
                stream: false,
                grpc: false,
            },
            Endpoint::KserveGrpc(settings) => Self {
                method: Method::POST,
                uri: base.absolute(if settings.stream { MODEL_STREAM_INFER } else { MODEL_INFER }),
                content_type: "application/grpc",
                accept: "",
                headers: &settings.infer.headers,
                stream: settings.stream,
                grpc: true,
            },
            Endpoint::Http(settings) => Self {
                method: match settings.method() {
                    HttpMethod::Get => Method::GET,
                    HttpMethod::Head => Method::HEAD,
                    HttpMethod::Post => Method::POST,
                    HttpMethod::Put => Method::PUT,
                    HttpMethod::Patch => Method::PATCH,
                    HttpMethod::Delete => Method::DELETE,
                },
                // A template's is made for each request.
                uri: base.uri(if is_template(&settings.path) { "/" } else { &settings.path }),
                content_type: match &settings.body {
                    None => "",
                    Some(serde_json::Value::String(_)) => "text/plain; charset=utf-8",
                    Some(_) => "application/json",
                },
                accept: "*/*",
                headers: &settings.headers,
                stream: false,
                grpc: false,
            },
        }
    }
}

fn infer_path(infer: &Infer) -> String {
    match &infer.version {
        Some(version) => format!("/v2/models/{}/versions/{version}/infer", infer.model),
        None => format!("/v2/models/{}/infer", infer.model),
    }
}
