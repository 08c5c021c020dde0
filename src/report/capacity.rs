//! A capacity search as a picture: rate across, latency and goodput upwards,
//! the knee marked. Only where things are; each format draws it its own way.

use super::{Input, text, timeline::Scale};
use crate::{plan::capacity::StepResult, verdict::model::CapacityFigures};

/// A rate that was tried; of a repeated one, its last word.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Point {
    /// Where it is, 0–1.
    pub(super) x: f64,
    /// Its rate, per second.
    pub(super) rate: f64,
    /// The latency, ms. None: among the failures.
    pub(super) latency_ms: Option<f64>,
    /// Share that was good, 0–1.
    pub(super) goodput: Option<f64>,
    /// How it came out.
    pub(super) result: StepResult,
}

/// The picture.
#[derive(Debug)]
pub(super) struct Picture<'a> {
    /// The figures that it is made of.
    pub(super) figures: &'a CapacityFigures,
    /// By rate.
    pub(super) points: Vec<Point>,
    /// Rates that the axis names.
    pub(super) ticks: Vec<(f64, String)>,
    /// Heights of latencies, in ms.
    pub(super) latency: Scale,
    /// Where the highest rate that held is.
    pub(super) knee: Option<f64>,
    /// Where the lowest rate that broke is.
    pub(super) beyond: Option<f64>,
    /// What is at the knee, in words.
    pub(super) label: String,
}

/// Names of an axis are at least this far apart.
const APART: f64 = 0.055;

/// The picture of a run's search, if it had one with steps.
pub(super) fn picture<'a>(input: &Input<'a>) -> Option<Picture<'a>> {
    let figures = input.verdict.capacity.as_ref().filter(|figures| !figures.steps.is_empty())?;
    let mut rates: Vec<f64> = figures.steps.iter().map(|step| step.rate).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    let (least, most) = (rates[0], rates[rates.len() - 1]);
    // Equal factors are equal distances where the search went far.
    let log = most > least * 4.0;
    let across = |rate: f64| {
        let share =
            if log { (rate / least).ln() / (most / least).ln() } else { (rate - least) / (most - least) };
        // A margin on both sides, so that no point is on the edge.
        0.04 + 0.92 * if share.is_finite() { share } else { 0.5 }
    };
    let points = rates.iter().filter_map(|rate| {
        let step = figures.steps.iter().rev().find(|step| step.rate == *rate)?;
        let (latency_ms, goodput, result) = (step.latency_ms, step.goodput, step.result);
        Some(Point { x: across(*rate), rate: *rate, latency_ms, goodput, result })
    });
    let points: Vec<Point> = points.collect();
    let latencies = points.iter().filter_map(|point| point.latency_ms).chain(figures.limit_ms);
    // The knee is named whatever it displaces.
    let mut named: Vec<f64> = figures.holds.into_iter().collect();
    for rate in &rates {
        if named.iter().all(|other| (across(*other) - across(*rate)).abs() >= APART) {
            named.push(*rate);
        }
    }
    named.sort_by(f64::total_cmp);
    let ticks = named.into_iter().map(|rate| (across(rate), text::figure(rate, "/s"))).collect();
    Some(Picture {
        latency: Scale::latency(latencies.collect::<Vec<_>>().into_iter()),
        ticks,
        knee: figures.holds.map(across),
        beyond: figures.breaks.map(across),
        label: label(figures),
        points,
        figures,
    })
}

fn label(figures: &CapacityFigures) -> String {
    let rate = |rate: f64| text::figure(rate, "/s");
    match (figures.holds, figures.breaks, figures.invalid) {
        (Some(holds), _, Some(invalid)) => {
            format!("holds at {}; at {} the generator did not keep up", rate(holds), rate(invalid))
        }
        (Some(holds), Some(breaks), None) => {
            let broke = figures.broke.as_deref().unwrap_or("an SLO");
            format!("knee: holds at {}, {broke} breaks at {}", rate(holds), rate(breaks))
        }
        (Some(holds), None, None) => format!("holds up to {}, where the search ended", rate(holds)),
        (None, Some(breaks), _) => format!("breaks at {} already", rate(breaks)),
        (None, None, _) => "no step decided".to_owned(),
    }
}

/// A result in one word.
pub(super) fn word(result: StepResult) -> &'static str {
    match result {
        StepResult::Holds => "holds",
        StepResult::Breaks => "breaks",
        StepResult::Undecided => "undecided",
        StepResult::Invalid => "does not count",
    }
}
