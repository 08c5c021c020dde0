//! Where a rollout is of something that is declared: what is wanted of it
//! stands somewhere, and somebody says how far it is.

use crate::{journal::event::RolloutPhase, lab::api::RolloutStatus, units::Version};

/// Nothing is rolled out.
pub(super) fn resting(version: Version) -> RolloutStatus {
    RolloutStatus {
        phase: RolloutPhase::Stable,
        stable: version,
        candidate: None,
        weight: 0.0,
        reason: String::new(),
    }
}

/// What is said of what is wanted now.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::observe) struct Word {
    pub(in crate::observe) progress: Progress,
    /// Share of the traffic for what is wanted, 0–1.
    pub(in crate::observe) weight: f64,
    pub(in crate::observe) reason: String,
}

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::observe) enum Progress {
    /// It is as it is wanted.
    Done,
    /// Not yet, or not at all: the reason may say so.
    UnderWay,
    /// The controller itself went back to what was there before.
    TakenBack,
}

impl Word {
    pub(in crate::observe) fn done() -> Self {
        Self { progress: Progress::Done, weight: 1.0, reason: String::new() }
    }

    pub(in crate::observe) fn under_way(reason: String) -> Self {
        Self { progress: Progress::UnderWay, weight: 0.0, reason }
    }
}

/// What was there before, and what a drill has put there.
#[derive(Debug, Default)]
pub(in crate::observe) struct Standing {
    before: Option<Version>,
    tried: Option<Version>,
}

impl Standing {
    /// Where the rollout is. `ours`: the drill deploys what is wanted now.
    pub(in crate::observe) fn of(&mut self, wanted: Version, ours: bool, word: Word) -> RolloutStatus {
        let Word { progress, weight, reason } = word;
        if ours {
            self.tried = Some(wanted.clone());
            let before = self.before.clone().unwrap_or_else(Version::unnamed);
            let phase = match progress {
                Progress::Done => return RolloutStatus { reason, ..resting(wanted) },
                Progress::UnderWay => RolloutPhase::Progressing,
                Progress::TakenBack => RolloutPhase::RolledBack,
            };
            return RolloutStatus { phase, stable: before, candidate: Some(wanted), weight, reason };
        }
        let Some(tried) = self.tried.clone() else {
            self.before = Some(wanted.clone());
            return resting(wanted);
        };
        // Somebody has put back what was there.
        let phase = match progress {
            Progress::Done => RolloutPhase::RolledBack,
            Progress::UnderWay | Progress::TakenBack => RolloutPhase::RollingBack,
        };
        RolloutStatus { phase, stable: wanted, candidate: Some(tried), weight: 0.0, reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_back_was_rolled_back() {
        use RolloutPhase::{Progressing, RolledBack, RollingBack, Stable};
        let mut standing = Standing::default();
        let mut at = |version: &'static str, word| {
            let found = standing.of(version.into(), version == "v2", word);
            (found.phase, found.stable.0.to_string(), found.candidate.map(|one| one.0.to_string()))
        };
        let (v1, v2) = ("v1".to_owned(), "v2".to_owned());
        let under_way = || Word::under_way(String::new());
        assert_eq!(at("v1", Word::done()), (Stable, v1.clone(), None));
        assert_eq!(at("v2", under_way()), (Progressing, v1.clone(), Some(v2.clone())));
        assert_eq!(at("v2", Word::done()), (Stable, v2.clone(), None));
        assert_eq!(at("v1", under_way()), (RollingBack, v1.clone(), Some(v2.clone())));
        assert_eq!(at("v1", Word::done()), (RolledBack, v1.clone(), Some(v2.clone())));
        let taken = Word { progress: Progress::TakenBack, ..under_way() };
        assert_eq!(at("v2", taken), (RolledBack, v1, Some(v2)));
    }
}
