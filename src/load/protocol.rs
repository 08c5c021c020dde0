//! What all requests of a workload have in common: path, headers, limits.

use std::{
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

use super::{
    LoadError,
    connection::{Base, Outgoing, Shape},
    dialect::Dialect,
    feed::Ask,
    grpc,
    secret::Credential,
};
use crate::scenario::{
    endpoint::{Encoding, HttpMethod},
    model::{Endpoint, Retries, Workload},
    template::is_template,
};

/// A workload made ready: what all its requests have in common.
#[derive(Debug)]
pub(crate) struct Protocol {
    shape: Shape,
    /// How it asks, and how answers read.
    pub(crate) dialect: Arc<Dialect>,
    /// Server-sent events, or several gRPC messages, are asked for.
    pub(crate) stream: bool,
    /// It is spoken over gRPC.
    pub(crate) grpc: bool,
    /// Answers are made of tokens.
    pub(crate) generates: bool,
    /// From sent to the end, at most.
    pub(crate) timeout: Duration,
    /// From one event of a stream to the next, at most.
    pub(crate) idle: Duration,
    /// From sent to the first token, at most.
    pub(crate) first_token: Option<Duration>,
    /// What is sent again.
    pub(crate) retries: Option<Retries>,
    credential: Option<Credential>,
}

impl Protocol {
    /// The protocol of `workload`, spoken to `base`. Its secret is read here.
    pub(crate) fn new(base: &Base, workload: &Workload) -> Result<Self, LoadError> {
        let endpoint = &workload.endpoint;
        let mut headers = HeaderMap::new();
        let form = Form::of(endpoint);
        let fixed = [
            (header::HOST, base.authority.as_str()),
            (header::CONTENT_TYPE, form.content_type),
            (header::ACCEPT, form.accept),
            (header::USER_AGENT, concat!("firedrill/", env!("CARGO_PKG_VERSION"))),
        ];
        let fixed = fixed.into_iter().filter(|(_, text)| !text.is_empty());
        // Templates are filled in for each request.
        let given = endpoint.headers().iter().filter(|(_, text)| !is_template(text));
        let given = given.map(|(name, value)| {
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
        if endpoint.is_grpc() {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
            headers.insert("grpc-timeout", grpc::deadline(workload.timeout.0));
        }
        let credential = workload.transport.auth.as_ref().map(Credential::read).transpose()?;
        if let Some((name, value)) = credential.as_ref().map(Credential::header) {
            headers.insert(name, value);
        }
        let path = endpoint.path();
        Ok(Self {
            // A template's path is made for each request.
            shape: Shape::new(form.method, base.uri(if is_template(&path) { "/" } else { &path })?, headers),
            dialect: Arc::new(Dialect::of(endpoint)?),
            stream: endpoint.streams(),
            grpc: endpoint.is_grpc(),
            generates: endpoint.generates(),
            timeout: workload.timeout.0,
            idle: workload.idle_timeout.0,
            first_token: workload.transport.first_token_timeout.map(|limit| limit.0),
            retries: workload.transport.retries.clone(),
            credential,
        })
    }

    /// The request that `ask` is, with some headers more.
    pub(crate) fn request<'a>(
        &'a self,
        ask: &'a Ask,
        extra: &'a [(HeaderName, HeaderValue)],
    ) -> Outgoing<'a> {
        Outgoing {
            shape: &self.shape,
            uri: ask.uri.as_ref(),
            headers: [&ask.headers, extra],
            body: &ask.prompt.body,
        }
    }

    /// A hash of all that is sent for `ask`: two that are equal ask the same.
    pub(crate) fn identity(&self, ask: &Ask) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.shape.lines(), &ask.uri, &ask.headers, &ask.prompt.body).hash(&mut hasher);
        hasher.finish()
    }

    /// A text from a server, without the secret that it may have said back.
    pub(crate) fn without_secret(&self, text: String) -> String {
        match &self.credential {
            Some(credential) => credential.hidden_in(text),
            None => text,
        }
    }
}

/// What an endpoint's requests look like, beside path and headers.
struct Form {
    method: Method,
    /// Empty: there is no such header.
    content_type: &'static str,
    /// Empty: there is no such header.
    accept: &'static str,
}

impl Form {
    fn of(endpoint: &Endpoint) -> Self {
        let json = "application/json";
        let post = |content_type, accept| Self { method: Method::POST, content_type, accept };
        match endpoint {
            Endpoint::OpenaiChat(_)
            | Endpoint::OpenaiCompletions(_)
            | Endpoint::OpenaiResponses(_)
            | Endpoint::OpenaiEmbeddings(_) => {
                post(json, if endpoint.streams() { "text/event-stream" } else { json })
            }
            Endpoint::KserveV2(api) => match api.encoding {
                Encoding::Json => post(json, ""),
                Encoding::Binary => post("application/octet-stream", ""),
            },
            Endpoint::KserveGrpc(_) => post("application/grpc", ""),
            Endpoint::Http(api) => Self {
                method: match api.method() {
                    HttpMethod::Get => Method::GET,
                    HttpMethod::Head => Method::HEAD,
                    HttpMethod::Post => Method::POST,
                    HttpMethod::Put => Method::PUT,
                    HttpMethod::Patch => Method::PATCH,
                    HttpMethod::Delete => Method::DELETE,
                },
                content_type: match &api.body {
                    None => "",
                    Some(serde_json::Value::String(_)) => "text/plain; charset=utf-8",
                    Some(_) => json,
                },
                accept: "*/*",
            },
        }
    }
}
