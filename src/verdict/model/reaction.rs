//! How fast a mechanism reacted.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::CheckKind;
use crate::{
    journal::event::Evidence,
    units::{CheckId, FaultId, PhaseName},
};

/// How a mechanism reacted to an act of the timeline, or to a phase.
///
/// Users are within their limits where every window of 5 s of the load keeps
/// the SLOs: the baseline's (normal), or those of the phases in which the act
/// lasts (agreed for it).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReactionFigures {
    /// Mechanism and cause: `circuit-breaker.slow`.
    pub id: CheckId,
    /// What had to react.
    pub mechanism: CheckKind,
    /// To what.
    pub cause: Cause,
    /// Which alert, figure or stand-in is meant, where that has to be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The checks of this expectation.
    pub checks: Vec<CheckId>,
    /// The act's effect → users were first out of their normal limits.
    pub impact: Timing,
    /// Time to detect: effect → the mechanism's first sign.
    pub ttd: Timing,
    /// Time to mitigate: effect → users were within the limits agreed for the
    /// act, in three windows in a row.
    pub ttm: Timing,
    /// Whether users were out of those limits once more after that.
    pub relapsed: bool,
    /// Time to recover: the act's end (of what has none, its effect) → users
    /// were within their normal limits for good.
    pub ttr: Timing,
    /// What these stand on.
    pub evidence: Vec<Evidence>,
    /// All this in one sentence.
    pub text: String,
}

/// What a mechanism reacts to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// An act of the timeline: its effect, as it was proven.
    Act(FaultId),
    /// A phase with another load: its start.
    Phase(PhaseName),
}

impl Cause {
    /// The act's id, or the phase's name.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Act(id) => id.as_str(),
            Self::Phase(phase) => phase.as_str(),
        }
    }
}

/// A time, as far as it is known.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Timing {
    /// It lies between these, in seconds; their distance is the sampling error.
    Took {
        /// The shortest that it may have been.
        low: f64,
        /// The longest.
        high: f64,
    },
    /// There is none.
    Missing(Absence),
}

/// Why there is no time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Absence {
    /// The act was not proven to act.
    NotProven,
    /// The act was never seen to end.
    NotOver,
    /// The phase was not reached.
    NotReached,
    /// Users were within these limits all the time: nothing to measure.
    NotDegraded,
    /// Users were out of them already when it began.
    DegradedBefore,
    /// There are no SLOs to be judged by.
    NoObjectives,
    /// Nobody signals it.
    Unsignalled,
    /// It was not seen, by the end of the record or the next act.
    Never {
        /// In how many seconds.
        watched: f64,
    },
    /// Too few requests or windows tell of it.
    TooFew,
    /// The load generator was late, so it is not known what users felt.
    LateLoad,
    /// Something else, which the mechanism's judge says.
    Unclear {
        /// In its words.
        reason: String,
    },
}
