//! Rollbacks: noticed in time, finished in time, to the right version, and
//! true on the wire.

mod answers;
mod demands;

use std::time::Duration;

pub(super) use self::answers::answered_by;
use self::answers::answers_after;
use super::{
    blind::watches_rollouts,
    facts::{Facts, RolloutSeen},
    finding::Finding,
    judge::Title,
    model::CheckKind,
    promotion,
    times::interval,
};
use crate::{
    journal::{Cell, event::RolloutPhase},
    plan::model::PlannedAction,
    scenario::model::{Deployed, RollbackExpectation, Target},
    units::{FaultId, RunTime, Seen, Version},
};

/// How long after the rollback was said to be done requests may be due that
/// the withdrawn version still answers.
pub(super) const GRACE: Duration = Duration::from_secs(2);

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &RollbackExpectation) -> (Title, Finding) {
    let title = |title: &str, expected: String| Title::of(CheckKind::Rollback, title, expected);
    let rollout = || Rollout::of(facts, e.after.as_ref());
    if let Some(limit) = e.detects_within {
        let finding = rollout().and_then(|rollout| rollout.detects(limit));
        (title("rollback starts", format!("within {limit}")), finding.unwrap_or_else(|f| f))
    } else if let Some(limit) = e.completes_within {
        let finding = rollout().and_then(|rollout| rollout.completes(limit));
        (title("rollback completes", format!("within {limit}")), finding.unwrap_or_else(|f| f))
    } else if let Some(to) = &e.to {
        let finding = rollout().and_then(|rollout| rollout.ends_at(to));
        (title("rollback restores", format!("only {to} serves")), finding.unwrap_or_else(|f| f))
    } else if let Some(limit) = e.promotes_within {
        let finding = rollout().and_then(|rollout| promotion::promotes(&rollout, limit));
        (title("good version is promoted", format!("within {limit}")), finding.unwrap_or_else(|f| f))
    } else if let Some(limit) = &e.exposure {
        let finding = rollout().map(|rollout| promotion::exposure(&rollout, limit));
        let expected = format!("{limit} of the answers are of the new version");
        (title("few meet the new version", expected), finding.unwrap_or_else(|f| f))
    } else {
        (title("rollback", String::new()), Finding::inconclusive("it demands nothing"))
    }
}

/// One rollout, as it was signalled and as the wire saw it.
pub(super) struct Rollout<'a, 'f> {
    facts: &'f Facts<'a>,
    pub(super) candidate: &'a Version,
    /// When it was asked for and in place.
    pub(super) started: Seen,
    /// Its signals, up to the next rollout.
    signals: Vec<RolloutSeen<'a>>,
    /// When the next rollout was asked for, this one was taken back by the run,
    /// or the record ends.
    pub(super) until: RunTime,
    /// Whether something tells of it. What nobody tells of is judged by the
    /// answers alone.
    told: bool,
}

impl<'a, 'f> Rollout<'a, 'f> {
    /// The rollout that an act started, if it was proven.
    pub(super) fn of(facts: &'f Facts<'a>, after: Option<&FaultId>) -> Result<Self, Finding> {
        let effect = facts.effect(after)?;
        let act = after.and_then(|id| facts.act(id));
        let Some((act, PlannedAction::Deploy(deploy))) = act.map(|act| (act, &act.action)) else {
            return Err(Finding::inconclusive("the act it should react to is no rollout"));
        };
        let history = &facts.faults[&act.id];
        let requested = history.requested.unwrap_or(effect.not_before).min(effect.by);
        let started =
            Seen { not_before: requested, by: history.injected.unwrap_or(effect.by).max(requested) };
        let later = facts
            .plan
            .timeline
            .iter()
            .filter(|other| matches!(other.action, PlannedAction::Deploy(_)) && other.id != act.id);
        let later = later.filter_map(|other| facts.faults.get(&other.id)?.requested);
        // What the run takes back itself was not rolled back.
        let later = later.filter(|&at| at > requested).chain(history.withdrawing);
        let until = later.min().unwrap_or(facts.end);
        let signals =
            facts.rollouts.iter().filter(|signal| signal.seen.by > requested && signal.seen.by <= until);
        let home = match &facts.plan.target {
            Target::Kubernetes(target) => target.namespace.as_str(),
            Target::Lab(_) | Target::Url(_) => "",
        };
        // What is told of another one's is none of this.
        let own = deploy.rollout(home);
        let signals = signals.filter(|signal| signal.of.is_none() || signal.of == own.as_ref());
        let told = match (&deploy.of, &facts.plan.target) {
            (Some(Deployed::Command(_)), _) | (None, Target::Kubernetes(_)) => false,
            (Some(_) | None, _) => true,
        };
        let signals = signals.copied().collect();
        Ok(Self { facts, candidate: &deploy.version, started, signals, until, told })
    }

