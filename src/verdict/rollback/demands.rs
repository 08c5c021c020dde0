//! What a rollback has to do: start in time, end in time, at the right version.

use super::{GRACE, Rollout, answers::answered_by};
use crate::{
    units::{RunTime, Seen, Span, Version},
    verdict::{
        finding::{Finding, counted},
        model::Verdict,
        times::{interval, within},
    },
};

/// Share of the answers that may keep back their version: another one may be
/// behind them.
const NAMELESS: f64 = 0.01;

impl Rollout<'_, '_> {
    pub(super) fn detects(&self, limit: Span) -> Result<Finding, Finding> {
        if let Some(promoted) = self.promoted() {
            return Ok(promoted);
        }
        let Some(first) = self.first_served() else {
            return Err(Finding::inconclusive(format!("{} never got any traffic", self.candidate)));
        };
        let detected = self.detected();
        let what = format!("the rollback of {} started", self.candidate);
        let finding = within(first, self.began(), self.until, limit, &what);
        let finding = self.if_watched(finding);
        let finding = finding.on("wire", format!("{} first served at {}", self.candidate, interval(first)));
        Ok(match detected {
            Some(signal) => {
                finding.on("controller", format!("at {}: {}", interval(signal.seen), signal.reason))
            }
            None => finding,
        })
    }

    pub(super) fn completes(&self, limit: Span) -> Result<Finding, Finding> {
        if let Some(promoted) = self.promoted() {
            return Ok(promoted);
        }
        let what = format!("{} served no more", self.candidate);
        let Some(back) = self.rolled_back() else {
            let finding = within(self.started, None, self.until, limit, &what);
            let finding = self.if_watched(finding);
            return Ok(self.with_last_word(finding.on("controller", "no rollback was completed")));
        };
        let (late, last) = self.served_since(back.by + GRACE);
        if late > 0 {
            return Ok(Finding::fail(format!(
                "said to be rolled back at {}, yet {} served {} due later, until {last}",
                interval(back),
                self.candidate,
                counted(late, "request"),
            ))
            .observed(last.since(self.started.not_before).as_secs_f64(), "s")
            .on("controller", format!("rolled back at {}", interval(back)))
            .on("wire", format!("{} of {} until {last}", counted(late, "answer"), self.candidate)));
        }
        let over = match self.last_served() {
            Some(last) if last > back.by => Seen::at(last),
            Some(last) => Seen { not_before: back.not_before.max(last), by: back.by },
            None => back,
        };
        let finding = within(self.started, Some(over), self.until, limit, &what);
        let wire = match self.last_served() {
            Some(last) => format!("last answer of {} ended at {last}", self.candidate),
            None => format!("no answer of {} was seen", self.candidate),
        };
        let said = match self.told {
            true => format!("rolled back at {}", interval(back)),
            false => "nobody tells of this rollout: it is judged by the answers alone".to_owned(),
        };
        let finding = self.confirmed(finding, back.by + GRACE).on("controller", said).on("wire", wire);
        Ok(finding.on("steps", self.steps(back)))
    }

    /// What came after what, as far as it was seen.
    fn steps(&self, back: Seen) -> String {
        let told = |what: &str, seen: Option<Seen>| Some(format!("{what} {}", interval(seen?)));
        let steps = [
            told("asked for", Some(self.started)),
            told("first traffic", self.first_served()),
            told("decided", self.detected().map(|signal| signal.seen)),
            told("last answer", self.last_served().map(Seen::at)),
            told("said to be done", self.done().map(|_| back)),
        ];
        steps.into_iter().flatten().collect::<Vec<_>>().join(" → ")
    }

    /// Passes only what the answers from `since` on bear out: some name their
    /// version, and hardly any keep it back.
    pub(in crate::verdict) fn confirmed(&self, finding: Finding, since: RunTime) -> Finding {
        if finding.verdict != Verdict::Pass {
            return finding;
        }
        let named: u64 = answered_by(self, since).values().sum();
        let nameless = self.nameless(since, self.until);
        let said = match (named, nameless as f64 > NAMELESS * (named + nameless) as f64) {
            (0, _) => "no answer after that named its version".to_owned(),
            (_, true) => format!("{} after that did not name their version", counted(nameless, "answer")),
            (_, false) => return finding,
        };
        Finding::inconclusive(format!("{}, but {said}", finding.why))
    }

    pub(super) fn ends_at(&self, to: &Version) -> Result<Finding, Finding> {
        if let Some(promoted) = self.promoted() {
            return Ok(promoted);
        }
        let Some(back) = self.rolled_back() else {
            return Err(Finding::inconclusive(format!("{} was not rolled back", self.candidate)));
        };
        let stable = self.done().map(|signal| signal.stable).filter(|stable| stable.is_named());
        let since = back.by + GRACE;
        let mut others = answered_by(self, since);
        let right = others.remove(to).unwrap_or_default();
        let wrong: u64 = others.values().sum();
        let named: Vec<String> = others.iter().map(|(version, n)| format!("{n} by {version}")).collect();
        let finding = match (right, wrong) {
            (0, 0) => Finding::inconclusive("no answer named its version after the rollback"),
            (_, 0) if stable.is_some_and(|stable| stable != to) => Finding::inconclusive(format!(
                "{} answers by {to}, but the controller calls {} stable",
                right,
                stable.map_or("", Version::as_str)
            )),
            (right, 0) => {
                Finding::pass(format!("all {} after the rollback came from {to}", counted(right, "answer")))
            }
            (right, _) => Finding::fail(format!(
                "after the rollback {} came from {to}, but {}",
                counted(right, "answer"),
                named.join(", ")
            )),
        };
        let finding = self
            .confirmed(finding, since)
            .observed(wrong as f64, "count")
            .on("wire", format!("answers due after {since}: {right} by {to}, {wrong} by others"));
        Ok(match stable {
            Some(stable) => finding.on("controller", format!("stable is {stable} at {}", interval(back))),
            None => finding,
        })
    }
}
