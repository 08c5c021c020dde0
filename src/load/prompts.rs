//! What is asked: the body of each request, drawn from named streams, so that
//! a load's n-th request is the same whichever user sends it, and whenever.

use std::sync::Arc;

use bytes::Bytes;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Zipf};

use super::{
    LoadError,
    dialect::{Dialect, Question},
    lengths::Length,
};
use crate::{
    plan,
    scenario::model::{Golden, GoldenPrompt, Workload},
};

/// `max_tokens` of a golden prompt: enough for any short answer.
const GOLDEN_TOKENS: u32 = 256;
/// One request's body, and what decides whether its answer is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Prompt {
    /// The JSON.
    pub(crate) body: Bytes,
    /// Names the prompt where it may come again.
    pub(crate) id: Option<u64>,
    /// Exactly so many tokens are asked for.
    pub(crate) tokens: Option<u64>,
    /// Index of the golden prompt, if it is one.
    pub(crate) golden: Option<usize>,
}

/// A workload's source of prompts.
#[derive(Debug)]
pub(crate) struct Source {
    seed: u64,
    workload: String,
    dialect: Arc<Dialect>,
    golden: Option<Golden>,
    popularity: Option<Zipf<f64>>,
    input: Length,
    output: Length,
    /// What all prompts begin with, and where its first words end.
    prefix: String,
    ends: Vec<usize>,
}

impl Source {
    /// The source of `workload`'s prompts under a run's `seed`.
    pub(crate) fn new(
        name: &str,
        workload: &Workload,
        dialect: Arc<Dialect>,
        seed: u64,
    ) -> Result<Self, LoadError> {
        let missing = || LoadError::Workload("there are no prompts".to_owned());
        let prompts = workload.prompts.as_ref().ok_or_else(missing)?;
        let synthetic = &prompts.synthetic;
        let popularity = match &synthetic.popularity {
            None => None,
            Some(popularity) => Some(
                Zipf::new(f64::from(popularity.prompts), popularity.zipf)
                    .map_err(|error| LoadError::Workload(format!("popularity: {error}")))?,
            ),
        };
        let mut rng = plan::stream(seed, &format!("prompts/{name}/prefix"));
        let mut prefix = String::new();
        let mut ends = vec![0];
        for _ in 0..synthetic.shared_prefix {
            push_word(&mut prefix, word(&mut rng));
            ends.push(prefix.len());
        }
        Ok(Self {
            seed,
            workload: name.to_owned(),
            dialect,
            input: Length::of(&synthetic.input_tokens, "input-tokens")?,
            output: Length::of(&synthetic.output_tokens, "output-tokens")?,
            prefix,
            ends,
            golden: prompts.golden.clone().filter(|golden| !golden.prompts.is_empty()),
            popularity,
        })
    }

    /// The golden prompt with this index.
    pub(crate) fn golden(&self, index: usize) -> Option<&GoldenPrompt> {
        self.golden.as_ref()?.prompts.get(index)
    }

    /// The prompt of the request number `index` of the load stream `load`.
    pub(crate) fn prompt(&self, load: &str, index: u64) -> Prompt {
        let mut choice = plan::stream(self.seed, &format!("prompts/{load}/{index}"));
        if let Some(golden) = &self.golden
            && choice.random::<f64>() < golden.share.0
        {
            return self.ask(golden, choice.random_range(0..golden.prompts.len()));
        }
        match self.popularity {
            None => {
                // A name of its own for each request, so that no cache has it.
                let name = format!("{load}-{index}-{:x}", self.seed);
                self.synthetic(None, &name, &mut choice)
            }
            Some(zipf) => {
                let id = zipf.sample(&mut choice) as u64;
                let mut text = plan::stream(self.seed, &format!("prompts/{}/{id}", self.workload));
                self.synthetic(Some(id), &id.to_string(), &mut text)
            }
        }
    }

    /// A prompt that no load sends.
    pub(crate) fn probe(&self, nonce: u64) -> Prompt {
        let name = format!("probe-{nonce:x}");
        self.synthetic(None, &name, &mut plan::stream(self.seed, "prompts/probe"))
    }

    fn ask(&self, golden: &Golden, index: usize) -> Prompt {
        let user = &golden.prompts[index].ask;
        let question = Question { system: "", user, tokens: GOLDEN_TOKENS, exact: false };
        // Synthetic ids start from 1 and are far below the upper half.
        let id = u64::MAX - index as u64;
        Prompt { body: self.dialect.encode(&question), id: Some(id), tokens: None, golden: Some(index) }
    }

