//! Notices a stampede: misses for one prompt that were under way together.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use crate::units::{RunTime, Version};

/// What would have been the same cache entry.
type Entry = (u16, u64, Option<Version>);

/// How many misses of one entry are remembered.
const REMEMBERED: usize = 16;

/// Whether a miss was alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Company {
    /// None of the same entry was under way.
    Alone,
    /// One was.
    Overlaps,
}

/// The misses of the last while.
#[derive(Debug, Default)]
pub(crate) struct Misses {
    recent: Mutex<HashMap<Entry, Vec<(RunTime, RunTime)>>>,
}

impl Misses {
    /// A miss of `prompt` was sent at `sent` and had its first byte at
    /// `first_byte`. Whether another one of the same workload, prompt and
    /// version, told earlier, was under way at the same time.
    pub(crate) fn told(
        &self,
        workload: u16,
        prompt: u64,
        version: Option<Version>,
        sent: RunTime,
        first_byte: RunTime,
    ) -> Company {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        let misses = recent.entry((workload, prompt, version)).or_default();
        let overlaps = misses.iter().any(|&(from, to)| from < first_byte && sent < to);
        if misses.len() == REMEMBERED {
            misses.remove(0);
        }
        misses.push((sent, first_byte));
        if overlaps { Company::Overlaps } else { Company::Alone }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_misses_under_way_together_overlap() {
        let misses = Misses::default();
        let told = |prompt, version: &str, from, to| {
            let company = misses.told(0, prompt, Some(Version::from(version)), RunTime(from), RunTime(to));
            company == Company::Overlaps
        };
        assert!(!told(1, "v1", 0, 10));
        assert!(!told(1, "v1", 10, 20), "one after the other");
        assert!(told(1, "v1", 19, 30));
        assert!(told(1, "v1", 5, 8), "whoever is told later");
        assert!(!told(2, "v1", 0, 30), "another prompt");
        assert!(!told(1, "v2", 0, 30), "another version");
        let other = misses.told(1, 1, Some(Version::from("v1")), RunTime(0), RunTime(30));
        assert_eq!(other, Company::Alone, "another workload");
    }
}
