//! Drift of outputs: whether a new version's answers are like the old one's, by
//! two measures of the field, each workload by itself: those of text by their
//! lengths, others by a feature of what they say.
//!
//! With too few answers both measures are far from 0 by chance alone: a limit is
//! judged only where that chance is well under it.

mod alike;

use std::collections::BTreeMap;

use self::alike::Pair;
use super::{
    facts::Facts,
    finding::{Finding, counted, evidence, percent},
    judge::Title,
    model::CheckKind,
    rollback,
    times::worst,
};
use crate::{
    journal::{Distribution, Feature, Features, interval::Outcome},
    scenario::serving::DriftExpectation,
    units::{RatioThreshold, Version, WorkloadName},
};

/// Classes whose shares are told.
const MOST_TOLD: usize = 3;

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &DriftExpectation) -> (Title, Finding) {
    let title = |expected: String| Title::of(CheckKind::Drift, "outputs are as before", expected);
    let judged = |measure: Measure, limit: &RatioThreshold| {
        drifts(facts, e, measure, limit).unwrap_or_else(|finding| finding)
    };
    if let Some(limit) = &e.psi {
        (title(format!("PSI {}", bare(limit))), judged(Measure::Psi, limit))
    } else if let Some(limit) = &e.ks {
        (title(format!("KS {}", bare(limit))), judged(Measure::Ks, limit))
    } else {
        let title = Title::of(CheckKind::Drift, "drift", String::new());
        (title, Finding::inconclusive("it demands nothing"))
    }
}

/// `< 0.25`: these are no percentages.
fn bare(limit: &RatioThreshold) -> String {
    format!("{} {}", limit.op, limit.limit.0)
}

/// How unlike two samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// Population stability index.
    Psi,
    /// Kolmogorov–Smirnov.
    Ks,
}

impl Measure {
    fn name(self) -> &'static str {
        match self {
            Self::Psi => "PSI",
            Self::Ks => "KS",
        }
    }

    /// The figure, and what it stays under by chance.
    fn of<T: Ord + Copy>(self, pair: &Pair<T>) -> (f64, f64) {
        match self {
            Self::Psi => (pair.psi(), pair.psi_chance()),
            Self::Ks => (pair.ks(), pair.ks_chance()),
        }
    }
}

/// What a version said in one workload.
#[derive(Debug, Default)]
struct Said {
    lengths: Distribution,
    features: Features,
}

/// The answers of the old version and of the new one, by workload.
fn said<'a>(
    facts: &Facts<'a>,
    rollout: &rollback::Rollout<'a, '_>,
) -> BTreeMap<&'a WorkloadName, (Said, Said)> {
    let mut by_workload: BTreeMap<_, (Said, Said)> = BTreeMap::new();
    for cell in facts.cells_in(None) {
        let served = &cell.key.served;
        let own = cell.key.outcome == Outcome::Ok && served.is_own();
        let Some(version) = served.version.as_ref().filter(|_| own) else { continue };
        let (old, new) = by_workload.entry(&cell.key.workload).or_default();
        let said = if version == rollout.candidate {
            new
        } else if cell.last_end < rollout.until {
            old
        } else {
            continue;
        };
        said.lengths.merge(&cell.lengths);
        said.features.merge(&cell.features);
    }
    by_workload
}

fn drifts(
    facts: &Facts<'_>,
    e: &DriftExpectation,
    measure: Measure,
    limit: &RatioThreshold,
) -> Result<Finding, Finding> {
    let rollout = rollback::Rollout::of(facts, e.after.as_ref())?;
    let all = said(facts, &rollout);
    let findings = all.iter().flat_map(|(workload, (old, new))| {
        let comparison = Comparison { workload, version: rollout.candidate, measure, limit };
        [
            comparison.of(&Pair::sizes(&old.lengths, &new.lengths), "answer", "length", |pair| {
                comparison.medians("tokens an answer", pair)
            }),
            comparison.features(&old.features, &new.features),
        ]
    });
    worst(findings.flatten().collect()).ok_or_else(|| {
        Finding::inconclusive(
            "no answer named its version and had a length that its model decides (`extra: { ignore_eos: null }` \
             leaves it to the model) or an output to compare (of `http` endpoints, `feature` says which)",
        )
    })
}

/// One comparison of the answers of one workload.
struct Comparison<'a> {
    workload: &'a WorkloadName,
    version: &'a Version,
    measure: Measure,
    limit: &'a RatioThreshold,
}

impl Comparison<'_> {
    fn features(&self, old: &Features, new: &Features) -> Option<Finding> {
        let known = |of: &Features| of.iter().any(|(feature, _)| *feature != Feature::Missing);
        // All that is gone has drifted; what never was there can't.
        if !old.is_empty() && !known(old) {
            let why = format!("{}: no answer of another version had its `feature`", self.workload);
            return Some(Finding::inconclusive(why));
        }
        self.of(&Pair::features(old, new), "output", "feature", |pair| {
            if pair.has_classes() { self.shares(pair) } else { self.medians("an output's value", pair) }
        })
    }

    /// None: there is nothing to compare. `had` is what is compared, of each
    /// `noun`.
    fn of<T: Ord + Copy>(
        &self,
        pair: &Pair<T>,
        noun: &str,
        had: &str,
        evident: impl Fn(&Pair<T>) -> String,
    ) -> Option<Finding> {
        let Self { workload, version, measure, limit } = self;
        let (old, new) = pair.len();
        let of = match (old, new) {
            (0, 0) => return None,
            (_, 0) => format!("of {version}"),
            (0, _) => "of another version".to_owned(),
            _ => {
                let (figure, chance) = measure.of(pair);
                let (name, new) = (measure.name(), counted(new, noun));
                let shown = format!("{workload}: {name} {figure:.3}, {new} of {version} against {old}");
                let holds = limit.op.holds(figure, limit.limit.0);
                let finding = if holds && chance < limit.limit.0 {
                    Finding::pass(shown)
                } else if !holds && figure > chance {
                    Finding::fail(format!("{shown}, not {}", bare(limit)))
                } else {
                    let why =
                        format!("{shown}: too few to tell, as many that are alike may be {chance:.3} apart");
                    Finding::inconclusive(why)
                };
                let what = format!("{workload}: {}", evident(pair));
                return Some(finding.observed(figure, "index").with([evidence("wire", what)]));
            }
        };
        Some(Finding::inconclusive(format!("{workload}: no answer {of} had a {had} to compare")))
    }

    fn medians<T: Ord + Copy + std::fmt::Display>(&self, what: &str, pair: &Pair<T>) -> String {
        match pair.medians() {
            Some((old, new)) => format!("{what}, median {new} of {}, {old} before", self.version),
            None => what.to_owned(),
        }
    }

    /// Classes have no median.
    fn shares(&self, pair: &Pair<&Feature>) -> String {
        let told = pair.changes(MOST_TOLD).into_iter().map(|(class, old, new)| {
            format!("{class}: {} of {}, {} before", percent(new), self.version, percent(old))
        });
        format!("shares of outputs: {}", told.collect::<Vec<_>>().join("; "))
    }
}
