//! The timeline: what happens to the target, when, and when to stop.

use super::{Context, Fields, deploy, fit, manifest};
use crate::{
    scenario::{
        diagnostic::Diagnostic,
        model::{Act, Action, Applied, At, FaultDriver, StopCondition},
        source::Place,
        yaml::{Node, Value},
    },
    units::{FaultId, PhaseName, Span},
};

/// The `chaos:` list.
pub(super) fn timeline(cx: &mut Context<'_>, node: &Node) -> Option<Vec<Act>> {
    let mut ids: Vec<String> = Vec::new();
    let mut read: Vec<Act> = Vec::new();
    let all = cx.list(node, "what happens and when", |cx, node| {
        if let Some(id) = node.get("id")
            && let Some(text) = id.text()
        {
            if ids.iter().any(|known| known == text) {
                cx.report(
                    Diagnostic::error(&id.place, format!("there is another `{text}` in `chaos:`"))
                        .help("each entry needs an id of its own, for `after:`"),
                );
            }
            ids.push(text.to_owned());
        }
        let act = act(cx, node)?;
        read.push(act.clone());
        Some(act)
    });
    cx.names.timeline_broken = all.is_none();
    cx.names.timeline = read;
    all
}

fn act(cx: &mut Context<'_>, node: &Node) -> Option<Act> {
    let mut fields = Fields::of(cx, node, "Act", "an entry of the timeline")?;
    let id = fields.required(cx, "id", "kill", |cx, node| cx.identifier(node, "an id"));
    let at = fields.required(cx, "at", "fault + 10s", at);
    let drivers = [FaultDriver::Native, FaultDriver::ChaosMesh, FaultDriver::Litmus];
    let driver = fields.optional(cx, "driver", |cx, node| cx.choice(node, "who does it", &drivers));
    let action = match fields.one_of(cx, &["apply", "deploy", "command"]) {
        Some(("apply", node)) => apply(cx, node, driver.flatten()).map(Action::Apply),
        Some(("deploy", node)) => deploy::deploy(cx, node).map(Action::Deploy),
        Some((_, node)) => deploy::command(cx, node).map(Action::Command),
        None => None,
    };
    if let Some(Action::Apply(applied)) = &action {
        fit::fault(cx, &applied.manifest.chaos, &fields.get("apply")?.place)?;
    }
    let place = fields.get("duration").map(|node| node.place.clone());
    let duration = fields.optional(cx, "duration", |cx, node| {
        let span: Span = cx.unit(node)?;
        let short = span == Span::default();
        if short { cx.fail(&node.place, "a fault must last longer than 0s", "") } else { Some(span) }
    });
    let driver_place = fields.key("driver").map(|key| key.place.clone());
    fields.finish(cx);
    let act = Act { id: FaultId(id?), at: at?, action: action?, duration: duration?, driver: driver? };
    let without_driver = match &act.action {
        Action::Apply(_) => None,
        Action::Deploy(_) => Some("a rollout"),
        Action::Command(_) => Some("a program"),
    };
    if let (Some(what), Some(driver)) = (without_driver, driver_place) {
        return cx.fail(&driver, format!("{what} has no driver"), "leave `driver` out");
    }
    if let Some(place) = place {
        check_duration(cx, &act, &place)?;
    }
    Some(act)
}

/// A `duration` must have something to end.
fn check_duration(cx: &mut Context<'_>, act: &Act, place: &Place) -> Option<()> {
    match &act.action {
        Action::Deploy(_) => cx.fail(place, "a rollout has no duration", "it ends when the target says so"),
        Action::Command(command) if command.undo.is_none() => {
            let message = "nothing ends it: there is no `undo`";
            cx.fail(place, message, "say how it is taken back, or leave `duration` out")
        }
        Action::Apply(applied) if applied.manifest.chaos.is_one_shot() => {
            let action = applied.manifest.chaos.action();
            let warning =
                Diagnostic::warning(place, format!("a {action} happens at once: its duration is ignored"));
            cx.report(warning);
            Some(())
        }
        Action::Apply(_) | Action::Command(_) => Some(()),
    }
}

