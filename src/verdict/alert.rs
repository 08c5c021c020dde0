//! Alerts: they fire in time, are resolved when all is well again, and are
//! quiet where nothing is wrong.

use super::{
    facts::Facts,
    finding::Finding,
    judge::Title,
    model::{CheckKind, Verdict},
    states::{self, Met},
    times::{interval, within, worst},
};
use crate::{
    journal::event::{NO_RULE, Signal},
    scenario::alert::AlertExpectation,
    units::{PhaseName, Seen, Span},
};

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &AlertExpectation) -> (Title, Finding) {
    let title =
        |title: &str, expected: String| Title::of(CheckKind::Alert, &format!("{} {title}", e.name), expected);
    if let Some(limit) = e.fires_within {
        (title("fires", format!("within {limit}")), fires(facts, e, limit).unwrap_or_else(|f| f))
    } else if let Some(limit) = e.resolves_within {
        (title("is resolved", format!("within {limit}")), resolves(facts, e, limit).unwrap_or_else(|f| f))
    } else if let Some(phase) = &e.quiet_in {
        let title = title("is quiet", format!("never fires in {phase}"));
        (Title { phase: Some(phase.clone()), ..title }, quiet(facts, e, phase).unwrap_or_else(|f| f))
    } else {
        (title("alert", String::new()), Finding::inconclusive("it demands nothing"))
    }
}

/// Whether it fires, as one source told it in the course of the run.
type States = [(Seen, bool)];

/// What each source told of it. None did: nothing is known.
fn told<'f>(facts: &'f Facts<'_>, e: &AlertExpectation) -> Result<Vec<(&'f str, &'f States)>, Finding> {
    let of = facts.alerts.iter().filter(|((name, _), _)| *name == e.name);
    let all: Vec<_> = of.map(|((_, source), states)| (*source, states.as_slice())).collect();
    if all.is_empty() {
        if let Some(source) = without_rule(facts, e) {
            return Err(Finding::inconclusive(format!(
                "{source} has no rule `{}`: nothing can fire",
                e.name
            )));
        }
        return Err(Finding::inconclusive(format!(
            "no source of alerts answered, so nothing is known of {}",
            e.name
        )));
    }
    Ok(all)
}

/// A source that says that it has no rule of this name.
fn without_rule<'f>(facts: &'f Facts<'_>, e: &AlertExpectation) -> Option<&'f str> {
    facts.signals.iter().find_map(|(_, signal)| match signal {
        Signal::Note { about, reason, text, .. } if reason == NO_RULE && *text == e.name => {
            Some(about.as_str())
        }
        _ => None,
    })
}

pub(super) fn fires(facts: &Facts<'_>, e: &AlertExpectation, limit: Span) -> Result<Finding, Finding> {
    let t0 = facts.effect(e.after.as_ref())?;
    let all = match (told(facts, e), without_rule(facts, e)) {
        // What is not there can't fire: that is sure.
        (Err(_), Some(source)) => {
            let why = format!("{source} has no rule `{}`, so it can't fire", e.name);
            return Ok(Finding::fail(why.clone()).on(source, why));
        }
        (told, _) => told?,
    };
    if let Some((source, _)) = all.iter().find(|(_, states)| states::at(states, t0.not_before) == Some(true))
    {
        let why = format!("{} fired already when the fault acted, says {source}", e.name);
        return Err(Finding::inconclusive(why));
    }
    let first = all.iter().filter_map(|(source, states)| {
        let (seen, _) = states.iter().find(|(seen, firing)| *firing && seen.by > t0.not_before)?;
        Some((*seen, *source))
    });
    let first = first.min_by_key(|(seen, _)| seen.by);
    let in_time = (t0.not_before, t0.by + limit.0);
    if let Some((blind, _)) = all.iter().find(|(source, _)| facts.was_down(source, in_time))
        && first.is_none_or(|(seen, _)| seen.not_before > in_time.1)
    {
        let why = format!("{blind} did not answer for a while, so {} may have fired in time", e.name);
        return Err(Finding::inconclusive(why));
    }
    let what = format!("{} fired", e.name);
    let finding = facts.reacts(e.after.as_ref(), t0, first.map(|(seen, _)| seen), limit, &what);
    Ok(match first {
        Some((seen, source)) => finding.on(source, format!("{} fires at {}", e.name, interval(seen))),
        None => all.iter().fold(finding, |finding, (source, _)| {
            finding.on(*source, format!("{} does not fire after the fault", e.name))
        }),
    })
}

