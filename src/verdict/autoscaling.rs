//! Autoscaling: replicas follow the load, latency follows the replicas, and
//! both go back.

use std::collections::BTreeMap;

use super::{
    autoscaler,
    blind::watches_pods,
    counters,
    facts::Facts,
    finding::{Finding, counted},
    judge::Title,
    model::CheckKind,
    pods, states,
    times::{interval, within},
    windows,
};
use crate::{
    journal::event::Signal,
    plan::model::PlannedAction,
    scenario::serving::AutoscalingExpectation,
    units::{PodName, RunTime, Seen, Span},
};

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &AutoscalingExpectation) -> (Title, Finding) {
    let title = |title: &str, expected: String| Title {
        phase: Some(e.phase.clone()),
        ..Title::of(CheckKind::Autoscaling, title, expected)
    };
    if let Some(limit) = e.scales_out_within {
        let wanted = e.to.map_or("more replicas".to_owned(), |to| counted(to.into(), "replica"));
        let expected = format!("{wanted} ready within {limit}");
        (title("replicas follow the load", expected), scales_out(facts, e, limit).unwrap_or_else(|f| f))
    } else if let Some(limit) = e.in_slo_within {
        let expected = format!("in its SLOs within {limit}, to its end");
        (title("latency follows the replicas", expected), in_slo(facts, e, limit).unwrap_or_else(|f| f))
    } else if let Some(limit) = e.scales_in_within {
        let expected = format!("no more than before, within {limit} of its end");
        (title("replicas go away again", expected), scales_in(facts, e, limit).unwrap_or_else(|f| f))
    } else {
        (title("autoscaling", String::new()), Finding::inconclusive("it demands nothing"))
    }
}

/// Pods of the lab that are no replicas of the model in its first zone.
const OTHERS: [&str; 2] = ["fallback", "standby"];

/// How many of a Service's endpoints get traffic.
const ENDPOINTS: &str = "kubernetes_endpoints_ready";

/// How many replicas were ready, at each change: by the Service's endpoints where
/// there is one, whose namespace has other pods, too. A fallback's pods are none.
fn replicas(facts: &Facts<'_>) -> Vec<(Seen, u64)> {
    let endpoints = facts.samples_of("kubernetes").iter().filter_map(|(seen, values)| {
        let ready = values.iter().find(|(series, _)| counters::name(series) == ENDPOINTS)?.1;
        Some((*seen, ready.max(0.0) as u64))
    });
    let endpoints: Vec<_> = endpoints.collect();
    if !endpoints.is_empty() {
        return endpoints;
    }
    let mut ready: BTreeMap<&PodName, bool> = BTreeMap::new();
    let mut steps: Vec<(Seen, u64)> = Vec::new();
    for (seen, signal) in &facts.signals {
        match signal {
            Signal::Pod { name, .. } if OTHERS.iter().any(|other| name.as_str().starts_with(other)) => {
                continue;
            }
            Signal::Pod { name, phase, ready: says, .. } => {
                ready.insert(name, pods::serves(*says, phase));
            }
            Signal::PodGone { name } => drop(ready.remove(name)),
            _ => continue,
        }
        let now = ready.values().filter(|&&serves| serves).count() as u64;
        match steps.last_mut() {
            // One look may tell of several pods.
            Some((last, count)) if last.by == seen.by => *count = now,
            Some((_, count)) if *count == now => {}
            _ => steps.push((*seen, now)),
        }
    }
    steps
}

/// The phase's times, the replicas' steps, and how many there were before it.
type Before = ((RunTime, RunTime), Vec<(Seen, u64)>, u64);

fn before(facts: &Facts<'_>, e: &AutoscalingExpectation) -> Result<Before, Finding> {
    let Some(phase) = facts.phase(&e.phase) else {
        return Err(Finding::inconclusive("the phase was not reached"));
    };
    let steps = replicas(facts);
    // As many as there ever were: one that is just being replaced is none less.
    let first = facts.judged().0;
    let most =
        steps.iter().filter(|(seen, _)| seen.by > first && seen.by <= phase.0).map(|(_, count)| *count);
    match states::at(&steps, phase.0) {
        Some(count) if count > 0 => {
            let most = most.chain(states::at(&steps, first)).max().unwrap_or(count);
            Ok((phase, steps, most.max(count)))
        }
        _ => Err(Finding::inconclusive("nothing is known of the replicas before the phase")),
    }
}

