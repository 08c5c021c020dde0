//! What one arrival asks: a prompt, or a session of several turns, each with
//! what was said before.

use super::{Place, Prompt, Source};
use crate::load::dialect::Turn;

/// What one arrival asks.
#[derive(Debug)]
pub(crate) struct Talk<'s> {
    source: &'s Source,
    /// Of its first turn.
    first: Place<'s>,
    golden: Option<usize>,
    /// Turns in all.
    turns: u32,
    history: Vec<Turn>,
    system: &'s str,
    /// The question that is open.
    asked: String,
}

impl<'s> Talk<'s> {
    pub(super) fn new(source: &'s Source, first: Place<'s>, golden: Option<usize>, turns: u32) -> Self {
        Self { source, first, golden, turns, history: Vec::new(), system: "", asked: String::new() }
    }

    /// Turns that are over.
    pub(crate) fn turn(&self) -> u32 {
        u32::try_from(self.history.len()).unwrap_or(u32::MAX)
    }

    /// What to ask now.
    pub(crate) fn ask(&mut self) -> Prompt {
        let place = Place { turn: self.turn(), ..self.first };
        let more = place.turn + 1 < self.turns;
        let Some(golden) = self.golden else {
            let (mut prompt, drawn) = self.source.encode(place, self.system, &self.history);
            if place.turn == 0 {
                self.system = drawn.system;
            } else {
                // With its history it comes no second time.
                prompt.id = None;
            }
            self.asked = drawn.user;
            prompt.keeps_text = more;
            return prompt;
        };
        self.source.ask_golden(golden)
    }

    /// The answer to what was asked, as far as it is one. Whether there is
    /// another turn.
    pub(crate) fn hear(&mut self, answer: Option<String>) -> bool {
        let Some(answer) = answer.filter(|_| self.turn() + 1 < self.turns) else { return false };
        self.history.push(Turn { user: std::mem::take(&mut self.asked), answer });
        true
    }
}
