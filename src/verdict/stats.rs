//! How sure a ratio and a quantile are. Pure arithmetic.

/// The level of intervals that nobody asked for.
pub(super) const LEVEL: f64 = 0.95;

/// How many standard deviations cut off a two-sided interval of this level
/// (Abramowitz & Stegun 26.2.23, error under 4.5e-4).
pub(super) fn deviations(level: f64) -> f64 {
    let tail = ((1.0 - level) / 2.0).clamp(1e-12, 0.5);
    let t = (-2.0 * tail.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    (t - above / below).max(0.0)
}

/// Wilson's score interval of `part` of `whole` (Wilson 1927). Without
/// samples nothing is known: (0, 1).
pub(super) fn wilson(part: u64, whole: u64, level: f64) -> (f64, f64) {
    if whole == 0 {
        return (0.0, 1.0);
    }
    let n = whole as f64;
    let p = part.min(whole) as f64 / n;
    let z2 = deviations(level).powi(2);
    let middle = (p + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = (z2 * (p * (1.0 - p) / n + z2 / (4.0 * n * n))).sqrt() / (1.0 + z2 / n);
    ((middle - half).clamp(0.0, p), (middle + half).clamp(p, 1.0))
}

/// Ranks (from 1) of the order statistics that enclose the `q` quantile of
/// the population with at least this level, from the exact binomial
/// distribution of how many of `n` samples lie below it (Hahn & Meeker,
/// Statistical Intervals, 5.2). A rank of 0 stands for "no lower bound", one
/// of n + 1 for "no upper bound".
pub(super) fn quantile_ranks(n: u64, q: f64, level: f64) -> (u64, u64) {
    if n == 0 {
        return (0, 1);
    }
    let tail = (1.0 - level) / 2.0;
    let (from, masses) = binomial(n, q);
    // Lower: the highest rank l with P(B < l) ≤ tail. Upper: the lowest rank
    // u with P(B ≥ u) ≤ tail.
    let mut below = 0.0;
    let mut lower = from;
    for mass in &masses {
        below += mass;
        if below > tail {
            break;
        }
        lower += 1;
    }
    let mut above = 0.0;
    let mut upper = from + masses.len() as u64;
    for mass in masses.iter().rev() {
        above += mass;
        if above > tail {
            break;
        }
        upper -= 1;
    }
    (lower.min(n), upper.clamp(1, n + 1))
}

/// The binomial distribution of `n` at `q` where it is not negligible: the
/// first count and the masses from there on. Started at the mode and scaled
/// to 1, so that nothing overflows.
fn binomial(n: u64, q: f64) -> (u64, Vec<f64>) {
    let q = q.clamp(1e-9, 1.0 - 1e-9);
    let mean = n as f64 * q;
    let reach = (12.0 * (mean * (1.0 - q)).sqrt()).ceil() as u64 + 40;
    let mode = (mean as u64).min(n);
    let (from, to) = (mode.saturating_sub(reach), mode.saturating_add(reach).min(n));
    let odds = q / (1.0 - q);
    let mut masses = vec![0.0; (to - from + 1) as usize];
    let middle = (mode - from) as usize;
    masses[middle] = 1.0;
    for i in middle + 1..masses.len() {
        let k = (from + i as u64) as f64;
        masses[i] = masses[i - 1] * odds * (n as f64 - k + 1.0) / k;
    }
    for i in (0..middle).rev() {
        let k = (from + i as u64) as f64;
        masses[i] = masses[i + 1] * (k + 1.0) / (odds * (n as f64 - k));
    }
    let sum: f64 = masses.iter().sum();
    masses.iter_mut().for_each(|mass| *mass /= sum);
    (from, masses)
}

/// Samples without which a ratio can't be told from `limit`: one over the
/// distance to the nearer end. For a limit at an end every sample decides,
/// and ten are asked for.
pub(super) fn enough_for_ratio(limit: f64) -> u64 {
    let distance = limit.min(1.0 - limit);
    if distance <= 0.0 { 10 } else { (1.0 / distance - 1e-9).ceil().min(1e15) as u64 }
}

/// Samples without which the `q` quantile is not resolved: `per_tail` beyond it.
pub(super) fn enough_for_quantile(q: f64, per_tail: f64) -> u64 {
    (per_tail / (1.0 - q).max(1e-12) - 1e-6).ceil().min(1e15) as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn deviations_are_those_of_the_tables() {
        for (level, z) in [(0.90, 1.645), (0.95, 1.960), (0.99, 2.576)] {
            assert!((deviations(level) - z).abs() < 1e-3, "{level}");
        }
    }

    /// Newcombe 1998, table I: 81 of 263 and 0 of 20.
    #[test]
    fn wilson_gives_published_figures() {
        let (low, high) = wilson(81, 263, 0.95);
        assert!((low - 0.2553).abs() < 2e-4 && (high - 0.3662).abs() < 2e-4, "{low} {high}");
        let (low, high) = wilson(0, 20, 0.95);
        assert!(low == 0.0 && (high - 0.1611).abs() < 2e-4, "{low} {high}");
    }

    /// The classical ranks of a median's 95 % interval: 2 and 9 of 10, 40 and
    /// 61 of 100.
    #[test]
    fn ranks_of_a_median_are_the_classical_ones() {
        assert_eq!(quantile_ranks(10, 0.5, 0.95), (2, 9));
        assert_eq!(quantile_ranks(100, 0.5, 0.95), (40, 61));
        assert_eq!(quantile_ranks(5, 0.99, 0.95), (4, 6), "no upper bound from five samples");
    }

    #[test]
    fn enough_is_what_the_design_says() {
        assert_eq!(enough_for_ratio(0.99), 100);
        assert_eq!(enough_for_ratio(0.9), 10);
        assert_eq!(enough_for_ratio(0.01), 100);
        assert_eq!(enough_for_quantile(0.95, 5.0), 100);
        assert_eq!(enough_for_quantile(0.99, 5.0), 500);
        assert_eq!(enough_for_quantile(0.5, 1.0), 2);
    }

    proptest! {
        #[test]
        fn wilson_encloses_the_figure_and_narrows(whole in 1u64..100_000, share in 0.0..=1.0f64, level in 0.5..0.999f64) {
            let part = (share * whole as f64) as u64;
            let (low, high) = wilson(part, whole, level);
            let p = part as f64 / whole as f64;
            prop_assert!((0.0..=1.0).contains(&low) && (0.0..=1.0).contains(&high));
            prop_assert!(low <= p && p <= high);
            let (low4, high4) = wilson(part * 4, whole * 4, level);
            prop_assert!(high4 - low4 <= high - low + 1e-12);
        }

        #[test]
        fn wilson_moves_with_failures(whole in 2u64..10_000, part in 0u64..10_000) {
            let part = part.min(whole - 1);
            let (fewer, more) = (wilson(part, whole, LEVEL), wilson(part + 1, whole, LEVEL));
            prop_assert!(fewer.0 <= more.0 && fewer.1 <= more.1);
        }

        #[test]
        fn ranks_enclose_the_quantile(n in 1u64..20_000, q in 0.01..0.999f64, level in 0.5..0.999f64) {
            let (low, high) = quantile_ranks(n, q, level);
            let rank = (q * n as f64).ceil() as u64;
            prop_assert!(low <= rank && rank <= high && high <= n + 1, "{} {} {}", low, rank, high);
            let wider = quantile_ranks(n, q, level + (1.0 - level) / 2.0);
            prop_assert!(wider.0 <= low && high <= wider.1);
        }

        /// The promise itself, with the binomial distribution summed afresh.
        #[test]
        fn ranks_keep_their_level(n in 1u64..200, q in 0.05..0.95f64) {
            let (low, high) = quantile_ranks(n, q, 0.95);
            let mut mass = (1.0 - q).powi(n as i32);
            let mut covered = 0.0;
            for k in 0..=n {
                if (low..high).contains(&k) { covered += mass; }
                mass *= (n - k) as f64 / (k + 1) as f64 * q / (1.0 - q);
            }
            prop_assert!(covered >= 0.95 - 1e-6, "{}", covered);
        }
    }
}
