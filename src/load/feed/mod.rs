//! What is asked, request by request: prompts, tensors, or whatever a template
//! makes. Everything is drawn from named streams, so that a load's n-th
//! request is the same whichever user sends it, and whenever.

mod draw;
mod talk;
mod templates;
mod tensors;

use std::{borrow::Cow, sync::Arc, time::Duration};

use http::{HeaderName, HeaderValue, Uri};

pub(crate) use self::talk::Talk;
use self::{templates::Templates, tensors::Tensors};
use super::{
    LoadError,
    answer::Carried,
    connection::Base,
    dialect::{Dialect, http::Right},
    golden::RightAnswer,
    prompts::{Prompt, Source},
};
use crate::scenario::{
    TracedRequest,
    model::{Endpoint, Workload},
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
            Endpoint::OpenaiChat(_)
            | Endpoint::OpenaiCompletions(_)
            | Endpoint::OpenaiResponses(_)
            | Endpoint::OpenaiEmbeddings(_) => Self::Prompts(Source::new(name, workload, dialect, seed)?),
            Endpoint::KserveV2(settings) => Self::Tensors(Tensors::new(&settings.infer, dialect, seed)),
            Endpoint::KserveGrpc(settings) => Self::Tensors(Tensors::new(&settings.infer, dialect, seed)),
            Endpoint::Http(settings) => Self::Templates(Templates::new(settings, base, seed)?),
        })
    }

    /// What the arrival number `index` of the load stream `load` asks, with
    /// the sizes that a trace has for it, if it comes from one.
    pub(crate) fn talk<'f>(
        &'f self,
        load: &'f str,
        index: u64,
        traced: Option<&'f TracedRequest>,
    ) -> Talk<'f> {
        match self {
            Self::Prompts(source) => Talk::Prompts(source.talk(load, index, traced)),
            // Their sizes are not a text's.
            Self::Tensors(tensors) => {
                Talk::Tensors { tensors, turn: Turn { load, index, step: 0, carried: None } }
            }
            Self::Templates(templates) => Talk::Templates { templates, load, index, step: 0, carried: None },
        }
    }

    /// A request that no load sends.
    ///
    /// # Errors
    /// As [`Talk::ask`].
    pub(crate) fn probe(&self, nonce: u64) -> Result<Cow<'_, Ask>, LoadError> {
        match self {
            Self::Prompts(source) => Ok(Cow::Owned(source.probe(nonce).into())),
            Self::Tensors(_) | Self::Templates(_) => self.talk("probe", nonce, None).ask(),
        }
    }

    /// What is right for the golden prompt with this index.
    pub(crate) fn golden(&self, index: usize) -> Option<&RightAnswer> {
        match self {
            Self::Prompts(source) => source.golden(index),
            // Their answers are compared where they are read.
            Self::Tensors(_) | Self::Templates(_) => None,
        }
    }

    /// From an answer to the next request of its arrival.
    pub(crate) fn think(&self) -> Duration {
        match self {
            Self::Prompts(source) => source.think(),
            Self::Tensors(_) => Duration::ZERO,
            Self::Templates(templates) => templates.episode().map_or(Duration::ZERO, |(_, think)| think.0),
        }
    }
}
