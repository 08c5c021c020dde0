//! What is usual, by figures that a few odd seconds do not move.

/// Figures without which nothing is known to be usual.
pub(super) const ENOUGH: usize = 8;
/// A median absolute deviation times this is a normal distribution's standard
/// deviation (Rousseeuw & Croux 1993).
const CONSISTENT: f64 = 1.4826;
/// How many standard deviations a normal distribution's 90 % quantile lies
/// above its median.
const TENTH: f64 = 1.2816;

/// What a series usually is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Normal {
    /// The median.
    pub(super) middle: f64,
    /// The robust standard deviation, never 0.
    pub(super) spread: f64,
    /// The highest.
    pub(super) highest: f64,
}

impl Normal {
    /// What is usual by these figures, where more is worse: the median; and as
    /// spread the median absolute deviation or, where it is wider, the way up
    /// to the 90 % quantile, since a series that jumps between two levels has
    /// hardly a deviation from either; at least `floor`, which must be
    /// positive. None with fewer than [`ENOUGH`] figures.
    pub(super) fn of(figures: &[f64], floor: f64) -> Option<Self> {
        if figures.len() < ENOUGH {
            return None;
        }
        let middle = median(figures.to_vec())?;
        let off = median(figures.iter().map(|x| (x - middle).abs()).collect())?;
        let tenth = quantile(figures.to_vec(), 0.9)?;
        let spread = (CONSISTENT * off).max((tenth - middle) / TENTH).max(floor);
        let highest = figures.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(Self { middle, spread, highest })
    }

    /// How many standard deviations `x` lies above the median, where its own
    /// noise may be more than usual.
    pub(super) fn deviations(&self, x: f64, noise: f64) -> f64 {
        (x - self.middle) / self.spread.max(noise)
    }
}

/// The median: of an even number the mean of the two in the middle. None
/// without figures.
pub(super) fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let half = figures.len() / 2;
    let upper = *figures.get(half)?;
    Some(if figures.len().is_multiple_of(2) { (figures[half - 1] + upper) / 2.0 } else { upper })
}

/// The `q` quantile by the nearest rank. None without figures.
fn quantile(mut figures: Vec<f64>, q: f64) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let rank = (q * figures.len() as f64).ceil() as usize;
    figures.get(rank.max(1) - 1).copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_never_moves_has_a_spread_too() {
        let constant = Normal::of(&[5.0; 20], 0.1).expect("enough");
        assert_eq!((constant.middle, constant.spread), (5.0, 0.1));
        assert!((constant.deviations(6.0, 0.0) - 10.0).abs() < 1e-9);
        assert!((constant.deviations(6.0, 0.5) - 2.0).abs() < 1e-9, "its own noise is more");
        assert_eq!(Normal::of(&[5.0; ENOUGH - 1], 0.1), None);
    }

    #[test]
    fn two_levels_are_a_wide_spread() {
        let levels: Vec<f64> = (0..20).map(|i| if i % 5 == 0 { 3.0 } else { 0.0 }).collect();
        let normal = Normal::of(&levels, 0.1).expect("enough");
        assert_eq!(normal.middle, 0.0, "with no deviation from it at all");
        assert!(normal.deviations(3.0, 0.0) < 2.0, "{normal:?}");
    }

    #[test]
    fn the_deviation_is_the_textbooks() {
        // 1, 1, 2, 2, 4, 6, 9: median 2, deviations 0, 0, 1, 1, 2, 4, 7.
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0, 6.0, 2.0, 1.0]), Some(2.0));
        let normal = Normal::of(&[1.0, 1.0, 2.0, 2.0, 4.0, 2.0, 2.0, 2.0], 1e-9).expect("enough");
        assert_eq!(normal.middle, 2.0);
        assert_eq!(median(Vec::new()), None);
        assert_eq!(median(vec![1.0, 2.0]), Some(1.5));
    }

    proptest! {
        #[test]
        fn a_few_odd_figures_move_little(usual in prop::collection::vec(-1.0..1.0f64, 20..60), odd in 1e3..1e6f64) {
            let before = Normal::of(&usual, 0.1).expect("enough");
            let mut with = usual.clone();
            with.push(odd);
            let after = Normal::of(&with, 0.1).expect("enough");
            prop_assert!((after.middle - before.middle).abs() <= 2.0 && after.spread <= 3.0);
            prop_assert!(after.deviations(odd, 0.0) > 100.0);
        }
    }
}
