//! Pods that died are replaced, by warm ones.

use std::collections::BTreeMap;

use super::{
    blind::watches_pods,
    cold, endpoints,
    facts::Facts,
    finding::{Finding, counted, evidence},
    judge::Title,
    model::CheckKind,
    states,
    times::interval,
};
use crate::{
    journal::{
        event::{Evidence, Signal},
        interval::Outcome,
    },
    scenario::model::PodExpectation,
    units::{FaultId, PodName, RunTime, Seen, Span, Version},
};

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &PodExpectation) -> (Title, Finding) {
    let after = e.after.as_ref();
    let title = |title: &str, expected: String| Title::of(CheckKind::Pods, title, expected);
    if let Some(limit) = e.replaced_within {
        (
            title("pods are replaced", format!("within {limit}")),
            replaced(facts, after, limit).unwrap_or_else(|f| f),
        )
    } else if let Some(limit) = e.removed_within {
        (
            title("pods get no more traffic", format!("within {limit}")),
            endpoints::removed(facts, after, limit).unwrap_or_else(|f| f),
        )
    } else if let Some(limit) = &e.cold_failures {
        let expected = format!("{limit} failures in the first 5 s of readiness");
        (title("new pods are warm", expected), cold::judge(facts, after, limit).unwrap_or_else(|f| f))
    } else {
        (title("pods", String::new()), Finding::inconclusive("it demands nothing"))
    }
}

/// What the fault took, and which pods can stand in for it.
pub(super) struct Loss<'a> {
    pub(super) effect: Seen,
    /// When it was asked for. What a tool says comes after what it did.
    requested: RunTime,
    taken: &'a [PodName],
    version: Option<&'a Version>,
}

impl<'a> Loss<'a> {
    pub(super) fn of(facts: &Facts<'a>, after: Option<&FaultId>) -> Result<Self, Finding> {
        let effect = facts.effect(after)?;
        let history = after.and_then(|id| facts.faults.get(id));
        let taken = history.map_or(&[][..], |history| history.targets);
        let requested = history.and_then(|history| history.requested);
        let requested = requested.unwrap_or(effect.not_before).min(effect.not_before);
        let version = facts.signals.iter().rev().find_map(|(seen, signal)| match signal {
            Signal::Pod { name, version, .. } if seen.by <= effect.by && taken.contains(name) => {
                version.as_ref()
            }
            _ => None,
        });
        Ok(Self { effect, requested, taken, version })
    }

    /// Whether a pod does the same work as those that were taken.
    pub(super) fn alike(&self, name: &PodName, version: Option<&Version>) -> bool {
        let fallback = |name: &PodName| name.as_str().starts_with("fallback");
        (self.version.is_none() || version == self.version)
            && (!fallback(name) || self.taken.iter().any(fallback))
    }
}

/// Whether a pod serves, by what it says.
pub(super) fn serves(ready: bool, phase: &str) -> bool {
    ready && !matches!(phase, "Terminating" | "Failed" | "Succeeded")
}

/// When pods that had been ready fell over, and were not taken away: they say that
/// they are not ready, or were started again.
pub(super) fn falls(facts: &Facts<'_>) -> Vec<RunTime> {
    let mut before: BTreeMap<&PodName, (bool, u32)> = BTreeMap::new();
    let mut falls = Vec::new();
    for (seen, signal) in &facts.signals {
        match signal {
            Signal::Pod { name, phase, ready, restarts, .. } => {
                let was = before.insert(name, (serves(*ready, phase), *restarts));
                let taken_away = matches!(phase.as_str(), "Terminating" | "Succeeded");
                let fell = was.is_some_and(|(served, times)| (served && !ready) || *restarts > times);
                if fell && !taken_away {
                    falls.push(seen.by);
                }
            }
            Signal::PodGone { name } => drop(before.remove(name)),
            _ => {}
        }
    }
    falls
}

