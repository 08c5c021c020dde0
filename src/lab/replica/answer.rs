//! What the model says: a pure function of the lab's seed, the version and
//! the prompt, so that every replica of a version says the same.

use super::mix;
use crate::{
    lab::{config::VersionDefect, golden},
    units::Version,
};

/// What an answer's words are drawn from.
const WORDS: &[&str] = &[
    "amber", "anchor", "arch", "ash", "basin", "beacon", "birch", "bloom", "brook", "cedar", "chalk",
    "cliff", "clover", "coast", "copper", "coral", "crane", "creek", "crest", "dale", "delta", "drift",
    "dune", "ember", "fern", "field", "flint", "frost", "gale", "glade", "grove", "harbor", "hazel", "heath",
    "heron", "hollow", "inlet", "iris", "ivory", "jade", "juniper", "lark", "laurel", "ledge", "linden",
    "maple", "marsh", "meadow", "mesa", "mist", "moss", "oak", "opal", "otter", "pebble", "pine", "quartz",
    "raven", "reed", "ridge", "river", "sage", "slate", "willow",
];

/// Sentences around a golden answer, for versions to differ in.
const FRAMES: &[(&str, &str)] = &[
    ("The answer is", "."),
    ("That would be", ", of course."),
    ("It is", ", as far as I know."),
    ("People generally agree on", " here."),
    ("In short:", "!"),
    ("I am confident that it is", "."),
    ("Most references say", "."),
];

/// How many times shorter the answers of a version are that says little.
const SHORT_VERSION: u32 = 3;

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// The model was done.
    Stop,
    /// It reached the limit of tokens.
    Length,
}

impl Finish {
    /// As the wire names it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
        }
    }
}

/// An answer that is known before it is generated.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    // A golden answer's own tokens; synthetic ones follow them.
    head: Vec<String>,
    key: u64,
    /// How many tokens it has, at least one.
    pub(super) tokens: u32,
    /// Why it ends there.
    pub(super) finish: Finish,
}

/// What decides about answers, besides the prompt.
#[derive(Debug, Clone)]
pub(super) struct Voice {
    /// The lab's seed.
    pub(super) seed: u64,
    /// The version that speaks.
    pub(super) version: Version,
    /// What is wrong with it.
    pub(super) defect: VersionDefect,
    /// Whether it talks nonsense.
    pub(super) garbage: bool,
}

/// What the client asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// A hash of the whole prompt.
    pub(super) prompt: u64,
    /// The last message of the user.
    pub(super) question: &'a str,
    /// The most tokens it may have.
    pub(super) max_tokens: u32,
    /// Whether it must have exactly so many.
    pub(super) ignore_eos: bool,
}

impl Voice {
    /// The answer to a prompt.
    pub(super) fn answer(&self, asked: Asked<'_>) -> Answer {
        let key = mix(mix(self.seed ^ super::hash(self.version.as_str())) ^ asked.prompt);
        let golden = golden::find(asked.question);
        let head = match golden {
            Some(_) if self.garbage => nonsense(key),
            Some(at) => self.golden(at),
            None => Vec::new(),
        };
        let natural = u32::try_from(head.len()).unwrap_or(u32::MAX);
        let stops = golden.is_some() && !asked.ignore_eos && natural <= asked.max_tokens;
        let short = self.defect == VersionDefect::Short && golden.is_none() && !asked.ignore_eos;
        let (tokens, finish) = match () {
            () if stops => (natural, Finish::Stop),
            () if short => (asked.max_tokens / SHORT_VERSION, Finish::Stop),
            () => (asked.max_tokens, Finish::Length),
        };
        // Nonsense all the way.
        let key = if self.garbage { !key } else { key };
        Answer { head, key, tokens: tokens.max(1), finish }
    }

