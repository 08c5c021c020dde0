//! The series that the requests themselves make.

use std::collections::BTreeMap;

use super::{
    measures,
    robust::{ENOUGH, median},
    tracks::{Grid, Latencies, SURE, Samples, Track, WIDTHS},
};
use crate::{
    journal::{Cell, Distribution, event::RunEnd},
    scenario::model::Executor,
    verdict::{facts::Facts, slo::Census, stats},
};

/// Requests that a bin usually has to have.
const TYPICAL: f64 = 20.0;
/// Requests without which a bin says nothing.
const FEW: u64 = 10;

/// What the requests show. Nothing, where there are too few of them.
pub(super) fn tracks<'a>(
    facts: &Facts<'_>,
    grid: Grid,
    seconds: &BTreeMap<u64, Vec<&Cell>>,
) -> Vec<Track<'a>> {
    let aborted = matches!(facts.run_end, Some(RunEnd::Aborted));
    let in_bins = |grid: Grid| -> Option<(Grid, Vec<Census>)> {
        let mut bins: Vec<Vec<&Cell>> = vec![Vec::new(); grid.bins()];
        for (&second, cells) in seconds {
            if let Some(index) = grid.bin(second) {
                bins[index].extend(cells);
            }
        }
        let bins: Vec<Census> = bins.into_iter().map(|cells| Census::of(cells, aborted)).collect();
        let usual = bins.iter().take(grid.usual()).map(|census| census.attempted as f64).collect();
        let enough = grid.usual() >= ENOUGH && median(usual).is_some_and(|n| n >= TYPICAL);
        enough.then_some((grid, bins))
    };
    let Some((grid, bins)) = WIDTHS.into_iter().find_map(|width| in_bins(Grid { width, ..grid })) else {
        return Vec::new();
    };
    let figures = |of: &dyn Fn(&Census) -> Option<f64>| bins.iter().map(of).collect::<Vec<_>>();
    let latency = |measure, q: f64, of: fn(&Census) -> &Distribution| {
        let latencies = |census| Latencies { of: of(census).clone(), requests: census.ok };
        let samples = Samples::new(q, bins.iter().map(latencies).collect());
        let at = |one: &Latencies| {
            let millis = one.of.quantile(q, 0).map(|micros| micros as f64 / 1e3);
            millis.filter(|_| one.requests >= FEW)
        };
        let figures: Vec<Option<f64>> = samples.bins.iter().map(at).collect();
        grid.track(measure, None, &figures).of(samples)
    };
    let closed = facts.plan.load.iter().any(|load| matches!(load.executor, Executor::Closed(_)));
    let tokens = bins.iter().any(|census| census.tokens > 0);
    let mut tracks = vec![
        availability(grid, &bins),
        latency(&measures::TTFT_P95, 0.95, |census| &census.ttft),
        latency(&measures::TTFT_P50, 0.5, |census| &census.ttft),
        latency(&measures::E2E_P95, 0.95, |census| &census.e2e),
        latency(&measures::E2E_P50, 0.5, |census| &census.e2e),
        latency(&measures::ITL_P95, 0.95, |census| &census.itl),
    ];
    if tokens && closed {
        let width = grid.width as f64;
        tracks.push(grid.track(&measures::TOKENS, None, &figures(&|c| Some(c.tokens as f64 / width))));
    } else if tokens {
        let each = |c: &Census| (c.attempted >= FEW).then(|| c.tokens as f64 / c.attempted as f64);
        tracks.push(grid.track(&measures::TOKENS_EACH, None, &figures(&each)));
    }
    tracks
}

/// The share of requests that ended `ok`, each bin with the noise that its
/// number of requests gives it at the highest share of bad ones that the
/// baseline leaves possible.
fn availability<'a>(grid: Grid, bins: &[Census]) -> Track<'a> {
    let shares: Vec<Option<f64>> = bins
        .iter()
        .map(|census| (census.attempted >= FEW).then(|| census.ok as f64 / census.attempted as f64))
        .collect();
    let mut track = grid.track(&measures::AVAILABILITY, None, &shares);
    let (bad, all) = bins
        .iter()
        .take(grid.usual())
        .fold((0, 0), |(bad, all), census| (bad + census.failed(), all + census.attempted));
    // None seen is not none at all: the most that the baseline leaves possible.
    let (_, share) = stats::wilson(bad, all, SURE);
    for (point, census) in track.points.iter_mut().zip(bins) {
        if let Some(point) = point {
            point.noise = (share * (1.0 - share) / census.attempted.max(1) as f64).sqrt();
            point.bad = Some(census.failed());
        }
    }
    track
}
