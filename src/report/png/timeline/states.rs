//! Lanes with states: breakers, the rollout, pods, blind spots.

use indexmap::{IndexMap, IndexSet};

use super::{Pen, area_key, curves::steps};
use crate::{
    journal::event::RolloutPhase,
    report::{
        png::{
            font,
            scale::Scale,
            scene::{Fill, Point, Stroke},
            theme::{Paint, Pattern},
        },
        text,
    },
    verdict::series::{Band, RolloutBand},
};

/// More rows than this are not drawn.
const MOST: usize = 16;

/// States of each breaker.
pub(super) fn breakers(pen: &mut Pen<'_>) {
    let all = &pen.source.series.breakers;
    if all.is_empty() {
        return;
    }
    // With many, those that did something come first.
    let quiet = |bands: &[Band]| bands.iter().all(|band| band.state == "closed");
    let mut shown: Vec<(&String, &Vec<Band>)> = all.iter().collect();
    if shown.len() > MOST {
        shown.sort_by_key(|(_, bands)| quiet(bands));
        shown.truncate(MOST);
    }
    let (size, left_out) = (pen.layout.text, all.len() - shown.len());
    let keys = [
        area_key("closed", Paint::Closed, Pattern::Plain),
        area_key("half-open", Paint::HalfOpen, Pattern::Hatch),
        area_key("open", Paint::Opened, Pattern::Plain),
    ];
    let row = size * 1.4;
    let top = pen.begin("Breakers", "", &[]) + size * 1.7;
    let mut x = pen.left;
    for key in &keys {
        pen.key((x, top - size * 0.7), key, 200.0);
        x += size * 2.6 + font::width(&key.name, size * 0.9, false);
    }
    for (i, (name, bands)) in shown.iter().enumerate() {
        let middle = top + row * (i as f64 + 0.5);
        bands.iter().for_each(|band| state(pen, band, middle));
        let name = font::fit(name, size * 0.9, false, pen.layout.gutter - size);
        pen.small((0.0, middle + size * 0.33), &name);
    }
    let rows = shown.len() as f64;
    if left_out > 0 {
        pen.small((0.0, top + row * (rows + 0.7)), &format!("and {left_out} more"));
    }
    pen.end(top, row * (rows + if left_out > 0 { 1.0 } else { 0.0 }));
}

fn state(pen: &mut Pen<'_>, band: &Band, middle: f64) {
    let size = pen.layout.text;
    let (x0, x1) = (pen.x(band.start), pen.x(band.end));
    let (fill, tall) = match band.state.as_str() {
        "closed" => (Fill::plain(Paint::Closed), 3.0),
        "half-open" => (Fill::with(Paint::HalfOpen, Pattern::Hatch), size),
        _ => (Fill::plain(Paint::Opened), size * 1.1),
    };
    let wide = (x1 - x0).max(1.5);
    pen.scene.rect((x0, middle - tall / 2.0), (wide, tall), fill);
    if band.state == "open" {
        pen.inside((x0, x1), middle + size * 0.3, "open", Paint::Panel);
    }
}

/// Answers by version, and the rollout's phases.
pub(super) fn rollout(pen: &mut Pen<'_>) {
    let (bands, columns) = (&pen.source.series.rollout, pen.source.columns);
    // One version, and nothing rolled out: that is no story.
    if bands.is_empty() && columns.versions.len() < 2 {
        return;
    }
    let looks = [
        (Paint::Stable, Pattern::Plain),
        (Paint::Other, Pattern::Plain),
        (Paint::Other, Pattern::Hatch),
        (Paint::Other, Pattern::Cross),
    ];
    let look = |i: usize| looks[i.min(looks.len() - 1)];
    let keys: Vec<_> = columns
        .versions
        .keys()
        .enumerate()
        .map(|(i, version)| area_key(version.as_str(), look(i).0, look(i).1))
        .collect();
    let size = pen.layout.text;
    let top = pen.begin("Rollout", "answers by version", &keys[..keys.len().min(4)]);
    // One below the other, where several things are rolled out.
    let of: IndexSet<_> = bands.iter().map(|band| &band.of).collect();
    let strip = size * 1.5 * of.len() as f64;
    let height = pen.at_least(52.0, keys.len().min(4) + 1).max(strip + 26.0) - strip;
    let several = of.len() > 1;
    for (row, of) in of.into_iter().enumerate() {
        let whose = of.as_ref().filter(|_| several).map_or(String::new(), |of| format!("{of}: "));
        for band in merged(bands.iter().filter(|band| band.of == *of)) {
            phase(pen, &band, (top + size * 1.5 * row as f64, size * 1.3), &whose);
        }
    }
    let (plot, scale) = (top + strip, Scale::linear(1.0, 2).with_ticks(vec![0.0, 1.0]));
    let y = |value: f64| plot + height * (1.0 - scale.at(value));
    pen.grid(&scale, plot, height, text::percent);
    let total: Vec<f64> = (0..columns.len()).map(|i| columns.versions.values().map(|v| v[i]).sum()).collect();
    let mut low = vec![0.0; columns.len()];
    for (i, values) in columns.versions.values().enumerate() {
        let share =
            values.iter().zip(&total).map(|(value, total)| if *total > 0.0 { value / total } else { 0.0 });
        let high: Vec<f64> = low.iter().zip(share).map(|(low, share)| low + share).collect();
        for points in steps(pen, &low, &high, y) {
            pen.scene.area(points, Fill::with(look(i).0, look(i).1));
        }
        low = high;
    }
    pen.end(top, strip + height);
}

