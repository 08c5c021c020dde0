//! What all requests of a workload have in common: path, headers, limits.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

use super::{
    LoadError,
    connection::{Base, Outgoing},
    dialect::Dialect,
    secret::Credential,
};
use crate::scenario::model::{Retries, Workload};

/// A workload made ready: what all its requests have in common.
#[derive(Debug)]
pub(crate) struct Protocol {
    uri: Uri,
    headers: HeaderMap,
    /// How it asks, and how answers read.
    pub(crate) dialect: Arc<Dialect>,
    /// Server-sent events are asked for.
    pub(crate) stream: bool,
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
        let fixed = [
            (header::HOST, base.authority.as_str()),
            (header::CONTENT_TYPE, "application/json"),
            (header::ACCEPT, if endpoint.streams() { "text/event-stream" } else { "application/json" }),
            (header::USER_AGENT, concat!("firedrill/", env!("CARGO_PKG_VERSION"))),
        ];
        let given = endpoint.headers().iter().map(|(name, value)| {
            let name = HeaderName::try_from(name)
                .map_err(|_| LoadError::Workload(format!("`{name}` is not a header's name")))?;
            Ok((name, value.as_str()))
        });
        for header in fixed.into_iter().map(Ok).chain(given) {
            let (name, text) = header?;
            let value = HeaderValue::from_str(text)
                .map_err(|_| LoadError::Workload(format!("`{text}` is not a header's value")))?;
            headers.insert(name, value);
        }
        let credential = workload.transport.auth.as_ref().map(Credential::read).transpose()?;
        if let Some((name, value)) = credential.as_ref().map(Credential::header) {
            headers.insert(name, value);
        }
        Ok(Self {
            uri: base.uri(endpoint.path())?,
            headers,
            dialect: Arc::new(Dialect::of(&workload.endpoint)),
            stream: endpoint.streams(),
            generates: endpoint.generates(),
            timeout: workload.timeout.0,
            idle: workload.idle_timeout.0,
            first_token: workload.transport.first_token_timeout.map(|limit| limit.0),
            retries: workload.transport.retries.clone(),
            credential,
        })
    }

    /// A request with `body` and some headers of its own.
    pub(crate) fn request(&self, body: Bytes, extra: &[(HeaderName, HeaderValue)]) -> Request<Outgoing> {
        let mut request = Request::new(Outgoing::from(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        for (name, value) in extra {
            request.headers_mut().insert(name, value.clone());
        }
        request
    }

    /// A text from a server, without the secret that it may have said back.
    pub(crate) fn without_secret(&self, text: String) -> String {
        match &self.credential {
            Some(credential) => credential.hidden_in(text),
            None => text,
        }
    }
}
