//! New pods are warm when they are ready: their first requests don't fail.

use std::{collections::BTreeMap, time::Duration};

use super::{
    blind::GATEWAY,
    counters,
    facts::Facts,
    finding::{Finding, Rigour, counted, evidence, ratio},
    model::Verdict,
    pods::{Loss, serves},
    probes::nameless_failures,
    times::interval,
};
use crate::{
    journal::{
        event::Signal,
        interval::{CacheUse, Outcome},
    },
    units::{FaultId, PodName, RatioThreshold, RunTime, Seen},
};

/// How long a new pod's readiness is on trial.
const TRIAL: Duration = Duration::from_secs(5);

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

/// Judges the share of new pods' first requests that fail.
pub(super) fn judge(
    facts: &Facts<'_>,
    after: Option<&FaultId>,
    limit: &RatioThreshold,
) -> Result<Finding, Finding> {
    let loss = Loss::of(facts, after)?;
    let new = newcomers(facts, &loss);
    if new.is_empty() {
        return Err(Finding::inconclusive("no new pod became ready after the fault"));
    }
    let (mut failed, mut all) = (0, 0);
    let (mut shown, mut unseen) = (Vec::new(), None);
    for (pod, ready) in new {
        // What the next fault does to it is not its own doing.
        let until = facts.undisturbed_until(ready.by, after).min(ready.by + TRIAL);
        let (bad, any, source) = match gateway_trial(facts, pod, ready, until) {
            Some((bad, any)) => (bad, any, "gateway /metrics"),
            None => {
                let (bad, any) = wire_trial(facts, pod, ready, until);
                unseen = unseen.or_else(|| unseen_failures(facts, pod, ready, until));
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
    let finding = match (finding.verdict, unseen) {
        (Verdict::Pass, Some(why)) => Finding::inconclusive(why),
        _ => finding,
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

/// Why the answers that name a new pod may not be all that it got: who refuses
/// or resets does not say who it was.
fn unseen_failures(facts: &Facts<'_>, pod: &PodName, ready: Seen, until: RunTime) -> Option<String> {
    let failed = nameless_failures(facts, ready.not_before, until);
    if failed > 0 {
        let failed = counted(failed, "failure");
        return Some(format!("{failed} in the first seconds of {pod}'s readiness, of whom is not known"));
    }
    let down = facts.was_down(GATEWAY, (ready.not_before, until));
    down.then(|| format!("{GATEWAY} did not answer for a while after {pod} was ready, which counts"))
}
