//! Traffic goes to pods that are ready, and to no others: not before they are,
//! and not after. Counted by the gateway where it counts, and by the answers
//! that name their pod.

use std::{collections::BTreeMap, time::Duration};

use super::{
    blind::GATEWAY,
    counters, early,
    facts::Facts,
    finding::{Finding, counted},
    judge::Title,
    model::{CheckKind, Verdict},
    times::{interval, within, worst},
};
use crate::{
    journal::{Cell, event::Signal, interval::Outcome},
    scenario::serving::ProbesExpectation,
    units::{FaultId, PodName, RunTime, Seen, Span},
};

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &ProbesExpectation) -> (Title, Finding) {
    let after = e.after.as_ref();
    let title = |title: &str, expected: String| Title::of(CheckKind::Probes, title, expected);
    if let Some(limit) = &e.early {
        let expected = format!("{limit} of new pods' requests come before they are ready");
        (
            title("pods get traffic when they are ready", expected),
            early::judge(facts, since(facts, after), limit).unwrap_or_else(|f| f),
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
pub(super) type Change = (Seen, Option<bool>, u32);

/// Each pod's readiness, in order, with its restarts.
pub(super) fn readiness<'a>(facts: &Facts<'a>) -> BTreeMap<&'a PodName, Vec<Change>> {
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

/// How long a request may wait before it is sent on to a pod.
pub(super) const WAITED: Duration = Duration::from_secs(2);

/// Requests due in this time that nobody answered, or somebody did who did not
/// say who it was: a pod that should have had none may be behind them.
pub(super) fn nameless_failures(facts: &Facts<'_>, from: RunTime, to: RunTime) -> u64 {
    let failed = facts.cells_in(None).filter(|cell| {
        let unanswered = matches!(
            cell.key.outcome,
            Outcome::ConnectRefused
                | Outcome::ConnectTimeout
                | Outcome::Reset
                | Outcome::Http5xx
                | Outcome::Timeout
        );
        unanswered && cell.key.served.pod.is_none() && cell.key.due() >= from && cell.key.due() < to
    });
    failed.map(|cell| cell.count).sum()
}

/// Answers of a pod itself.
pub(super) fn of_pod<'a>(facts: &Facts<'a>, pod: &str) -> impl Iterator<Item = &'a Cell> {
    facts.cells_in(None).filter(move |cell| {
        let served = &cell.key.served;
        served.pod.as_ref().is_some_and(|name| name.as_str() == pod) && !served.cache.is_answer()
    })
}

/// A time in which a pod was not ready that had been.
pub(super) struct Loss<'a> {
    pub(super) pod: &'a PodName,
    pub(super) lost: Seen,
    /// When it was ready again.
    again: Option<RunTime>,
}

pub(super) fn losses<'a>(facts: &Facts<'a>, since: RunTime) -> Vec<Loss<'a>> {
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
        let Some(Last { seen: last, by }) = last_request(facts, &loss, until) else { continue };
        let what = format!("{} got its last request", loss.pod);
        let finding = within(loss.lost, Some(last.unwrap_or(loss.lost)), until, limit, &what);
        let watched = until.since(loss.lost.by).as_secs_f64();
        let failed = nameless_failures(facts, loss.lost.by + limit.0, until);
        let finding = match finding.verdict {
            Verdict::Pass if watched < limit.as_secs_f64() => {
                Finding::inconclusive(format!("{} was not ready for only {watched:.1} s", loss.pod))
            }
            Verdict::Pass if by == "wire" && facts.was_down(GATEWAY, (loss.lost.not_before, until)) => {
                Finding::inconclusive(format!(
                    "{}, but the gateway did not answer for a while, which counts",
                    finding.why
                ))
            }
            // Who is gone refuses, and does not say who it was.
            Verdict::Pass if by == "wire" && failed > 0 => Finding::inconclusive(format!(
                "{} after that, of whom is not known, and nothing counts what {} was sent",
                counted(failed, "failure"),
                loss.pod
            )),
            _ => finding,
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

/// The last request that a pod got after it was no longer ready.
struct Last {
    /// None: it got none.
    seen: Option<Seen>,
    /// Who says so.
    by: &'static str,
}

/// Between two looks at what counts, more than this is a gap.
pub(super) const GAP: Duration = Duration::from_secs(3);

/// Its last request, as far as somebody knows. None: nobody counted its requests
/// before, or all along.
fn last_request(facts: &Facts<'_>, loss: &Loss<'_>, until: RunTime) -> Option<Last> {
    let mine = counters::attempts_at(loss.pod);
    let samples = facts.samples_of("gateway");
    let before = counters::up_to(samples, RunTime::ZERO, loss.lost.by, &mine);
    let first = samples.partition_point(|(seen, _)| seen.by <= loss.lost.by).saturating_sub(1);
    let end = samples.partition_point(|(seen, _)| seen.by <= until);
    let inside = samples.get(first..end.max(first)).unwrap_or_default();
    let gapless = inside.windows(2).all(|pair| pair[1].0.by.since(pair[0].0.by) <= GAP)
        && inside.last().is_some_and(|(seen, _)| until.since(seen.by) <= GAP);
    let counts = gapless && before.is_some_and(|before| before.by > 0.0);
    // Attempts are counted when they end: one that had begun before may end later.
    let longest = longest(facts, loss.lost.not_before);
    let counted = counts.then(|| {
        let grew = inside.windows(2).rev().find(|pair| {
            let [(from, _), (to, _)] = pair else { return false };
            to.by > loss.lost.by
                && counters::inside(pair, from.by, to.by, &mine).is_some_and(|growth| growth.by > 0.0)
        });
        grew.map(|pair| {
            let (from, to) = (pair[0].0.not_before, pair[1].0.by);
            let begun = to.since(loss.lost.not_before) <= longest + GAP;
            Seen { not_before: if begun { loss.lost.not_before } else { from }, by: to }
        })
    });
    // Due after it, and answered by it all the same.
    let later = of_pod(facts, loss.pod.as_str())
        .filter(|cell| cell.key.due() >= loss.lost.by && cell.key.due() < until);
    let wire =
        later.map(|cell| Seen { not_before: cell.key.due(), by: cell.last_end }).max_by_key(|seen| seen.by);
    match (counted, wire) {
        (Some(counted), Some(wire)) if counted.is_none_or(|counted| wire.by > counted.by) => {
            Some(Last { seen: Some(wire), by: "wire" })
        }
        (Some(counted), _) => Some(Last { seen: counted, by: "gateway /metrics" }),
        (None, Some(wire)) => Some(Last { seen: Some(wire), by: "wire" }),
        // Who is dead does not answer: only a counter could tell.
        (None, None) => None,
    }
}

/// How long the longest request took that ended before.
fn longest(facts: &Facts<'_>, before: RunTime) -> Duration {
    let ended = facts.cells_in(None).filter(|cell| cell.last_end <= before);
    let longest = ended.filter_map(|cell| cell.service_e2e.max()).max();
    Duration::from_micros(longest.unwrap_or_default())
}
