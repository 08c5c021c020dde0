//! Notices a hit that is not what the origin answers to the same request.
//!
//! The same request: byte for byte, answered by the same version. No
//! right answer has to be known for this, only one that the origin gave in the
//! run, before the hit or after it.

use std::{
    collections::{HashMap, hash_map::Entry},
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
};

use crate::units::Version;

/// So many requests are remembered; more are not compared.
const REQUESTS: usize = 100_000;
/// So many answers of one; who says something else each time can't be compared.
const ANSWERS: usize = 8;
/// So many hits of one wait for the origin's answer.
const WAITING: usize = 64;
/// Bytes from which no two requests have the same answer by chance: labels and
/// a plain "yes" are shorter.
const TELLING: u64 = 16;

/// What an answer said, piece by piece: its text, or the whole of a body that
/// holds none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Words {
    hasher: DefaultHasher,
    bytes: u64,
}

impl Words {
    /// The next piece came.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        // `write` alone: how an answer is cut into pieces must not matter.
        self.hasher.write(piece);
        self.bytes += piece.len() as u64;
    }

    fn said(&self) -> Said {
        Said { hash: self.hasher.finish(), telling: self.bytes >= TELLING }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Said {
    hash: u64,
    telling: bool,
}

/// Who gave an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Giver {
    /// Who was asked.
    Origin,
    /// A cache in its place.
    Cache,
}

/// Hits that were compared, with an answer that made it possible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Compared {
    /// They are what the origin answered, too.
    pub(crate) alike: u32,
    /// They are not.
    pub(crate) unlike: u32,
}

/// A request and who answered, by their hash.
type Asked = u64;

/// What is known of one request.
#[derive(Debug, Default)]
struct Known {
    /// The origin's answers, each once, with how often it came.
    answers: Vec<(Said, u32)>,
    /// Hits that nothing was known of yet.
    waiting: Vec<Said>,
}

/// Whose answer something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    One(Asked),
    Several,
}

#[derive(Debug, Default)]
struct Books {
    requests: HashMap<Asked, Known>,
    whose: HashMap<Said, Whose>,
}

/// What the origin answered, of all the run.
#[derive(Debug, Default)]
pub(crate) struct Origins(Mutex<Books>);

impl Origins {
    /// `words` were answered to the request with this hash, by `giver`. What this
    /// tells of hits: of this one, or of earlier ones.
    pub(crate) fn told(
        &self,
        request: u64,
        version: Option<&Version>,
        words: &Words,
        giver: Giver,
    ) -> Compared {
        // A body that nobody read says nothing, and is like any other.
        if words.bytes == 0 {
            return Compared::default();
        }
        let mut hasher = DefaultHasher::new();
        (request, version.map(Version::as_str)).hash(&mut hasher);
        let (asked, said) = (hasher.finish(), words.said());
        let mut books = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Books { requests, whose } = &mut *books;
        let full = requests.len() >= REQUESTS;
        let known = match requests.entry(asked) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(_) if full => return Compared::default(),
            Entry::Vacant(new) => new.insert(Known::default()),
        };
        match giver {
            Giver::Origin => {
                whose
                    .entry(said)
                    .and_modify(|of| {
                        if *of != Whose::One(asked) {
                            *of = Whose::Several;
                        }
                    })
                    .or_insert(Whose::One(asked));
                known.answered(said);
            }
            Giver::Cache if known.waiting.len() < WAITING => known.waiting.push(said),
            Giver::Cache => {}
        }
        known.compare(|said| match whose.get(&said) {
            Some(Whose::One(of)) => *of != asked,
            // What is said to many may be said to anybody.
            Some(Whose::Several) | None => false,
        })
    }
}

impl Known {
    fn answered(&mut self, said: Said) {
        if let Some((_, times)) = self.answers.iter_mut().find(|(one, _)| *one == said) {
            *times += 1;
        } else if self.answers.len() < ANSWERS {
            self.answers.push((said, 1));
        }
    }

    /// Takes the hits that can be compared by now. A model may say something else
    /// each time: only one that said the same twice, or an answer to something
    /// else, shows that a hit is not its own.
    fn compare(&mut self, others: impl Fn(Said) -> bool) -> Compared {
        let mut compared = Compared::default();
        let answers = &self.answers;
        let always = matches!(answers.as_slice(), [(_, times)] if *times > 1);
        self.waiting.retain(|hit| {
            if answers.iter().any(|(one, _)| one == hit) {
                compared.alike += 1;
                return false;
            }
            let unlike = !answers.is_empty() && (always || hit.telling && others(*hit));
            compared.unlike += u32::from(unlike);
            !unlike
        });
        compared
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Giver::{Cache, Origin},
        *,
    };

