//! How fast each mechanism reacted, and what users felt meanwhile: impact, TTD,
//! TTM, TTR. Figures, no verdicts.
//!
//! An expectation has one row for each act that it reacts to, whatever it
//! demands. The mechanism's first sign is the one that its judge sees.

mod cause;
mod detected;
mod mechanism;
mod nouns;
mod sentence;
mod users;

use std::collections::BTreeMap;

use indexmap::IndexMap;

use self::{
    cause::Clock,
    mechanism::Mechanism,
    sentence::sentence,
    users::{Users, felt},
};
use super::{
    facts::Facts,
    finding::Finding,
    model::{Absence, Cause, ReactionFigures, Timing},
    times::between,
};
use crate::{
    journal::event::Evidence,
    plan::model::Subject,
    units::{CheckId, Seen},
};

/// An expectation in the making: what had to react, and its checks.
struct Row<'a> {
    mechanism: Mechanism<'a>,
    cause: Cause,
    checks: Vec<CheckId>,
}

/// The times of every expectation that reacts to something, in the plan's order.
pub(super) fn figures(facts: &Facts<'_>) -> Vec<ReactionFigures> {
    let mut rows: IndexMap<CheckId, Row<'_>> = IndexMap::new();
    for check in &facts.plan.checks {
        let Subject::Expectation(expectation) = &check.subject else { continue };
        let Some(mechanism) = Mechanism::of(expectation) else { continue };
        let Some(cause) = mechanism.cause(facts) else { continue };
        let id = mechanism.id(&cause);
        let row = rows.entry(id).or_insert_with(|| Row { mechanism, cause, checks: Vec::new() });
        row.checks.push(check.id.clone());
    }
    // What users felt is the same for all that reacts to one cause.
    let mut felt_by: BTreeMap<Cause, Users> = BTreeMap::new();
    let all = rows.into_iter().map(|(id, Row { mechanism, cause, checks })| {
        let clock = Clock::of(facts, &cause);
        let users = felt_by.entry(cause.clone()).or_insert_with(|| match &clock {
            Ok(clock) => felt(facts, clock),
            Err(absence) => Users::unknown(absence),
        });
        let (ttd, mut evidence) = match &clock {
            Ok(clock) => mechanism.noticed(facts, clock),
            Err(absence) => missing(absence.clone()),
        };
        evidence.extend(users.evidence.iter().cloned());
        let Users { impact, ttm, relapsed, ttr, .. } = users.clone();
        let text = sentence(facts, mechanism, &cause, &ttd, users);
        let (mechanism, name) = (mechanism.kind(), mechanism.name());
        ReactionFigures {
            id,
            mechanism,
            cause,
            name,
            checks,
            impact,
            ttd,
            ttm,
            relapsed,
            ttr,
            evidence,
            text,
        }
    });
    all.collect()
}

/// The time from one sighting to another.
fn took(from: Seen, to: Seen) -> Timing {
    let (low, high) = between(from, to);
    Timing::Took { low, high }
}

/// A time, and what it stands on.
type Measured = (Timing, Vec<Evidence>);

/// No time, and no evidence of one.
fn missing(absence: Absence) -> Measured {
    (Timing::Missing(absence), Vec::new())
}

/// The time that a judge measured, whatever it makes of its limit.
fn measured(finding: Result<Finding, Finding>) -> Measured {
    let (Ok(finding) | Err(finding)) = finding;
    let timing = match (finding.observed, finding.error) {
        (Some(_), Some((low, Some(high)))) if finding.unit == "s" => Timing::Took { low, high },
        (None, Some((watched, None))) => Timing::Missing(Absence::Never { watched }),
        _ => Timing::Missing(Absence::Unclear { reason: finding.why }),
    };
    (timing, finding.evidence)
}
