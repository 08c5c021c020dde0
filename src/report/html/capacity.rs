//! The capacity search as the template shows it: two lanes over the rate, and
//! a table of steps.

use std::fmt::Write;

use serde::Serialize;

use super::checks::{self, Card};
use crate::{
    plan::capacity::StepResult,
    report::{
        Input,
        capacity::{self, Picture, Point},
        text,
    },
    verdict::model::CheckKind,
};

/// The section.
#[derive(Debug, Serialize)]
pub(super) struct CapacityView {
    label: String,
    /// Where the knee is, and how far it is to what broke, in percent.
    knee: Option<f64>,
    gap: Option<f64>,
    lanes: Vec<LaneView>,
    ticks: Vec<Tick>,
    rows: Vec<Row>,
    cards: Vec<Card>,
}

#[derive(Debug, Serialize)]
struct LaneView {
    title: String,
    unit: &'static str,
    ticks: Vec<Tick>,
    d: String,
    tone: &'static str,
    dots: Vec<Dot>,
    limit: Option<Tick>,
}

#[derive(Debug, Serialize)]
struct Tick {
    at: f64,
    label: String,
}

#[derive(Debug, Serialize)]
struct Dot {
    left: f64,
    bottom: f64,
    class: &'static str,
    title: String,
}

#[derive(Debug, Serialize)]
struct Row {
    number: u32,
    rate: String,
    when: String,
    requests: String,
    latency: String,
    goodput: String,
    availability: String,
    class: &'static str,
    result: &'static str,
    why: String,
}

impl CapacityView {
    pub(super) fn of(input: &Input<'_>) -> Option<Self> {
        let picture = capacity::picture(input)?;
        let figures = picture.figures;
        let limit = figures.limit_ms.map(|limit| Tick {
            at: percent(picture.latency.height(limit)),
            label: format!("{} {}", figures.measure, text::ms(limit)),
        });
        let latency = LaneView {
            ticks: picture
                .latency
                .ticks()
                .into_iter()
                .map(|ms| Tick { at: percent(picture.latency.height(ms)), label: text::ms(ms) })
                .collect(),
            limit,
            ..lane(&picture, figures.measure.clone(), "blue", |point| {
                // What is among the failures is beyond the top.
                let height = point.latency_ms.map_or(1.0, |ms| picture.latency.height(ms));
                (height, point.latency_ms.map_or("∞".to_owned(), text::ms))
            })
        };
        let goodput = LaneView {
            ticks: [0.0, 0.5, 1.0]
                .map(|share| Tick { at: percent(share), label: text::percent(share) })
                .into(),
            ..lane(&picture, "Goodput".to_owned(), "green", |point| {
                (point.goodput.unwrap_or(0.0), point.goodput.map_or(text::NOTHING.to_owned(), text::percent))
            })
        };
        let share = |share: Option<f64>| share.map_or(text::NOTHING.to_owned(), text::percent);
        let rows = figures.steps.iter().map(|step| Row {
            number: step.number,
            rate: text::figure(step.rate, "/s"),
            when: format!("{} – {}", text::secs(step.start), text::secs(step.end)),
            requests: text::count(step.requests),
            latency: step.latency_ms.map_or("∞".to_owned(), text::ms),
            goodput: share(step.goodput),
            availability: share(step.availability),
            class: class(step.result),
            result: capacity::word(step.result),
            why: step.why.clone(),
        });
        let checks = input.verdict.checks.iter().enumerate();
        let cards = checks.filter(|(_, check)| check.kind == CheckKind::Capacity);
        Some(Self {
            knee: picture.knee.map(percent),
            gap: picture.knee.zip(picture.beyond).map(|(knee, beyond)| percent((beyond - knee).max(0.0))),
            ticks: picture
                .ticks
                .iter()
                .map(|(x, label)| Tick { at: percent(*x), label: label.clone() })
                .collect(),
            rows: rows.collect(),
            cards: cards.map(|(index, check)| checks::card(input, index, check)).collect(),
            lanes: vec![latency, goodput],
            label: picture.label,
        })
    }
}

fn lane(
    picture: &Picture<'_>,
    title: String,
    tone: &'static str,
    at: impl Fn(&Point) -> (f64, String),
) -> LaneView {
    let mut d = String::new();
    let mut dots = Vec::new();
    for (i, point) in picture.points.iter().enumerate() {
        let (height, shown) = at(point);
        let (left, bottom) = (percent(point.x), percent(height));
        // Writing to a String can't fail.
        let _ = write!(d, "{}{left} {}", if i == 0 { 'M' } else { 'L' }, percent(1.0 - height));
        let title = format!("{}: {shown}, {}", text::figure(point.rate, "/s"), capacity::word(point.result));
        dots.push(Dot { left, bottom, class: class(point.result), title });
    }
    LaneView { title, unit: "", ticks: Vec::new(), d, tone, dots, limit: None }
}

/// Two decimals of a percent are finer than a pixel.
fn percent(share: f64) -> f64 {
    (share * 10_000.0).round().clamp(0.0, 10_000.0) / 100.0
}

/// The class of a verdict that a result is like.
fn class(result: StepResult) -> &'static str {
    match result {
        StepResult::Holds => "pass",
        StepResult::Breaks => "fail",
        StepResult::Undecided => "inconclusive",
        StepResult::Invalid => "aborted",
    }
}