fn resolves(facts: &Facts<'_>, e: &AlertExpectation, limit: Span) -> Result<Finding, Finding> {
    let (t0, end) = (facts.effect(e.after.as_ref())?, facts.fault_end(e.after.as_ref())?);
    let until = facts.undisturbed_until(end.by, e.after.as_ref());
    let mut findings = Vec::new();
    for (source, states) in told(facts, e)? {
        let later =
            states.iter().any(|(seen, firing)| *firing && seen.by > t0.not_before && seen.by <= until);
        let fired = later || states::at(states, t0.not_before) == Some(true);
        if !fired {
            continue;
        }
        let resolved = states::settled(states, t0.not_before, until, |firing| !firing);
        let resolved = resolved.filter(|seen| seen.by <= until);
        let finding = within(end, resolved, until, limit, &format!("{} was resolved", e.name));
        let unseen = resolved.is_some_and(|seen| facts.was_down(source, (seen.by, until)));
        let finding = match finding.verdict {
            Verdict::Fail if facts.was_down(source, (end.not_before, until)) => {
                Finding::inconclusive(format!("{}, but {source} did not answer for a while", finding.why))
            }
            Verdict::Pass if unseen => Finding::inconclusive(format!(
                "{}, but {source} did not answer after that: it may fire again",
                finding.why
            )),
            _ => finding,
        };
        findings.push(match resolved {
            Some(seen) => finding.on(source, format!("{} fires no more at {}", e.name, interval(seen))),
            None => finding.on(source, format!("{} fires on", e.name)),
        });
    }
    worst(findings).ok_or_else(|| {
        Finding::inconclusive(format!("{} did not fire, so it had nothing to resolve", e.name))
    })
}

/// Whether a source waits to be told, and nothing was ever delivered to it.
fn is_mute(facts: &Facts<'_>, source: &str) -> bool {
    let waits = facts.plan.observe.iter().any(|one| one.name == source && one.system.waits());
    let told =
        |signal: &Signal| matches!(signal, Signal::Source { source: of, up: true, .. } if of == source);
    waits && !facts.signals.iter().any(|(_, signal)| told(signal))
}

fn quiet(facts: &Facts<'_>, e: &AlertExpectation, phase: &PhaseName) -> Result<Finding, Finding> {
    let Some((start, end)) = facts.phase(phase) else {
        return Err(Finding::inconclusive("the phase was not reached"));
    };
    let all = told(facts, e)?;
    let mut maybe = None;
    for (source, states) in &all {
        match states::met(states, (start, end), facts.end, |firing| *firing) {
            Some(Met::Surely(seen)) => {
                let why = format!("{} fired at {}", e.name, interval(seen));
                return Ok(Finding::fail(why.clone()).observed(1.0, "count").on(*source, why));
            }
            Some(Met::Perhaps(seen)) => {
                maybe = Some(format!("{} fired at {}, perhaps in {phase}", e.name, interval(seen)));
            }
            None => {}
        }
    }
    if let Some(why) = maybe {
        return Err(Finding::inconclusive(why));
    }
    // Who would be told only if it fired says nothing by silence.
    let (mute, all): (Vec<_>, Vec<_>) = all.into_iter().partition(|(source, _)| is_mute(facts, source));
    let heard = all.iter().any(|(_, states)| states.iter().any(|(seen, _)| seen.by <= end));
    if !heard {
        let nothing = format!("nothing was heard of {} by the end of {phase}", e.name);
        return Err(Finding::inconclusive(mute.first().map_or(nothing, |(source, _)| {
            format!("{source} was told nothing at all in this run, so that its silence proves nothing")
        })));
    }
    let sources: Vec<&str> = all.iter().map(|(source, _)| *source).collect();
    if let Some(blind) = sources.iter().find(|source| facts.was_down(source, (start, end))) {
        let why = format!("{blind} did not answer in all of {phase}, so {} may have fired", e.name);
        return Err(Finding::inconclusive(why));
    }
    let why = format!("{} did not fire, says {}", e.name, sources.join(", "));
    Ok(Finding::pass(why).observed(0.0, "count").on(sources.join(", "), format!("{} is quiet", e.name)))
}
