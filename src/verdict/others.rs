//! Whose doing something is, where acts follow each other or overlap: a
//! mechanism that reacts after the next act began may have reacted to that, and
//! one that does not come back while another act lasts may not be able to.

use super::{
    facts::{Facts, FaultHistory},
    finding::Finding,
    model::Verdict,
    times::within,
};
use crate::{
    scenario::model::{Expectation, RecoveryExpectation},
    units::{FaultId, RunTime, Seen, Span},
};

impl FaultHistory<'_> {
    /// From when on it may have had an effect. None: it was not done.
    pub(super) fn begins(&self) -> Option<RunTime> {
        let asked = self.requested.filter(|_| self.skipped.is_none());
        self.effect.map(|seen| seen.not_before).or(self.injected).or(asked)
    }
}

impl<'a> Facts<'a> {
    /// The next act that was planned for later than this one, and from when on it
    /// may have had an effect.
    fn next_act(&self, after: Option<&FaultId>) -> Option<(&'a FaultId, RunTime)> {
        let own = after.and_then(|id| self.act(id))?;
        let later = self.plan.timeline.iter().filter(|act| act.at > own.at);
        let begun = later.filter_map(|act| Some((&act.id, self.faults.get(&act.id)?.begins()?)));
        begun.min_by_key(|(_, begins)| *begins)
    }

    /// Whether something came within `limit` of an act's effect, as `within` says
    /// it, and of that act alone.
    pub(super) fn reacts(
        &self,
        after: Option<&FaultId>,
        effect: Seen,
        to: Option<Seen>,
        limit: Span,
        what: &str,
    ) -> Finding {
        let Some((next, begins)) = self.next_act(after).filter(|(_, begins)| *begins < self.end) else {
            return within(effect, to, self.end, limit, what);
        };
        let Some(to) = to.filter(|seen| seen.by > begins) else {
            return within(effect, to, begins, limit, what);
        };
        let finding = within(effect, Some(to), begins, limit, what);
        // It was due before anything else was done.
        if finding.verdict == Verdict::Fail && effect.by + limit.0 <= begins {
            return finding;
        }
        let why = format!("{}, but `{next}` acts from {begins}: it may be its doing", finding.why);
        Finding { verdict: Verdict::Inconclusive, why, ..finding }
    }

    /// How long another act went on after this one's end, and which. None: to the
    /// end of the run.
    fn outlasts(&self, after: Option<&FaultId>, end: Seen) -> Option<(&'a FaultId, Option<RunTime>)> {
        let others = self.plan.timeline.iter().filter(|act| Some(&act.id) != after && act.until.is_some());
        let lasting = others.filter_map(|act| {
            let history = self.faults.get(&act.id)?;
            let goes_on = history.recovered.is_none_or(|recovered| recovered > end.by);
            (history.begins()? <= end.by && goes_on).then_some((&act.id, history.recovered))
        });
        lasting.max_by_key(|(_, recovered)| recovered.unwrap_or(RunTime(u64::MAX)))
    }
}

/// A demand on what comes after a fault's end: which fault's, and how soon.
fn after_its_end<'e>(
    facts: &'e Facts<'_>,
    expectation: &'e Expectation,
) -> Option<(Option<&'e FaultId>, Span)> {
    let of = |after: &'e Option<FaultId>, limit: Option<Span>| Some((after.as_ref(), limit?));
    match expectation {
        Expectation::CircuitBreaker(e) => of(&e.after, e.closes_within),
        Expectation::Fallback(e) => of(&e.after, e.disengages_within),
        Expectation::Failover(e) => of(&e.after, e.back_within),
        Expectation::Retries(e) => of(&e.after, e.settles_within),
        Expectation::Alert(e) => of(&e.after, e.resolves_within),
        Expectation::Metric(e) => of(&e.after, e.recovers_within),
        Expectation::Recovery(RecoveryExpectation { after, within }) => {
            let last = facts.plan.timeline.last().map(|act| &act.id);
            Some((after.as_ref().or(last), (*within)?))
        }
        Expectation::Cache(_)
        | Expectation::Rollback(_)
        | Expectation::Shedding(_)
        | Expectation::Pods(_)
        | Expectation::Probes(_)
        | Expectation::Autoscaling(_)
        | Expectation::Drift(_) => None,
    }
}

/// A failure to come back is the mechanism's own only where no other act went on:
/// it counts from that one's end.
pub(super) fn doubt(facts: &Facts<'_>, expectation: &Expectation, finding: Finding) -> Finding {
    if finding.verdict != Verdict::Fail {
        return finding;
    }
    let Some((after, limit)) = after_its_end(facts, expectation) else { return finding };
    let Ok(end) = facts.fault_end(after) else { return finding };
    let Some((other, over)) = facts.outlasts(after, end) else { return finding };
    let waited = finding.error.map(|(low, _)| low);
    let late = over
        .zip(waited)
        .is_some_and(|(over, waited)| waited - over.since(end.by).as_secs_f64() > limit.as_secs_f64());
    if late {
        return finding;
    }
    let until = over.map_or("to the end".to_owned(), |over| format!("until {over}"));
    let why = format!("{}, but `{other}` acts {until}", finding.why);
    Finding { verdict: Verdict::Inconclusive, why, ..finding }
}
