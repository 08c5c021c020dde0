//! How unlike two samples are, by two measures of the field. Neither asks what
//! a value means, only which comes before which.

use std::collections::BTreeMap;

use crate::journal::{Distribution, Feature, Features};

/// Bins of the population stability index, by the old sample's quantiles.
const BINS: usize = 10;
/// Share that an empty bin counts as, so that its logarithm is finite.
const LEAST: f64 = 1e-4;
/// 99 % quantile of χ² with [`BINS`] − 1 degrees of freedom.
const CHI_SQUARE: f64 = 21.67;
/// The same of Kolmogorov's distribution.
const KOLMOGOROV: f64 = 1.628;
/// The same of the normal distribution.
const NORMAL: f64 = 2.326;
/// Features that take no more values than this are classes.
const MOST_CLASSES: usize = 50;
/// A class that is expected less often than this, in the smaller sample, is too
/// rare for a bin of its own: χ² says nothing of it.
const RARE: u64 = 5;

/// Two samples: how often each value came in the old one and in the new one,
/// values ascending.
#[derive(Debug)]
pub(super) struct Pair<T> {
    counts: Vec<(T, u64, u64)>,
    old: u64,
    new: u64,
    /// How many values the old one has, if they are classes.
    classes: Option<usize>,
}

impl Pair<u64> {
    /// Of sizes.
    pub(super) fn sizes(old: &Distribution, new: &Distribution) -> Self {
        Self::of(old.iter(), new.iter(), None)
    }
}

impl<'a> Pair<&'a Feature> {
    /// Of features: classes, where there are few.
    pub(super) fn features(old: &'a Features, new: &'a Features) -> Self {
        Self::of(old.iter(), new.iter(), Some(MOST_CLASSES))
    }
}

impl<T: Ord + Copy> Pair<T> {
    fn of(
        old: impl Iterator<Item = (T, u64)>,
        new: impl Iterator<Item = (T, u64)>,
        most_classes: Option<usize>,
    ) -> Self {
        let mut all: BTreeMap<T, (u64, u64)> = BTreeMap::new();
        old.for_each(|(value, n)| all.entry(value).or_default().0 += n);
        let distinct = all.len();
        new.for_each(|(value, n)| all.entry(value).or_default().1 += n);
        Self {
            old: all.values().map(|count| count.0).sum(),
            new: all.values().map(|count| count.1).sum(),
            counts: all.into_iter().map(|(value, (old, new))| (value, old, new)).collect(),
            classes: most_classes.is_some_and(|most| distinct <= most).then_some(distinct),
        }
    }

    /// How many the old sample has, and the new one.
    pub(super) fn len(&self) -> (u64, u64) {
        (self.old, self.new)
    }

    /// Whether its values are classes.
    pub(super) fn has_classes(&self) -> bool {
        self.classes.is_some()
    }

    /// The medians of the old sample and of the new one.
    pub(super) fn medians(&self) -> Option<(T, T)> {
        let at = |rank: u64, count: fn(&(T, u64, u64)) -> u64| {
            let mut seen = 0;
            let found = self.counts.iter().find(|value| {
                seen += count(value);
                seen >= rank
            });
            found.map(|value| value.0)
        };
        Some((at(self.old.div_ceil(2), |value| value.1)?, at(self.new.div_ceil(2), |value| value.2)?))
    }

    /// The values whose shares have changed most, with the old share and the new
    /// one; no more than `most`, the greatest change first.
    pub(super) fn changes(&self, most: usize) -> Vec<(T, f64, f64)> {
        let shares = |&(value, old, new): &(T, u64, u64)| (value, share(old, self.old), share(new, self.new));
        let mut all: Vec<_> = self.counts.iter().map(shares).collect();
        all.sort_by(|a, b| (b.2 - b.1).abs().total_cmp(&(a.2 - a.1).abs()));
        all.truncate(most);
        all
    }

