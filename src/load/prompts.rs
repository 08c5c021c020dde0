//! What is asked: the body of each request, drawn from named streams, so that
//! a load's n-th request is the same whichever user sends it, and whenever.

use std::fmt::Write as _;

use bytes::Bytes;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Zipf};

use super::{LoadError, lengths::Length};
use crate::{
    plan,
    scenario::{
        BLOCK_TOKENS, TracedRequest,
        model::{Endpoint, Golden, GoldenPrompt, Synthetic, Workload},
    },
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
    /// The body up to the messages.
    head: String,
    synthetic: Synthetic,
    golden: Option<Golden>,
    popularity: Option<Zipf<f64>>,
    input: Length,
    output: Length,
    prefix: Vec<&'static str>,
}

impl Source {
    /// The source of `workload`'s prompts under a run's `seed`.
    pub(crate) fn new(name: &str, workload: &Workload, seed: u64) -> Result<Self, LoadError> {
        let Endpoint::OpenaiChat(chat) = &workload.endpoint;
        let synthetic = workload.prompts.synthetic.clone();
        let popularity = match &synthetic.popularity {
            None => None,
            Some(popularity) => Some(
                Zipf::new(f64::from(popularity.prompts), popularity.zipf)
                    .map_err(|error| LoadError::Workload(format!("popularity: {error}")))?,
            ),
        };
        // Temperature 0: the answer depends on the prompt alone.
        let mut head = format!("{{\"model\":{},\"temperature\":0,", json(&chat.model));
        if chat.stream {
            head.push_str(r#""stream":true,"stream_options":{"include_usage":true},"#);
        }
        let mut rng = plan::stream(seed, &format!("prompts/{name}/prefix"));
        Ok(Self {
            seed,
            workload: name.to_owned(),
            head,
            input: Length::of(&synthetic.input_tokens, "input-tokens")?,
            output: Length::of(&synthetic.output_tokens, "output-tokens")?,
            prefix: (0..synthetic.shared_prefix).map(|_| word(&mut rng)).collect(),
            golden: workload.prompts.golden.clone().filter(|golden| !golden.prompts.is_empty()),
            synthetic,
            popularity,
        })
    }

    /// The golden prompt with this index.
    pub(crate) fn golden(&self, index: usize) -> Option<&GoldenPrompt> {
        self.golden.as_ref()?.prompts.get(index)
    }

    /// The prompt of the request number `index` of the load stream `load`, as
    /// long as a trace says, if it comes from one.
    pub(crate) fn prompt(&self, load: &str, index: u64, traced: Option<&TracedRequest>) -> Prompt {
        let mut choice = plan::stream(self.seed, &format!("prompts/{load}/{index}"));
        if let Some(golden) = &self.golden
            && choice.random::<f64>() < golden.share.0
        {
            return self.ask(golden, choice.random_range(0..golden.prompts.len()));
        }
        // A name of its own for each request, so that no cache has it.
        let name = || format!("{load}-{index}-{:x}", self.seed);
        if let Some(request) = traced {
            let (input, output) = self.lengths(&mut choice);
            let (input, output) = (request.input.unwrap_or(input), request.output.unwrap_or(output));
            return if request.blocks.is_empty() {
                self.synthetic(None, &name(), (input, output), &mut choice)
            } else {
                self.blocks(&request.blocks, (input, output))
            };
        }
        match self.popularity {
            None => self.synthetic(None, &name(), self.lengths(&mut choice), &mut choice),
            Some(zipf) => {
                let id = zipf.sample(&mut choice) as u64;
                let mut text = plan::stream(self.seed, &format!("prompts/{}/{id}", self.workload));
                self.synthetic(Some(id), &id.to_string(), self.lengths(&mut text), &mut text)
            }
        }
    }

    /// A prompt that no load sends.
    pub(crate) fn probe(&self, nonce: u64) -> Prompt {
        let name = format!("probe-{nonce:x}");
        let mut rng = plan::stream(self.seed, "prompts/probe");
        self.synthetic(None, &name, self.lengths(&mut rng), &mut rng)
    }

    fn ask(&self, golden: &Golden, index: usize) -> Prompt {
        let message = json(&golden.prompts[index].ask);
        let body = format!(
            "{}\"messages\":[{{\"role\":\"user\",\"content\":{message}}}],\"max_tokens\":{GOLDEN_TOKENS}}}",
            self.head
        );
        // Synthetic ids start from 1 and are far below the upper half.
        let id = u64::MAX - index as u64;
        Prompt { body: body.into(), id: Some(id), tokens: None, golden: Some(index) }
    }

    /// Tokens of a prompt and of its answer, drawn.
    fn lengths(&self, rng: &mut ChaCha8Rng) -> (u32, u32) {
        (self.input.draw(rng), self.output.draw(rng))
    }

    /// A prompt of blocks: equal ids are equal text, whoever sends it.
    fn blocks(&self, blocks: &[u64], (input, output): (u32, u32)) -> Prompt {
        let mut body = String::with_capacity(self.head.len() + 200 + input as usize * 5);
        body.push_str(&self.head);
        body.push_str(r#""messages":[{"role":"user","content":""#);
        let mut left = input;
        for block in blocks {
            let mut rng = plan::stream(self.seed, &format!("prompts/{}/block/{block}", self.workload));
            for _ in 0..left.min(BLOCK_TOKENS) {
                body.push_str(if left == input { "" } else { " " });
                body.push_str(word(&mut rng));
                left -= 1;
            }
        }
        let _ = write!(body, "\"}}],\"max_tokens\":{output},\"ignore_eos\":true}}");
        // A block's id stands for all before it, too. Far above synthetic ids,
        // and below those of golden prompts.
        let last = blocks.last().copied().unwrap_or(0);
        let id = (1 << 62) ^ (last << 24) ^ u64::from(input);
        Prompt { body: body.into(), id: Some(id), tokens: Some(u64::from(output)), golden: None }
    }

    fn synthetic(
        &self,
        id: Option<u64>,
        name: &str,
        (input, output): (u32, u32),
        rng: &mut ChaCha8Rng,
    ) -> Prompt {
        // The prefix is part of the length; the name makes the rest unique.
        let shared = self.synthetic.shared_prefix.min(input - 1) as usize;
        let mut body = String::with_capacity(self.head.len() + 200 + input as usize * 5);
        body.push_str(&self.head);
        body.push_str("\"messages\":[");
        if shared > 0 {
            body.push_str(r#"{"role":"system","content":""#);
            for (i, word) in self.prefix[..shared].iter().enumerate() {
                body.push_str(if i == 0 { "" } else { " " });
                body.push_str(word);
            }
            body.push_str("\"},");
        }
        body.push_str(r#"{"role":"user","content":""#);
        // Quotes and backslashes can only come from a load's name.
        body.push_str(json(name).trim_matches('"'));
        for _ in shared + 1..input as usize {
            body.push(' ');
            body.push_str(word(rng));
        }
        // Writing to a String can't fail.
        let _ = write!(body, "\"}}],\"max_tokens\":{output},\"ignore_eos\":true}}");
        Prompt { body: body.into(), id, tokens: Some(u64::from(output)), golden: None }
    }
}

/// A JSON string.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
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
        scenario::model::{OpenAiChat, Popularity, Prompts, Tokens},
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
            prompts,
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
        Source::new("chat", &workload(prompts), 7).expect("a source")
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
            let prompt = source.prompt("a \"load\"", i, None);
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
            assert_eq!(one.prompt("a", i, None), two.prompt("a", i, None));
        }
        assert!((0..50).any(|i| one.prompt("a", i, None) != one.prompt("b", i, None)));
    }

    #[test]
    fn popular_prompts_repeat_word_for_word() {
        let source = source(Some(Popularity { zipf: 1.1, prompts: 50 }), None);
        let mut bodies: HashMap<u64, Bytes> = HashMap::new();
        let mut counts: HashMap<u64, u32> = HashMap::new();
        for i in 0..2000 {
            let prompt = source.prompt("a", i, None);
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
        let prompts: Vec<Prompt> = (0..2000).map(|i| source.prompt("a", i, None)).collect();
        let golden: Vec<&Prompt> = prompts.iter().filter(|prompt| prompt.golden.is_some()).collect();
        assert!((420..580).contains(&golden.len()), "{}", golden.len());
        assert_eq!(messages(golden[0]), ["capital of France?"]);
        assert_eq!(golden[0].tokens, None);
    }

    #[test]
    fn a_traced_request_is_as_long_as_its_trace_says() {
        let source = source(None, None);
        let traced = TracedRequest { input: Some(300), output: Some(7), ..Default::default() };
        let prompt = source.prompt("a", 1, Some(&traced));
        let words: usize = messages(&prompt).iter().map(|text| text.split(' ').count()).sum();
        assert_eq!((words, prompt.tokens), (300, Some(7)));
        let failed = TracedRequest { input: Some(300), ..Default::default() };
        assert_eq!(
            source.prompt("a", 1, Some(&failed)).tokens,
            Some(16),
            "the workload's, where it says nothing"
        );
    }

    #[test]
    fn equal_blocks_are_equal_text() {
        let source = source(None, None);
        let prompt = |load: &str, input, blocks: &[u64]| {
            let traced = TracedRequest {
                input: Some(input),
                output: Some(7),
                blocks: blocks.to_vec(),
                ..Default::default()
            };
            let prompt = source.prompt(load, 1, Some(&traced));
            let [text] = messages(&prompt).try_into().expect("one message");
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            assert_eq!(words.len(), input as usize);
            (words, prompt.id)
        };
        let (a, b) = (prompt("a", 1100, &[46, 47, 2366]), prompt("b", 1300, &[46, 47, 99]));
        assert_eq!(a.0[..1024], b.0[..1024]);
        assert_ne!(a.0[1024..1100], b.0[1024..1100]);
        assert_ne!(a.1, b.1);
        assert_eq!(a, prompt("c", 1100, &[46, 47, 2366]));
    }
}
