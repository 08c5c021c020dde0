//! Who is hit, who served before, and who may stand in.

use std::collections::{BTreeMap, BTreeSet};

use super::{CERTAIN, answers};
use crate::{
    scenario::serving::FailoverExpectation,
    units::{PodName, RunTime, WorkloadName},
    verdict::{facts::Facts, finding::Finding, strays::STRAYS},
};

/// Who gave less than a so manieth of what the busiest gave was asked by accident.
const SELDOM: u64 = 20;

/// Who is who.
pub(in crate::verdict) struct Roles<'a> {
    /// Whom the fault hits, as answers name them; nobody, where answers name
    /// others than the fault does.
    pub(super) hit: Vec<&'a PodName>,
    /// Who served before, and how many answers.
    pub(super) before: BTreeMap<&'a PodName, u64>,
    /// Who gave an answer before by accident: sent on, or tried once.
    strays: BTreeSet<&'a PodName>,
    pub(super) to: Option<&'a str>,
    /// Of this workload's answers. None: of all.
    pub(super) whose: Option<&'a WorkloadName>,
}

impl<'a> Roles<'a> {
    pub(in crate::verdict) fn of(facts: &Facts<'a>, e: &'a FailoverExpectation) -> Result<Self, Finding> {
        let effect = facts.effect(e.after.as_ref())?;
        let targets = e.after.as_ref().and_then(|id| facts.faults.get(id));
        let targets = targets.map_or(&[][..], |history| history.targets);
        let whose = e.workload.as_ref();
        let (before, strays) = before(facts, whose, effect.not_before);
        if before.is_empty() {
            let why = "no answer before the fault names who served (`x-served-by`)";
            return Err(Finding::inconclusive(why));
        }
        // Answers and the fault name the same things: then all that it hits are
        // meant, also those that stood by.
        let same = targets.iter().any(|pod| before.contains_key(pod));
        let hit = if same { targets.iter().collect() } else { Vec::new() };
        Ok(Self { hit, before, strays, to: e.to.as_deref(), whose })
    }

    /// Whether a pod may serve in the place of what is down.
    pub(in crate::verdict) fn stands_in(&self, pod: &PodName) -> bool {
        match self.to {
            Some(to) => pod.as_str().starts_with(to),
            None if self.hit.is_empty() => !self.before.contains_key(pod),
            None => !self.hit.contains(&pod),
        }
    }

    /// Whether it is one that gave an answer before by accident.
    pub(super) fn strayed(&self, pod: &PodName) -> bool {
        self.strays.contains(pod)
    }

    /// The share of the answers that it gave before.
    pub(super) fn share(&self, pod: &PodName) -> f64 {
        let all: u64 = self.before.values().sum();
        self.before.get(pod).copied().unwrap_or(0) as f64 / all.max(1) as f64
    }

    /// Who of those that served before is none of `still`, though it would have given
    /// its part of so many answers. Only where the fault does not say whom it hits, and
    /// the scenario not who is to serve.
    pub(super) fn fell_silent(&self, still: &BTreeSet<PodName>, answers: u64) -> Option<&'a PodName> {
        let unsaid = self.to.is_none() && self.hit.is_empty();
        let mut silent = self.before.keys().copied().filter(|pod| unsaid && !still.contains(*pod));
        silent.find(|pod| self.share(pod) * answers as f64 >= CERTAIN)
    }
}

/// Who gave answers before this time, and who of them hardly any.
fn before<'a>(
    facts: &Facts<'a>,
    whose: Option<&WorkloadName>,
    until: RunTime,
) -> (BTreeMap<&'a PodName, u64>, BTreeSet<&'a PodName>) {
    let mut by: BTreeMap<&PodName, u64> = BTreeMap::new();
    for (_, cell) in answers(facts, whose) {
        if cell.last_end < until
            && !cell.key.served.fallback
            && let Some(pod) = &cell.key.served.pod
        {
            *by.entry(pod).or_default() += cell.count;
        }
    }
    let (all, most) = (by.values().sum::<u64>(), by.values().copied().max().unwrap_or(0));
    // Of many that share the load each may give little: none of them is by accident.
    let few = |n: u64| n as f64 <= (STRAYS * all as f64).max(1.0) && n.saturating_mul(SELDOM) <= most;
    let strays = by.iter().filter(|(_, n)| few(**n)).map(|(pod, _)| *pod).collect();
    by.retain(|_, n| !few(*n));
    (by, strays)
}
