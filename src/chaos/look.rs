//! What one look at a step of a fault saw, and since when the step acts.

use std::{hash::Hash, time::Duration};

use indexmap::IndexMap;

use super::driver::Proof;
use crate::{
    journal::event::Evidence,
    units::{RunTime, Seen},
};

/// What was seen of a step.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) acts: bool,
    pub(super) missing: String,
    pub(super) evidence: Vec<Evidence>,
    /// Time from its being in place to its first effect, where that was measured.
    pub(super) first: Option<Duration>,
}

impl Look {
    pub(super) fn acts(evidence: Vec<Evidence>) -> Self {
        Self { acts: true, missing: String::new(), evidence, first: None }
    }

    pub(super) fn not(missing: impl Into<String>, evidence: Vec<Evidence>) -> Self {
        Self { acts: false, missing: missing.into(), evidence, first: None }
    }
}

/// When a step was done, and when its effect began.
#[derive(Debug, Default)]
pub(super) struct Timing {
    /// Between asking for it and the answer that it is done.
    placed: Option<Seen>,
    /// None: it was not seen yet.
    effect: Option<Seen>,
}

impl Timing {
    pub(super) fn placed(&mut self, seen: Seen) {
        self.placed = Some(seen);
    }

    /// Remembers what a look saw that was begun at `started`. `at_once`: the
    /// step shows as soon as it acts, so that a look that does not see it came
    /// before. Some: it acts, and since when.
    pub(super) fn looked(
        &mut self,
        look: &Look,
        at_once: bool,
        started: RunTime,
        now: RunTime,
    ) -> Option<Seen> {
        let placed = self.placed.get_or_insert(Seen { not_before: started, by: now });
        if !look.acts {
            if at_once {
                placed.not_before = placed.not_before.max(started);
            }
            return None;
        }
        let effect = match look.first {
            Some(first) => {
                // Whole milliseconds, rounded down.
                let by = placed.by + first + Duration::from_millis(1);
                Seen { not_before: placed.not_before + first, by: by.min(now) }
            }
            None => Seen { not_before: placed.not_before, by: now },
        };
        Some(*self.effect.get_or_insert(effect))
    }
}

/// The proof of a fault of several parts: of the steps of one part, one that
/// acts is enough; all parts must act.
pub(super) fn all_parts<P: Hash + Eq>(looks: Vec<(P, Look, Option<Seen>)>) -> Proof {
    let (mut proof, mut missing) = (Vec::new(), Vec::new());
    let mut parts: IndexMap<P, Option<Seen>> = IndexMap::new();
    for (part, look, seen) in looks {
        proof.extend(look.evidence);
        if !look.acts {
            missing.push(look.missing);
        }
        let first = parts.entry(part).or_default();
        *first = earlier(*first, seen);
    }
    let effect = parts.into_values().reduce(|a, b| a.and(b).and_then(|_| earlier(a, b))).flatten();
    match effect {
        Some(effect) => Proof::Seen { effect, proof },
        None => {
            missing.dedup();
            let nobody = || "it has no target".to_owned();
            let why = if missing.is_empty() { nobody() } else { missing.join("; ") };
            Proof::NotYet { why, proof }
        }
    }
}

fn earlier(a: Option<Seen>, b: Option<Seen>) -> Option<Seen> {
    match (a, b) {
        (Some(a), Some(b)) => Some(if b.by < a.by { b } else { a }),
        (a, b) => a.or(b),
    }
}
