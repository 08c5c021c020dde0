//! Series → lanes.

use super::{Chart, Kind, Lane, Layer, Limit, Phase, Scale, Shape, Texture, Timeline, Tone, scale};
use crate::{
    journal::interval::Outcome,
    plan::{Plan, model::Subject},
    report::{Input, text},
    units::LatencyThreshold,
    verdict::Series,
};

mod states;

/// A layer has no more values than this; longer runs are averaged.
const BUCKETS: u32 = 600;

/// Beyond this, a time axis counts in minutes.
const LONG: f64 = 180.0;

/// The run as lanes.
pub(in crate::report) fn of(input: &Input<'_>) -> Timeline {
    let series = input.series;
    let extent = f64::from(series.seconds.max(1));
    let buckets = Buckets { width: series.seconds.max(1).div_ceil(BUCKETS) };
    let mut lanes =
        vec![load(series, buckets), latency(input.plan, series, buckets), outcomes(series, buckets)];
    lanes.extend(states::faults(series));
    lanes.extend(states::breakers(series));
    lanes.extend(shares(series, buckets));
    lanes.extend(versions(series, buckets));
    lanes.extend(states::rollout(series));
    lanes.extend(states::pods(series, buckets));
    lanes.extend(states::blind(series));
    Timeline {
        extent,
        bucket: buckets.width,
        phases: series
            .phases
            .iter()
            .map(|band| Phase { name: band.name.clone(), start: band.start, end: band.end.min(extent) })
            .collect(),
        effects: series.faults.iter().filter_map(|bar| bar.effect.map(|(_, by)| by)).collect(),
        ticks: scale::time_ticks(extent).into_iter().map(|t| (t, text::tick(t, extent > LONG))).collect(),
        lanes,
    }
}

/// Seconds that are drawn as one.
#[derive(Debug, Clone, Copy)]
struct Buckets {
    width: u32,
}

impl Buckets {
    /// Mean per second.
    fn mean(self, values: &[u64]) -> Vec<Option<f64>> {
        let mean = |chunk: &[u64]| Some(chunk.iter().sum::<u64>() as f64 / chunk.len() as f64);
        values.chunks(self.width as usize).map(mean).collect()
    }

    /// The worst of each bucket.
    fn worst(self, values: &[Option<f64>]) -> Vec<Option<f64>> {
        let worst = |chunk: &[Option<f64>]| chunk.iter().flatten().copied().reduce(f64::max);
        values.chunks(self.width as usize).map(worst).collect()
    }

    /// `part` of `whole`, 0–100. None where there was nothing.
    fn share(self, part: &[u64], whole: &[u64]) -> Vec<Option<f64>> {
        let width = self.width as usize;
        let sums = part.chunks(width).zip(whole.chunks(width));
        let sum = |chunk: &[u64]| chunk.iter().sum::<u64>();
        sums.map(|(part, whole)| match sum(whole) {
            0 => None,
            n => Some(sum(part) as f64 / n as f64 * 100.0),
        })
        .collect()
    }
}

fn layer(name: &str, tone: Tone, shape: Shape, values: Vec<Option<f64>>) -> Layer {
    Layer { name: name.to_owned(), tone, texture: Texture::Plain, shape, values }
}

fn figures(layers: &[Layer]) -> impl Iterator<Item = f64> + Clone {
    layers.iter().flat_map(|layer| layer.values.iter().copied().flatten())
}

fn load(series: &Series, buckets: Buckets) -> Lane {
    let mut layers = vec![
        layer("due", Tone::Sky, Shape::Area, buckets.mean(&series.due)),
        layer("sent", Tone::Blue, Shape::Step, buckets.mean(&series.sent)),
    ];
    // After the last phase only answers are waited for.
    let over = series.phases.last().map_or(f64::INFINITY, |phase| phase.end);
    for layer in &mut layers {
        let starts = (0..).map(|i| f64::from(i * buckets.width));
        let past = layer.values.iter_mut().zip(starts).filter(|(_, start)| *start >= over);
        past.filter(|(value, _)| **value == Some(0.0)).for_each(|(value, _)| *value = None);
    }
    let scale = Scale::linear(figures(&layers));
    Lane {
        id: "load",
        title: "Load",
        unit: "requests/s",
        kind: Kind::Chart(Chart { scale, layers, limits: vec![] }),
    }
}

fn latency(plan: &Plan, series: &Series, buckets: Buckets) -> Lane {
    let (felt, percentiles) = series.felt();
    let layers = vec![
        layer("p99", Tone::Purple, Shape::Dashed, buckets.worst(&percentiles.p99)),
        layer("p95", Tone::Vermillion, Shape::Line, buckets.worst(&percentiles.p95)),
        layer("p50", Tone::Blue, Shape::Line, buckets.worst(&percentiles.p50)),
    ];
    let limits: Vec<Limit> = latency_limits(plan, series)
        .into_iter()
        .map(|(start, end, threshold)| Limit {
            name: threshold.to_string(),
            value: threshold.limit.as_secs_f64() * 1e3,
            start,
            end,
        })
        .collect();
    let heights: Vec<f64> = figures(&layers).chain(limits.iter().map(|limit| limit.value)).collect();
    let scale = Scale::latency(heights.into_iter());
    let kind = Kind::Chart(Chart { scale, layers, limits });
    Lane { id: "latency", title: felt.as_str(), unit: "successes", kind }
}

