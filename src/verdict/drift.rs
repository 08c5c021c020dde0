//! Drift of outputs: whether a new version's answers are as long as the old
//! one's, by two measures of the field, each workload by itself.
//!
//! With too few answers both measures are far from 0 by chance alone: a limit is
//! judged only where that chance is well under it.

use std::collections::BTreeMap;

use super::{
    facts::Facts,
    finding::{Finding, counted, evidence},
    judge::Title,
    model::CheckKind,
    rollback,
    times::worst,
};
use crate::{
    journal::{Distribution, interval::Outcome},
    scenario::serving::DriftExpectation,
    units::{RatioThreshold, WorkloadName},
};

/// Bins of the population stability index, by the old version's quantiles.
const BINS: usize = 10;
/// Share that an empty bin counts as, so that its logarithm is finite.
const LEAST: f64 = 1e-4;
/// 99 % quantile of χ² with [`BINS`] − 1 degrees of freedom.
const CHI_SQUARE: f64 = 21.67;
/// The same of Kolmogorov's distribution.
const KOLMOGOROV: f64 = 1.628;

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &DriftExpectation) -> (Title, Finding) {
    let title = |title: &str, expected: String| Title::of(CheckKind::Drift, title, expected);
    let judged = |measure: Measure, limit: &RatioThreshold| {
        drifts(facts, e, measure, limit).unwrap_or_else(|finding| finding)
    };
    if let Some(limit) = &e.psi {
        (title("answers are as long as before", format!("PSI {}", bare(limit))), judged(Measure::Psi, limit))
    } else if let Some(limit) = &e.ks {
        (title("answers are as long as before", format!("KS {}", bare(limit))), judged(Measure::Ks, limit))
    } else {
        (title("drift", String::new()), Finding::inconclusive("it demands nothing"))
    }
}

/// `< 0.25`: these are no percentages.
fn bare(limit: &RatioThreshold) -> String {
    format!("{} {}", limit.op, limit.limit.0)
}

/// How unlike two samples are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// Population stability index: Σ (p − q) ln(p / q) over bins.
    Psi,
    /// Kolmogorov–Smirnov: the largest distance of the distribution functions.
    Ks,
}

impl Measure {
    fn name(self) -> &'static str {
        match self {
            Self::Psi => "PSI",
            Self::Ks => "KS",
        }
    }

    fn of(self, old: &Distribution, new: &Distribution) -> f64 {
        match self {
            Self::Psi => psi(old, new),
            Self::Ks => ks(old, new),
        }
    }

    /// What it stays under in 99 of 100 pairs of samples that are alike: PSI is
    /// near χ²·(1/n + 1/m), KS near Kolmogorov's distribution·√(1/n + 1/m).
    fn chance(self, old: &Distribution, new: &Distribution) -> f64 {
        let both = 1.0 / old.len() as f64 + 1.0 / new.len() as f64;
        match self {
            Self::Psi => CHI_SQUARE * both,
            Self::Ks => KOLMOGOROV * both.sqrt(),
        }
    }
}

fn psi(old: &Distribution, new: &Distribution) -> f64 {
    // Upper bounds of bins. What is shorter than all that were has one of its
    // own; equal quantiles make one bin of several.
    let shortest = old.iter().next().and_then(|(value, _)| value.checked_sub(1));
    let quantiles = (1..BINS).filter_map(|bin| old.quantile(bin as f64 / BINS as f64, 0));
    let mut bounds: Vec<u64> = shortest.into_iter().chain(quantiles).collect();
    bounds.dedup();
    let share = |of: &Distribution, n: u64| (n as f64 / of.len().max(1) as f64).max(LEAST);
    let counts = bounds.iter().map(|bound| (old.at_most(*bound), new.at_most(*bound)));
    // The last bin has no bound.
    let counts = counts.chain([(old.len(), new.len())]);
    let bins = counts.scan((0, 0), |before, now| {
        let bin = (now.0 - before.0, now.1 - before.1);
        *before = now;
        Some(bin)
    });
    bins.map(|(old_in, new_in)| {
        let (p, q) = (share(old, old_in), share(new, new_in));
        (q - p) * (q / p).ln()
    })
    .sum()
}

fn ks(old: &Distribution, new: &Distribution) -> f64 {
    let at = |of: &Distribution, value: u64| of.at_most(value) as f64 / of.len().max(1) as f64;
    let values = old.iter().chain(new.iter()).map(|(value, _)| value);
    values.map(|value| (at(old, value) - at(new, value)).abs()).fold(0.0, f64::max)
}

