//! What caches did with requests, by the answers' heads.

use crate::{
    journal::{
        Cell,
        event::Evidence,
        interval::{CacheUse, Outcome},
    },
    verdict::finding::{Finding, counted, evidence},
};

/// Answers without a word of a cache from which it is taken to be absent.
pub(super) const ABSENT: u64 = 20;

/// Requests by what a cache did with them.
#[derive(Default)]
pub(in crate::verdict) struct Uses {
    /// Whole answers from the cache, right or wrong.
    pub(in crate::verdict) hits: u64,
    /// What it gave that was no answer: errors that it kept, and what broke.
    pub(super) broken: u64,
    pub(in crate::verdict) misses: u64,
    collapsed: u64,
    /// Answered `ok` without a word of a cache, or around it.
    silent: u64,
    /// Misses of prompts that may be asked again, and those of them that had company.
    pub(super) comparable: u64,
    pub(super) overlapping: u64,
}

/// Whether there is an answer, right or wrong.
fn is_answer(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Ok | Outcome::Mismatch)
}

impl Uses {
    pub(in crate::verdict) fn of<'c>(cells: impl Iterator<Item = &'c Cell>) -> Self {
        let mut uses = Self::default();
        for cell in cells {
            match cell.key.served.cache {
                CacheUse::Hit if is_answer(cell.key.outcome) => uses.hits += cell.count,
                CacheUse::Hit => uses.broken += cell.count,
                CacheUse::Miss => {
                    uses.misses += cell.count;
                    uses.comparable += cell.comparable_misses;
                    uses.overlapping += cell.overlapping_misses;
                }
                CacheUse::Collapsed => uses.collapsed += cell.count,
                CacheUse::Unknown | CacheUse::Bypass if cell.key.outcome == Outcome::Ok => {
                    uses.silent += cell.count;
                }
                CacheUse::Unknown | CacheUse::Bypass => {}
            }
        }
        uses
    }

    /// Those that it could have answered.
    pub(super) fn asked(&self) -> u64 {
        self.hits + self.broken + self.misses + self.collapsed
    }

    /// There was traffic enough to see a cache, and none showed itself.
    pub(in crate::verdict) fn absent(&self) -> bool {
        self.asked() == 0 && self.silent >= ABSENT
    }

    pub(in crate::verdict) fn evidence(&self) -> Evidence {
        let broken = match self.broken {
            0 => String::new(),
            n => format!(", {} from the cache", counted(n, "error")),
        };
        evidence(
            "wire",
            format!(
                "{} hits, {} misses, {} collapsed, {} answers without a cache{broken}",
                self.hits, self.misses, self.collapsed, self.silent
            ),
        )
    }
}

pub(in crate::verdict) fn absent(uses: &Uses) -> Finding {
    let said = format!("no cache showed itself in {}", counted(uses.silent, "answer"));
    Finding::fail(said).observed(0.0, "count").with([uses.evidence()])
}
