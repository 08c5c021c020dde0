//! What is asked: the body of each request, drawn from named streams, so that
//! a load's n-th request is the same whichever user sends it, and whenever.

mod recorded;
mod talk;
mod words;

use std::sync::Arc;

use bytes::Bytes;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::Zipf;

pub(crate) use self::talk::Talk;
use self::{recorded::Recorded, words::Words};
use super::{
    LoadError,
    dialect::{Dialect, Question, Turn},
    golden::RightAnswer,
};
use crate::{
    plan,
    scenario::{
        TracedRequest,
        model::{PromptSource, Session, Turns, Workload},
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
    /// The answer's text is needed, for the next turn.
    pub(crate) keeps_text: bool,
}

impl Prompt {
    /// Whether a cache may have seen it before.
    pub(crate) fn may_come_again(&self) -> bool {
        self.id.is_some() || self.golden.is_some()
    }
}

/// Which prompt of a source.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    load: &'a str,
    /// Of the arrival.
    index: u64,
    /// Of its session.
    turn: u32,
    /// No load sends it.
    probe: bool,
    /// As a trace has it.
    traced: Option<&'a TracedRequest>,
}

impl Place<'_> {
    /// A name that no other prompt of the run has.
    fn name(&self, seed: u64) -> String {
        match self.turn {
            0 => format!("{}-{}-{seed:x}", self.load, self.index),
            turn => format!("{}-{}.{turn}-{seed:x}", self.load, self.index),
        }
    }
}

/// A prompt before it is put into a protocol's form.
#[derive(Debug)]
struct Drawn<'a> {
    /// Names it where it may come again. None: it never does.
    id: Option<u64>,
    system: &'a str,
    user: String,
    tokens: u32,
    /// Exactly so many.
    exact: bool,
}

#[derive(Debug)]
enum Texts {
    Words(Words),
    Recorded(Recorded),
}

/// Golden prompts, made ready.
#[derive(Debug)]
struct Golden {
    share: f64,
    prompts: Vec<(String, RightAnswer)>,
}

