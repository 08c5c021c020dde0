//! What all endpoints can be asked; and those other than the OpenAI family:
//! KServe v2 over HTTP and gRPC, and any HTTP API.

mod data;
mod http;
mod kserve;

use std::borrow::Cow;

use indexmap::IndexMap;

pub use self::{
    data::{Data, Draw, DrawnValues, IntRange, Normal, Random, Range, Row},
    http::{
        Episode, Expect, Good, GoodStatus, Http, HttpMethod, JsonCheck, JsonTest, StatusClass, default_expect,
    },
    kserve::{
        Batch, Datatype, Dim, DimName, Encoding, Infer, Input, KserveGrpc, KserveV2, Output, Shape, Values,
    },
};
use super::model::{Connection, Endpoint, HttpVersion, Workload};
use crate::{
    kserve::{MODEL_INFER, MODEL_STREAM_INFER},
    units::Span,
};

impl Endpoint {
    /// Path below the target's URL; of `http` a template, perhaps.
    pub fn path(&self) -> Cow<'_, str> {
        let own = |given: &'_ Option<String>, own: &'static str| {
            given.clone().map_or(Cow::Borrowed(own), Cow::Owned)
        };
        match self {
            Self::OpenaiChat(api) => own(&api.path, "/v1/chat/completions"),
            Self::OpenaiCompletions(api) => own(&api.path, "/v1/completions"),
            Self::OpenaiResponses(api) => own(&api.path, "/v1/responses"),
            Self::OpenaiEmbeddings(api) => own(&api.path, "/v1/embeddings"),
            Self::KserveV2(api) => Cow::Owned(match &api.infer.version {
                Some(version) => format!("/v2/models/{}/versions/{version}/infer", api.infer.model),
                None => format!("/v2/models/{}/infer", api.infer.model),
            }),
            Self::KserveGrpc(api) => Cow::Borrowed(if api.stream { MODEL_STREAM_INFER } else { MODEL_INFER }),
            Self::Http(api) => Cow::Borrowed(&api.path),
        }
    }

    /// Further request headers; those of `http` are templates, perhaps.
    pub fn headers(&self) -> &IndexMap<String, String> {
        match self {
            Self::OpenaiChat(api) | Self::OpenaiCompletions(api) | Self::OpenaiResponses(api) => &api.headers,
            Self::OpenaiEmbeddings(api) => &api.headers,
            Self::KserveV2(api) => &api.infer.headers,
            Self::KserveGrpc(api) => &api.infer.headers,
            Self::Http(api) => &api.headers,
        }
    }

    /// Whether answers are to come bit by bit: as server-sent events, or as
    /// several gRPC messages.
    pub fn streams(&self) -> bool {
        match self {
            Self::OpenaiChat(api) | Self::OpenaiCompletions(api) | Self::OpenaiResponses(api) => api.stream,
            Self::KserveGrpc(api) => api.stream,
            Self::OpenaiEmbeddings(_) | Self::KserveV2(_) | Self::Http(_) => false,
        }
    }

    /// Whether answers are made of tokens: then they have a TTFT. What a
    /// stream of tensors is made of counts as such.
    pub fn generates(&self) -> bool {
        match self {
            Self::OpenaiChat(_) | Self::OpenaiCompletions(_) | Self::OpenaiResponses(_) => true,
            Self::KserveGrpc(api) => api.stream,
            Self::OpenaiEmbeddings(_) | Self::KserveV2(_) | Self::Http(_) => false,
        }
    }

    /// Whether it is spoken over gRPC, which needs HTTP/2.
    pub fn is_grpc(&self) -> bool {
        match self {
            Self::KserveGrpc(_) => true,
            Self::OpenaiChat(_)
            | Self::OpenaiCompletions(_)
            | Self::OpenaiResponses(_)
            | Self::OpenaiEmbeddings(_)
            | Self::KserveV2(_)
            | Self::Http(_) => false,
        }
    }

    /// Several requests of one arrival, if there are.
    pub fn episode(&self) -> Option<&Episode> {
        match self {
            Self::Http(api) => api.episode.as_ref(),
            Self::OpenaiChat(_)
            | Self::OpenaiCompletions(_)
            | Self::OpenaiResponses(_)
            | Self::OpenaiEmbeddings(_)
            | Self::KserveV2(_)
            | Self::KserveGrpc(_) => None,
        }
    }
}

impl Workload {
    /// Requests that one arrival can have at the most (a session's turns, an
    /// episode's steps), and the pause between two of them.
    pub fn turns(&self) -> (u32, Span) {
        let session = self.prompts.as_ref().and_then(|prompts| prompts.session.as_ref());
        let session = session.map(|session| (session.turns.most(), session.think));
        let episode = self.endpoint.episode().map(|episode| (episode.steps, episode.think));
        let (turns, think) = session.or(episode).unwrap_or((1, Span::default()));
        (turns.max(1), think)
    }

    /// The settings of its connections, as far as the endpoint leaves a choice.
    pub fn connection(&self) -> Connection {
        let given = self.transport.connection.clone();
        if self.endpoint.is_grpc() { Connection { http: HttpVersion::Http2, ..given } } else { given }
    }
}
