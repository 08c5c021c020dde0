//! Whether those serve again that did before, each of them, and nobody else.

use std::time::Duration;

use super::{CERTAIN, Roles, answers, count};
use crate::{
    journal::Cell,
    scenario::serving::FailoverExpectation,
    units::{PodName, RunTime, Seen, Span},
    verdict::{
        facts::Facts,
        finding::Finding,
        model::Verdict,
        strays::{Before, Seconds},
        times::{interval, within, worst},
    },
};

/// Who serves again must do so until so long before the end.
const LATELY: Duration = Duration::from_secs(3);
/// What comes so soon before the end is not known to stay so.
const LAST: Duration = Duration::from_secs(1);

/// What is looked at after the fault's end.
struct After<'f, 'a> {
    facts: &'f Facts<'a>,
    roles: Roles<'a>,
    end: Seen,
    until: RunTime,
    limit: Span,
}

pub(super) fn fails_back(
    facts: &Facts<'_>,
    e: &FailoverExpectation,
    limit: Span,
) -> Result<Finding, Finding> {
    let after = e.after.as_ref();
    let (t0, end) = (facts.effect(after)?, facts.fault_end(after)?);
    if !facts.lasts(after) {
        return Err(Finding::inconclusive("what is gone for good does not serve again"));
    }
    let roles = Roles::of(facts, e)?;
    if count(facts, &roles, t0.by, end.not_before).right == 0 {
        return Err(Finding::inconclusive("nobody had served in its place, so nothing had to go back"));
    }
    let until = facts.undisturbed_until(end.by, after);
    After { facts, roles, end, until, limit }.judge()
}

impl<'a> After<'_, 'a> {
    fn judge(&self) -> Result<Finding, Finding> {
        let returned: Vec<(&PodName, Finding)> =
            self.due().into_iter().map(|pod| (pod, self.returns(pod))).collect();
        if returned.is_empty() {
            return Err(Finding::inconclusive(
                "nobody served before whom the fault hit, and who would not stand in",
            ));
        }
        let back = |finding: &Finding| finding.verdict == Verdict::Pass;
        let some = returned.iter().any(|(_, finding)| back(finding));
        let of = |(pod, finding): (&PodName, Finding)| match finding.verdict {
            Verdict::Fail if some && self.may_be_another(pod) => Finding::inconclusive(format!(
                "{}; others are back, and it may be by another name",
                finding.why
            )),
            _ => finding,
        };
        let all = returned.into_iter().map(of).chain(self.others_go()).collect();
        worst(all).ok_or_else(|| Finding::inconclusive("nobody had to serve again"))
    }

    /// Who has to serve again.
    fn due(&self) -> Vec<&'a PodName> {
        let roles = &self.roles;
        let mine = |pod: &PodName| {
            let hit = roles.hit.is_empty() || roles.hit.contains(&pod);
            hit && !(roles.to.is_some() && roles.stands_in(pod))
        };
        roles.before.keys().copied().filter(|pod| mine(pod)).collect()
    }

    /// Whether one that does not answer may be replaced by one of another name.
    fn may_be_another(&self, pod: &PodName) -> bool {
        self.roles.hit.is_empty() || self.facts.gone(pod.as_str()).is_some()
    }

    /// What ended after the fault's end; what was due before may have waited for it.
    fn answers(&self) -> impl Iterator<Item = &'a Cell> {
        let since = RunTime(self.end.not_before.0 / 1_000_000 * 1_000_000);
        let (until, from) = (self.until, self.end.not_before);
        let those = answers(self.facts, self.roles.whose)
            .filter(move |(due, cell)| *due >= since && *due < until && cell.first_end > from);
        those.map(|(_, cell)| cell).filter(|cell| !cell.key.served.fallback)
    }

    /// Whether one serves again, and goes on to.
    fn returns(&self, pod: &PodName) -> Finding {
        let what = format!("{pod} served again");
        let watched = self.until.since(self.end.by).as_secs_f64();
        let named = self.answers().filter(|cell| cell.key.served.pod.is_some());
        let named: u64 = named.map(|cell| cell.count).sum();
        // It has its part of them, as before: so long it may be silent by chance.
        let chance = CERTAIN / (self.roles.share(pod) * named as f64 / watched.max(1.0));
        let patience = LATELY.as_secs_f64().max(chance);
        let mine = || self.answers().filter(|cell| cell.key.served.pod.as_ref() == Some(pod));
        let first = mine().min_by_key(|cell| cell.first_end);
        let last = mine().map(|cell| cell.last_end).max();
        let lately = last.is_some_and(|last| self.until.since(last).as_secs_f64() <= patience);
        if !lately && patience > watched {
            return Finding::inconclusive(format!("too few answers came to tell whether {pod} serves again"));
        }
        let seen = first.filter(|cell| lately && cell.first_end + LAST < self.until).map(|cell| {
            let by = cell.first_end;
            let silent = Duration::from_secs_f64(chance.min(watched));
            Seen { not_before: cell.key.due().min(by).min(by - silent), by }
        });
        let finding = within(self.end, seen, self.until, self.limit, &what);
        match (seen, last) {
            (Some(seen), _) => finding.on("wire", format!("{what}, at {}", interval(seen))),
            (None, Some(last)) => finding.on("wire", format!("the last answer of {pod} ended at {last}")),
            (None, None) => finding.on("wire", format!("{pod} did not answer after the fault's end")),
        }
    }

    /// Where others had to stand in that did not serve before, they have to go.
    fn others_go(&self) -> Option<Finding> {
        let roles = &self.roles;
        if !roles.hit.is_empty() && roles.to.is_none() {
            return None;
        }
        let other = |pod: &PodName| roles.stands_in(pod) && !roles.before.contains_key(pod);
        let is_theirs = |cell: &Cell| cell.key.served.pod.as_ref().is_some_and(other);
        let strayed = self.answers().any(|cell| {
            let pod = cell.key.served.pod.as_ref();
            pod.is_some_and(|pod| other(pod) && roles.strayed(pod))
        });
        let seconds = Seconds::of(self.answers(), (self.end.not_before, RunTime(u64::MAX)), is_theirs);
        let few = || Some(Seen { not_before: self.end.not_before, by: seconds.last()? });
        let seen = match Before::of(strayed) {
            Before::Strayed => seconds.stepped_back(Before::Strayed),
            Before::Quiet => seconds.stepped_back(Before::Quiet).or_else(few),
        }?;
        let what = "nobody else served any more";
        let gone = Some(seen).filter(|seen| seen.by + LAST < self.until);
        let finding = within(self.end, gone, self.until, self.limit, what);
        Some(finding.on("wire", format!("{what}, at {}", interval(seen))))
    }
}