    fn synthetic(&self, id: Option<u64>, name: &str, rng: &mut ChaCha8Rng) -> Prompt {
        let input = self.input.draw(rng) as usize;
        let tokens = self.output.draw(rng);
        // The prefix is part of the length; the name makes the rest unique.
        let shared = input.saturating_sub(1).min(self.ends.len() - 1);
        let mut user = String::with_capacity(name.len() + (input - shared) * 6);
        user.push_str(name);
        for _ in shared + 1..input {
            push_word(&mut user, word(rng));
        }
        let system = &self.prefix[..self.ends[shared]];
        let question = Question { system, user: &user, tokens, exact: true };
        Prompt { body: self.dialect.encode(&question), id, tokens: Some(u64::from(tokens)), golden: None }
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

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::{
        scenario::model::{Endpoint, OpenAiChat, Popularity, Prompts, Synthetic, Tokens},
        units::{Ratio, Span},
    };

    fn workload(prompts: Prompts) -> Workload {
        let chat = OpenAiChat {
            model: "de\"mo".to_owned(),
            stream: true,
            path: "/".to_owned(),
            headers: Default::default(),
        };
        Workload {
            endpoint: Endpoint::OpenaiChat(chat),
            prompts: Some(prompts),
            timeout: Span::secs(1),
            idle_timeout: Span::secs(1),
        }
    }

    fn synthetic(popularity: Option<Popularity>) -> Synthetic {
        Synthetic {
            input_tokens: Tokens::Uniform { min: 10, max: 40 },
            output_tokens: Tokens::Fixed(16),
            popularity,
            shared_prefix: 8,
        }
    }

    fn source(popularity: Option<Popularity>, golden: Option<Golden>) -> Source {
        let prompts = Prompts { synthetic: synthetic(popularity), golden };
        let workload = workload(prompts);
        let dialect = Arc::new(Dialect::of(&workload.endpoint).expect("a dialect"));
        Source::new("chat", &workload, dialect, 7).expect("a source")
    }

    fn messages(prompt: &Prompt) -> Vec<String> {
        let body: serde_json::Value = serde_json::from_slice(&prompt.body).expect("JSON");
        assert_eq!(body["model"], "de\"mo");
        let messages = body["messages"].as_array().expect("messages");
        messages.iter().map(|m| m["content"].as_str().expect("content").to_owned()).collect()
    }

    #[test]
    fn bodies_ask_for_what_the_scenario_says() {
        let source = source(None, None);
        let mut seen = std::collections::HashSet::new();
        for i in 0..200 {
            let prompt = source.prompt("a \"load\"", i);
            let body: serde_json::Value = serde_json::from_slice(&prompt.body).expect("JSON");
            assert_eq!(body["max_tokens"], 16);
            assert_eq!(body["ignore_eos"], true);
            assert_eq!(body["stream_options"]["include_usage"], true);
            let [system, user] = messages(&prompt).try_into().expect("two messages");
            assert_eq!(system.split(' ').count(), 8);
            // The name's one blank makes two words of it.
            let words = 8 + user.split(' ').count();
            assert!((10..=41).contains(&words), "{words}");
            assert!(seen.insert(user), "each is new");
        }
    }

    #[test]
    fn a_request_is_fixed_by_seed_load_and_index() {
        let popular = || source(Some(Popularity { zipf: 1.1, prompts: 50 }), None);
        let (one, two) = (popular(), popular());
        for i in (0..50).rev() {
            assert_eq!(one.prompt("a", i), two.prompt("a", i));
        }
        assert!((0..50).any(|i| one.prompt("a", i) != one.prompt("b", i)));
    }

    #[test]
    fn popular_prompts_repeat_word_for_word() {
        let source = source(Some(Popularity { zipf: 1.1, prompts: 50 }), None);
        let mut bodies: HashMap<u64, Bytes> = HashMap::new();
        let mut counts: HashMap<u64, u32> = HashMap::new();
        for i in 0..2000 {
            let prompt = source.prompt("a", i);
            let id = prompt.id.expect("an id");
            *counts.entry(id).or_default() += 1;
            assert_eq!(*bodies.entry(id).or_insert_with(|| prompt.body.clone()), prompt.body);
        }
        assert!(bodies.keys().all(|id| (1..=50).contains(id)));
        // Zipf: the first comes about 2^1.1 times as often as the second.
        let ratio = f64::from(counts[&1]) / f64::from(counts[&2]);
        assert!((1.6..2.9).contains(&ratio), "{ratio}");
        let distinct: std::collections::HashSet<_> = bodies.values().collect();
        assert_eq!(distinct.len(), bodies.len());
    }

    #[test]
    fn golden_prompts_take_their_share() {
        let golden = Golden {
            share: Ratio(0.25),
            prompts: vec![GoldenPrompt { ask: "capital of France?".into(), contains: "Paris".into() }],
        };
        let source = source(None, Some(golden));
        let prompts: Vec<Prompt> = (0..2000).map(|i| source.prompt("a", i)).collect();
        let golden: Vec<&Prompt> = prompts.iter().filter(|prompt| prompt.golden.is_some()).collect();
        assert!((420..580).contains(&golden.len()), "{}", golden.len());
        assert_eq!(messages(golden[0]), ["capital of France?"]);
        assert_eq!(golden[0].tokens, None);
    }
}
