//! Series by second → columns that fit on a page: a long run is drawn in
//! columns of several seconds. Rates become means, latencies the worst second
//! of their column.

use indexmap::IndexMap;

use crate::{journal::interval::Outcome, units::Version, verdict::Series};

/// More columns than this are not drawn.
const MOST: usize = 720;
/// Widths of a column, in seconds.
const STEPS: [u32; 9] = [1, 2, 5, 10, 30, 60, 300, 900, 3600];

/// A run in columns. Every `Vec` has one element for each.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Columns {
    /// Seconds a column stands for.
    pub(super) step: u32,
    /// Length of the clock that is drawn, in seconds.
    pub(super) end: f64,
    /// Arrivals due per second.
    pub(super) due: Vec<f64>,
    /// Requests sent per second.
    pub(super) sent: Vec<f64>,
    /// Requests open, at most.
    pub(super) open: Vec<f64>,
    /// TTFT (E2E, where there are no tokens) in ms.
    pub(super) p50: Vec<Option<f64>>,
    /// TTFT (E2E, where there are no tokens) in ms.
    pub(super) p95: Vec<Option<f64>>,
    /// TTFT (E2E, where there are no tokens) in ms.
    pub(super) p99: Vec<Option<f64>>,
    /// Requests per second by how they ended.
    pub(super) outcomes: IndexMap<Outcome, Vec<f64>>,
    /// Hits among what a cache answered or forwarded.
    pub(super) hits: Vec<Option<f64>>,
    /// Answers per second by version, the first version first.
    pub(super) versions: IndexMap<Version, Vec<f64>>,
    /// Answers from a fallback per second.
    pub(super) fallback: Vec<f64>,
}

impl Columns {
    /// The columns of a run.
    pub(super) fn of(series: &Series) -> Self {
        let seconds = series.seconds as usize;
        let step = STEPS.into_iter().find(|&step| seconds.div_ceil(step as usize) <= MOST).unwrap_or(
            // Longer than a month of hours: as many hours as it takes.
            (seconds.div_ceil(MOST) as u32).next_multiple_of(3600),
        );
        let by = step as usize;
        // The run may end within its last column, which is no less full for it.
        let spans: Vec<f64> = (0..seconds.div_ceil(by))
            .map(|i| (series.end - (i * by) as f64).clamp(1.0, f64::from(step)))
            .collect();
        let rates = |values: &[u64]| -> Vec<f64> {
            values
                .chunks(by)
                .zip(&spans)
                .map(|(chunk, span)| chunk.iter().sum::<u64>() as f64 / span)
                .collect()
        };
        let worst = |values: &[Option<f64>]| -> Vec<Option<f64>> {
            values.chunks(by).map(|chunk| chunk.iter().flatten().copied().reduce(f64::max)).collect()
        };
        let (_, felt) = series.felt();
        let (hits, misses) = (rates(&series.cache_hits), rates(&series.cache_misses));
        let share = |(hit, miss): (&f64, &f64)| (hit + miss > 0.0).then(|| hit / (hit + miss));
        Self {
            step,
            end: series.end.max(1.0),
            due: rates(&series.due),
            sent: rates(&series.sent),
            open: series.in_flight.chunks(by).map(|c| c.iter().copied().max().unwrap_or(0) as f64).collect(),
            p50: worst(&felt.p50),
            p95: worst(&felt.p95),
            p99: worst(&felt.p99),
            outcomes: series.outcomes.iter().map(|(outcome, values)| (*outcome, rates(values))).collect(),
            hits: hits.iter().zip(&misses).map(share).collect(),
            versions: versions(series)
                .into_iter()
                .map(|(version, values)| (version, rates(values)))
                .collect(),
            fallback: rates(&series.fallback),
        }
    }

    /// How many columns there are.
    pub(super) fn len(&self) -> usize {
        self.due.len()
    }

    /// When a column begins and ends, in seconds.
    pub(super) fn span(&self, column: usize) -> (f64, f64) {
        let start = column as f64 * f64::from(self.step);
        (start, (start + f64::from(self.step)).min(self.end))
    }
}

/// Versions in the order in which they first answered.
fn versions(series: &Series) -> Vec<(Version, &Vec<u64>)> {
    let mut all: Vec<(Version, &Vec<u64>)> = series.versions.iter().map(|(v, n)| (v.clone(), n)).collect();
    all.sort_by_key(|(_, counts)| counts.iter().position(|&n| n > 0));
    all
}