    /// Population stability index: Σ (p − q) ln(p / q) over bins.
    pub(super) fn psi(&self) -> f64 {
        let bins = if self.has_classes() { self.class_bins() } else { self.decile_bins() };
        let parts = bins.into_iter().map(|(old, new)| {
            let (p, q) = (share(old, self.old).max(LEAST), share(new, self.new).max(LEAST));
            (q - p) * (q / p).ln()
        });
        parts.sum()
    }

    /// One for each class, and one for all that are rare or never were before.
    fn class_bins(&self) -> Vec<(u64, u64)> {
        let smaller = u128::from(self.old.min(self.new));
        let mut rest = (0, 0);
        let mut bins = Vec::new();
        for &(_, old, new) in &self.counts {
            if u128::from(old) * smaller < u128::from(RARE) * u128::from(self.old) {
                rest = (rest.0 + old, rest.1 + new);
            } else {
                bins.push((old, new));
            }
        }
        bins.push(rest);
        bins
    }

    /// By the old sample's deciles. What is less than all that were has a bin of
    /// its own; equal quantiles make one bin of several.
    fn decile_bins(&self) -> Vec<(u64, u64)> {
        let rank = |bin: usize| (bin as f64 / BINS as f64 * self.old as f64).ceil() as u64;
        let mut bins = Vec::new();
        let (mut bin, mut seen) = ((0, 0), 0);
        for &(_, old, new) in &self.counts {
            if seen == 0 && old > 0 {
                bins.push(std::mem::take(&mut bin));
            }
            bin = (bin.0 + old, bin.1 + new);
            let before = seen;
            seen += old;
            if (1..BINS).any(|quantile| (before + 1..=seen).contains(&rank(quantile))) {
                bins.push(std::mem::take(&mut bin));
            }
        }
        bins.push(bin);
        bins
    }

    /// Kolmogorov–Smirnov: the largest distance of the distribution functions.
    pub(super) fn ks(&self) -> f64 {
        let mut sums = (0, 0);
        let distances = self.counts.iter().map(|&(_, old, new)| {
            sums = (sums.0 + old, sums.1 + new);
            (share(sums.0, self.old) - share(sums.1, self.new)).abs()
        });
        distances.fold(0.0, f64::max)
    }

    /// What PSI stays under in 99 of 100 pairs of samples that are alike: it is
    /// near χ²·(1/n + 1/m).
    pub(super) fn psi_chance(&self) -> f64 {
        let Some(classes) = self.classes else { return CHI_SQUARE * self.rarity() };
        let fresh = self.counts.iter().any(|&(_, old, _)| old == 0);
        // Of all classes, also those that share a bin: where most of them are
        // rare, little is known.
        chi_square((classes + usize::from(fresh)).saturating_sub(1).max(1)) * self.rarity()
    }

    /// The same of KS: it is near Kolmogorov's distribution·√(1/n + 1/m).
    pub(super) fn ks_chance(&self) -> f64 {
        KOLMOGOROV * self.rarity().sqrt()
    }

    fn rarity(&self) -> f64 {
        1.0 / self.old as f64 + 1.0 / self.new as f64
    }
}

fn share(part: u64, of: u64) -> f64 {
    part as f64 / of.max(1) as f64
}

