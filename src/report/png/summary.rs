//! The whole run in one picture.

use super::{
    columns::Columns,
    font,
    scene::{Anchor, Fill, Point, Scene, Stroke, Text},
    theme::Paint,
    timeline::{self, Lane, Layout, Source},
};
use crate::{
    report::{Input, figures, text},
    verdict::model::{CheckVerdict, Verdict},
};

/// The picture's size in pixels, and the margin within it.
const SIZE: (f64, f64) = (1600.0, 900.0);
const MARGIN: f64 = 44.0;
/// Where the reasons begin, right of the verdict.
const REASONS: f64 = 470.0;
/// Checks that are named, at most.
const NAMED: usize = 4;
/// Lanes that go first where there is no room for all.
const SPARE: [Lane; 5] = [Lane::Blind, Lane::Fallback, Lane::Pods, Lane::Cache, Lane::Load];

/// Draws it.
pub(super) fn scene(input: &Input<'_>) -> Scene {
    let mut scene = Scene::new(SIZE.0, SIZE.1);
    let top = banner(&mut scene, input);
    let top = key_figures(&mut scene, input, top + 24.0);
    clock(&mut scene, input, top + 22.0);
    foot(&mut scene, input);
    scene
}

fn write(scene: &mut Scene, at: Point, text: &str, size: f64, bold: bool, paint: Paint) {
    scene.text(Text { at, text: text.to_owned(), size, anchor: Anchor::Start, bold, paint });
}

/// Verdict, scenario and reasons; gives where they end.
fn banner(scene: &mut Scene, input: &Input<'_>) -> f64 {
    let verdict = input.verdict.verdict;
    let (paint, soft) = Paint::of_verdict(verdict);
    let room = SIZE.0 - MARGIN - REASONS;
    let mut lines = Scene::new(SIZE.0, 0.0);
    let name = font::fit(&text::printable(&input.verdict.scenario), 32.0, true, room);
    write(&mut lines, (REASONS, 60.0), &name, 32.0, true, Paint::Ink);
    let mut y = 60.0;
    if let Some(line) = facts(input, room) {
        y += 28.0;
        write(&mut lines, (REASONS, y), &line, 17.0, false, Paint::Muted);
    }
    y += 8.0;
    for reason in reasons(input) {
        for (i, line) in font::wrap(&reason, 19.0, false, room - 22.0, 2).iter().enumerate() {
            y += 27.0;
            if i == 0 {
                scene_dot(&mut lines, (REASONS + 5.0, y - 6.5), paint);
            }
            write(&mut lines, (REASONS + 22.0, y), line, 19.0, false, Paint::Ink);
        }
    }
    let bottom = (y + 26.0).max(146.0);
    scene.rect((0.0, 0.0), (SIZE.0, bottom), Fill::plain(soft));
    scene.rect((0.0, 0.0), (12.0, bottom), Fill::plain(paint));
    icon(scene, verdict, (MARGIN + 36.0, 66.0), 32.0);
    let word = text::word(verdict);
    let size = if word.len() > 8 { 36.0 } else { 50.0 };
    write(scene, (MARGIN + 84.0, 66.0 + size * 0.36), word, size, true, paint);
    let tally = font::fit(&tally(input), 17.0, false, REASONS - MARGIN - 24.0);
    write(scene, (MARGIN + 4.0, 128.0), &tally, 17.0, false, Paint::Ink);
    scene.place(lines, (0.0, 0.0));
    bottom
}

fn scene_dot(scene: &mut Scene, (x, y): Point, paint: Paint) {
    scene.pill((x - 4.0, y - 4.0), (8.0, 8.0), 4.0, Fill::plain(paint));
}

/// When, how long, against what.
fn facts(input: &Input<'_>, room: f64) -> Option<String> {
    let facts = format!(
        "{}  ·  {}  ·  {}  ·  seed {}",
        figures::when(input),
        text::secs(input.series.end),
        text::printable(&figures::target(input)),
        input.verdict.seed
    );
    Some(font::fit(&facts, 17.0, false, room)).filter(|text| !text.is_empty())
}

/// How many checks hold.
fn tally(input: &Input<'_>) -> String {
    let checks = &input.verdict.checks;
    let count = |wanted| checks.iter().filter(|check| check.verdict == wanted).count();
    let (held, failed, open) = (count(Verdict::Pass), count(Verdict::Fail), count(Verdict::Inconclusive));
    let mut parts = vec![format!("{held} of {} checks hold", checks.len())];
    parts.extend((failed > 0).then(|| format!("{failed} failed")));
    parts.extend((open > 0).then(|| format!("{open} open")));
    parts.join(", ")
}

