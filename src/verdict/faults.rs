//! Whether each act of the timeline really happened, and ended.

use super::{
    facts::{Facts, FaultHistory, describe},
    finding::{Finding, counted},
    model::FaultFigures,
    times::interval,
};
use crate::{
    journal::event::{RunEnd, ToolVerdict},
    plan::model::{PlannedAct, PlannedAction},
    scenario::{
        chaos::{Chaos, Manifest},
        custom::Tool,
    },
    units::{FaultId, RunTime},
};

/// Judges an act: proven is pass, not proven inconclusive, left behind fail.
pub(super) fn judge(facts: &Facts<'_>, id: &FaultId) -> Finding {
    let Some(act) = facts.act(id) else {
        return Finding::inconclusive(format!("`{id}` is not on the timeline"));
    };
    let Some(history) = facts.faults.get(id) else {
        let why = match facts.run_end {
            Some(RunEnd::Completed) => "it was never asked for, though the run was completed",
            Some(RunEnd::NotSteady) => "it was not injected: the baseline was not steady",
            Some(RunEnd::Aborted) => "the run was aborted before its time came",
            Some(RunEnd::Broken { .. }) | None => "the run ended before its time came",
        };
        return Finding::inconclusive(why);
    };
    let lasts = act.until.is_some();
    let targets = match history.targets {
        [] => String::new(),
        names => {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            format!(" on {}", names.join(", "))
        }
    };
    let finding = match (history.stuck, history.effect) {
        (Some(why), _) => Finding::fail(format!("it could not be taken back: {why}")),
        (None, Some(_)) if lasts && history.recovered.is_none() => {
            Finding::inconclusive(format!("it acted{targets}, and was never seen to end"))
        }
        (None, Some(effect)) => content(act, history, || {
            Finding::pass(format!(
                "seen to act{targets} at {}, by {} of proof",
                interval(effect),
                counted(history.proof.len() as u64, "piece")
            ))
        }),
        (None, None) => Finding::inconclusive(match (history.unproven, history.skipped) {
            (Some(why), _) => format!("it was never seen to act: {why}"),
            (None, Some(why)) => format!("it was not injected: {why}"),
            (None, None) => "it was never seen to act".to_owned(),
        }),
    };
    let finding = match (history.effect, history.requested) {
        (Some(effect), Some(requested)) => {
            let low = effect.not_before.since(requested).as_secs_f64();
            let high = effect.by.since(requested).as_secs_f64();
            finding.observed(high, "s").error(low, Some(high))
        }
        _ => finding,
    };
    finding.with(history.proof.to_vec())
}

/// What an act that acted and ended comes to, where the tool that did it may
/// have a verdict of its own. None that should be there is no pass.
fn content(act: &PlannedAct, history: &FaultHistory<'_>, pass: impl FnOnce() -> Finding) -> Finding {
    match (history.judged, awaits_verdict(&act.action)) {
        (Some((by, ToolVerdict::Fail, why)), _) => Finding::fail(format!("{by}'s own verdict: {why}")),
        (Some((by, ToolVerdict::Unknown, why)), _) => {
            Finding::inconclusive(format!("it acted, and {by} came to no verdict: {why}"))
        }
        (Some((by, ToolVerdict::Pass, why)), _) => pass().on(by, why),
        (None, Some(by)) => Finding::inconclusive(format!("it acted, and {by} was not heard of it")),
        (None, None) => pass(),
    }
}

/// The tool that has to give a verdict, if one has to.
fn awaits_verdict(action: &PlannedAction) -> Option<&'static str> {
    let PlannedAction::Fault(Manifest { chaos: Chaos::Custom(custom), .. }) = action else { return None };
    match custom.object.tool() {
        Tool::ChaosMesh => None,
        Tool::Litmus => Some(Tool::Litmus.name()),
    }
}

/// What an act's check demands, in words.
pub(super) fn title(facts: &Facts<'_>, id: &FaultId) -> (String, String) {
    match facts.act(id) {
        Some(act) => (
            format!("{id} acts"),
            match act.action {
                PlannedAction::Fault(_) | PlannedAction::Command(_) if act.until.is_some() => {
                    format!("{} is seen to act, and to end", describe(&act.action))
                }
                PlannedAction::Fault(_) | PlannedAction::Command(_) | PlannedAction::Deploy(_) => {
                    format!("{} is seen to act", describe(&act.action))
                }
            },
        ),
        None => (format!("{id} acts"), "it is seen to act".to_owned()),
    }
}

/// Every act of the timeline as figures.
pub(super) fn figures(facts: &Facts<'_>) -> Vec<FaultFigures> {
    let secs = |time: Option<RunTime>| time.map(RunTime::as_secs_f64);
    facts
        .plan
        .timeline
        .iter()
        .map(|act| {
            let history = facts.faults.get(&act.id).cloned().unwrap_or_default();
            let manifest = match &act.action {
                PlannedAction::Fault(manifest) => serde_json::to_value(manifest),
                PlannedAction::Deploy(deploy) => serde_json::to_value(deploy),
                PlannedAction::Command(command) => serde_json::to_value(command),
            };
            FaultFigures {
                id: act.id.clone(),
                what: describe(&act.action),
                manifest: manifest.unwrap_or(serde_json::Value::Null),
                targets: history.targets.to_vec(),
                requested_at: secs(history.requested),
                injected_at: secs(history.injected),
                proven_at: secs(history.effect.map(|effect| effect.by)),
                recovered_at: secs(history.recovered),
                proof: history.proof.to_vec(),
            }
        })
        .collect()
}
