//! Limits on times that are longer than what is left of the run: they can never
//! fail, and where nothing happens the check is inconclusive.

use std::time::Duration;

use super::{ActKind, Context, may_mean};
use crate::{
    scenario::{
        chaos::Chaos,
        diagnostic::Diagnostic,
        model::{Act, Action},
        yaml::{Node, Value},
    },
    units::Span,
};

/// From when a time counts.
#[derive(Clone, Copy)]
enum Since {
    /// An act's effect.
    Act(ActKind),
    /// Its end.
    End(ActKind),
    /// The end of whichever act is over last.
    Last,
    /// The start of the phase `in:`.
    Phase,
    /// Its end.
    PhaseEnd,
}

/// Limits by mechanism and key.
const LIMITS: [(&str, &str, Since); 19] = [
    ("circuit-breaker", "opens-within", Since::Act(ActKind::Fault)),
    ("circuit-breaker", "closes-within", Since::End(ActKind::Fault)),
    ("rollback", "detects-within", Since::Act(ActKind::Rollout)),
    ("rollback", "completes-within", Since::Act(ActKind::Rollout)),
    ("rollback", "promotes-within", Since::Act(ActKind::Rollout)),
    ("fallback", "engages-within", Since::Act(ActKind::Fault)),
    ("fallback", "disengages-within", Since::End(ActKind::Fault)),
    ("retries", "settles-within", Since::End(ActKind::Fault)),
    ("pods", "replaced-within", Since::Act(ActKind::PodFault)),
    ("pods", "removed-within", Since::Act(ActKind::PodFault)),
    ("autoscaling", "scales-out-within", Since::Phase),
    ("autoscaling", "in-slo-within", Since::Phase),
    ("autoscaling", "scales-in-within", Since::PhaseEnd),
    ("failover", "within", Since::Act(ActKind::Fault)),
    ("failover", "back-within", Since::End(ActKind::Fault)),
    ("alert", "fires-within", Since::Act(ActKind::Fault)),
    ("alert", "resolves-within", Since::End(ActKind::Fault)),
    ("metric", "recovers-within", Since::End(ActKind::Fault)),
    ("recovery", "within", Since::Last),
];

/// Warns of each limit that is longer than what is left when its time begins
/// to count.
pub(super) fn beyond_the_end(cx: &mut Context<'_>, expect: &Node) {
    let Value::List(items) = &expect.value else { return };
    let found: Vec<Diagnostic> = items
        .iter()
        .flat_map(|item| LIMITS.iter().map(move |limit| (item, limit)))
        .filter_map(|(item, (mechanism, key, from))| warning(cx, item.get(mechanism)?, key, *from))
        .collect();
    cx.diagnostics.extend(found);
}

/// Nothing is said of what can't be read: that is an error of its own.
fn warning(cx: &Context<'_>, demands: &Node, key: &str, from: Since) -> Option<Diagnostic> {
    let node = demands.get(key)?;
    let limit: Span = node.text()?.parse().ok()?;
    let end = time(cx, cx.names.phases.len())?;
    let (since, what) = start(cx, demands, from, end)?;
    let left = Span(end.saturating_sub(since));
    if limit <= left {
        return None;
    }
    let message = format!("`{key}: {limit}` can never fail: only {left} of the run are left after {what}");
    let help = "make the last phase longer, or the limit shorter: without the reaction it is inconclusive";
    Some(Diagnostic::warning(&node.place, message).help(help))
}

/// When a limit begins to count, and after what that is.
fn start(cx: &Context<'_>, demands: &Node, from: Since, end: Duration) -> Option<(Duration, String)> {
    let phase = || {
        let name = demands.get("in")?.text()?;
        let at = cx.names.phases.iter().position(|(known, _)| known == name)?;
        Some((at, name))
    };
    match from {
        Since::Phase => phase().and_then(|(at, name)| Some((time(cx, at)?, format!("`{name}` begins")))),
        Since::PhaseEnd => phase().and_then(|(at, name)| Some((time(cx, at + 1)?, format!("`{name}` ends")))),
        Since::Act(kind) => {
            let act = meant(cx, demands, |act| may_mean(kind, act))?;
            Some((begins(cx, act)?, format!("`{}` begins", act.id)))
        }
        Since::End(kind) => {
            let act = meant(cx, demands, |act| may_mean(kind, act))?;
            Some((ends(cx, act, end)?, format!("`{}` ends", act.id)))
        }
        Since::Last => {
            let named = demands.get("after").is_some();
            let of = |act: &Act| Some((ends(cx, act, end)?, format!("`{}` ends", act.id)));
            match named {
                true => of(meant(cx, demands, |_| true)?),
                false => {
                    let all: Option<Vec<_>> = cx.names.timeline.iter().map(of).collect();
                    all?.into_iter().max()
                }
            }
        }
    }
}

/// The act of `after:`, or the only one that can be meant.
fn meant<'c>(cx: &'c Context<'_>, demands: &Node, fits: impl Fn(&Act) -> bool) -> Option<&'c Act> {
    let timeline = &cx.names.timeline;
    if let Some(after) = demands.get("after") {
        return timeline.iter().find(|act| after.text() == Some(act.id.as_str()));
    }
    let mut all = timeline.iter().filter(|act| fits(act));
    all.next().filter(|_| all.next().is_none())
}

/// When so many phases are over, from the first one's start.
fn time(cx: &Context<'_>, phases: usize) -> Option<Duration> {
    let mut lengths = cx.names.phases.get(..phases)?.iter().map(|(_, length)| length.map(|length| length.0));
    lengths.try_fold(Duration::ZERO, |sum, length| Some(sum.saturating_add(length?)))
}

fn begins(cx: &Context<'_>, act: &Act) -> Option<Duration> {
    let phase = cx.names.phases.iter().position(|(name, _)| *name == act.at.phase.0)?;
    Some(time(cx, phase)?.saturating_add(act.at.offset.0))
}

/// When it is over; None: of a schedule, which acts as often as it likes.
fn ends(cx: &Context<'_>, act: &Act, end: Duration) -> Option<Duration> {
    let at = begins(cx, act)?;
    let lasting = |length: Option<Span>| length.map_or(end, |length| at.saturating_add(length.0).min(end));
    match &act.action {
        Action::Deploy(_) => Some(at),
        Action::Command(command) if command.undo.is_none() => Some(at),
        Action::Command(_) => Some(lasting(act.duration)),
        Action::Apply(applied) => match &applied.manifest.chaos {
            Chaos::Schedule(_) => None,
            chaos if chaos.is_one_shot() => Some(at),
            chaos => Some(lasting(act.duration.or(chaos.duration()))),
        },
    }
}