/// Lengths of the answers of the old version and of the new one, by workload.
fn lengths<'a>(
    facts: &Facts<'a>,
    rollout: &rollback::Rollout<'a, '_>,
) -> BTreeMap<&'a WorkloadName, (Distribution, Distribution)> {
    let mut by_workload: BTreeMap<_, (Distribution, Distribution)> = BTreeMap::new();
    for cell in facts.cells_in(None) {
        let served = &cell.key.served;
        let own = cell.key.outcome == Outcome::Ok && served.is_own();
        let Some(version) = served.version.as_ref().filter(|_| own) else { continue };
        let (old, new) = by_workload.entry(&cell.key.workload).or_default();
        if version == rollout.candidate {
            new.merge(&cell.lengths);
        } else if cell.last_end < rollout.until {
            old.merge(&cell.lengths);
        }
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
    let mut findings = Vec::new();
    for (workload, (old, new)) in lengths(facts, &rollout) {
        if old.is_empty() && new.is_empty() {
            continue;
        }
        if old.is_empty() || new.is_empty() {
            let of = if new.is_empty() {
                format!("no answer of {}", rollout.candidate)
            } else {
                "no answer of another version".to_owned()
            };
            findings.push(Finding::inconclusive(format!("{workload}: {of} had a length to compare")));
            continue;
        }
        let figure = measure.of(&old, &new);
        let chance = measure.chance(&old, &new);
        let median = |of: &Distribution| of.quantile(0.5, 0).unwrap_or_default();
        let (n, m) = (counted(new.len(), "answer"), old.len());
        let name = measure.name();
        let shown = format!("{workload}: {name} {figure:.3}, {n} of {} against {m}", rollout.candidate);
        let holds = limit.op.holds(figure, limit.limit.0);
        let finding = if holds && chance < limit.limit.0 {
            Finding::pass(shown)
        } else if !holds && figure > chance {
            Finding::fail(format!("{shown}, not {}", bare(limit)))
        } else {
            let why = format!("{shown}: too few to tell, as many that are alike may be {chance:.3} apart");
            Finding::inconclusive(why)
        };
        let what = format!(
            "{workload}: tokens an answer, median {} of {}, {} before",
            median(&new),
            rollout.candidate,
            median(&old)
        );
        findings.push(finding.observed(figure, "index").with([evidence("wire", what)]));
    }
    worst(findings).ok_or_else(|| {
        Finding::inconclusive(
            "no answer had a length that its model decides and named its version (`extra: { ignore_eos: null }` \
             leaves it to the model)",
        )
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: impl IntoIterator<Item = u64>) -> Distribution {
        Distribution::of(values.into_iter().collect())
    }

    #[test]
    fn what_is_alike_is_near_zero_and_what_is_not_is_far() {
        let old = of((0..1000).map(|i| 100 + i % 100));
        let alike = of((0..500).map(|i| 100 + (i * 7) % 100));
        let longer = of((0..500).map(|i| 160 + i % 100));
        assert!(psi(&old, &alike) < 0.01 && ks(&old, &alike) < 0.02);
        assert!(psi(&old, &longer) > 1.0 && (ks(&old, &longer) - 0.6).abs() < 0.01);
    }

    #[test]
    fn a_length_that_never_varied_and_does_now_has_drifted() {
        let old = of(std::iter::repeat_n(16, 500));
        for other in [8, 32] {
            let new = of((0..300).map(|i| if i % 2 == 0 { 16 } else { other }));
            assert!(psi(&old, &new) > 1.0, "{other}: {}", psi(&old, &new));
            assert!((ks(&old, &new) - 0.5).abs() < 1e-9);
        }
        assert!(psi(&old, &old) < 1e-9 && ks(&old, &old) < 1e-9);
    }

    proptest! {
        #[test]
        fn samples_of_one_distribution_stay_under_the_chance(seed in 0u64..400) {
            // A linear congruential generator: the test is a function of its seed.
            let mut state = seed.wrapping_mul(2).wrapping_add(1);
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 33) % 200
            };
            let (old, new) = (of((0..600).map(|_| next())), of((0..300).map(|_| next())));
            // 99 of 100 stay under it; none is twice as far.
            for measure in [Measure::Psi, Measure::Ks] {
                prop_assert!(measure.of(&old, &new) < 2.0 * measure.chance(&old, &new));
            }
        }

        #[test]
        fn both_are_never_negative(old in prop::collection::vec(0u64..50, 1..200), new in prop::collection::vec(0u64..50, 1..200)) {
            let (old, new) = (of(old), of(new));
            prop_assert!(psi(&old, &new) >= -1e-9);
            prop_assert!((0.0..=1.0).contains(&ks(&old, &new)));
        }
    }
}
