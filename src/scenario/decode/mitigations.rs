//! What a cache must be good for, and how stale it may be.

use super::{Context, judge};
use crate::{
    scenario::yaml::Node,
    units::{PhaseName, RatioThreshold, Span},
};

/// A floor on a factor: `>= 3x`.
pub(super) fn speed_up(cx: &mut Context<'_>, node: &Node) -> Option<RatioThreshold> {
    let threshold: RatioThreshold = cx.unit(node)?;
    if threshold.op.is_ceiling() {
        let help = "write `>= 3x`: a miss takes three times as long as a hit, or longer";
        return cx.fail(&node.place, "this demands that hits are slow", help);
    }
    if threshold.limit.0 < 1.0 {
        let help = "from `>= 1x` on hits are no slower than misses";
        return cx.fail(&node.place, "this is content with hits that are slower than misses", help);
    }
    Some(threshold)
}

/// A share of the hits. An age is another thing.
pub(super) fn stale(cx: &mut Context<'_>, node: &Node) -> Option<RatioThreshold> {
    let text = node.text().unwrap_or_default();
    let age = text.trim_start_matches(['<', '>', '=', ' ']);
    if age.ends_with(char::is_alphabetic) && age.parse::<Span>().is_ok() {
        let help = format!("write `stale: \"<= 0%\"`; how old hits may be is `max-age: {age}`");
        return cx.fail(&node.place, "`stale` is a share of the hits, not an age", help);
    }
    judge::share_threshold(cx, node)
}

/// The phase that `stale` is about.
pub(super) fn phase_of_stale(cx: &mut Context<'_>, node: &Node, stale: bool) -> Option<PhaseName> {
    if !stale {
        let help = "add `stale: \"<= 0%\"`, or name the phase as `serves-during`";
        return cx.fail(&node.place, "`in` belongs to `stale`, which is not there", help);
    }
    judge::phase(cx, node)
}
