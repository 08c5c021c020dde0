//! Each expectation to the judge of its mechanism.

use super::{facts::Facts, finding::Finding, judge::Title, model::CheckKind};
use crate::scenario::model::Expectation;

/// Judges an expectation that has exactly one demand.
pub(super) fn judge(_facts: &Facts<'_>, expectation: &Expectation) -> (Title, Finding) {
    let kind = match expectation {
        Expectation::CircuitBreaker(_) => CheckKind::CircuitBreaker,
        Expectation::Cache(_) => CheckKind::Cache,
        Expectation::Rollback(_) => CheckKind::Rollback,
        Expectation::Fallback(_) => CheckKind::Fallback,
        Expectation::Shedding(_) => CheckKind::Shedding,
        Expectation::Retries(_) => CheckKind::Retries,
        Expectation::Pods(_) => CheckKind::Pods,
        Expectation::Recovery(_) => CheckKind::Recovery,
    };
    let title = Title { kind, title: String::new(), expected: String::new(), phase: None };
    (title, Finding::inconclusive("this cannot be judged yet"))
}
