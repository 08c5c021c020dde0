//! Numbers from a distribution.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

use crate::{load::dialect::kserve::tensor::Number, scenario::endpoint::Draw};

/// The next number.
pub(super) fn draw(draw: Draw, rng: &mut ChaCha8Rng) -> Number {
    match draw {
        Draw::Uniform(range) => Number::Real(range.min + (range.max - range.min) * rng.random::<f64>()),
        Draw::Normal(normal) => {
            let standard: f64 = StandardNormal.sample(rng);
            Number::Real(normal.mean + normal.std_dev * standard)
        }
        Draw::Integers(range) => Number::Whole(rng.random_range(range.min..=range.max)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        plan,
        scenario::endpoint::{IntRange, Normal, Range},
    };

    #[test]
    fn numbers_are_distributed_as_asked() {
        let mut rng = plan::stream(1, "x");
        let mut reals = |of: Draw| -> Vec<f64> {
            let number = |_| match draw(of, &mut rng) {
                Number::Real(real) => real,
                Number::Whole(whole) => whole as f64,
            };
            (0..20_000).map(number).collect()
        };
        let mean = |all: &[f64]| all.iter().sum::<f64>() / all.len() as f64;
        let uniform = reals(Draw::Uniform(Range { min: -1.0, max: 3.0 }));
        assert!(uniform.iter().all(|n| (-1.0..3.0).contains(n)) && (mean(&uniform) - 1.0).abs() < 0.05);
        let normal = reals(Draw::Normal(Normal { mean: 5.0, std_dev: 2.0 }));
        let spread = mean(&normal.iter().map(|n| (n - 5.0).powi(2)).collect::<Vec<_>>());
        assert!((mean(&normal) - 5.0).abs() < 0.1 && (spread - 4.0).abs() < 0.2, "{spread}");
        let dice = reals(Draw::Integers(IntRange { min: 1, max: 6 }));
        assert!((mean(&dice) - 3.5).abs() < 0.1);
        assert!((1..=6).all(|face| dice.contains(&f64::from(face))));
    }
}