/// `fault + 10s`
fn at(cx: &mut Context<'_>, node: &Node) -> Option<At> {
    let wanted = "a time such as `fault` or `fault + 10s`";
    let text = cx.text(node, wanted)?;
    let (phase, offset) = match text.split_once('+') {
        Some((phase, offset)) => (phase.trim(), Some(offset.trim())),
        None => (text.trim(), None),
    };
    let part = |text: &str| Node {
        place: node.place.clone(),
        value: Value::Scalar { text: text.to_owned(), plain: false },
    };
    if phase.is_empty() || phase.contains(char::is_whitespace) || phase.parse::<Span>().is_ok() {
        return cx.fail(&node.place, format!("`{text}` is not {wanted}"), "");
    }
    let known: Vec<String> = cx.names.phases.iter().map(|(name, _)| name.clone()).collect();
    let found = cx.reference(&part(phase), "phase", &known);
    let offset = match offset {
        Some(offset) => cx.unit::<Span>(&part(offset)),
        None => Some(Span::default()),
    };
    let at = At { phase: PhaseName(found?), offset: offset? };
    check_time(cx, &at, &node.place)?;
    Some(at)
}

/// Whether a time lies within the run, and in the phase that it names.
fn check_time(cx: &mut Context<'_>, at: &At, place: &Place) -> Option<()> {
    let from = cx.names.phases.iter().position(|(name, _)| *name == at.phase.0)?;
    let lengths: Option<Vec<Span>> = cx.names.phases[from..].iter().map(|(_, length)| *length).collect();
    // Where a length can't be read, that is an error of its own.
    let Some(lengths) = lengths else { return Some(()) };
    let left = lengths.iter().fold(std::time::Duration::ZERO, |sum, length| sum.saturating_add(length.0));
    if at.offset.0 >= left {
        let left = Span(left);
        let message = format!("the run is over by then: from the start of `{}` it lasts {left}", at.phase);
        return cx.fail(place, message, "");
    }
    if at.offset >= lengths[0] {
        let next = cx.names.phases.get(from + 1).map_or("", |(name, _)| name.as_str());
        let message = format!("`{}` lasts only {}: this is in a later phase", at.phase, lengths[0]);
        let warning = Diagnostic::warning(place, message);
        let help =
            format!("write it from the start of that phase: `{next} + {}`", Span(at.offset.0 - lengths[0].0));
        cx.report(if cx.names.phases.len() == from + 2 { warning.help(help) } else { warning });
    }
    Some(())
}

fn apply(cx: &mut Context<'_>, node: &Node, driver: Option<FaultDriver>) -> Option<Applied> {
    match &node.value {
        Value::Map(_) => {
            manifest::manifest(cx, node, driver).map(|manifest| Applied { path: None, manifest })
        }
        Value::Scalar { .. } | Value::List(_) => {
            let path = cx.text(node, "the path of a manifest, or the manifest itself")?;
            manifest::file(cx, node, &path, driver)
        }
    }
}

/// `error-rate > 50% for 10s`
pub(super) fn stop_condition(cx: &mut Context<'_>, node: &Node) -> Option<StopCondition> {
    let wanted = "a condition such as `error-rate > 50% for 10s`";
    let text = cx.text(node, wanted)?;
    let parsed = text.trim().strip_prefix("error-rate").and_then(|rest| {
        let (threshold, lasting) = rest.split_once(" for ")?;
        Some(StopCondition { error_rate: threshold.parse().ok()?, lasting: lasting.parse().ok()? })
    });
    match parsed {
        None => cx.fail(&node.place, format!("`{text}` is not {wanted}"), ""),
        Some(condition) if !(0.0..=1.0).contains(&condition.error_rate.limit.0) => {
            cx.fail(&node.place, "an error rate lies between 0% and 100%", "")
        }
        Some(condition) if condition.error_rate.op.is_ceiling() => {
            let help = "a run is stopped when errors are many: write `>`";
            cx.fail(&node.place, "this would stop a run that works", help)
        }
        Some(condition) => Some(condition),
    }
}
