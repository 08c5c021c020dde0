//! A mergeable distribution of latencies.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Counts of latencies in microseconds, each rounded down to 11 significant
/// bits (an error under 0.1 %, as an HDR histogram with three digits has).
/// Merging is exact: the sum of two is the distribution of both samples.
/// Written as `[[value, count], …]`, ascending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Distribution {
    counts: BTreeMap<u64, u64>,
}

impl Distribution {
    /// The distribution of `samples` (µs).
    pub fn of(mut samples: Vec<u64>) -> Self {
        samples.iter_mut().for_each(|micros| *micros = rounded(*micros));
        samples.sort_unstable();
        let runs = samples.chunk_by(|a, b| a == b);
        Self { counts: runs.map(|run| (run[0], run.len() as u64)).collect() }
    }

    /// Adds one latency.
    pub fn record(&mut self, micros: u64) {
        self.record_n(micros, 1);
    }

    /// Adds a latency `count` times.
    pub fn record_n(&mut self, micros: u64, count: u64) {
        if count > 0 {
            *self.counts.entry(rounded(micros)).or_default() += count;
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (&value, &count) in &other.counts {
            *self.counts.entry(value).or_default() += count;
        }
    }

    /// How many latencies it holds.
    pub fn len(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// The smallest latency (µs) that at least `q` of all are no longer than
    /// (nearest rank), where `failures` further samples count as +∞. None
    /// where there are no samples or the rank falls among the failures.
    pub fn quantile(&self, q: f64, failures: u64) -> Option<u64> {
        let n = self.len() + failures;
        if n == 0 {
            return None;
        }
        self.at_rank((q * n as f64).ceil().clamp(1.0, n as f64) as u64)
    }

    /// The latency (µs) at a rank from 1. None past the end.
    pub fn at_rank(&self, rank: u64) -> Option<u64> {
        let mut seen = 0;
        self.counts.iter().find_map(|(&value, &count)| {
            seen += count;
            (seen >= rank).then_some(value)
        })
    }

    /// How many are at most `micros`.
    pub fn at_most(&self, micros: u64) -> u64 {
        self.counts.range(..=micros).map(|(_, &count)| count).sum()
    }

    /// Arithmetic mean (µs).
    pub fn mean(&self) -> Option<f64> {
        let n = self.len();
        (n > 0).then(|| self.counts.iter().map(|(&v, &c)| v as f64 * c as f64).sum::<f64>() / n as f64)
    }

    /// The longest (µs).
    pub fn max(&self) -> Option<u64> {
        self.counts.last_key_value().map(|(&value, _)| value)
    }

    /// Values and counts, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.counts.iter().map(|(&value, &count)| (value, count))
    }
}

/// `micros` with its lowest bits cleared, 11 significant ones left.
fn rounded(micros: u64) -> u64 {
    let bits = u64::BITS - micros.leading_zeros();
    let drop = bits.saturating_sub(11);
    (micros >> drop) << drop
}

impl From<Vec<(u64, u64)>> for Distribution {
    fn from(pairs: Vec<(u64, u64)>) -> Self {
        let mut distribution = Self::default();
        for (value, count) in pairs {
            distribution.record_n(value, count);
        }
        distribution
    }
}

impl From<Distribution> for Vec<(u64, u64)> {
    fn from(distribution: Distribution) -> Self {
        distribution.counts.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[u64]) -> Distribution {
        let mut d = Distribution::default();
        values.iter().for_each(|&v| d.record(v));
        d
    }

    #[test]
    fn failures_count_as_infinite() {
        let d = of(&[10, 20, 30, 40]);
        assert_eq!(d.quantile(0.5, 0), Some(20));
        assert_eq!(d.quantile(0.5, 4), Some(40));
        assert_eq!(d.quantile(0.6, 4), None);
        assert_eq!(Distribution::default().quantile(0.5, 0), None);
    }

    proptest! {
        #[test]
        fn all_at_once_is_one_by_one(values in prop::collection::vec(0..5000_u64, 0..80)) {
            prop_assert_eq!(Distribution::of(values.clone()), of(&values));
        }

        #[test]
        fn merging_is_recording_both(a in prop::collection::vec(0..u64::MAX, 0..50), b in prop::collection::vec(0..u64::MAX, 0..50)) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }

        #[test]
        fn a_quantile_is_within_the_promised_error(mut values in prop::collection::vec(0..3_600_000_000u64, 1..200), q in 0.01..1.0f64) {
            let d = of(&values);
            values.sort_unstable();
            let exact = values[((q * values.len() as f64).ceil().max(1.0) as usize - 1).min(values.len() - 1)];
            let got = d.quantile(q, 0).expect("samples");
            prop_assert!(got <= exact && (exact - got) as f64 <= exact as f64 / 1024.0, "{} for {}", got, exact);
        }

        #[test]
        fn it_reads_back_as_written(values in prop::collection::vec(0..u64::MAX, 0..50)) {
            let d = of(&values);
            let text = serde_json::to_string(&d).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Distribution>(&text).expect("JSON"), d);
        }
    }
}