/// Bands of one phase after another are one.
fn merged<'b>(bands: impl Iterator<Item = &'b RolloutBand>) -> Vec<RolloutBand> {
    let mut merged: Vec<RolloutBand> = Vec::new();
    for band in bands {
        match merged.last_mut() {
            Some(last) if (last.phase, &last.candidate) == (band.phase, &band.candidate) => {
                last.end = band.end;
                last.weight = last.weight.max(band.weight);
            }
            _ => merged.push(band.clone()),
        }
    }
    merged
}

fn phase(pen: &mut Pen<'_>, band: &RolloutBand, (top, tall): (f64, f64), whose: &str) {
    let candidate = band.candidate.as_ref().map(|version| version.as_str()).unwrap_or_default();
    let (fill, ink, text) = match band.phase {
        RolloutPhase::Stable => {
            (Fill::soft(Paint::Stable, 0.5), Paint::Ink, format!("stable {}", band.stable))
        }
        RolloutPhase::Progressing => {
            (Fill::soft(Paint::Deploy, 0.25), Paint::Ink, format!("canary {candidate}"))
        }
        RolloutPhase::RollingBack => (Fill::plain(Paint::Opened), Paint::Panel, "rolling back".to_owned()),
        RolloutPhase::RolledBack => {
            (Fill::soft(Paint::Cache, 0.3), Paint::Ink, format!("rolled back to {}", band.stable))
        }
        RolloutPhase::Promoted => {
            (Fill::soft(Paint::Deploy, 0.6), Paint::Ink, format!("promoted {}", band.stable))
        }
    };
    let (x0, x1) = (pen.x(band.start), pen.x(band.end));
    pen.scene.rect((x0, top), (x1 - x0, tall), fill);
    pen.inside((x0, x1), top + tall * 0.74, &format!("{whose}{text}"), ink);
}

/// Pods that were ready.
pub(super) fn pods(pen: &mut Pen<'_>) {
    let steps = &pen.source.series.pods_ready;
    let most = steps.iter().map(|step| step.ready.max(step.listed)).max().unwrap_or(0);
    if most == 0 {
        return;
    }
    let top = pen.begin("Pods", "ready", &[]);
    let height = pen.at_least(36.0, 0);
    let scale = Scale::linear(f64::from(most), 1).with_ticks(vec![0.0, f64::from(most)]);
    let y = |value: f64| top + height * (1.0 - scale.at(value));
    pen.grid(&scale, top, height, |tick| format!("{tick:.0}"));
    let mut line: Vec<Point> = Vec::new();
    for (i, step) in steps.iter().enumerate() {
        let until = steps.get(i + 1).map_or(pen.end, |next| next.at);
        let at = y(f64::from(step.ready));
        line.extend([(pen.x(step.at), at), (pen.x(until), at)]);
    }
    let (first, last) = (line[0].0, line[line.len() - 1].0);
    let mut points = line.clone();
    points.extend([(last, y(0.0)), (first, y(0.0))]);
    pen.scene.area(points, Fill::soft(Paint::Ready, 0.2));
    pen.scene.line(line, Stroke::solid(Paint::Ready, 1.8));
    pen.end(top, height);
}

/// Where sources of signals did not answer.
pub(super) fn blind(pen: &mut Pen<'_>) {
    let mut rows: IndexMap<&str, Vec<&Band>> = IndexMap::new();
    pen.source.series.blind.iter().for_each(|band| rows.entry(&band.name).or_default().push(band));
    if rows.is_empty() {
        return;
    }
    let size = pen.layout.text;
    let row = size * 1.4;
    let top = pen.begin("No signal", "", &[]) + size * 1.5;
    let drawn = rows.len().min(MOST);
    for (i, (name, bands)) in rows.iter().take(MOST).enumerate() {
        let middle = top + row * (i as f64 + 0.5);
        for band in bands {
            let (x0, x1) = (pen.x(band.start), pen.x(band.end));
            let fill = Fill::with(Paint::Blind, Pattern::Hatch);
            pen.scene.rect((x0, middle - size / 2.0), ((x1 - x0).max(1.5), size), fill);
        }
        let name = font::fit(name, size * 0.9, false, pen.layout.gutter - size);
        pen.small((0.0, middle + size * 0.33), &name);
    }
    pen.end(top, row * drawn as f64);
}
