//! Generated prompts: words of a language model's own vocabulary.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Zipf};

use super::{Drawn, Place};
use crate::{
    load::{LoadError, lengths::Length},
    plan,
    scenario::model::Synthetic,
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

    fn text(&self, place: Place<'_>, id: Option<u64>, name: &str, rng: &mut ChaCha8Rng) -> Drawn<'_> {
        let input = self.input.draw(rng) as usize;
        let tokens = self.output.draw(rng);
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
