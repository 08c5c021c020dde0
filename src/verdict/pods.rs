//! Pods that died are replaced, by warm ones.

use std::{collections::BTreeMap, time::Duration};

use indexmap::IndexMap;

use super::{
    counters,
    facts::Facts,
    finding::{Finding, Rigour, counted, evidence, ratio},
    judge::Title,
    model::CheckKind,
    times::{interval, within},
};
use crate::{
    journal::{
        event::{Evidence, Signal},
        interval::{CacheUse, Outcome},
    },
    scenario::model::PodExpectation,
    units::{FaultId, PodName, RatioThreshold, RunTime, Seen, Span, Version},
};

/// How long a new pod's readiness is on trial.
const TRIAL: Duration = Duration::from_secs(5);

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
            removed(facts, after, limit).unwrap_or_else(|f| f),
        )
    } else if let Some(limit) = &e.cold_failures {
        let expected = format!("{limit} failures in the first 5 s of readiness");
        (title("new pods are warm", expected), cold(facts, after, limit).unwrap_or_else(|f| f))
    } else {
        (title("pods", String::new()), Finding::inconclusive("it demands nothing"))
    }
}

/// What the fault took, and which pods can stand in for it.
struct Loss<'a> {
    effect: Seen,
    /// When it was asked for. What a tool says comes after what it did.
    requested: RunTime,
    taken: &'a [PodName],
    version: Option<&'a Version>,
}