/// Objectives on the latency that is drawn: where they hold on the clock, in
/// seconds, and what they say.
pub(in crate::report) fn latency_limits(plan: &Plan, series: &Series) -> Vec<(f64, f64, LatencyThreshold)> {
    let (felt, _) = series.felt();
    let limits = plan.checks.iter().filter_map(|check| match &check.subject {
        Subject::Slo { slo, phase } => {
            let limit = felt.limit(&slo.objective)?;
            let band = series.phases.iter().find(|band| band.name == phase.as_str())?;
            Some((band.start, band.end, limit))
        }
        Subject::Expectation(_) | Subject::Fault(_) | Subject::Generator | Subject::Capacity { .. } => None,
    });
    limits.collect()
}

/// Classes that are drawn as one, from the bottom.
const FAMILIES: [(&str, Tone, Texture, &[Outcome]); 7] = [
    ("ok", Tone::Green, Texture::Plain, &[Outcome::Ok]),
    ("shed", Tone::Yellow, Texture::Plain, &[Outcome::Shed]),
    ("HTTP error", Tone::Vermillion, Texture::Plain, &[Outcome::Http4xx, Outcome::Http5xx]),
    (
        "connection",
        Tone::Vermillion,
        Texture::Hatched,
        &[Outcome::ConnectRefused, Outcome::ConnectTimeout, Outcome::Reset],
    ),
    ("too slow", Tone::Purple, Texture::Plain, &[Outcome::Timeout, Outcome::Stalled]),
    (
        "broken answer",
        Tone::Orange,
        Texture::Hatched,
        &[
            Outcome::Truncated,
            Outcome::InBandError,
            Outcome::Short,
            Outcome::Discontinuous,
            Outcome::Malformed,
            Outcome::Mismatch,
        ],
    ),
    ("cancelled", Tone::Grey, Texture::Hatched, &[Outcome::Cancelled]),
];

fn outcomes(series: &Series, buckets: Buckets) -> Lane {
    let seconds = series.seconds as usize;
    let mut total = vec![0; seconds];
    let layers: Vec<Layer> = FAMILIES
        .into_iter()
        .filter_map(|(name, tone, texture, classes)| {
            let mut counts = vec![0; seconds];
            for by_second in classes.iter().filter_map(|class| series.outcomes.get(class)) {
                for (sum, n) in counts.iter_mut().zip(by_second) {
                    *sum += n;
                }
            }
            total.iter_mut().zip(&counts).for_each(|(sum, n)| *sum += n);
            let occurs = counts.iter().any(|&n| n > 0);
            let shape = Shape::Stack;
            occurs.then(|| Layer {
                name: name.to_owned(),
                tone,
                texture,
                shape,
                values: buckets.mean(&counts),
            })
        })
        .collect();
    let scale = Scale::linear(buckets.mean(&total).into_iter().flatten());
    let chart = Chart { scale, layers, limits: vec![] };
    Lane { id: "outcomes", title: "Outcomes", unit: "requests/s", kind: Kind::Chart(chart) }
}

fn percent_lane(id: &'static str, title: &'static str, unit: &'static str, layers: Vec<Layer>) -> Lane {
    let scale = Scale::Linear { max: 100.0 };
    Lane { id, title, unit, kind: Kind::Chart(Chart { scale, layers, limits: vec![] }) }
}

/// What did not come from the model: the cache's share, the fallback's share.
fn shares(series: &Series, buckets: Buckets) -> Option<Lane> {
    let asked: Vec<u64> = series.cache_hits.iter().zip(&series.cache_misses).map(|(a, b)| a + b).collect();
    let mut layers = Vec::new();
    if asked.iter().any(|&n| n > 0) {
        layers.push(layer("cache hits", Tone::Green, Shape::Area, buckets.share(&series.cache_hits, &asked)));
    }
    if series.fallback.iter().any(|&n| n > 0) {
        let mut all = vec![0; series.seconds as usize];
        for by_second in series.outcomes.values() {
            all.iter_mut().zip(by_second).for_each(|(sum, n)| *sum += n);
        }
        layers.push(layer("fallback", Tone::Orange, Shape::Step, buckets.share(&series.fallback, &all)));
    }
    (!layers.is_empty()).then(|| percent_lane("cache", "Cache, fallback", "% of requests", layers))
}

fn versions(series: &Series, buckets: Buckets) -> Option<Lane> {
    // One version, and nothing rolled out: that is no story.
    if series.versions.len() < 2 && series.rollout.is_empty() {
        return None;
    }
    let mut all = vec![0; series.seconds as usize];
    for by_second in series.versions.values() {
        all.iter_mut().zip(by_second).for_each(|(sum, n)| *sum += n);
    }
    let looks = [
        (Tone::Sky, Texture::Plain),
        (Tone::Orange, Texture::Hatched),
        (Tone::Purple, Texture::Plain),
        (Tone::Green, Texture::Hatched),
        (Tone::Grey, Texture::Plain),
    ];
    let layers: Vec<Layer> = series
        .versions
        .iter()
        .zip(looks.into_iter().cycle())
        .map(|((version, by_second), (tone, texture))| Layer {
            name: version.to_string(),
            tone,
            texture,
            shape: Shape::Stack,
            values: buckets.share(by_second, &all),
        })
        .collect();
    (!layers.is_empty()).then(|| percent_lane("versions", "Versions", "% of answers", layers))
}