/// A workload's source of prompts.
#[derive(Debug)]
pub(crate) struct Source {
    seed: u64,
    dialect: Arc<Dialect>,
    golden: Option<Golden>,
    session: Option<Session>,
    nonce: bool,
    texts: Texts,
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
        let most = prompts.session.as_ref().map_or(1, |session| session.turns.most());
        let texts = match &prompts.source {
            PromptSource::Synthetic(synthetic) => Texts::Words(Words::new(name, synthetic, seed)?),
            PromptSource::Sharegpt(sharegpt) => Texts::Recorded(Recorded::sharegpt(sharegpt, seed)?),
            PromptSource::Jsonl(jsonl) => Texts::Recorded(Recorded::jsonl(jsonl, most, seed)?),
        };
        let golden = match &prompts.golden {
            Some(golden) if !golden.prompts.is_empty() => {
                let ready = |prompt: &crate::scenario::model::GoldenPrompt| {
                    Ok((prompt.ask.clone(), RightAnswer::of(&prompt.expected)?))
                };
                let prompts: Result<_, LoadError> = golden.prompts.iter().map(ready).collect();
                Some(Golden { share: golden.share.0, prompts: prompts? })
            }
            Some(_) | None => None,
        };
        let session = prompts.session.clone();
        Ok(Self { seed, dialect, golden, session, nonce: prompts.nonce, texts })
    }

    /// What is right for the golden prompt with this index.
    pub(crate) fn golden(&self, index: usize) -> Option<&RightAnswer> {
        self.golden.as_ref()?.prompts.get(index).map(|(_, right)| right)
    }

    /// What the arrival number `index` of the load stream `load` asks, with
    /// the sizes that a trace has for it, if it comes from one.
    pub(crate) fn talk<'s>(
        &'s self,
        load: &'s str,
        index: u64,
        traced: Option<&'s TracedRequest>,
    ) -> Talk<'s> {
        let place = Place { load, index, turn: 0, probe: false, traced };
        let golden = self.golden.as_ref().and_then(|_| self.draw_golden(&mut self.choice(place)));
        let turns = if golden.is_some() { 1 } else { self.turns(place) };
        Talk::new(self, place, golden, turns)
    }

    /// From an answer to the next turn of its session.
    pub(crate) fn think(&self) -> std::time::Duration {
        self.session.as_ref().map_or(std::time::Duration::ZERO, |session| session.think.0)
    }

    /// A prompt that no load sends.
    pub(crate) fn probe(&self, nonce: u64) -> Prompt {
        let place = Place { load: "probe", index: nonce, turn: 0, probe: true, traced: None };
        self.encode(place, "", &[]).0
    }

    /// Where the prompt at this place is drawn from.
    fn choice(&self, place: Place<'_>) -> ChaCha8Rng {
        let name = match (place.probe, place.turn) {
            (true, _) => "prompts/probe".to_owned(),
            (false, 0) => format!("prompts/{}/{}", place.load, place.index),
            (false, turn) => format!("prompts/{}/{}/{turn}", place.load, place.index),
        };
        plan::stream(self.seed, &name)
    }

    fn draw_golden(&self, choice: &mut ChaCha8Rng) -> Option<usize> {
        let golden = self.golden.as_ref()?;
        (choice.random::<f64>() < golden.share).then(|| choice.random_range(0..golden.prompts.len()))
    }

    fn turns(&self, place: Place<'_>) -> u32 {
        let Some(session) = &self.session else { return 1 };
        let turns = match session.turns {
            Turns::Fixed(turns) => turns,
            Turns::Uniform { min, max } => {
                let name = format!("sessions/{}/{}", place.load, place.index);
                plan::stream(self.seed, &name).random_range(min.min(max)..=max)
            }
        };
        match &self.texts {
            Texts::Words(_) => turns,
            Texts::Recorded(recorded) => recorded.turns(place, turns),
        }
    }

    fn ask_golden(&self, index: usize) -> Prompt {
        let user = self.golden.as_ref().map_or("", |golden| golden.prompts[index].0.as_str());
        let question = Question { system: "", history: &[], user, tokens: GOLDEN_TOKENS, exact: false };
        // Others' ids start from 1 and are far below the upper half.
        let id = Some(u64::MAX - index as u64);
        let body = self.dialect.encode(&question);
        Prompt { body, id, tokens: None, golden: Some(index), keeps_text: false }
    }

    /// The prompt at this place, after `history`, and what it was made of. A
    /// later turn has the first one's system prompt, `system`.
    fn encode(&self, place: Place<'_>, system: &str, history: &[Turn]) -> (Prompt, Drawn<'_>) {
        let mut choice = self.choice(place);
        if place.turn == 0 && !place.probe {
            // As it was drawn to find out that it is none.
            self.draw_golden(&mut choice);
        }
        let mut drawn = match &self.texts {
            Texts::Words(words) => words.draw(place, &mut choice),
            Texts::Recorded(recorded) => recorded.draw(place, &mut choice),
        };
        if (self.nonce || place.probe) && drawn.id.take().is_some() {
            drawn.user = format!("[{}] {}", place.name(self.seed), drawn.user);
        }
        let exact = drawn.exact && self.dialect.can_be_exact();
        let question = Question {
            system: if place.turn == 0 { drawn.system } else { system },
            history,
            user: &drawn.user,
            tokens: drawn.tokens,
            exact,
        };
        let body = self.dialect.encode(&question);
        let tokens = exact.then_some(u64::from(drawn.tokens));
        let prompt = Prompt { body, id: drawn.id, tokens, golden: None, keeps_text: false };
        (prompt, drawn)
    }
}

/// Zipf's law over ranks from 1 to `count`.
fn zipf(count: f64, exponent: f64) -> Result<Zipf<f64>, LoadError> {
    Zipf::new(count, exponent).map_err(|error| LoadError::Workload(format!("popularity: {error}")))
}

