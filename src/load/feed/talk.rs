//! What one arrival asks, request by request: a session of prompts, an
//! episode of steps, or just one request.

use std::borrow::Cow;

use super::{Ask, Turn, templates::Templates, tensors::Tensors};
use crate::load::{
    LoadError,
    answer::{Carried, Left},
    prompts,
};

/// What one arrival asks.
#[derive(Debug)]
pub(crate) enum Talk<'f> {
    /// A prompt, or a session's turns.
    Prompts(prompts::Talk<'f>),
    /// One request.
    Tensors {
        /// Where it comes from.
        tensors: &'f Tensors,
        /// Which one.
        turn: Turn<'f>,
    },
    /// One request, or an episode's steps.
    Templates {
        /// Where they come from.
        templates: &'f Templates,
        /// The load stream.
        load: &'f str,
        /// The arrival's number in it.
        index: u64,
        /// Steps that are over.
        step: u32,
        /// What the last one left.
        carried: Option<Carried>,
    },
}

impl<'f> Talk<'f> {
    /// Requests that are over.
    pub(crate) fn turn(&self) -> u32 {
        match self {
            Self::Prompts(talk) => talk.turn(),
            Self::Tensors { .. } => 0,
            Self::Templates { step, .. } => *step,
        }
    }

    /// What to ask now.
    ///
    /// # Errors
    /// A template that fails on this row: the scenario's mistake, not the
    /// target's.
    pub(crate) fn ask(&mut self) -> Result<Cow<'f, Ask>, LoadError> {
        match self {
            Self::Prompts(talk) => Ok(Cow::Owned(talk.ask().into())),
            Self::Tensors { tensors, turn } => Ok(tensors.ask(*turn)),
            Self::Templates { templates, load, index, step, carried } => {
                templates.ask(Turn { load, index: *index, step: *step, carried: carried.as_ref() })
            }
        }
    }

    /// What the answer to it left, if it was a good one. Whether there is
    /// more to ask.
    pub(crate) fn hear(&mut self, left: Option<Left>) -> bool {
        match self {
            Self::Prompts(talk) => talk.hear(left.and_then(|left| left.text)),
            Self::Tensors { .. } => false,
            Self::Templates { templates, step, carried, .. } => {
                let (Some((steps, _)), Some(left)) = (templates.episode(), left) else { return false };
                let left = left.carried.unwrap_or_default();
                let goes_on = !left.over && *step + 1 < steps;
                if goes_on {
                    *step += 1;
                    *carried = Some(left);
                }
                goes_on
            }
        }
    }
}
