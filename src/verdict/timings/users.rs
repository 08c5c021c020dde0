//! What users felt: from when on they were out of their limits, and from when
//! on within them again.

use super::{cause::Clock, took};
use crate::{
    journal::event::Evidence,
    scenario::model::Slo,
    units::{RunTime, Seen},
    verdict::{
        facts::Facts,
        finding::evidence,
        generator,
        model::{Absence, Timing},
        windows::{self, Course, WINDOW, Windows},
    },
};

/// What users felt of an act or a phase.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Users {
    pub(super) impact: Timing,
    pub(super) ttm: Timing,
    /// Whether they were out of the limits again after the mitigation.
    pub(super) relapsed: bool,
    pub(super) ttr: Timing,
    pub(super) evidence: Vec<Evidence>,
}

impl Users {
    /// Nothing is known, for one reason.
    pub(super) fn unknown(absence: &Absence) -> Self {
        let missing = || Timing::Missing(absence.clone());
        Self { impact: missing(), ttm: missing(), relapsed: false, ttr: missing(), evidence: Vec::new() }
    }
}

pub(super) fn felt(facts: &Facts<'_>, clock: &Clock) -> Users {
    if !generator::late(facts).is_empty() {
        return Users::unknown(&Absence::LateLoad);
    }
    let (normal, agreed) = (windows::baseline(facts), clock.degraded(facts));
    let promised = if normal.is_empty() { &agreed } else { &normal };
    let by_promised = look(facts, promised, clock.t0, clock.until);
    let by_agreed = look(facts, &agreed, clock.t0, clock.until);
    let shown = [(&by_promised, promised), (&by_agreed, &agreed)].into_iter().filter_map(|(seen, slos)| {
        let when = format!("from {} to {}", clock.t0.not_before, clock.until);
        Some(evidence("wire", seen.as_ref().ok()?.shown(&when, slos)))
    });
    let mut shown: Vec<Evidence> = shown.collect();
    shown.dedup();
    let (ttm, relapsed) = mitigated(&by_agreed, clock);
    Users {
        impact: impact(&by_promised, clock),
        ttm,
        relapsed,
        ttr: recovered(facts, &normal, clock),
        evidence: shown,
    }
}

/// Windows from the last one that is over when it begins to act: each after it
/// holds one second more of what it does.
fn look(facts: &Facts<'_>, slos: &[&Slo], t0: Seen, until: RunTime) -> Result<Windows, Absence> {
    if slos.is_empty() {
        return Err(Absence::NoObjectives);
    }
    let before = t0.not_before - std::time::Duration::from_secs(WINDOW);
    windows::look(facts, slos, (before.max(facts.judged().0), until), "after it").map_err(|_| Absence::TooFew)
}

/// Whether the last second of a window was over before anything acted.
fn before(window: Seen, clock: &Clock) -> bool {
    window.by <= clock.t0.not_before
}

fn impact(seen: &Result<Windows, Absence>, clock: &Clock) -> Timing {
    let first = match seen {
        Err(absence) => return Timing::Missing(absence.clone()),
        Ok(seen) => seen.broke(),
    };
    match first {
        None => Timing::Missing(Absence::NotDegraded),
        Some(first) if before(first, clock) => Timing::Missing(Absence::DegradedBefore),
        Some(first) => took(clock.t0, first),
    }
}

fn mitigated(seen: &Result<Windows, Absence>, clock: &Clock) -> (Timing, bool) {
    let absence = match seen {
        Err(absence) => absence.clone(),
        Ok(seen) if seen.broke().is_some_and(|first| before(first, clock)) => Absence::DegradedBefore,
        Ok(seen) => match seen.course() {
            Course::Kept => Absence::NotDegraded,
            Course::Mended { seen, again } => return (took(clock.t0, seen), again),
            Course::TooFew => Absence::TooFew,
            Course::Broken => Absence::Never { watched: seconds(clock.t0, clock.until) },
        },
    };
    (Timing::Missing(absence), false)
}

/// By the same windows as the judge of the recovery.
fn recovered(facts: &Facts<'_>, slos: &[&Slo], clock: &Clock) -> Timing {
    let back = || -> Result<Timing, Absence> {
        if look(facts, slos, clock.t0, clock.rest)?.course() == Course::Kept {
            return Err(Absence::NotDegraded);
        }
        let end = clock.end.clone()?;
        let seen = windows::look(facts, slos, (end.not_before, clock.rest), "after its end")
            .map_err(|_| Absence::TooFew)?;
        match seen.held {
            Some(held) => Ok(took(end, held)),
            None if seen.ends_well => Err(Absence::TooFew),
            None => Err(Absence::Never { watched: seconds(end, clock.rest) }),
        }
    };
    back().unwrap_or_else(Timing::Missing)
}

fn seconds(from: Seen, until: RunTime) -> f64 {
    until.since(from.by).as_secs_f64()
}
