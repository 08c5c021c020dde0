//! Generated prompts: words of a language model's own vocabulary.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Zipf};

use super::{Drawn, Place};
use crate::{
    load::{LoadError, lengths::Length},
    plan,
    scenario::{BLOCK_TOKENS, TracedRequest, model::Synthetic},
};

/// A source of generated prompts.
#[derive(Debug)]
pub(super) struct Words {
    seed: u64,
    workload: String,
    popularity: Option<Zipf<f64>>,
    input: Length,
    output: Length,
    /// What all prompts begin with, and where its first words end.
    prefix: String,
    ends: Vec<usize>,
}

impl Words {
    /// As the scenario sets it.
    pub(super) fn new(workload: &str, synthetic: &Synthetic, seed: u64) -> Result<Self, LoadError> {
        let popularity = match &synthetic.popularity {
            None => None,
            Some(popularity) => Some(super::zipf(f64::from(popularity.prompts), popularity.zipf)?),
        };
        let mut rng = plan::stream(seed, &format!("prompts/{workload}/prefix"));
        let mut prefix = String::new();
        let mut ends = vec![0];
        for _ in 0..synthetic.shared_prefix {
            push_word(&mut prefix, word(&mut rng));
            ends.push(prefix.len());
        }
        Ok(Self {
            seed,
            workload: workload.to_owned(),
            popularity,
            input: Length::of(&synthetic.input_tokens, "input-tokens")?,
            output: Length::of(&synthetic.output_tokens, "output-tokens")?,
            prefix,
            ends,
        })
    }

    /// The prompt at this place, drawn from `choice`.
    pub(super) fn draw(&self, place: Place<'_>, choice: &mut ChaCha8Rng) -> Drawn<'_> {
        if let Some(traced) = place.traced {
            return self.traced(place, traced, choice);
        }
        match self.popularity {
            // A name of its own for each request, so that no cache has it.
            None => self.text(place, None, &place.name(self.seed), choice),
            Some(_) if place.probe => self.text(place, None, &place.name(self.seed), choice),
            Some(zipf) => {
                let id = zipf.sample(choice) as u64;
                let mut text = plan::stream(self.seed, &format!("prompts/{}/{id}", self.workload));
                self.text(place, Some(id), &id.to_string(), &mut text)
            }
        }
    }

    /// Tokens of a prompt and of its answer, drawn.
    fn lengths(&self, rng: &mut ChaCha8Rng) -> (u32, u32) {
        (self.input.draw(rng), self.output.draw(rng))
    }

    /// As long as a trace says; what it leaves open is drawn.
    fn traced(&self, place: Place<'_>, traced: &TracedRequest, choice: &mut ChaCha8Rng) -> Drawn<'_> {
        let (input, tokens) = self.lengths(choice);
        let (input, tokens) = (traced.input.unwrap_or(input), traced.output.unwrap_or(tokens));
        if traced.blocks.is_empty() {
            return self.of_length(place, None, &place.name(self.seed), (input, tokens), choice);
        }
        let mut user = String::with_capacity(input as usize * 6);
        let mut left = input;
        // Equal blocks are equal text, whoever sends them.
        for block in &traced.blocks {
            let mut rng = plan::stream(self.seed, &format!("prompts/{}/block/{block}", self.workload));
            let words = left.min(BLOCK_TOKENS);
            (0..words).for_each(|_| push_word(&mut user, word(&mut rng)));
            left -= words;
        }
        // A block's id stands for all before it, too. Far above synthetic ids,
        // and below those of golden prompts.
        let last = traced.blocks.last().copied().unwrap_or(0);
        let id = (1 << 62) ^ (last << 24) ^ u64::from(input);
        Drawn { id: Some(id), system: "", user, tokens, exact: true }
    }

    fn text(&self, place: Place<'_>, id: Option<u64>, name: &str, rng: &mut ChaCha8Rng) -> Drawn<'_> {
        self.of_length(place, id, name, self.lengths(rng), rng)
    }

    fn of_length(
        &self,
        place: Place<'_>,
        id: Option<u64>,
        name: &str,
        (input, tokens): (u32, u32),
        rng: &mut ChaCha8Rng,
    ) -> Drawn<'_> {
        let input = input as usize;
        // The prefix is part of the first turn's length; the name makes the
        // rest unique.
        let shared = if place.turn == 0 { input.saturating_sub(1).min(self.ends.len() - 1) } else { 0 };
        let mut user = String::with_capacity(name.len() + (input - shared) * 6);
        user.push_str(name);
        for _ in shared + 1..input {
            push_word(&mut user, word(rng));
        }
        let system = &self.prefix[..self.ends[shared]];
        Drawn { id, system, user, tokens, exact: true }
    }
}

fn push_word(text: &mut String, word: &str) {
    if !text.is_empty() {
        text.push(' ');
    }
    text.push_str(word);
}

fn word(rng: &mut ChaCha8Rng) -> &'static str {
    WORDS[(rng.random::<u32>() % WORDS.len() as u32) as usize]
}

/// Short words that most tokenizers keep whole.
const WORDS: [&str; 128] = [
    "a", "age", "air", "all", "and", "arm", "art", "as", "at", "back", "ball", "bank", "bath", "bear", "bed",
    "bell", "big", "bird", "blue", "boat", "body", "book", "box", "boy", "bread", "bus", "by", "cake",
    "call", "can", "car", "cat", "city", "cold", "cook", "corn", "cow", "cup", "dark", "day", "deep", "dog",
    "door", "down", "dry", "ear", "east", "egg", "end", "eye", "face", "fall", "far", "farm", "fast", "fire",
    "fish", "five", "food", "foot", "for", "four", "free", "full", "game", "gate", "girl", "go", "gold",
    "good", "green", "hair", "hand", "hat", "head", "help", "hill", "home", "horse", "hot", "house", "ice",
    "in", "iron", "is", "it", "king", "lake", "land", "last", "leaf", "left", "leg", "life", "light", "line",
    "long", "low", "make", "man", "map", "milk", "moon", "name", "near", "new", "north", "of", "old", "on",
    "open", "park", "rain", "red", "ring", "river", "road", "room", "salt", "sea", "ship", "snow", "song",
    "star", "sun", "the", "tree", "wind",
];
