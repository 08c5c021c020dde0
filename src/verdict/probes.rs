//! Traffic goes to pods that are ready, and to no others: not before they are,
//! and not after. Counted by the gateway where it counts, and by the answers
//! that name their pod.

use std::{collections::BTreeMap, time::Duration};

use super::{
    counters,
    facts::Facts,
    finding::{Finding, Rigour, evidence, ratio},
    judge::Title,
    model::{CheckKind, Verdict},
    times::{interval, within, worst},
};
use crate::{
    journal::{Cell, event::Signal, interval::CacheUse},
    scenario::serving::ProbesExpectation,
    units::{FaultId, PodName, RatioThreshold, RunTime, Seen, Span},
};

/// How long a pod that has become ready is looked at.
const TRIAL: Duration = Duration::from_secs(5);
/// What the gateway sent, by pod and outcome.
const ATTEMPTS: &str = "gateway_upstream_requests_total";

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &ProbesExpectation) -> (Title, Finding) {
    let after = e.after.as_ref();
    let title = |title: &str, expected: String| Title::of(CheckKind::Probes, title, expected);
    if let Some(limit) = &e.early {
        let expected = format!("{limit} of new pods' requests come before they are ready");
        (
            title("pods get traffic when they are ready", expected),
            early(facts, after, limit).unwrap_or_else(|f| f),
        )
    } else if let Some(limit) = e.removed_within {
        let expected = format!("within {limit} of not being ready");
        (
            title("pods that are not ready get no traffic", expected),
            removed(facts, after, limit).unwrap_or_else(|f| f),
        )
    } else {
        (title("probes", String::new()), Finding::inconclusive("it demands nothing"))
    }
}

/// A change of whether a pod is ready. None: it is gone.
type Change = (Seen, Option<bool>, u32);

/// Each pod's readiness, in order, with its restarts.
fn readiness<'a>(facts: &Facts<'a>) -> BTreeMap<&'a PodName, Vec<Change>> {
    let mut pods: BTreeMap<&PodName, Vec<Change>> = BTreeMap::new();
    for (seen, signal) in &facts.signals {
        match signal {
            Signal::Pod { name, phase, ready, restarts, .. } => {
                let serves = super::pods::serves(*ready, phase);
                pods.entry(name).or_default().push((*seen, Some(serves), *restarts));
            }
            Signal::PodGone { name } => pods.entry(name).or_default().push((*seen, None, 0)),
            _ => {}
        }
    }
    pods
}

/// From when on pods are looked at: the act's effect, or the first phase.
fn since(facts: &Facts<'_>, after: Option<&FaultId>) -> Result<RunTime, Finding> {
    match after {
        Some(_) => facts.effect(after).map(|effect| effect.not_before),
        None => Ok(facts.judged().0),
    }
}

/// A pod's start, from where it was first listed (or its container was started
/// again) to where it was ready.
struct Start<'a> {
    pod: &'a PodName,
    listed: RunTime,
    ready: Seen,
}

fn starts<'a>(facts: &Facts<'a>, since: RunTime) -> Vec<Start<'a>> {
    let mut starts = Vec::new();
    for (pod, changes) in readiness(facts) {
        let mut cold: Option<RunTime> = None;
        let mut before: Option<(Option<bool>, u32)> = None;
        for &(seen, ready, restarts) in &changes {
            let new = before.is_none_or(|(_, earlier)| restarts > earlier);
            match ready {
                Some(false) if new && seen.by >= since => cold = Some(seen.not_before),
                Some(true) => starts.extend(cold.take().map(|listed| Start { pod, listed, ready: seen })),
                None => cold = None,
                Some(false) => {}
            }
            before = Some((ready, restarts));
        }
    }
    starts
}

fn early(facts: &Facts<'_>, after: Option<&FaultId>, limit: &RatioThreshold) -> Result<Finding, Finding> {
    let starts = starts(facts, since(facts, after)?);
    if starts.is_empty() {
        return Err(Finding::inconclusive("no pod was seen to start and become ready"));
    }
    let (mut soon, mut all) = (0, 0);
    let mut shown = Vec::new();
    for start in &starts {
        let until = start.ready.by + TRIAL;
        let gateway = {
            let samples = facts.samples_of("gateway");
            let mine = attempts_of(start.pod);
            let early = counters::up_to(samples, start.listed, start.ready.not_before, &mine);
            let any = counters::up_to(samples, start.listed, until, &mine);
            any.map(|any| (early.map_or(0.0, |early| early.by) as u64, any.by as u64))
        };
        let (by, (early, any)) = match gateway.filter(|(_, any)| *any > 0) {
            Some(counted) => ("gateway /metrics", counted),
            None => ("wire", answers(facts, start, until)),
        };
        let when = interval(start.ready);
        let what = format!("{}, ready at {when}: {early} of {any} until {until} came before", start.pod);
        shown.push(evidence(by, what));
        soon += early;
        all += any;
    }
    let finding = match all {
        0 => Finding::inconclusive("nothing counted what new pods got, or they got nothing"),
        _ => ratio(soon, all, limit, "first request", Rigour::Reaction),
    };
    Ok(finding.with(shown))
}