    /// Answers of the candidate itself, not of a cache that remembers it.
    fn answers(&self) -> impl Iterator<Item = &'a Cell> {
        let (candidate, from, until) = (self.candidate, self.started.not_before, self.until);
        self.facts.cells_in(None).filter(move |cell| {
            cell.key.served.version.as_ref() == Some(candidate)
                && !cell.key.served.cache.is_answer()
                && cell.last_end >= from
                && cell.key.due() < until
        })
    }

    /// The same finding, where somebody told of the rollout to its end.
    pub(super) fn if_watched(&self, finding: Finding) -> Finding {
        self.facts.if_watched(finding, watches_rollouts, self.until)
    }

    /// When the candidate first got traffic.
    fn first_served(&self) -> Option<Seen> {
        // An answer had been routed before it ended, and after it was due.
        let wire = self.answers().min_by_key(|cell| cell.first_end).map(|cell| {
            let due = cell.key.due().max(self.started.not_before);
            Seen { not_before: due.min(cell.first_end), by: cell.first_end }
        });
        let said = self
            .signals
            .iter()
            .find(|signal| signal.weight > 0.0 && signal.candidate == Some(self.candidate))
            .map(|signal| signal.seen);
        // Not before it was asked for, however long ago the last look was. Where nobody
        // saw it answer, it may have begun to at once.
        let said = said.map(|Seen { not_before, by }| {
            let asked = self.started.not_before.min(by);
            Seen { not_before: if wire.is_some() { not_before.max(asked) } else { asked }, by }
        });
        wire.into_iter().chain(said).min_by_key(|seen| seen.by)
    }

    /// Where nobody tells of it: when, by the answers, only others answered
    /// any more.
    fn withdrawn(&self) -> Option<Seen> {
        let last = self.last_served().filter(|_| !self.told)?;
        let (mut others, candidate) = (answers_after(self, last + GRACE), self.candidate);
        others.any(|(version, _)| version != candidate).then(|| Seen::at(last))
    }

    /// Where nobody tells of it: when, by the answers, nobody else answered
    /// any more.
    pub(super) fn settled(&self) -> Option<Seen> {
        if self.told {
            return None;
        }
        let since = self.started.not_before;
        let others = answers_after(self, since).filter(|(version, _)| *version != self.candidate);
        let last = others.map(|(_, cell)| cell.last_end).max().unwrap_or(since);
        answers_after(self, last + GRACE).next().map(|_| Seen::at(last))
    }

    /// When its last answer ended.
    pub(super) fn last_served(&self) -> Option<RunTime> {
        self.answers().map(|cell| cell.last_end).max()
    }

    /// How many requests that were due at or after `since` it answered, and
    /// until when.
    pub(super) fn served_since(&self, since: RunTime) -> (u64, RunTime) {
        let late = self.answers().filter(|cell| cell.key.due() >= since);
        late.fold((0, since), |(n, last), cell| (n + cell.count, last.max(cell.last_end)))
    }

    /// When the rollback was said to start.
    fn detected(&self) -> Option<&RolloutSeen<'a>> {
        self.signals
            .iter()
            .find(|signal| matches!(signal.phase, RolloutPhase::RollingBack | RolloutPhase::RolledBack))
    }

    /// When the rollback started. Where nobody says: between the first and the
    /// last answer.
    pub(super) fn began(&self) -> Option<Seen> {
        let by_answers = || {
            let (first, back) = (self.first_served()?, self.withdrawn()?);
            Some(Seen { not_before: first.by.min(back.by), by: back.by })
        };
        self.detected().map(|signal| signal.seen).or_else(by_answers)
    }

    /// When it was said to be done.
    pub(super) fn done(&self) -> Option<&RolloutSeen<'a>> {
        let begun = self
            .signals
            .iter()
            .position(|signal| matches!(signal.phase, RolloutPhase::Progressing | RolloutPhase::RollingBack));
        self.signals.iter().enumerate().find_map(|(i, signal)| match signal.phase {
            RolloutPhase::RolledBack => Some(signal),
            // Seen too seldom, the step between is missed.
            RolloutPhase::Stable if begun.is_some_and(|b| b < i) && signal.stable != self.candidate => {
                Some(signal)
            }
            _ => None,
        })
    }

    /// When it was said to be done, or was by the answers.
    pub(super) fn rolled_back(&self) -> Option<Seen> {
        self.done().map(|signal| signal.seen).or_else(|| self.withdrawn())
    }

    /// When the candidate became the stable version.
    pub(super) fn promotion(&self) -> Option<&RolloutSeen<'a>> {
        self.signals.iter().find(|signal| {
            signal.phase == RolloutPhase::Promoted
                || (signal.phase == RolloutPhase::Stable && signal.stable == self.candidate)
        })
    }

    /// The finding, with what the controller said last.
    pub(super) fn with_last_word(&self, finding: Finding) -> Finding {
        match self.signals.iter().rev().find(|signal| !signal.reason.is_empty()) {
            Some(signal) => {
                finding.on("controller", format!("at {}: {}", interval(signal.seen), signal.reason))
            }
            None => finding,
        }
    }

    /// A failure, if the candidate became the stable version instead, and
    /// nobody took it back after that.
    pub(super) fn promoted(&self) -> Option<Finding> {
        let promoted = self.promotion()?;
        if self.detected().is_some_and(|back| back.seen.by > promoted.seen.by) {
            return None;
        }
        let at = interval(promoted.seen);
        Some(
            Finding::fail(format!("{} was promoted at {at}, not rolled back", self.candidate))
                .on("controller", format!("{} stable at {at}: {}", promoted.stable, promoted.reason)),
        )
    }
}
