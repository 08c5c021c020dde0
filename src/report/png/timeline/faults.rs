//! The lane of what was broken: asked for, seen to act, seen to be gone.

use indexmap::IndexMap;

use super::Pen;
use crate::{
    report::png::{
        font,
        scene::{Anchor, Fill, Mark, Text},
        theme::{Paint, Pattern},
    },
    verdict::series::FaultBar,
};

/// More rows than this are not drawn.
const MOST: usize = 24;

/// The colour of an act.
pub(super) fn paint(fault: &FaultBar) -> Paint {
    if fault.is_deploy { Paint::Deploy } else { Paint::Fault }
}

/// Acts of one schedule share a row: `kill#1`, `kill#2`…
fn rows(faults: &[FaultBar]) -> IndexMap<&str, Vec<&FaultBar>> {
    let mut rows: IndexMap<&str, Vec<&FaultBar>> = IndexMap::new();
    for fault in faults {
        let id = fault.id.as_str();
        rows.entry(id.rsplit_once('#').map_or(id, |(base, _)| base)).or_default().push(fault);
    }
    rows
}

/// Draws the lane.
pub(super) fn draw(pen: &mut Pen<'_>) {
    let rows = rows(&pen.source.series.faults);
    if rows.is_empty() {
        return;
    }
    let size = pen.layout.text;
    let (row, gutter) = (size * 1.75, pen.layout.gutter);
    let top = pen.begin("", "", &[]);
    pen.label((0.0, size * 1.35), "Faults", true, Paint::Muted);
    let left_out = rows.len().saturating_sub(MOST);
    let drawn = rows.len().min(MOST);
    for (i, (id, acts)) in rows.iter().take(MOST).enumerate() {
        let middle = top + row * (i as f64 + 0.5);
        let name = font::fit(id, size, true, gutter - size);
        pen.label((0.0, middle + size * 0.36), &name, true, Paint::Ink);
        for (j, act) in acts.iter().enumerate() {
            let room_until = acts.get(j + 1).map_or(pen.layout.width, |next| pen.x(next.due) - size);
            bar(pen, act, middle, room_until);
        }
    }
    if left_out > 0 {
        pen.small((0.0, top + row * (drawn as f64 + 0.6)), &format!("and {left_out} more"));
    }
    pen.end(top, row * (drawn as f64 + if left_out > 0 { 1.0 } else { 0.0 }));
}

/// What a bar is called: what it does, and to whom.
fn caption(fault: &FaultBar) -> String {
    let what = fault.what.split_once('/').map_or(fault.what.as_str(), |(_, action)| action);
    let mut text = what.to_owned();
    match fault.targets.as_slice() {
        [] => {}
        [one] => text = format!("{text} {one}"),
        [one, two] => text = format!("{text} {one}, {two}"),
        [one, more @ ..] => text = format!("{text} {one} and {} more", more.len()),
    }
    match fault.state.as_str() {
        "proven" => {}
        "not-requested" => text.push_str(" (never came)"),
        "recovery-failed" => text.push_str(" (not taken back!)"),
        "unproven" | "injected" | "requested" => text.push_str(" (no effect seen)"),
        state => text = format!("{text} ({state})"),
    }
    text
}

fn bar(pen: &mut Pen<'_>, fault: &FaultBar, middle: f64, room_until: f64) {
    let size = pen.layout.text;
    let (paint, tall) = (paint(fault), size * 0.95);
    let start = fault.injected.or(fault.effect.map(|(_, by)| by)).or(fault.requested).unwrap_or(fault.due);
    let (x0, x1) = (pen.x(start), pen.x(fault.bar_end.unwrap_or(start)));
    let proven = fault.effect.is_some();
    let pattern = if proven { Pattern::Plain } else { Pattern::Hatch };
    let fill =
        if fault.injected.is_some() { Fill::with(paint, pattern) } else { Fill::with(Paint::Blind, pattern) };
    pen.scene.pill((x0, middle - tall / 2.0), ((x1 - x0).max(2.0), tall), 3.0, fill);
    if let Some(requested) = fault.requested {
        pen.mark((pen.x(requested), middle), Mark::Tick, paint);
    }
    if let Some((_, by)) = fault.effect {
        pen.mark((pen.x(by), middle), Mark::Diamond, paint);
    }
    if let (Some(recovered), true) = (fault.recovered, x1 - x0 > 1.0) {
        pen.mark((pen.x(recovered), middle), Mark::Ring, paint);
    }
    let text = caption(fault);
    let small = size * 0.92;
    let wide = font::width(&text, small, false);
    let (after, before) = (x1 + size * 0.9, x0 - size * 0.9);
    let base = middle + small * 0.36;
    let (at, anchor, room) = if after + wide <= room_until || before - pen.left < room_until - after {
        ((after, base), Anchor::Start, room_until - after)
    } else {
        ((before, base), Anchor::End, before - pen.left)
    };
    let text = font::fit(&text, small, false, room);
    let text = Text { at, text, size: small, anchor, bold: false, paint: Paint::Ink };
    pen.scene.text(text);
}
