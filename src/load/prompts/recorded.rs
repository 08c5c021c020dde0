//! Prompts from a file, which was read with the scenario.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Zipf};

use super::{Drawn, Place};
use crate::{
    load::{LoadError, lengths::Length},
    plan,
    scenario::model::{Conversation, Conversations, Jsonl, PromptFile, ShareGpt, default_output_tokens},
};

/// A source of prompts that somebody wrote.
#[derive(Debug)]
pub(super) struct Recorded {
    seed: u64,
    conversations: Conversations,
    popularity: Option<Zipf<f64>>,
    /// None: as long as the recorded answers.
    output: Option<Length>,
    /// Where nothing was recorded.
    otherwise: Length,
    /// Whether a session keeps to one conversation; else each turn has
    /// another one.
    keeps_to_one: bool,
    /// Conversations that a session takes at the most.
    stride: u64,
}

impl Recorded {
    /// ShareGPT's conversations.
    pub(super) fn sharegpt(sharegpt: &ShareGpt, seed: u64) -> Result<Self, LoadError> {
        let zipf = sharegpt.popularity.as_ref().map(|popularity| popularity.zipf);
        let output = sharegpt.output_tokens.as_ref().map(|t| Length::of(t, "output-tokens")).transpose()?;
        Ok(Self { output, keeps_to_one: true, ..Self::new(&sharegpt.file, zipf, seed)? })
    }

    /// Lines of JSON; a session has up to `turns` of them.
    pub(super) fn jsonl(jsonl: &Jsonl, turns: u32, seed: u64) -> Result<Self, LoadError> {
        let zipf = jsonl.popularity.as_ref().map(|popularity| popularity.zipf);
        let output = Some(Length::of(&jsonl.output_tokens, "output-tokens")?);
        Ok(Self { output, stride: u64::from(turns.max(1)), ..Self::new(&jsonl.file, zipf, seed)? })
    }

    fn new(file: &PromptFile, zipf: Option<f64>, seed: u64) -> Result<Self, LoadError> {
        let conversations = file.conversations.clone();
        // A plan that was read back knows its files by name only.
        if conversations.is_empty() || conversations.len() != file.entries {
            let path = file.path.display();
            return Err(LoadError::Workload(format!("the prompts of `{path}` were not read")));
        }
        let popularity = zipf.map(|zipf| super::zipf(conversations.len() as f64, zipf)).transpose()?;
        Ok(Self {
            seed,
            conversations,
            popularity,
            output: None,
            otherwise: Length::of(&default_output_tokens(), "output-tokens")?,
            keeps_to_one: false,
            stride: 1,
        })
    }

    /// Turns that the session at this place can have.
    pub(super) fn turns(&self, place: Place<'_>, turns: u32) -> u32 {
        if !self.keeps_to_one {
            return turns;
        }
        let recorded = self.conversation(place).1.turns.len();
        turns.min(u32::try_from(recorded).unwrap_or(u32::MAX))
    }

    /// The conversation at this place, and its number.
    fn conversation(&self, place: Place<'_>) -> (usize, &Conversation) {
        let count = self.conversations.len();
        let number = match self.popularity {
            Some(zipf) => {
                let turn = if self.keeps_to_one { 0 } else { place.turn };
                let name = format!("prompts/{}/{}/{turn}/which", place.load, place.index);
                let rank = zipf.sample(&mut plan::stream(self.seed, &name)) as usize;
                rank.clamp(1, count) - 1
            }
            None => {
                // Each load begins elsewhere, so that they don't ask the same.
                let mut start = plan::stream(self.seed, &format!("prompts/{}/start", place.load));
                let start = start.random_range(0..count) as u64;
                let turn = if self.keeps_to_one { 0 } else { u64::from(place.turn) };
                let at = start.wrapping_add(place.index.wrapping_mul(self.stride)).wrapping_add(turn);
                (at % count as u64) as usize
            }
        };
        (number, &self.conversations[number])
    }

    /// The prompt at this place.
    pub(super) fn draw(&self, place: Place<'_>, rng: &mut ChaCha8Rng) -> Drawn<'_> {
        let (number, conversation) = self.conversation(place);
        let turn = if self.keeps_to_one { place.turn as usize } else { 0 };
        let (user, answered) = &conversation.turns[turn.min(conversation.turns.len() - 1)];
        let tokens = match (&self.output, answered) {
            (Some(length), _) => length.draw(rng),
            (None, Some(words)) => *words,
            (None, None) => self.otherwise.draw(rng),
        };
        Drawn {
            id: Some(number as u64 + 1),
            system: &conversation.system,
            user: user.clone(),
            tokens,
            // A text has the end that it has.
            exact: false,
        }
    }
}