/// Attempts at a pod, but for those that were given up.
fn attempts_of(pod: &PodName) -> impl Fn(&str) -> bool {
    move |series: &str| {
        counters::name(series) == ATTEMPTS
            && counters::label(series, "pod") == Some(pod.as_str())
            && counters::label(series, "outcome") != Some("cancelled")
    }
}

/// Answers of a pod itself.
fn of_pod<'a>(facts: &Facts<'a>, pod: &PodName) -> impl Iterator<Item = &'a Cell> {
    facts.cells_in(None).filter(move |cell| {
        cell.key.served.pod.as_ref() == Some(pod)
            && !matches!(cell.key.served.cache, CacheUse::Hit | CacheUse::Collapsed)
    })
}

/// Answers of a pod before it was ready, and all until `until`.
fn answers(facts: &Facts<'_>, start: &Start<'_>, until: RunTime) -> (u64, u64) {
    let mine = of_pod(facts, start.pod).filter(|cell| cell.first_end > start.listed);
    mine.filter(|cell| cell.first_end <= until).fold((0, 0), |(early, all), cell| {
        let before = match (cell.first_end, cell.last_end) {
            (_, last) if last < start.ready.not_before => cell.count,
            // One of them at least.
            (first, _) if first < start.ready.not_before => 1,
            _ => 0,
        };
        (early + before, all + cell.count)
    })
}

/// A time in which a pod was not ready that had been.
struct Loss<'a> {
    pod: &'a PodName,
    lost: Seen,
    /// When it was ready again.
    again: Option<RunTime>,
}

fn losses<'a>(facts: &Facts<'a>, since: RunTime) -> Vec<Loss<'a>> {
    let mut losses = Vec::new();
    for (pod, changes) in readiness(facts) {
        let mut was_ready = false;
        for (i, &(seen, ready, _)) in changes.iter().enumerate() {
            let is_ready = ready == Some(true);
            if was_ready && !is_ready && seen.by >= since {
                let again = changes[i..].iter().find(|(_, ready, _)| *ready == Some(true));
                losses.push(Loss { pod, lost: seen, again: again.map(|(seen, ..)| seen.not_before) });
            }
            was_ready = is_ready;
        }
    }
    losses
}

fn removed(facts: &Facts<'_>, after: Option<&FaultId>, limit: Span) -> Result<Finding, Finding> {
    let since = since(facts, after)?;
    let hit = after.and_then(|id| facts.faults.get(id)).map_or(&[][..], |history| history.targets);
    let (_, end) = facts.judged();
    let mut findings = Vec::new();
    for loss in losses(facts, since) {
        if !hit.is_empty() && !hit.contains(loss.pod) {
            continue;
        }
        let until = loss.again.unwrap_or(end).min(end);
        let Some((last, by)) = last_request(facts, &loss, until) else { continue };
        let what = format!("{} got its last request", loss.pod);
        let finding = within(loss.lost, Some(last.unwrap_or(loss.lost)), until, limit, &what);
        let watched = until.since(loss.lost.by).as_secs_f64();
        let finding = if finding.verdict == Verdict::Pass && watched < limit.as_secs_f64() {
            Finding::inconclusive(format!("{} was not ready for only {watched:.1} s", loss.pod))
        } else {
            finding
        };
        let at = match last {
            Some(seen) => format!("its last request was counted at {}", interval(seen)),
            None => "it got nothing after that".to_owned(),
        };
        let lost = interval(loss.lost);
        findings.push(finding.on(by, format!("{} was not ready at {lost}: {at}", loss.pod)));
    }
    worst(findings).ok_or_else(|| {
        Finding::inconclusive(
            "no pod that got requests was seen to be no longer ready, or nothing counted them",
        )
    })
}

/// The last request that a pod got after it was no longer ready, and who says
/// so. None: nobody counted its requests before that.
fn last_request(facts: &Facts<'_>, loss: &Loss<'_>, until: RunTime) -> Option<(Option<Seen>, &'static str)> {
    let mine = attempts_of(loss.pod);
    let samples = facts.samples_of("gateway");
    let before = counters::up_to(samples, RunTime::ZERO, loss.lost.by, &mine);
    let counted = before.is_some_and(|before| before.by > 0.0).then(|| {
        let grew = samples.windows(2).rev().find(|pair| {
            let [(from, _), (to, _)] = pair else { return false };
            to.by > loss.lost.by
                && to.by <= until
                && counters::inside(pair, from.by, to.by, &mine).is_some_and(|growth| growth.by > 0.0)
        });
        grew.map(|pair| Seen { not_before: pair[0].0.not_before, by: pair[1].0.by })
    });
    // Due after it, and answered by it all the same.
    let due = |cell: &Cell| RunTime(u64::from(cell.key.second) * 1_000_000);
    let named = || of_pod(facts, loss.pod);
    let later = named().filter(|cell| due(cell) >= loss.lost.by && due(cell) < until);
    let wire = later.map(|cell| Seen { not_before: due(cell), by: cell.last_end }).max_by_key(|seen| seen.by);
    match (counted, wire) {
        (Some(counted), Some(wire)) if counted.is_none_or(|counted| wire.by > counted.by) => {
            Some((Some(wire), "wire"))
        }
        (Some(counted), _) => Some((counted, "gateway /metrics")),
        (None, Some(wire)) => Some((Some(wire), "wire")),
        // Who is dead does not answer: only a counter could tell.
        (None, None) => None,
    }
}