    const LONG: &str = "an answer that is long enough to be told from others";

    fn words(pieces: &[&str]) -> Words {
        let mut words = Words::default();
        pieces.iter().for_each(|piece| words.push(piece.as_bytes()));
        words
    }

    /// Answers in turn; what each told: hits alike and unlike.
    fn told(answers: &[(&str, &str, Giver)]) -> Vec<(u32, u32)> {
        let origins = Origins::default();
        let one = |(body, said, giver): &(&str, &str, Giver)| {
            let request = u64::from(body.as_bytes()[0]);
            let compared = origins.told(request, None, &words(&[said]), *giver);
            (compared.alike, compared.unlike)
        };
        answers.iter().map(one).collect()
    }

    #[test]
    fn a_hit_is_held_against_the_origins_answer() {
        let of = |said: &str| format!("{LONG}: {said}");
        let (a, b) = (of("a"), of("b"));
        assert_eq!(told(&[("A", &a, Origin), ("A", &a, Cache)]), [(0, 0), (1, 0)]);
        assert_eq!(
            told(&[("A", &a, Origin), ("B", &b, Origin), ("B", &a, Cache)]),
            [(0, 0), (0, 0), (0, 1)],
            "somebody else's"
        );
        assert_eq!(told(&[("B", &a, Cache), ("A", &a, Origin), ("B", &b, Origin)])[2], (0, 1), "told later");
        assert_eq!(told(&[("A", &a, Cache), ("A", &a, Cache), ("A", &a, Origin)])[2], (2, 0));
    }

    #[test]
    fn who_says_something_else_each_time_is_not_held_to_it() {
        let hit = |before: &[(&str, &str, Giver)]| {
            let mut all = before.to_vec();
            all.push(("A", "kept before the run", Cache));
            *told(&all).last().expect("a hit")
        };
        assert_eq!(hit(&[]), (0, 0), "the origin was never asked");
        assert_eq!(hit(&[("A", "x", Origin)]), (0, 0));
        assert_eq!(hit(&[("A", "x", Origin), ("A", "y", Origin), ("A", "y", Origin)]), (0, 0));
        assert_eq!(hit(&[("A", "x", Origin), ("A", "x", Origin)]), (0, 1), "it says the same each time");
        // Of many questions the answer is yes.
        let yes = [("A", "no", Origin), ("B", "yes", Origin), ("A", "yes", Cache)];
        assert_eq!(told(&yes)[2], (0, 0));
        // It refuses many, and sometimes this one.
        let refused = [("A", "x", Origin), ("B", LONG, Origin), ("C", LONG, Origin), ("A", LONG, Cache)];
        assert_eq!(told(&refused)[3], (0, 0));
    }

    #[test]
    fn versions_requests_and_pieces() {
        let origins = Origins::default();
        let v = |name: &str| Version::from(name);
        let told = |request, version: &str, pieces: &[&str], giver| {
            origins.told(request, Some(&v(version)), &words(pieces), giver)
        };
        let (alike, nothing) = (Compared { alike: 1, unlike: 0 }, Compared::default());
        told(0, "v1", &[LONG, "one"], Origin);
        told(0, "v2", &[LONG, "two"], Origin);
        assert_eq!(told(0, "v1", &[LONG, "o", "ne"], Cache), alike, "in other pieces");
        assert_eq!(told(0, "v2", &[LONG, "one"], Cache), Compared { alike: 0, unlike: 1 });
        assert_eq!(told(1, "v1", &[LONG, "one"], Cache), nothing, "never asked of the origin");
    }

    #[test]
    fn what_was_not_read_is_not_compared() {
        assert_eq!(told(&[("A", "", Origin), ("A", "", Cache)]), [(0, 0), (0, 0)]);
    }

    #[test]
    fn what_is_remembered_has_an_end() {
        let origins = Origins::default();
        let hit = || origins.told(0, None, &words(&["a"]), Cache);
        (0..2 * WAITING).for_each(|_| assert_eq!(hit(), Compared::default()));
        let all = origins.told(0, None, &words(&["a"]), Origin);
        assert_eq!(all, Compared { alike: WAITING as u32, unlike: 0 });
    }
}