fn replaced(facts: &Facts<'_>, after: Option<&FaultId>, limit: Span) -> Result<Finding, Finding> {
    let loss = Loss::of(facts, after)?;
    let t0 = loss.effect;
    let mut pods: BTreeMap<&PodName, bool> = BTreeMap::new();
    let mut wanted = None;
    let mut lost: Option<Seen> = None;
    let mut steps: Vec<(Seen, usize)> = Vec::new();
    for (seen, signal) in &facts.signals {
        if seen.by > loss.requested && wanted.is_none() {
            wanted = Some(pods.values().filter(|&&serves| serves).count());
            // The proof says that these are gone, whatever was last listed.
            pods.retain(|name, _| !loss.taken.contains(name));
        }
        match signal {
            Signal::Pod { name, phase, ready, version, .. } if loss.alike(name, version.as_ref()) => {
                let serves = serves(*ready, phase);
                if wanted.is_some() && loss.taken.contains(name) && !serves {
                    lost.get_or_insert(*seen);
                }
                pods.insert(name, serves);
            }
            Signal::PodGone { name } => {
                if wanted.is_some() && loss.taken.contains(name) {
                    lost.get_or_insert(*seen);
                }
                pods.remove(name);
            }
            _ => continue,
        }
        // The loss itself may be listed after the replacement.
        if wanted.is_some() {
            let ready = pods.values().filter(|&&serves| serves).count();
            match steps.last_mut() {
                // One look may tell of several pods.
                Some((last, count)) if last.by == seen.by => *count = ready,
                _ => steps.push((*seen, ready)),
            }
        }
    }
    let Some(wanted) = wanted.filter(|&wanted| wanted > 0) else {
        return Err(Finding::inconclusive("no pod was listed around the fault"));
    };
    let Some(lost) = lost else {
        return Err(Finding::inconclusive("no pod that the fault took was seen to go"));
    };
    // It acted at the latest when a pod was seen to go.
    let t0 =
        Seen { not_before: t0.not_before.min(lost.not_before.max(loss.requested)), by: t0.by.min(lost.by) };
    let until = facts.undisturbed_until(t0.by, after);
    let back = states::stays(&steps, loss.requested, until, |ready| *ready >= wanted);
    let what = format!("{} ready again", counted(wanted as u64, "pod"));
    let finding = facts.reacts(after, t0, back, limit, &what);
    let finding = facts.if_watched(finding, watches_pods, facts.end);
    let finding =
        finding.on("controller", format!("{wanted} ready before; the loss was listed at {}", interval(lost)));
    Ok(finding.on("wire", cost(facts, t0, back)).with(restarts(facts, t0)))
}

/// What users lost meanwhile, to the whole second.
fn cost(facts: &Facts<'_>, from: Seen, back: Option<Seen>) -> String {
    let to = back.map_or(facts.end, |back| back.by);
    let second = |time: RunTime| time.as_secs_f64() as u32;
    let due = second(from.not_before)..=second(to);
    let cells = facts.cells_in(None).filter(|cell| due.contains(&cell.key.second));
    let (failed, all) = cells.fold((0, 0), |(failed, all), cell| {
        (failed + if cell.key.outcome == Outcome::Ok { 0 } else { cell.count }, all + cell.count)
    });
    format!("{failed} of {} failed that were due until then", counted(all, "request"))
}

/// Containers that were started again since, in words.
fn restarts(facts: &Facts<'_>, since: Seen) -> Option<Evidence> {
    let mut counts: BTreeMap<&PodName, (u32, u32)> = BTreeMap::new();
    for (seen, signal) in &facts.signals {
        let Signal::Pod { name, restarts, .. } = signal else { continue };
        let (before, now) = counts.entry(name).or_insert((*restarts, *restarts));
        if seen.by <= since.by {
            *before = *restarts;
        }
        *now = *restarts;
    }
    let again = counts.into_iter().filter(|(_, (before, now))| now > before);
    let words: Vec<String> = again
        .map(|(name, (before, now))| format!("{name} {}", counted(u64::from(now - before), "time")))
        .collect();
    (!words.is_empty()).then(|| evidence("restarts", words.join(", ")))
}