pub(super) fn scales_out(
    facts: &Facts<'_>,
    e: &AutoscalingExpectation,
    limit: Span,
) -> Result<Finding, Finding> {
    let ((start, end), steps, usual) = before(facts, e)?;
    let wanted = e.to.map_or(usual + 1, u64::from);
    if usual >= wanted {
        let why =
            format!("{} were ready before the phase, so nothing had to follow", counted(usual, "replica"));
        return Err(Finding::inconclusive(why));
    }
    // It may take them away again as it sees fit; those that fall over never stood.
    let falls = pods::falls(facts);
    let stands = |seen: &Seen| !falls.iter().any(|fell| *fell > seen.by && *fell <= seen.by + states::STAYS);
    let enough = steps.iter().filter(|(seen, count)| seen.by > start && *count >= wanted);
    let seen = enough.map(|(seen, _)| *seen).find(stands).filter(|seen| seen.by <= end);
    let by = seen.map_or(end, |seen| seen.by);
    let rolls = facts.plan.timeline.iter().filter(|act| matches!(act.action, PlannedAction::Deploy(_)));
    let rolls = rolls.filter_map(|act| Some((act, facts.faults.get(&act.id)?.effect?)));
    if let Some((act, _)) =
        rolls.into_iter().find(|(_, effect)| effect.by >= start && effect.not_before <= by)
    {
        let why = format!("`{}` was rolled out meanwhile: its pods can't be told from more replicas", act.id);
        return Err(Finding::inconclusive(why));
    }
    let what = format!("{} were ready", counted(wanted, "replica"));
    let most = steps.iter().filter(|(seen, _)| seen.by > start && seen.by <= end).map(|(_, count)| *count);
    let most = most.max().unwrap_or(usual).max(usual);
    let finding = within(Seen::at(start), seen, end, limit, &what);
    let finding = facts.if_watched(finding, watches_pods, end);
    let own = autoscaler::told(facts, start, end);
    Ok(finding.on("controller", format!("{usual} before {}, {most} at most in it", e.phase)).with(own))
}

fn in_slo(facts: &Facts<'_>, e: &AutoscalingExpectation, limit: Span) -> Result<Finding, Finding> {
    let ((start, end), steps, usual) = before(facts, e)?;
    let slos = windows::objectives(facts, &e.phase);
    if slos.is_empty() {
        return Err(Finding::inconclusive(format!("{} has no SLOs to be in", e.phase)));
    }
    let seen = windows::look(facts, &slos, (start, end), "in the phase")?;
    let what = format!("the service was in the SLOs of {} for good", e.phase);
    let finding = seen.within(Seen::at(start), end, limit, &what);
    let now = states::at(&steps, end).unwrap_or(usual);
    Ok(finding
        .on("wire", seen.shown(&format!("in {}", e.phase), &slos))
        .on("controller", format!("{usual} replicas before it, {now} at its end")))
}

fn scales_in(facts: &Facts<'_>, e: &AutoscalingExpectation, limit: Span) -> Result<Finding, Finding> {
    let ((start, end), steps, usual) = before(facts, e)?;
    let now = states::at(&steps, end).unwrap_or(usual);
    if now <= usual {
        let grew = steps.iter().any(|(seen, count)| seen.by > start && seen.by <= end && *count > usual);
        let why = match grew {
            true => "the replicas had gone away before the phase was over",
            false => "there were never more replicas, so none had to go away",
        };
        return Err(Finding::inconclusive(why));
    }
    let until = facts.judged().1;
    let back = states::settled(&steps, end, until, |count| *count <= usual).filter(|seen| seen.by <= until);
    let what = format!("no more than {} were ready", counted(usual, "replica"));
    let finding = within(Seen::at(end), back, until, limit, &what);
    let finding = facts.if_watched(finding, watches_pods, until);
    let at = back.map_or("never by the end".to_owned(), |seen| format!("at {}", interval(seen)));
    Ok(finding.on("controller", format!("{usual} before {}, {now} at its end, {usual} again {at}", e.phase)))
}
