//! A series in bins, and where bins are.

use std::cell::OnceCell;

use super::{episodes::Stretch, measures::Measure, robust::median};
use crate::{journal::Distribution, verdict::stats};

/// Widths of a bin that are tried, in seconds.
pub(super) const WIDTHS: [u64; 4] = [1, 2, 5, 10];
/// The level of the intervals that may not overlap.
pub(super) const SURE: f64 = 0.99;

/// A series in bins of equal width.
pub(super) struct Track<'a> {
    pub(super) measure: &'static Measure,
    pub(super) source: Option<&'a str>,
    pub(super) width: f64,
    start: f64,
    /// Bins that lie in the baseline.
    usual: usize,
    pub(super) points: Vec<Option<Point>>,
    /// What it is a quantile of, where it is one.
    samples: Option<Samples>,
}

/// Latencies by bin, and which quantile of them a series is.
pub(super) struct Samples {
    pub(super) q: f64,
    pub(super) bins: Vec<Latencies>,
    /// All of the baseline, summed once.
    before: OnceCell<Latencies>,
}

/// The latencies of so many requests.
#[derive(Debug, Clone, Default)]
pub(super) struct Latencies {
    pub(super) of: Distribution,
    pub(super) requests: u64,
}

impl Samples {
    pub(super) fn new(q: f64, bins: Vec<Latencies>) -> Self {
        Self { q, bins, before: OnceCell::new() }
    }

    /// Whether the quantile of these bins and that of the first `usual` ones
    /// differ by more than as few requests as these bins have make it: where
    /// the interval of the one lies above that of the other. It needs no
    /// assumption on how latencies are distributed.
    fn clear(&self, bins: std::ops::RangeInclusive<usize>, usual: usize) -> bool {
        let sum = |bins: &[Latencies]| {
            let mut sum = Latencies::default();
            for one in bins {
                sum.of.merge(&one.of);
                sum.requests += one.requests;
            }
            sum
        };
        let now = sum(self.bins.get(bins).unwrap_or_default());
        let before = self.before.get_or_init(|| sum(self.bins.get(..usual).unwrap_or_default()));
        let n = now.requests;
        let (low, high) = stats::quantile_ranks(n, self.q, SURE);
        // Gaps of one request are alike: it is requests that are counted.
        let at = |rank: u64| rank as f64 / n.max(1) as f64;
        let beyond = if high > n { before.of.max() } else { before.of.quantile(at(high), 0) };
        low > 0 && now.of.quantile(at(low), 0) > beyond
    }
}

/// A bin of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    /// In the measure's unit.
    pub(super) value: f64,
    /// On its scale, more being worse.
    pub(super) x: f64,
    /// Its own standard deviation, where it is known; else 0.
    pub(super) noise: f64,
    /// How many of its requests were bad, where that is what it tells.
    pub(super) bad: Option<u64>,
}

impl Track<'_> {
    /// The same, as a quantile of these.
    pub(super) fn of(self, samples: Samples) -> Self {
        Self { samples: Some(samples), ..self }
    }

    pub(super) fn baseline(&self) -> impl Iterator<Item = Point> {
        self.points.iter().take(self.usual).copied().flatten()
    }

    pub(super) fn inside(&self, stretch: &Stretch) -> impl Iterator<Item = Point> {
        self.points.get(stretch.first..=stretch.last).unwrap_or_default().iter().copied().flatten()
    }

    /// Whether these bins are away from the baseline by more than the number
    /// of their requests explains, where that is known.
    pub(super) fn is_clear(&self, bins: std::ops::RangeInclusive<usize>) -> bool {
        self.samples.as_ref().is_none_or(|samples| samples.clear(bins, self.usual))
    }

    /// From when to when a bin is.
    pub(super) fn second_of(&self, index: usize) -> (f64, f64) {
        let start = self.start + index as f64 * self.width;
        (start, start + self.width)
    }

    pub(super) fn seconds(&self, stretch: &Stretch) -> (f64, f64) {
        (self.second_of(stretch.first).0, self.second_of(stretch.last).1)
    }
}

/// Where bins are: whole seconds of the judged load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grid {
    pub(super) start: u64,
    pub(super) baseline_end: u64,
    pub(super) end: u64,
    pub(super) width: u64,
}

impl Grid {
    pub(super) fn bins(self) -> usize {
        ((self.end - self.start) / self.width) as usize
    }

    pub(super) fn usual(self) -> usize {
        ((self.baseline_end - self.start) / self.width) as usize
    }

    pub(super) fn bin(self, second: u64) -> Option<usize> {
        let index = (second.checked_sub(self.start)? / self.width) as usize;
        (index < self.bins()).then_some(index)
    }

    pub(super) fn track<'a>(
        self,
        measure: &'static Measure,
        source: Option<&'a str>,
        figures: &[Option<f64>],
    ) -> Track<'a> {
        let known: Vec<f64> = figures.iter().take(self.usual()).copied().flatten().collect();
        let usual = median(known).unwrap_or_default();
        let point = |value: f64| Some(Point { value, x: measure.x(value, usual)?, noise: 0.0, bad: None });
        Track {
            measure,
            source,
            width: self.width as f64,
            start: self.start as f64,
            usual: self.usual(),
            points: figures.iter().map(|figure| figure.and_then(point)).collect(),
            samples: None,
        }
    }
}