#[cfg(test)]
impl Source {
    /// The first prompt of an arrival.
    pub(crate) fn prompt(&self, load: &str, index: u64) -> Prompt {
        self.talk(load, index, None).ask()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::{
        scenario::model::{
            Conversation, Endpoint, Expected, FilePopularity, Golden, GoldenPrompt, Jsonl, OpenAi,
            Popularity, PromptFile, Prompts, ShareGpt, Synthetic, Tokens,
        },
        units::{Ratio, Span},
    };

    fn workload(prompts: Prompts) -> Workload {
        let chat = OpenAi { model: "de\"mo".to_owned(), stream: true, ..OpenAi::default() };
        Workload {
            endpoint: Endpoint::OpenaiChat(chat),
            prompts: Some(prompts),
            timeout: Span::secs(1),
            idle_timeout: Span::secs(1),
            transport: Default::default(),
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
        let source = PromptSource::Synthetic(synthetic(popularity));
        of(Prompts { source, nonce: false, session: None, golden })
    }

    fn of(prompts: Prompts) -> Source {
        let workload = workload(prompts);
        let dialect = Arc::new(Dialect::of(&workload.endpoint).expect("a dialect"));
        Source::new("chat", &workload, dialect, 7).expect("a source")
    }

    fn file(turns: &[&[&str]]) -> PromptFile {
        let of = |turns: &&[&str]| Conversation {
            system: String::new(),
            turns: turns.iter().map(|text| ((*text).to_owned(), Some(3))).collect(),
        };
        let conversations: Vec<_> = turns.iter().map(of).collect();
        PromptFile {
            path: "x".into(),
            sha256: String::new(),
            entries: turns.len(),
            conversations: conversations.into(),
        }
    }

    fn sharegpt(turns: &[&[&str]], popularity: Option<FilePopularity>) -> PromptSource {
        PromptSource::Sharegpt(ShareGpt { file: file(turns), output_tokens: None, popularity })
    }

    fn session(turns: Turns) -> Option<Session> {
        Some(Session { turns, think: Span::secs(0) })
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
            prompts: vec![GoldenPrompt {
                ask: "capital of France?".into(),
                expected: Expected::Contains("Paris".into()),
            }],
        };
        let source = source(None, Some(golden));
        let prompts: Vec<Prompt> = (0..2000).map(|i| source.prompt("a", i)).collect();
        let golden: Vec<&Prompt> = prompts.iter().filter(|prompt| prompt.golden.is_some()).collect();
        assert!((420..580).contains(&golden.len()), "{}", golden.len());
        assert_eq!(messages(golden[0]), ["capital of France?"]);
        assert_eq!(golden[0].tokens, None);
    }
    #[test]
    fn a_session_sends_what_was_said() {
        let prompts = Prompts {
            source: PromptSource::Synthetic(synthetic(None)),
            nonce: false,
            session: session(Turns::Fixed(3)),
            golden: None,
        };
        let source = of(prompts);
        let mut talk = source.talk("a", 4, None);
        let first = talk.ask();
        assert!(first.keeps_text);
        let [system, one] = messages(&first).try_into().expect("two messages");
        assert!(talk.hear(Some("yes".to_owned())));
        let second = talk.ask();
        let [again, before, answer, two] = messages(&second).try_into().expect("four messages");
        assert_eq!((&again, &before, answer.as_str()), (&system, &one, "yes"));
        assert_ne!(one, two);
        assert!(talk.hear(Some("no".to_owned())));
        let third = talk.ask();
        assert!(!third.keeps_text && messages(&third).len() == 6);
        assert!(!talk.hear(Some("x".to_owned())), "three turns");
        let mut broken = source.talk("a", 4, None);
        assert_eq!(broken.ask(), first, "the same arrival asks the same");
        assert!(!broken.hear(None), "no answer, no next turn");
    }

    #[test]
    fn turns_are_drawn_for_each_session_and_a_conversation_ends_when_it_ends() {
        let count = |source: &Source, index| {
            let mut talk = source.talk("a", index, None);
            let mut turns = 1;
            talk.ask();
            while talk.hear(Some(String::new())) {
                talk.ask();
                turns += 1;
            }
            turns
        };
        let with = |source| Prompts {
            source,
            nonce: false,
            session: session(Turns::Uniform { min: 2, max: 4 }),
            golden: None,
        };
        let drawn = of(with(PromptSource::Synthetic(synthetic(None))));
        let counts: std::collections::BTreeSet<_> = (0..100).map(|index| count(&drawn, index)).collect();
        assert_eq!(counts, [2, 3, 4].into());
        let recorded = of(with(sharegpt(&[&["one"], &["a", "b", "c"]], None)));
        let counts: std::collections::BTreeSet<_> = (0..100).map(|index| count(&recorded, index)).collect();
        assert_eq!(counts, [1, 2, 3].into());
    }

    #[test]
    fn a_file_is_asked_in_its_order_or_by_its_popularity() {
        let plain = |source| of(Prompts { source, nonce: false, session: None, golden: None });
        let texts: [&[&str]; 3] = [&["one"], &["two"], &["three"]];
        let asked = |source: &Source, index| messages(&source.prompt("a", index)).pop().expect("a message");
        let source = plain(sharegpt(&texts, None));
        let order: Vec<String> = (0..6).map(|index| asked(&source, index)).collect();
        assert_eq!(order[..3], order[3..]);
        assert_eq!(order[..3].iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
        let prompt = source.prompt("a", 0);
        assert_eq!((prompt.tokens, prompt.id.is_some()), (None, true));
        let body: serde_json::Value = serde_json::from_slice(&prompt.body).expect("JSON");
        assert_eq!((&body["max_tokens"], body.get("ignore_eos")), (&3.into(), None));
        let popular = plain(sharegpt(&texts, Some(FilePopularity { zipf: 2.0 })));
        let ones = (0..300).filter(|index| asked(&popular, *index) == "one").count();
        // 1 of 1 + 1/4 + 1/9.
        assert!((190..250).contains(&ones), "{ones}");
        let unread = PromptFile { conversations: Default::default(), ..file(&texts) };
        let jsonl = Jsonl {
            file: unread,
            template: String::new(),
            system: None,
            output_tokens: Tokens::Fixed(1),
            popularity: None,
        };
        let prompts =
            Prompts { source: PromptSource::Jsonl(jsonl), nonce: false, session: None, golden: None };
        let dialect = Arc::new(Dialect::chat());
        assert!(Source::new("chat", &workload(prompts), dialect, 7).is_err(), "a plan that was read back");
    }

    #[test]
    fn a_nonce_makes_every_prompt_its_own() {
        let popular = Some(Popularity { zipf: 1.1, prompts: 2 });
        for source in [PromptSource::Synthetic(synthetic(popular)), sharegpt(&[&["one"]], None)] {
            let source = of(Prompts { source, nonce: true, session: None, golden: None });
            let prompts: Vec<Prompt> = (0..50).map(|index| source.prompt("a", index)).collect();
            assert!(prompts.iter().all(|prompt| prompt.id.is_none()));
            let distinct: std::collections::HashSet<_> = prompts.iter().map(|prompt| &prompt.body).collect();
            assert_eq!(distinct.len(), 50);
        }
    }

    fn traced(source: &Source, load: &str, traced: &TracedRequest) -> Prompt {
        source.talk(load, 1, Some(traced)).ask()
    }

    #[test]
    fn a_traced_request_is_as_long_as_its_trace_says() {
        let source = source(None, None);
        let long = TracedRequest { input: Some(300), output: Some(7), ..Default::default() };
        let prompt = traced(&source, "a", &long);
        let words: usize = messages(&prompt).iter().map(|text| text.split(' ').count()).sum();
        assert_eq!((words, prompt.tokens), (300, Some(7)));
        let failed = TracedRequest { input: Some(300), ..Default::default() };
        let tokens = traced(&source, "a", &failed).tokens;
        assert_eq!(tokens, Some(16), "the workload's, where the trace says nothing");
    }

    #[test]
    fn equal_blocks_are_equal_text() {
        let source = source(None, None);
        let prompt = |load: &str, input, blocks: &[u64]| {
            let (input, output) = (Some(input), Some(7));
            let request = TracedRequest { input, output, blocks: blocks.to_vec(), ..Default::default() };
            let prompt = traced(&source, load, &request);
            let [text] = messages(&prompt).try_into().expect("one message");
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            assert_eq!(Some(words.len() as u32), input);
            (words, prompt.id)
        };
        let (a, b) = (prompt("a", 1100, &[46, 47, 2366]), prompt("b", 1300, &[46, 47, 99]));
        assert_eq!(a.0[..1024], b.0[..1024]);
        assert_ne!(a.0[1024..1100], b.0[1024..1100]);
        assert_ne!(a.1, b.1);
        assert_eq!(a, prompt("c", 1100, &[46, 47, 2366]));
    }
}