/// 99 % quantile of χ², by Wilson's and Hilferty's approximation.
fn chi_square(freedom: usize) -> f64 {
    let k = freedom as f64;
    let spread = 2.0 / (9.0 * k);
    k * (1.0 - spread + NORMAL * spread.sqrt()).powi(3)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sizes(old: impl IntoIterator<Item = u64>, new: impl IntoIterator<Item = u64>) -> Pair<u64> {
        let of = |values: Vec<u64>| Distribution::of(values);
        Pair::sizes(&of(old.into_iter().collect()), &of(new.into_iter().collect()))
    }

    fn counted(counts: &[(u64, u64)]) -> Features {
        let mut all = Features::default();
        counts.iter().for_each(|(class, n)| all.record_n(Feature::number(*class as f64), *n));
        all
    }

    /// PSI, and whether it is over what chance does.
    fn classes(old: &[(u64, u64)], new: &[(u64, u64)]) -> (f64, bool) {
        let (old, new) = (counted(old), counted(new));
        let pair = Pair::features(&old, &new);
        assert!(pair.has_classes());
        (pair.psi(), pair.psi() > pair.psi_chance())
    }

    #[test]
    fn what_is_alike_is_near_zero_and_what_is_not_is_far() {
        let old = || (0..1000).map(|i| 100 + i % 100);
        let alike = sizes(old(), (0..500).map(|i| 100 + (i * 7) % 100));
        let longer = sizes(old(), (0..500).map(|i| 160 + i % 100));
        assert!(alike.psi() < 0.01 && alike.ks() < 0.02);
        assert!(longer.psi() > 1.0 && (longer.ks() - 0.6).abs() < 0.01);
        assert_eq!((longer.medians(), longer.len()), (Some((149, 209)), (1000, 500)));
    }

    #[test]
    fn a_length_that_never_varied_and_does_now_has_drifted() {
        let old = || std::iter::repeat_n(16, 500);
        for other in [8, 32] {
            let pair = sizes(old(), (0..300).map(|i| if i % 2 == 0 { 16 } else { other }));
            assert!(pair.psi() > 1.0, "{other}: {}", pair.psi());
            assert!((pair.ks() - 0.5).abs() < 1e-9);
        }
        let same = sizes(old(), old());
        assert!(same.psi() < 1e-9 && same.ks() < 1e-9);
    }

    #[test]
    fn each_class_has_a_bin_of_its_own() {
        // Between the deciles, and beside one that swallows it.
        let old = [(0, 300), (1, 30), (2, 270)];
        let (psi, seen) = classes(&old, &[(0, 150), (1, 75), (2, 75)]);
        assert!(seen && psi > 0.3, "{psi}");
        let (psi, seen) = classes(&old, &[(0, 150), (1, 15), (2, 135)]);
        assert!(!seen && psi < 1e-9, "{psi}");
    }

    #[test]
    fn a_class_that_never_was_counts_and_so_does_one_that_is_gone() {
        let old = [(0, 300), (2, 300)];
        for fresh in [1, 3] {
            let (psi, seen) = classes(&old, &[(0, 120), (2, 120), (fresh, 60)]);
            assert!(seen && psi > 1.0, "{fresh}: {psi}");
        }
        let (psi, seen) = classes(&[(0, 300), (1, 100), (2, 300)], &[(0, 150), (2, 150)]);
        assert!(seen && psi > 0.5, "{psi}");
        // One answer of a class that is rare is none that never was.
        let (psi, seen) = classes(&[(0, 600)], &[(0, 299), (1, 1)]);
        assert!(!seen, "{psi}");
    }

    #[test]
    fn values_that_are_all_their_own_are_no_evidence() {
        let all = |from: u64| counted(&(from..from + 40).map(|value| (value, 1)).collect::<Vec<_>>());
        let (old, new) = (all(0), all(1000));
        let pair = Pair::features(&old, &new);
        assert!(pair.has_classes() && pair.psi() < pair.psi_chance() && pair.psi_chance() > 1.0);
        let values: Vec<_> = (0..400).map(|value| (value, 1)).collect();
        let (old, new) = (counted(&values), counted(&values[200..]));
        let pair = Pair::features(&old, &new);
        assert!(!pair.has_classes() && pair.psi() > 1.0, "deciles: {}", pair.psi());
    }

    #[test]
    fn the_classes_that_changed_most_come_first() {
        let (old, new) = (counted(&[(0, 50), (1, 30), (2, 20)]), counted(&[(0, 60), (1, 15), (3, 25)]));
        let pair = Pair::features(&old, &new);
        let changed: Vec<_> =
            pair.changes(3).into_iter().map(|(class, p, q)| (class.to_string(), p, q)).collect();
        assert_eq!(changed, [("3".into(), 0.0, 0.25), ("2".into(), 0.2, 0.0), ("1".into(), 0.3, 0.15)]);
    }

    #[test]
    fn the_quantiles_are_those_of_the_tables() {
        for (freedom, table) in [(1, 6.635), (2, 9.210), (4, 13.277), (9, 21.666), (20, 37.566), (50, 76.154)]
        {
            assert!(
                (chi_square(freedom) / table - 1.0_f64).abs() < 0.01,
                "{freedom}: {}",
                chi_square(freedom)
            );
        }
    }

    /// A linear congruential generator: a test is a function of its seed.
    fn generator(seed: u64) -> impl FnMut() -> u64 {
        let mut state = seed.wrapping_mul(2).wrapping_add(1);
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        }
    }

    proptest! {
        // 99 of 100 stay under it; none is twice as far.
        #[test]
        fn samples_of_one_distribution_stay_under_the_chance(seed in 0u64..400) {
            let mut random = generator(seed);
            let mut next = || random() % 200;
            let old: Vec<_> = (0..600).map(|_| next()).collect();
            let pair = sizes(old, (0..300).map(|_| next()));
            prop_assert!(pair.psi() < 2.0 * pair.psi_chance() && pair.ks() < 2.0 * pair.ks_chance());
        }

        /// The same of classes, rare ones among them.
        #[test]
        fn samples_of_the_same_classes_stay_under_the_chance(seed in 0u64..400, classes in 1u64..60) {
            let mut random = generator(seed);
            // The smaller of two: the first classes are frequent, the last rare.
            let mut next = || Feature::number((random() % classes).min(random() % classes) as f64);
            let mut sample = |n: u64| {
                let mut all = Features::default();
                (0..n).for_each(|_| all.record(next()));
                all
            };
            let (old, new) = (sample(600), sample(300));
            let pair = Pair::features(&old, &new);
            prop_assert!(pair.psi() < 2.0 * pair.psi_chance(), "{} and {}", pair.psi(), pair.psi_chance());
            prop_assert!(pair.ks() < 2.0 * pair.ks_chance());
        }

        #[test]
        fn both_are_never_negative(old in prop::collection::vec(0u64..50, 1..200), new in prop::collection::vec(0u64..50, 1..200)) {
            let features = |values: &[u64]| counted(&values.iter().map(|value| (*value, 1)).collect::<Vec<_>>());
            let (was, is) = (features(&old), features(&new));
            let classes = Pair::features(&was, &is);
            let lengths = sizes(old, new);
            for (psi, ks) in [(lengths.psi(), lengths.ks()), (classes.psi(), classes.ks())] {
                prop_assert!(psi >= -1e-9 && (0.0..=1.0).contains(&ks));
            }
        }

        /// Deciles are those of the distribution.
        #[test]
        fn bins_end_at_quantiles(old in prop::collection::vec(0u64..300, 1..200), new in prop::collection::vec(0u64..300, 1..200)) {
            let (was, is) = (Distribution::of(old.clone()), Distribution::of(new.clone()));
            let mut bounds: Vec<u64> = (1..BINS).filter_map(|bin| was.quantile(bin as f64 / BINS as f64, 0)).collect();
            bounds.dedup();
            let below = |of: &Distribution| was.iter().next().map_or(0, |(least, _)| of.at_most(least) - of.iter().filter(|(value, _)| *value == least).map(|(_, n)| n).sum::<u64>());
            let mut wanted = vec![(0, below(&is))];
            let mut before = wanted[0];
            for bound in bounds.into_iter().chain([u64::MAX]) {
                let now = (was.at_most(bound), is.at_most(bound));
                wanted.push((now.0 - before.0, now.1 - before.1));
                before = now;
            }
            prop_assert_eq!(sizes(old, new).decile_bins(), wanted);
        }
    }
}
