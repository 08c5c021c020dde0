//! Times between two sightings, each an interval.

use super::{facts::Facts, finding::Finding, model::Verdict};
use crate::{
    journal::Cell,
    units::{FaultId, RunTime, Seen, Span},
};

/// Seconds from one sighting to another: the shortest and the longest that it
/// may have been. What came before counts as at once.
pub(super) fn between(from: Seen, to: Seen) -> (f64, f64) {
    let secs = |a: RunTime, b: RunTime| b.since(a).as_secs_f64();
    let low = secs(from.by.max(from.not_before), to.not_before);
    (low, secs(from.not_before, to.by).max(low))
}

/// Whether it took no longer than `limit`. `from` → `to`; None: it was not
/// seen until `until`. `what` names it: `the breaker opened`.
pub(super) fn within(from: Seen, to: Option<Seen>, until: RunTime, limit: Span, what: &str) -> Finding {
    let limit_s = limit.as_secs_f64();
    let Some(to) = to else {
        let waited = until.since(from.by).as_secs_f64();
        return if waited > limit_s {
            Finding::fail(format!("not observed that {what}, in {waited:.1} s")).error(waited, None)
        } else {
            Finding::inconclusive(format!(
                "not observed that {what}, but there were only {waited:.1} s to see it in"
            ))
            .error(waited, None)
        };
    };
    let (low, high) = between(from, to);
    let shown = if high - low < 0.005 {
        format!("{what} after {high:.2} s")
    } else {
        format!("{what} after {low:.2} to {high:.2} s")
    };
    let finding = if high <= limit_s {
        Finding::pass(shown)
    } else if low > limit_s {
        Finding::fail(format!("{shown}, not within {limit}"))
    } else {
        Finding::inconclusive(format!("{shown}: {limit} is inside the sampling error"))
    };
    let finding = finding.observed(high, "s").error(low, Some(high));
    finding.on("clock", format!("from {}, to {}", interval(from), interval(to)))
}

/// When the first of these answers ended, at or after `since`. Of a cell only its
/// first and last end are known.
pub(super) fn first_end<'c>(cells: impl Iterator<Item = &'c Cell>, since: RunTime) -> Option<Seen> {
    let ends = cells.filter(|cell| cell.last_end >= since).map(|cell| match cell.first_end >= since {
        true => Seen::at(cell.first_end),
        false => Seen { not_before: since, by: cell.last_end },
    });
    ends.min_by_key(|seen| seen.by)
}

/// How much a verdict decides beside others: the most decisive is the worst.
pub(super) fn rank(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Fail | Verdict::Aborted => 2,
        Verdict::Inconclusive => 1,
        Verdict::Pass => 0,
    }
}

/// The finding that decides when all must be within the limit: a failure, or
/// what is open, or the longest.
pub(super) fn worst(findings: Vec<Finding>) -> Option<Finding> {
    let time = |finding: &Finding| finding.observed.unwrap_or(f64::INFINITY);
    findings
        .into_iter()
        .max_by(|a, b| rank(a.verdict).cmp(&rank(b.verdict)).then(time(a).total_cmp(&time(b))))
}

/// A sighting in words.
pub(super) fn interval(seen: Seen) -> String {
    if seen.not_before >= seen.by {
        seen.by.to_string()
    } else {
        format!("{}–{}", seen.not_before, seen.by)
    }
}

impl Facts<'_> {
    /// When the fault was first seen to act; a finding that says why nothing
    /// can be judged, if it was not.
    pub(super) fn effect(&self, after: Option<&FaultId>) -> Result<Seen, Finding> {
        let Some(id) = after else {
            return Err(Finding::inconclusive("no act is named that it should react to"));
        };
        self.faults.get(id).and_then(|history| history.effect).ok_or_else(|| {
            let state = self.faults.get(id).map_or("not-requested", |history| history.state());
            Finding::inconclusive(format!("`{id}` was not proven to act ({state})"))
        })
    }

    /// When the fault was over: asked to end, and seen to be gone. For a
    /// one-shot, its effect.
    pub(super) fn fault_end(&self, after: Option<&FaultId>) -> Result<Seen, Finding> {
        let effect = self.effect(after)?;
        let Some((act, history)) = after.and_then(|id| Some((self.act(id)?, self.faults.get(id)?))) else {
            return Err(Finding::inconclusive("the act is not in the plan"));
        };
        match (act.until, history.recovered) {
            (None, _) => Ok(effect),
            (Some(until), Some(recovered)) => Ok(Seen {
                not_before: until.min(recovered).max(effect.not_before),
                by: recovered.max(effect.by),
            }),
            (Some(_), None) => Err(Finding::inconclusive(format!("`{}` was never seen to end", act.id))),
        }
    }

    /// Whether the fault is one that ends, and no one-shot.
    pub(super) fn lasts(&self, after: Option<&FaultId>) -> bool {
        after.and_then(|id| self.act(id)).is_some_and(|act| act.until.is_some())
    }

    /// When the next act after `time` was first seen to have an effect, or may
    /// have had one, or the end of the judged load: up to here the run is not
    /// disturbed again.
    pub(super) fn undisturbed_until(&self, time: RunTime, except: Option<&FaultId>) -> RunTime {
        let next = self.faults.iter().filter(|(id, _)| Some(**id) != except);
        let next = next.filter_map(|(_, history)| history.begins());
        let (_, end) = self.judged();
        next.filter(|&effect| effect >= time).min().unwrap_or(end).min(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(a: u64, b: u64) -> Seen {
        Seen { not_before: RunTime(a * 1000), by: RunTime(b * 1000) }
    }

    #[test]
    fn intervals_combine() {
        assert_eq!(between(seen(1000, 1200), seen(3000, 3500)), (1.8, 2.5));
        assert_eq!(between(seen(1000, 1200), seen(900, 1100)), (0.0, 0.1), "overlapping: maybe at once");
        assert_eq!(between(seen(5000, 5000), seen(1000, 1000)), (0.0, 0.0), "it was so before");
    }

    #[test]
    fn a_time_is_judged_by_its_far_end() {
        let verdict =
            |to, limit| within(seen(1000, 1000), to, RunTime(20_000_000), Span::millis(limit), "it").verdict;
        assert_eq!(verdict(Some(seen(2000, 3000)), 2000), Verdict::Pass);
        assert_eq!(verdict(Some(seen(2000, 3001)), 2000), Verdict::Inconclusive);
        assert_eq!(verdict(Some(seen(3001, 4000)), 2000), Verdict::Fail);
        assert_eq!(verdict(None, 18_999), Verdict::Fail);
        assert_eq!(verdict(None, 19_000), Verdict::Inconclusive, "no time left to see it");
    }
}
