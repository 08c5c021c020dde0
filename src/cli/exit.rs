//! Exit codes.

use std::process::ExitCode;

use crate::verdict::model::Verdict;

/// How the program ends. Documented in README.md; never renumbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0: everything asked for holds, with evidence.
    Pass,
    /// 1: an SLO or an expectation failed.
    Fail,
    /// 2: wrong usage or an invalid scenario; nothing was started.
    Usage,
    /// 3: it can't be said.
    Inconclusive,
    /// 4: ended by a stop condition or a person; faults are recovered.
    Aborted,
    /// 5: a fault could not be taken back.
    ChaosLeft,
    /// 70: the program itself failed.
    Internal,
}

impl Exit {
    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Usage => 2,
            Self::Inconclusive => 3,
            Self::Aborted => 4,
            Self::ChaosLeft => 5,
            Self::Internal => 70,
        }
    }
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Pass => Self::Pass,
            Verdict::Fail => Self::Fail,
            Verdict::Inconclusive => Self::Inconclusive,
            Verdict::Aborted => Self::Aborted,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
