//! What is asked, request by request: prompts, tensors, or whatever a template
//! makes. Everything is drawn from named streams, so that a load's n-th
//! request is the same whichever user sends it, and whenever.

mod api;
mod draw;
mod tensors;

use std::sync::Arc;

use http::{HeaderName, HeaderValue, Uri};

use self::{api::Templates, tensors::Tensors};
use super::{
    LoadError,
    answer::Carried,
    connection::Base,
    dialect::{Dialect, http::Right},
    prompts::{Prompt, Source},
};
use crate::{
    scenario::model::{Endpoint, GoldenPrompt, Workload},
    units::Span,
};

/// One request, ready to be sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ask {
    /// Its body.
    pub(crate) prompt: Prompt,
    /// Its URI, where that is not the same for all.
    pub(crate) uri: Option<Uri>,
    /// Headers of this request alone.
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// What its right answer is like.
    pub(crate) wanted: Wanted,
}

impl From<Prompt> for Ask {
    fn from(prompt: Prompt) -> Self {
        Self { prompt, uri: None, headers: Vec::new(), wanted: Wanted::Anything }
    }
}

/// What a right answer is like, as far as that differs between requests.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Wanted {
    /// Nothing is known of it.
    Anything,
    /// Its tensors have so many items.
    Batch(u32),
    /// It says this.
    Says(Box<Right>),
}

impl Wanted {
    /// Items in the request's batch.
    pub(crate) fn batch(&self) -> u32 {
        match self {
            Self::Batch(batch) => *batch,
            Self::Anything | Self::Says(_) => 1,
        }
    }

    /// What it must say.
    pub(crate) fn right(&self) -> &Right {
        static NOTHING: Right = Right { equals: Vec::new(), golden: None };
        match self {
            Self::Says(right) => right,
            Self::Anything | Self::Batch(_) => &NOTHING,
        }
    }
}

/// Which request of a load is made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn<'a> {
    /// The load stream.
    pub(crate) load: &'a str,
    /// The arrival's number in it.
    pub(crate) index: u64,
    /// Step of the arrival's episode, from 0.
    pub(crate) step: u32,
    /// What the step before left.
    pub(crate) carried: Option<&'a Carried>,
}

/// A workload's source of requests.
#[derive(Debug)]
pub(crate) enum Feed {
    /// Prompts.
    Prompts(Source),
    /// Tensors.
    Tensors(Tensors),
    /// Anything.
    Templates(Templates),
}

impl Feed {
    /// The source of `workload`'s requests to `base` under a run's `seed`.
    ///
    /// # Errors
    /// A workload that can't be sent as it is described.
    pub(crate) fn new(
        name: &str,
        workload: &Workload,
        dialect: Arc<Dialect>,
        base: &Base,
        seed: u64,
    ) -> Result<Self, LoadError> {
        Ok(match &workload.endpoint {
            Endpoint::OpenaiChat(_) => Self::Prompts(Source::new(name, workload, dialect, seed)?),
            Endpoint::KserveV2(settings) => Self::Tensors(Tensors::new(&settings.infer, dialect, seed)),
            Endpoint::KserveGrpc(settings) => Self::Tensors(Tensors::new(&settings.infer, dialect, seed)),
            Endpoint::Http(settings) => Self::Templates(Templates::new(settings, base, seed)?),
        })
    }

    /// The request of this turn.
    ///
    /// # Errors
    /// A template that fails on this row: the scenario's mistake, not the
    /// target's.
    pub(crate) fn ask(&self, turn: Turn<'_>) -> Result<Ask, LoadError> {
        match self {
            Self::Prompts(source) => Ok(source.prompt(turn.load, turn.index).into()),
            Self::Tensors(tensors) => Ok(tensors.ask(turn)),
            Self::Templates(templates) => templates.ask(turn),
        }
    }

    /// A request that no load sends.
    ///
    /// # Errors
    /// As [`Feed::ask`].
    pub(crate) fn probe(&self, nonce: u64) -> Result<Ask, LoadError> {
        match self {
            Self::Prompts(source) => Ok(source.probe(nonce).into()),
            Self::Tensors(_) | Self::Templates(_) => {
                self.ask(Turn { load: "probe", index: nonce, step: 0, carried: None })
            }
        }
    }

    /// The golden prompt with this index.
    pub(crate) fn golden(&self, index: usize) -> Option<&GoldenPrompt> {
        match self {
            Self::Prompts(source) => source.golden(index),
            // Their answers are compared where they are read.
            Self::Tensors(_) | Self::Templates(_) => None,
        }
    }

    /// Steps of an arrival, and the pause between them.
    pub(crate) fn episode(&self) -> Option<(u32, Span)> {
        match self {
            Self::Prompts(_) | Self::Tensors(_) => None,
            Self::Templates(templates) => templates.episode(),
        }
    }
}
