//! Endpoints other than the OpenAI family: KServe v2 over HTTP and gRPC, and
//! any HTTP API.

mod data;
mod http;
mod kserve;

use std::time::Duration;

pub use self::{
    data::{Data, Draw, DrawnValues, IntRange, Normal, Random, Range, Row},
    http::{
        Episode, Expect, Good, GoodStatus, Http, HttpMethod, JsonCheck, JsonTest, StatusClass, default_expect,
    },
    kserve::{
        Batch, Datatype, Dim, DimName, Encoding, Infer, Input, KserveGrpc, KserveV2, Output, Shape, Values,
    },
};
use super::model::Endpoint;

impl Endpoint {
    /// How long one arrival can keep a user busy, where a request may take
    /// `timeout`: an episode has several requests.
    pub fn busy(&self, timeout: Duration) -> Duration {
        match self {
            Self::Http(http) => http
                .episode
                .as_ref()
                .map_or(timeout, |episode| (timeout + episode.think.0).saturating_mul(episode.steps)),
            Self::OpenaiChat(_) | Self::KserveV2(_) | Self::KserveGrpc(_) => timeout,
        }
    }
}