impl<'a> Loss<'a> {
    fn of(facts: &Facts<'a>, after: Option<&FaultId>) -> Result<Self, Finding> {
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
    fn alike(&self, name: &PodName, version: Option<&Version>) -> bool {
        let fallback = |name: &PodName| name.as_str().starts_with("fallback");
        (self.version.is_none() || version == self.version)
            && (!fallback(name) || self.taken.iter().any(fallback))
    }
}

/// Whether a pod serves, by what it says.
pub(super) fn serves(ready: bool, phase: &str) -> bool {
    ready && !matches!(phase, "Terminating" | "Failed" | "Succeeded")
}

fn replaced(facts: &Facts<'_>, after: Option<&FaultId>, limit: Span) -> Result<Finding, Finding> {
    let loss = Loss::of(facts, after)?;
    let t0 = loss.effect;
    let mut pods: BTreeMap<&PodName, bool> = BTreeMap::new();
    let mut wanted = None;
    let mut lost: Option<Seen> = None;
    let mut back = None;
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
        let ready = pods.values().filter(|&&serves| serves).count();
        // The loss itself may be listed after the replacement.
        if wanted.is_some_and(|wanted| ready >= wanted) && back.is_none() {
            back = Some(*seen);
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
    let finding =
        within(t0, back, facts.end, limit, &format!("{} ready again", counted(wanted as u64, "pod")));
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

/// The sample of a Service's endpoints, by pod.
const ENDPOINT: &str = "kubernetes_endpoint_ready";

/// The Service sent to the pods that the fault hit, and does not any more.
fn removed(facts: &Facts<'_>, after: Option<&FaultId>, limit: Span) -> Result<Finding, Finding> {
    let t0 = facts.effect(after)?;
    let hit = after.and_then(|id| facts.faults.get(id)).map_or(&[][..], |history| history.targets);
    let samples = facts.samples_of("kubernetes");
    if samples.is_empty() {
        return Err(Finding::inconclusive("no endpoints were observed: this needs a target on a cluster"));
    }
    // Whether any Service's endpoint of this pod gets traffic.
    let serves = |values: &IndexMap<String, f64>, pod: &PodName| {
        let its = |series: &str| {
            counters::name(series) == ENDPOINT
                && counters::label(series, "pod").as_deref() == Some(pod.as_str())
        };
        values.iter().any(|(series, value)| its(series) && *value > 0.0)
    };
    let mut last: Option<Option<Seen>> = None;
    let mut shown = Vec::new();
    for pod in hit {
        let served = samples.iter().any(|(seen, values)| seen.not_before <= t0.by && serves(values, pod));
        if !served {
            continue;
        }
        let gone = samples.iter().find(|(seen, values)| seen.by > t0.not_before && !serves(values, pod));
        let gone = gone.map(|(seen, _)| *seen);
        shown.push(match gone {
            Some(seen) => evidence("endpoints", format!("{pod} is none any more at {}", interval(seen))),
            None => evidence("endpoints", format!("{pod} is one to the end")),
        });
        // The slowest counts, and one that never went is slower than any.
        last = Some(match (last, gone) {
            (None, gone) => gone,
            (Some(Some(last)), Some(gone)) => Some(if gone.by > last.by { gone } else { last }),
            (Some(None), _) | (Some(_), None) => None,
        });
    }
    let Some(last) = last else {
        return Err(Finding::inconclusive("none of the pods that the fault hit was an endpoint before"));
    };
    Ok(within(t0, last, facts.end, limit, "the Service sent them nothing more").with(shown))
}

/// Pods that became ready for the first time after `since`.
fn newcomers<'a>(facts: &Facts<'a>, loss: &Loss<'a>) -> Vec<(&'a PodName, Seen)> {
    let mut ready: BTreeMap<&PodName, (bool, u32)> = BTreeMap::new();
    let mut new = Vec::new();
    for (seen, signal) in &facts.signals {
        let Signal::Pod { name, phase, ready: says, version, restarts } = signal else { continue };
        let now = serves(*says, phase);
        let was = ready.get(name).copied();
        let again = was.is_some_and(|(was, before)| !was || *restarts > before);
        if now && seen.by > loss.effect.by && (was.is_none() || again) && loss.alike(name, version.as_ref()) {
            new.push((name, *seen));
        }
        ready.insert(name, (now, *restarts));
    }
    new
}

fn cold(facts: &Facts<'_>, after: Option<&FaultId>, limit: &RatioThreshold) -> Result<Finding, Finding> {
    let loss = Loss::of(facts, after)?;
    let new = newcomers(facts, &loss);
    if new.is_empty() {
        return Err(Finding::inconclusive("no new pod became ready after the fault"));
    }
    let (mut failed, mut all) = (0, 0);
    let mut shown = Vec::new();
    for (pod, ready) in new {
        // What the next fault does to it is not its own doing.
        let until = facts.undisturbed_until(ready.by, after).min(ready.by + TRIAL);
        let (bad, any, source) = match gateway_trial(facts, pod, ready, until) {
            Some((bad, any)) => (bad, any, "gateway /metrics"),
            None => {
                let (bad, any) = wire_trial(facts, pod, ready, until);
                (bad, any, "wire")
            }
        };
        shown.push(evidence(
            source,
            format!("{pod}, ready at {}: {bad} of {any} failed until {until}", interval(ready)),
        ));
        failed += bad;
        all += any;
    }
    let finding = match all {
        0 => Finding::inconclusive("new pods got no requests in their first 5 s, or until the next fault"),
        _ => ratio(failed, all, limit, "request", Rigour::Reaction),
    };
    Ok(finding.with(shown))
}

/// Failed and all upstream requests of a new pod, as the gateway counted
/// them. None: it did not count.
fn gateway_trial(facts: &Facts<'_>, pod: &PodName, ready: Seen, until: RunTime) -> Option<(u64, u64)> {
    let mine = counters::attempts_at(pod);
    let samples = facts.samples_of("gateway");
    let all = counters::up_to(samples, ready.not_before, until, &mine)?;
    let ok = counters::up_to(samples, ready.not_before, until, |series| {
        mine(series) && counters::label(series, "outcome").as_deref() == Some("ok")
    })?;
    (all.by > 0.0).then(|| ((all.by - ok.by).max(0.0).round() as u64, all.by.round() as u64))
}

/// The same by answers that name the pod.
fn wire_trial(facts: &Facts<'_>, pod: &PodName, ready: Seen, until: RunTime) -> (u64, u64) {
    let cells = facts.cells_in(None).filter(|cell| {
        cell.key.served.pod.as_ref() == Some(pod)
            && cell.key.served.cache != CacheUse::Hit
            && cell.first_end >= ready.not_before
            && cell.first_end <= until
    });
    cells.fold((0, 0), |(bad, all), cell| {
        let failed = cell.key.outcome != Outcome::Ok;
        (bad + if failed { cell.count } else { 0 }, all + cell.count)
    })
}
