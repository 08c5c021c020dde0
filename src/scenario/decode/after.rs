//! `after:`: the act that an expectation reacts to.

use super::{ActKind, Context, Fields, listed, may_mean};
use crate::{
    scenario::{source::Place, yaml::Node},
    units::FaultId,
};

/// What an `after:` names.
pub(super) const ENTRY: &str = "entry in `chaos:` with the id";

/// An entry of `chaos:` that an expectation of this kind can react to.
pub(super) fn act(cx: &mut Context<'_>, node: &Node, kind: ActKind) -> Option<FaultId> {
    let known = cx.names.acts.clone();
    let id = FaultId(cx.reference(node, ENTRY, &known)?);
    let wrong = cx.names.timeline.iter().any(|act| act.id == id && !may_mean(kind, act));
    if wrong {
        let others: Vec<String> = meant(cx, kind);
        let help = match others.is_empty() {
            true => example(cx, kind),
            false => format!("one of {}", listed(others.iter().map(String::as_str))),
        };
        return cx.fail(&node.place, format!("`{id}` is not {}", kind_name(kind)), help);
    }
    Some(id)
}

/// An entry that would be one, in the last phase.
pub(super) fn example(cx: &Context<'_>, kind: ActKind) -> String {
    let phase = cx.names.phases.last().map_or("fault", |(name, _)| name.as_str());
    match kind {
        ActKind::Fault => {
            format!(
                "add one, such as `- {{ id: cut, at: {phase}, apply: chaos/network-partition-all.yaml }}`"
            )
        }
        ActKind::PodFault => {
            format!("add one, such as `- {{ id: kill, at: {phase}, apply: chaos/pod-kill-one.yaml }}`")
        }
        ActKind::Rollout => {
            format!("add one, such as `- {{ id: release, at: {phase}, deploy: {{ version: v2 }} }}`")
        }
    }
}

fn kind_name(kind: ActKind) -> &'static str {
    match kind {
        ActKind::Fault => "a fault",
        ActKind::PodFault => "a fault that takes pods away",
        ActKind::Rollout => "a rollout",
    }
}

fn meant(cx: &Context<'_>, kind: ActKind) -> Vec<String> {
    cx.names.timeline.iter().filter(|act| may_mean(kind, act)).map(|act| act.id.0.clone()).collect()
}

/// Reads `after:`. Where it isn't there and `needed` says so, exactly one act
/// must be one that it can mean.
pub(super) fn after(
    cx: &mut Context<'_>,
    fields: &mut Fields<'_>,
    kind: ActKind,
    needed: bool,
    place: &Place,
) -> Option<Option<FaultId>> {
    let given = fields.optional(cx, "after", |cx, node| act(cx, node, kind))?;
    if given.is_some() || !needed || cx.names.timeline_broken {
        return Some(given);
    }
    let candidates = meant(cx, kind);
    match candidates.as_slice() {
        [_] => Some(None),
        [] => cx.fail(
            place,
            format!("there is nothing to react to: `chaos:` has no entry that is {}", kind_name(kind)),
            example(cx, kind),
        ),
        [first, ..] => {
            let all = listed(candidates.iter().map(String::as_str));
            cx.fail(
                place,
                format!("`after` is missing: more than one entry could be meant ({all})"),
                format!("write `after: {first}`"),
            )
        }
    }
}
