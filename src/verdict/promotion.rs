//! Rollouts that go through: a good version becomes the stable one, and how
//! many requests a version got while it was tried.

use std::collections::BTreeMap;

use super::{
    finding::{Finding, Rigour, counted, ratio},
    model::Verdict,
    rollback::{GRACE, Rollout, answered_by},
    times::{interval, within},
};
use crate::units::{RatioThreshold, Span, Version};

/// Whether the candidate became the stable version in time, also on the wire.
pub(super) fn promotes(rollout: &Rollout<'_, '_>, limit: Span) -> Result<Finding, Finding> {
    let candidate = rollout.candidate;
    if let Some(back) = rollout.done() {
        let at = interval(back.seen);
        return Ok(Finding::fail(format!("{candidate} was rolled back at {at}, not promoted"))
            .on("controller", format!("{} stable at {at}: {}", back.stable, back.reason)));
    }
    if let Some(settled) = rollout.settled() {
        let what = format!("only {candidate} answered");
        let finding = within(rollout.started, Some(settled), rollout.until, limit, &what);
        let finding = rollout.confirmed(finding, settled.by + GRACE);
        return Ok(finding.on("wire", "nobody tells of this rollout: it is judged by the answers alone"));
    }
    let promoted = rollout.promotion();
    let what = format!("{candidate} became the stable version");
    let finding = within(rollout.started, promoted.map(|signal| signal.seen), rollout.until, limit, &what);
    let Some(promoted) = promoted else {
        let finding = rollout.if_watched(finding);
        return Ok(rollout.with_last_word(finding.on("controller", "no promotion was seen")));
    };
    let finding =
        finding.on("controller", format!("{} stable at {}", promoted.stable, interval(promoted.seen)));
    let since = promoted.seen.by + GRACE;
    let by = answered_by(rollout, since);
    let right = by.get(candidate).copied().unwrap_or_default();
    let wrong: u64 = by.values().sum::<u64>() - right;
    let wire = format!("answers due after {since}: {right} by {candidate}, {wrong} by others");
    Ok(match (right, wrong) {
        (0, 0) => Finding::inconclusive("no answer named its version after the promotion"),
        (_, 0) => rollout.confirmed(finding, since),
        _ => Finding::fail(format!(
            "said to be promoted at {}, yet {} after it came from other versions",
            interval(promoted.seen),
            counted(wrong, "answer")
        )),
    }
    .on("wire", wire))
}

/// Share of the requests that the candidate answered while it was tried.
pub(super) fn exposure(rollout: &Rollout<'_, '_>, limit: &RatioThreshold) -> Finding {
    let by: BTreeMap<&Version, u64> = answered_by(rollout, rollout.started.not_before);
    let all: u64 = by.values().sum();
    if all == 0 {
        return Finding::inconclusive("no answer named its version");
    }
    let tried = by.get(rollout.candidate).copied().unwrap_or_default();
    if tried == 0 {
        // Perhaps what it answers does not name it.
        return Finding::inconclusive(format!("no answer is known to be of {}", rollout.candidate));
    }
    let finding = ratio(tried, all, limit, "answer", Rigour::Reaction);
    // While it was tried, those that name no version may be its.
    let over = rollout.rolled_back().map_or(rollout.until, |back| back.by);
    let nameless = rollout.nameless(rollout.started.not_before, over);
    let most = (tried + nameless) as f64 / (all + nameless) as f64;
    let finding = match finding.verdict {
        Verdict::Pass if !limit.op.holds(most, limit.limit.0) => Finding::inconclusive(format!(
            "{}, but {} meanwhile did not name their version",
            finding.why,
            counted(nameless, "answer")
        )),
        _ => finding,
    };
    let shown =
        format!("{tried} of {} that name a version are of {}", counted(all, "answer"), rollout.candidate);
    finding.on("wire", format!("{shown}; {nameless} more name none while it is tried"))
}