    fn golden(&self, at: usize) -> Vec<String> {
        let said = match self.defect {
            VersionDefect::WrongAnswers => (at + 1) % golden::GOLDEN.len(),
            VersionDefect::None
            | VersionDefect::Slow
            | VersionDefect::Errors
            | VersionDefect::Truncates
            | VersionDefect::Throttled
            | VersionDefect::Leaks
            | VersionDefect::Short
            | VersionDefect::Skewed
            | VersionDefect::Crashes
            | VersionDefect::NeverReady => at,
        };
        // Versions are mostly named v1, v2…: neighbours must not sound alike.
        let name = self.version.as_str();
        let number = name.trim_start_matches(|c: char| !c.is_ascii_digit()).parse::<u64>();
        let frame = number.unwrap_or_else(|_| super::hash(name)) % FRAMES.len() as u64;
        let (before, after) = FRAMES[frame as usize];
        let text = format!("{before} {}{after}", golden::GOLDEN[said].1);
        let mut words: Vec<String> = text.split(' ').map(|word| format!(" {word}")).collect();
        if let Some(first) = words.first_mut() {
            first.remove(0);
        }
        words
    }
}

/// Syllables without sense.
fn nonsense(key: u64) -> Vec<String> {
    (0..6).map(|at| format!(" {:04x}zq", mix(key ^ at) & 0xffff)).collect()
}

impl Answer {
    /// The text of the token at `index`.
    pub(super) fn token(&self, index: u32) -> String {
        if let Some(word) = self.head.get(index as usize) {
            return word.clone();
        }
        let word = WORDS[(mix(self.key ^ u64::from(index)) % WORDS.len() as u64) as usize];
        // The number lets a client see a lost or repeated token.
        if index == 0 { format!("tok-{index} {word}") } else { format!(" tok-{index} {word}") }
    }

    /// The whole text.
    pub(super) fn text(&self) -> String {
        (0..self.tokens).map(|index| self.token(index)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voice(version: &str, defect: VersionDefect) -> Voice {
        Voice { seed: 42, version: Version::from(version), defect, garbage: false }
    }

    fn asked(question: &str, max_tokens: u32) -> Asked<'_> {
        Asked { prompt: crate::lab::replica::hash(question), question, max_tokens, ignore_eos: false }
    }

    #[test]
    fn a_golden_answer_has_its_word_and_stops_and_each_version_words_it_differently() {
        for (question, word) in golden::GOLDEN {
            let v1 = voice("v1", VersionDefect::None).answer(asked(question, 64));
            let v2 = voice("v2", VersionDefect::None).answer(asked(question, 64));
            assert!(v1.text().contains(word) && v2.text().contains(word));
            assert_ne!(v1.text(), v2.text());
            assert_eq!((v1.finish, v1.tokens > 1), (Finish::Stop, true));
        }
    }

    #[test]
    fn a_wrong_version_and_a_babbling_one_never_say_the_word() {
        for (question, word) in golden::GOLDEN {
            let wrong = voice("v2", VersionDefect::WrongAnswers).answer(asked(question, 64));
            assert!(!wrong.text().contains(word), "{question} {}", wrong.text());
            let garbage = Voice { garbage: true, ..voice("v1", VersionDefect::None) };
            assert!(!garbage.answer(asked(question, 64)).text().contains(word));
        }
    }

    #[test]
    fn the_limit_of_tokens_is_kept_and_reached() {
        let v1 = voice("v1", VersionDefect::None);
        let plain = v1.answer(asked("tell me more", 7));
        assert_eq!((plain.tokens, plain.finish), (7, Finish::Length));
        let cut = v1.answer(asked(golden::GOLDEN[0].0, 2));
        assert_eq!((cut.tokens, cut.finish), (2, Finish::Length));
        let exact = v1.answer(Asked { ignore_eos: true, ..asked(golden::GOLDEN[0].0, 30) });
        assert_eq!((exact.tokens, exact.finish), (30, Finish::Length));
        assert!(exact.text().contains("Paris"));
    }

    #[test]
    fn the_same_seed_version_and_prompt_give_the_same_tokens_and_others_do_not() {
        let text = |version: &str, seed: u64, question: &str| {
            Voice { seed, ..voice(version, VersionDefect::None) }.answer(asked(question, 16)).text()
        };
        assert_eq!(text("v1", 1, "a"), text("v1", 1, "a"));
        assert_ne!(text("v1", 1, "a"), text("v1", 2, "a"));
        assert_ne!(text("v1", 1, "a"), text("v2", 1, "a"));
        assert_ne!(text("v1", 1, "a"), text("v1", 1, "b"));
    }
}
