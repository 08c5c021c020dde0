//! Lanes with curves: load, latency, outcomes, cache, fallback.

use super::{Key, Look, Pen, area_key};
use crate::{
    journal::interval::Outcome,
    report::{
        png::{
            font,
            scale::Scale,
            scene::{Anchor, Fill, Point, Stroke, Text},
            theme::{self, Paint, Pattern},
        },
        text,
        timeline::latency_limits,
    },
};

/// A curve's points, in pieces where there are figures.
fn pieces(pen: &Pen<'_>, values: &[Option<f64>], y: impl Fn(f64) -> f64) -> Vec<Vec<Point>> {
    let columns = pen.source.columns;
    let mut pieces: Vec<Vec<Point>> = vec![Vec::new()];
    for (i, value) in values.iter().enumerate() {
        let (from, to) = columns.span(i);
        match (value, pieces.last_mut()) {
            (Some(value), Some(piece)) => piece.push((pen.x((from + to) / 2.0), y(*value))),
            (None, Some(piece)) if !piece.is_empty() => pieces.push(Vec::new()),
            _ => {}
        }
    }
    // A figure alone is a short dash.
    for piece in &mut pieces {
        if let [(x, y)] = piece[..] {
            *piece = vec![(x - 2.0, y), (x + 2.0, y)];
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Steps between two curves by column, as an area. `None` is nothing.
pub(super) fn steps(pen: &Pen<'_>, low: &[f64], high: &[f64], y: impl Fn(f64) -> f64) -> Vec<Vec<Point>> {
    let mut areas = Vec::new();
    let mut i = 0;
    while i < high.len() {
        if high[i] <= low[i] {
            i += 1;
            continue;
        }
        let from = i;
        while i < high.len() && high[i] > low[i] {
            i += 1;
        }
        let edge = |values: &[f64], column: usize| {
            let (start, end) = pen.source.columns.span(column);
            [(pen.x(start), y(values[column])), (pen.x(end), y(values[column]))]
        };
        let mut points: Vec<Point> = (from..i).flat_map(|column| edge(high, column)).collect();
        points.extend((from..i).rev().flat_map(|column| {
            let [a, b] = edge(low, column);
            [b, a]
        }));
        areas.push(points);
    }
    areas
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// A tick's figure without needless decimals.
fn plain(value: f64) -> String {
    text::trimmed(value, 1)
}

/// Requests due and sent.
pub(super) fn load(pen: &mut Pen<'_>) {
    let columns = pen.source.columns;
    if columns.len() == 0 {
        return;
    }
    let sent = Stroke::solid(Paint::Sent, 2.0);
    let keys =
        [area_key("due", Paint::Due, Pattern::Plain), Key { name: "sent".into(), look: Look::Line(sent) }];
    let top = pen.begin("Load", "requests/s", &keys);
    let height = pen.at_least(64.0, keys.len());
    let scale = Scale::linear(most(&columns.due).max(most(&columns.sent)), 2);
    let y = |value: f64| top + height * (1.0 - scale.at(value));
    pen.grid(&scale, top, height, plain);
    for points in steps(pen, &vec![0.0; columns.len()], &columns.due, y) {
        pen.scene.area(points, Fill::plain(Paint::Due));
    }
    // What comes after the last phase is not load, but the rest of it.
    let over = pen.source.series.phases.last().map_or(pen.end, |phase| phase.end);
    let values = columns.sent.iter().enumerate();
    let values = values.map(|(i, sent)| (columns.span(i).0 < over || *sent > 0.0).then_some(*sent));
    let values: Vec<Option<f64>> = values.collect();
    for points in pieces(pen, &values, y) {
        pen.scene.line(points, sent);
    }
    pen.end(top, height);
}

/// Percentiles of the latency against their objectives.
pub(super) fn latency(pen: &mut Pen<'_>) {
    let columns = pen.source.columns;
    let figures = || [&columns.p50, &columns.p95, &columns.p99].into_iter().flatten().flatten().copied();
    let limits = latency_limits(pen.source.plan, pen.source.series);
    let limit_ms = |limit: &crate::units::LatencyThreshold| limit.limit.as_secs_f64() * 1e3;
    let highest = figures().chain(limits.iter().map(|(_, _, limit)| limit_ms(limit))).reduce(f64::max);
    let Some(highest) = highest else { return };
    let least = figures().filter(|ms| *ms > 0.0).reduce(f64::min).unwrap_or(highest);
    let strokes =
        [Stroke::solid(Paint::P99, 1.5), Stroke::solid(Paint::P95, 2.2), Stroke::solid(Paint::P50, 1.5)];
    let keys = ["p99", "p95", "p50"]
        .iter()
        .zip(strokes)
        .map(|(name, stroke)| Key { name: (*name).to_owned(), look: Look::Line(stroke) });
    let keys: Vec<Key> = keys.collect();
    let scale = Scale::fitting(least, highest, 3);
    let top =
        pen.begin(pen.source.series.felt().0.as_str(), if scale.is_log() { "log scale" } else { "" }, &keys);
    let height = pen.at_least(116.0, keys.len());
    let y = |value: f64| top + height * (1.0 - scale.at(value));
    pen.grid(&scale, top, height, |tick| if tick == 0.0 { "0".to_owned() } else { text::ms(tick) });
    let size = pen.layout.text * 0.85;
    for (from, to, limit) in &limits {
        let (x0, x1, y) = (pen.x(*from), pen.x(*to), y(limit_ms(limit)));
        pen.scene.line(vec![(x0, y), (x1, y)], Stroke::dashed(Paint::Limit, 1.5));
        let text = font::fit(&format!("SLO {limit}"), size, false, x1 - x0 - 8.0);
        let at = ((x0 + x1) / 2.0, if y - top < size * 1.6 { y + size * 1.15 } else { y - size * 0.4 });
        let text = Text { at, text, size, anchor: Anchor::Middle, bold: false, paint: Paint::Limit };
        pen.scene.text(text);
    }
    for (values, stroke) in [&columns.p99, &columns.p95, &columns.p50].into_iter().zip(strokes) {
        for points in pieces(pen, values, y) {
            pen.scene.line(points, stroke);
        }
    }
    pen.end(top, height);
}

/// How requests ended: what went wrong at the bottom, where it can be read.
pub(super) fn outcomes(pen: &mut Pen<'_>) {
    let columns = pen.source.columns;
    if columns.outcomes.is_empty() {
        return;
    }
    let mut order: Vec<Outcome> = columns.outcomes.keys().copied().filter(|o| *o != Outcome::Ok).collect();
    order.extend(columns.outcomes.contains_key(&Outcome::Ok).then_some(Outcome::Ok));
    let keys = order.iter().rev().map(|outcome| {
        let (paint, pattern) = theme::of_outcome(*outcome);
        area_key(outcome.as_str(), paint, pattern)
    });
    let keys: Vec<Key> = keys.collect();
    let total: Vec<f64> =
        (0..columns.len()).map(|i| columns.outcomes.values().map(|values| values[i]).sum()).collect();
    let top = pen.begin("Outcomes", "requests/s", &keys);
    let height = pen.at_least(84.0, keys.len());
    let scale = Scale::linear(most(&total), 2);
    let y = |value: f64| top + height * (1.0 - scale.at(value));
    pen.grid(&scale, top, height, plain);
    let mut low = vec![0.0; columns.len()];
    for outcome in order {
        let high: Vec<f64> = low.iter().zip(&columns.outcomes[&outcome]).map(|(a, b)| a + b).collect();
        let (paint, pattern) = theme::of_outcome(outcome);
        for points in steps(pen, &low, &high, y) {
            pen.scene.area(points, Fill::with(paint, pattern));
        }
        low = high;
    }
    pen.end(top, height);
}

/// Share of hits.
pub(super) fn cache(pen: &mut Pen<'_>) {
    let columns = pen.source.columns;
    if columns.hits.iter().all(Option::is_none) {
        return;
    }
    let top = pen.begin("Cache", "hits", &[]);
    let height = pen.at_least(40.0, 0);
    let scale = Scale::linear(1.0, 2).with_ticks(vec![0.0, 0.5, 1.0]);
    let y = |value: f64| top + height * (1.0 - scale.at(value));
    pen.grid(&scale, top, height, text::percent);
    for mut points in pieces(pen, &columns.hits, y) {
        pen.scene.line(points.clone(), Stroke::solid(Paint::Cache, 1.8));
        let (first, last) = (points[0].0, points[points.len() - 1].0);
        points.extend([(last, y(0.0)), (first, y(0.0))]);
        pen.scene.area(points, Fill::soft(Paint::Cache, 0.2));
    }
    pen.end(top, height);
}

/// Answers from the fallback.
pub(super) fn fallback(pen: &mut Pen<'_>) {
    let columns = pen.source.columns;
    if most(&columns.fallback) <= 0.0 {
        return;
    }
    let top = pen.begin("Fallback", "answers/s", &[]);
    let height = pen.at_least(36.0, 0);
    let scale = Scale::linear(most(&columns.fallback), 1);
    let y = |value: f64| top + height * (1.0 - scale.at(value));
    pen.grid(&scale, top, height, plain);
    for points in steps(pen, &vec![0.0; columns.len()], &columns.fallback, y) {
        pen.scene.area(points, Fill::plain(Paint::Deploy));
    }
    pen.end(top, height);
}
