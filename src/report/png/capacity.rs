//! The capacity search: latency and goodput over the rate, the knee marked.

use super::{
    font,
    scene::{Anchor, Fill, Point, Scene, Stroke, Text},
    theme::Paint,
};
use crate::{
    plan::capacity::StepResult,
    report::{Input, capacity, text},
    verdict::model::Verdict,
};

/// The picture's width, its margins, and the heights of its lanes, in pixels.
const WIDTH: f64 = 1600.0;
const MARGIN: f64 = 44.0;
const LEFT: f64 = 150.0;
const HEAD: f64 = 132.0;
const LATENCY: f64 = 400.0;
const GOODPUT: f64 = 150.0;
const BETWEEN: f64 = 56.0;

/// Draws it, if the run had a search.
pub(super) fn scene(input: &Input<'_>) -> Option<Scene> {
    let picture = capacity::picture(input)?;
    let mut scene = Scene::new(WIDTH, HEAD + LATENCY + BETWEEN + GOODPUT + 74.0);
    let (left, width) = (LEFT, WIDTH - LEFT - MARGIN);
    let x = |share: f64| left + width * share;
    let (tops, heights) = ([HEAD, HEAD + LATENCY + BETWEEN], [LATENCY, GOODPUT]);
    let bottom = tops[1] + heights[1];
    head(&mut scene, input, &picture.label);
    if let (Some(knee), Some(beyond)) = (picture.knee, picture.beyond) {
        // Between the two is the knee: nobody knows where.
        let size = (x(beyond) - x(knee), bottom - HEAD);
        scene.rect((x(knee), HEAD), size, Fill::plain(Paint::UnsureSoft));
    }
    let write = |scene: &mut Scene, at: Point, text: &str, size: f64, anchor, paint| {
        scene.text(Text { at, text: text.to_owned(), size, anchor, bold: false, paint });
    };
    let figures = picture.figures;
    let latency = |ms: f64| tops[0] + heights[0] * (1.0 - picture.latency.height(ms));
    let goodput = |share: f64| tops[1] + heights[1] * (1.0 - share);
    let grid: Vec<(f64, String)> = picture
        .latency
        .ticks()
        .into_iter()
        .map(|ms| (latency(ms), text::ms(ms)))
        .chain([0.0, 0.5, 1.0].map(|share| (goodput(share), text::percent(share))))
        .collect();
    for (y, label) in &grid {
        scene.line(vec![(left, *y), (left + width, *y)], Stroke::solid(Paint::Grid, 1.0));
        write(&mut scene, (left - 12.0, y + 5.0), label, 15.0, Anchor::End, Paint::Muted);
    }
    for (top, name) in tops.iter().zip([figures.measure.as_str(), "Goodput"]) {
        write(&mut scene, (MARGIN, top - 14.0), name, 17.0, Anchor::Start, Paint::Ink);
    }
    for (at, label) in &picture.ticks {
        scene.line(vec![(x(*at), bottom), (x(*at), bottom + 6.0)], Stroke::solid(Paint::Muted, 1.0));
        write(&mut scene, (x(*at), bottom + 26.0), label, 15.0, Anchor::Middle, Paint::Muted);
    }
    write(&mut scene, (left + width, bottom + 50.0), "requests per second", 15.0, Anchor::End, Paint::Muted);
    if let Some(limit) = figures.limit_ms {
        let y = latency(limit);
        scene.line(vec![(left, y), (left + width, y)], Stroke::dashed(Paint::Limit, 1.8));
        let label = format!("SLO {}", text::ms(limit));
        write(&mut scene, (left + 10.0, y - 8.0), &label, 15.0, Anchor::Start, Paint::Limit);
    }
    if let Some(knee) = picture.knee {
        let paint = Paint::of_verdict(Verdict::Pass).0;
        scene.line(vec![(x(knee), HEAD), (x(knee), bottom)], Stroke::solid(paint, 2.0));
    }
    let heights = |point: &capacity::Point| {
        [point.latency_ms.map_or(tops[0], latency), goodput(point.goodput.unwrap_or(0.0))]
    };
    for (lane, paint) in [Paint::P95, Paint::Cache].into_iter().enumerate() {
        let line = picture.points.iter().map(|point| (x(point.x), heights(point)[lane])).collect();
        scene.line(line, Stroke::solid(paint, 2.2));
        for point in &picture.points {
            dot(&mut scene, (x(point.x), heights(point)[lane]), point.result);
        }
    }
    for point in picture.points.iter().filter(|point| point.latency_ms.is_none()) {
        write(&mut scene, (x(point.x), tops[0] - 12.0), "∞", 17.0, Anchor::Middle, Paint::Ink);
    }
    Some(scene)
}

fn head(scene: &mut Scene, input: &Input<'_>, label: &str) {
    let (word, verdict) = (text::word(input.verdict.verdict), Paint::of_verdict(input.verdict.verdict).0);
    let mut write = |at, text: String, size, bold, paint, anchor| {
        scene.text(Text { at, text, size, anchor, bold, paint });
    };
    write((MARGIN, 52.0), "Capacity".to_owned(), 28.0, true, Paint::Ink, Anchor::Start);
    let label = font::fit(&text::printable(label), 19.0, false, WIDTH - 2.0 * MARGIN - 300.0);
    write((MARGIN, 84.0), label, 19.0, false, Paint::Ink, Anchor::Start);
    write((WIDTH - MARGIN, 46.0), word.to_owned(), 18.0, true, verdict, Anchor::End);
    let of = font::fit(&input.verdict.scenario, 15.0, false, 280.0);
    write((WIDTH - MARGIN, 68.0), of, 15.0, false, Paint::Muted, Anchor::End);
}

/// By its colour and by its shape: what holds is full, what breaks is hollow,
/// what says nothing is a dash.
fn dot(scene: &mut Scene, (x, y): Point, result: StepResult) {
    let paint = match result {
        StepResult::Holds => Paint::Pass,
        StepResult::Breaks => Paint::Fail,
        StepResult::Undecided => Paint::Unsure,
        StepResult::Invalid => Paint::Aborted,
    };
    let disc = |scene: &mut Scene, r: f64, paint| {
        scene.pill((x - r, y - r), (2.0 * r, 2.0 * r), r, Fill::plain(paint));
    };
    match result {
        StepResult::Holds => disc(scene, 7.0, paint),
        StepResult::Breaks => {
            disc(scene, 8.0, paint);
            disc(scene, 4.5, Paint::Panel);
        }
        StepResult::Undecided | StepResult::Invalid => {
            scene.rect((x - 8.0, y - 3.0), (16.0, 6.0), Fill::plain(paint));
        }
    }
}