/// What decided: the checks that do not hold, reactions first; or the
/// sentence of the verdict.
fn reasons(input: &Input<'_>) -> Vec<String> {
    let verdict = input.verdict;
    let decisive = |check: &&CheckVerdict| check.verdict == verdict.verdict;
    let mut checks: Vec<&CheckVerdict> = verdict.checks.iter().filter(decisive).collect();
    checks.sort_by_key(|check| !text::is_expectation(check));
    let sentence = text::printable(&verdict.why);
    match verdict.verdict {
        Verdict::Pass | Verdict::Aborted => vec![sentence],
        Verdict::Fail | Verdict::Inconclusive if checks.is_empty() => vec![sentence],
        // The run as a whole says more than any check that it left open.
        Verdict::Inconclusive if !verdict.why.contains(checks[0].why.as_str()) => vec![sentence],
        Verdict::Fail | Verdict::Inconclusive => {
            let most = if checks.len() > NAMED { NAMED - 1 } else { NAMED };
            let named = checks.iter().take(most).map(|check| {
                let place = check.phase.as_ref().map(|phase| format!(" in {phase}")).unwrap_or_default();
                text::printable(&format!("{}{place}: {}", capital(&check.title), check.why))
            });
            let more = checks.len().saturating_sub(most);
            named.chain((more > 0).then(|| format!("and {more} more"))).collect()
        }
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// A verdict's sign, by its shape too.
fn icon(scene: &mut Scene, verdict: Verdict, (x, y): Point, r: f64) {
    let paint = Paint::of_verdict(verdict).0;
    let around = |corners: u32, turn: f64| -> Vec<Point> {
        (0..corners)
            .map(|i| (f64::from(i) + turn) * std::f64::consts::TAU / f64::from(corners))
            .map(|angle| (x + r * angle.cos(), y + r * angle.sin()))
            .collect()
    };
    let stroke = Stroke::solid(Paint::Panel, r * 0.17);
    let at = |dx: f64, dy: f64| (x + dx * r, y + dy * r);
    match verdict {
        Verdict::Pass => {
            scene.area(around(64, 0.0), Fill::plain(paint));
            scene.line(vec![at(-0.42, 0.04), at(-0.12, 0.34), at(0.44, -0.3)], stroke);
        }
        Verdict::Fail => {
            scene.area(around(8, 0.5), Fill::plain(paint));
            scene.line(vec![at(-0.34, -0.34), at(0.34, 0.34)], stroke);
            scene.line(vec![at(-0.34, 0.34), at(0.34, -0.34)], stroke);
        }
        Verdict::Inconclusive => {
            scene.area(around(4, 0.0), Fill::plain(paint));
            let (text, size) = ("?".to_owned(), r * 1.05);
            let at = (x, y + size * 0.36);
            scene.text(Text { at, text, size, anchor: Anchor::Middle, bold: true, paint: Paint::Panel });
        }
        Verdict::Aborted => {
            scene.area(around(4, 0.5), Fill::plain(paint));
            scene.rect(at(-0.3, -0.3), (r * 0.6, r * 0.6), Fill::plain(Paint::Panel));
        }
    }
}

/// The figures in a row; gives where they end.
fn key_figures(scene: &mut Scene, input: &Input<'_>, top: f64) -> f64 {
    let all = figures::key_figures(input);
    let gap = 14.0;
    // The figure that is two needs the room of one and a half.
    let parts: Vec<f64> =
        all.iter().map(|figure| if figure.value.contains('→') { 1.6 } else { 1.0 }).collect();
    let unit = (SIZE.0 - 2.0 * MARGIN - gap * (all.len() as f64 - 1.0)) / parts.iter().sum::<f64>();
    let mut x = MARGIN;
    for (figure, part) in all.iter().zip(&parts) {
        let (wide, inner) = (unit * part, unit * part - 24.0);
        scene.pill((x, top), (wide, 92.0), 8.0, Fill::plain(Paint::Shade));
        let paint = if figure.bad { Paint::of_verdict(input.verdict.verdict).0 } else { Paint::Ink };
        let largest = [26.0, 24.0, 22.0, 20.0, 18.0, 16.0].into_iter();
        let size =
            largest.into_iter().find(|size| font::width(&figure.value, *size, true) <= inner).unwrap_or(14.0);
        let note = font::fit(&figure.note, 12.5, false, inner);
        write(scene, (x + 12.0, top + 24.0), figure.label, 14.0, false, Paint::Muted);
        write(scene, (x + 12.0, top + 56.0), &font::fit(&figure.value, size, true, inner), size, true, paint);
        write(scene, (x + 12.0, top + 78.0), &note, 12.5, false, Paint::Muted);
        x += wide + gap;
    }
    top + 92.0
}

/// The timeline, as tall as there is room for.
fn clock(scene: &mut Scene, input: &Input<'_>, top: f64) {
    let columns = Columns::of(input.series);
    let source = Source { plan: input.plan, series: input.series, columns: &columns };
    let room = SIZE.1 - 34.0 - top;
    let mut lanes: Vec<Lane> = Lane::ALL.to_vec();
    let mut spare = SPARE.into_iter();
    loop {
        let talls = (5..=16).rev().map(|tenth| f64::from(tenth) / 10.0);
        let drawn = talls.map(|tall| {
            let layout = Layout { width: SIZE.0 - 2.0 * MARGIN, gutter: 150.0, text: 13.0, tall };
            timeline::draw(source, &lanes, layout)
        });
        let fits = drawn.into_iter().find(|drawn| drawn.height <= room);
        match (fits, spare.next()) {
            (Some(drawn), _) => return scene.place(drawn, (MARGIN, top)),
            (None, Some(lane)) => lanes.retain(|kept| *kept != lane),
            (None, None) if lanes.len() > 2 => drop(lanes.pop()),
            (None, None) => return,
        }
    }
}

fn foot(scene: &mut Scene, input: &Input<'_>) {
    let (at, paint) = ((SIZE.0 - MARGIN, SIZE.1 - 14.0), Paint::Muted);
    let text = font::fit(&format!("Firedrill · {}", input.verdict.run), 12.0, false, SIZE.0 / 2.0);
    scene.text(Text { at, text, size: 12.0, anchor: Anchor::End, bold: false, paint });
}
