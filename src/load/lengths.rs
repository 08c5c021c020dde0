//! Lengths of prompts and answers, drawn as the scenario says.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};

use super::LoadError;
use crate::scenario::model::Tokens;

/// The most tokens that a drawn length may have; the tail of a log-normal
/// distribution has no end.
const MOST_TOKENS: u32 = 1_000_000;
/// The 99th percentile of the standard normal distribution.
const Z99: f64 = 2.326_347_874;

/// A distribution of lengths, ready to draw from.
#[derive(Debug)]
pub(crate) enum Length {
    Fixed(u32),
    Uniform(u32, u32),
    Lognormal(LogNormal<f64>),
}

impl Length {
    /// The distribution of `what`, a key of the scenario.
    pub(crate) fn of(tokens: &Tokens, what: &str) -> Result<Self, LoadError> {
        let wrong = |why: &str| LoadError::Workload(format!("{what}: {why}"));
        match *tokens {
            Tokens::Fixed(n) => Ok(Self::Fixed(n)),
            Tokens::Uniform { min, max } if min <= max => Ok(Self::Uniform(min, max)),
            Tokens::Uniform { .. } => Err(wrong("min is above max")),
            Tokens::Lognormal { median, p99 } if 0 < median && median <= p99 => {
                let (median, p99) = (f64::from(median).ln(), f64::from(p99).ln());
                let normal = LogNormal::new(median, (p99 - median) / Z99);
                Ok(Self::Lognormal(normal.map_err(|error| wrong(&error.to_string()))?))
            }
            Tokens::Lognormal { .. } => Err(wrong("the median must be above 0 and not above the p99")),
        }
    }

    /// At least 1.
    pub(crate) fn draw(&self, rng: &mut ChaCha8Rng) -> u32 {
        let tokens = match self {
            Self::Fixed(n) => *n,
            Self::Uniform(min, max) => rng.random_range(*min..=*max),
            Self::Lognormal(normal) => normal.sample(rng).round().min(f64::from(MOST_TOKENS)) as u32,
        };
        tokens.clamp(1, MOST_TOKENS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan;

    #[test]
    fn lognormal_lengths_have_their_median_and_p99() {
        let length = Length::of(&Tokens::Lognormal { median: 220, p99: 1800 }, "x").expect("lengths");
        let mut rng = plan::stream(1, "x");
        let mut drawn: Vec<u32> = (0..20_000).map(|_| length.draw(&mut rng)).collect();
        drawn.sort_unstable();
        assert!((210..230).contains(&drawn[10_000]), "{}", drawn[10_000]);
        assert!((1600..2000).contains(&drawn[19_800]), "{}", drawn[19_800]);
    }

    #[test]
    fn impossible_lengths_are_refused() {
        for tokens in [Tokens::Uniform { min: 2, max: 1 }, Tokens::Lognormal { median: 0, p99: 1 }] {
            assert!(Length::of(&tokens, "input-tokens").is_err());
        }
    }
}
