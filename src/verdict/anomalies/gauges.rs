//! The series that sources of signals tell.

use indexmap::IndexMap;

use super::{
    measures::{GAUGES, Measure},
    robust::ENOUGH,
    tracks::{Grid, Track, WIDTHS},
};
use crate::verdict::{counters, facts::Facts};

/// One gauge's samples: second and value.
struct Series {
    measure: &'static Measure,
    points: Vec<(u64, f64)>,
}

/// Their gauges: means of the samples in each bin.
pub(super) fn tracks<'a>(facts: &Facts<'a>, grid: Grid) -> Vec<Track<'a>> {
    let mut tracks = Vec::new();
    for (source, samples) in &facts.samples {
        let mut series: IndexMap<&str, Series> = IndexMap::new();
        for (seen, values) in samples {
            for (key, value) in values.iter().filter(|(_, value)| value.is_finite()) {
                let Some(gauge) = GAUGES.iter().find(|gauge| gauge.metric == counters::name(key)) else {
                    continue;
                };
                let points = &mut series
                    .entry(key)
                    .or_insert_with(|| Series { measure: gauge.measure, points: Vec::new() })
                    .points;
                points.push((seen.by.second().into(), value * gauge.times));
            }
        }
        for Series { measure, points } in series.into_values() {
            let in_bins = |grid: Grid| {
                let mut bins: Vec<Vec<f64>> = vec![Vec::new(); grid.bins()];
                for (second, value) in &points {
                    if let Some(index) = grid.bin(*second) {
                        bins[index].push(*value);
                    }
                }
                let mean = |values: &Vec<f64>| {
                    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
                };
                let means: Vec<Option<f64>> = bins.iter().map(mean).collect();
                let usual = means.iter().take(grid.usual()).flatten().count();
                (usual >= ENOUGH).then(|| grid.track(measure, Some(*source), &means))
            };
            // The widest that still leaves enough: gauges jump.
            tracks.extend(WIDTHS.into_iter().rev().find_map(|width| in_bins(Grid { width, ..grid })));
        }
    }
    tracks
}
