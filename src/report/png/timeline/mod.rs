//! The timeline: everything that was measured, in lanes on one clock.

mod curves;
mod faults;
mod states;

use super::{
    columns::Columns,
    font, scale,
    scene::{Anchor, Fill, Mark, Point, Scene, Shape, Stroke, Text},
    theme::{Paint, Pattern},
};
use crate::{plan::Plan, verdict::Series};

/// A lane of the timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    /// What was broken, and when it was seen to be.
    Faults,
    /// Requests due and sent.
    Load,
    /// Percentiles of the TTFT, or of the E2E latency where there are no tokens.
    Latency,
    /// How requests ended.
    Outcomes,
    /// States of each breaker.
    Breakers,
    /// Share of hits.
    Cache,
    /// Answers from the fallback.
    Fallback,
    /// Answers by version, and the rollout's phases.
    Rollout,
    /// Pods that were ready.
    Pods,
    /// Where sources of signals did not answer.
    Blind,
}

impl Lane {
    /// All, from causes to effects.
    pub(super) const ALL: [Self; 10] = [
        Self::Faults,
        Self::Load,
        Self::Latency,
        Self::Outcomes,
        Self::Breakers,
        Self::Cache,
        Self::Fallback,
        Self::Rollout,
        Self::Pods,
        Self::Blind,
    ];
}

/// How large a timeline is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Layout {
    /// In pixels.
    pub(super) width: f64,
    /// Room for names at the left.
    pub(super) gutter: f64,
    /// Em size of text.
    pub(super) text: f64,
    /// Heights of curves, times this.
    pub(super) tall: f64,
}

/// What a timeline is drawn from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) plan: &'a Plan,
    pub(super) series: &'a Series,
    pub(super) columns: &'a Columns,
}

/// Draws some lanes; those with nothing to show are left out.
pub(super) fn draw(source: Source<'_>, lanes: &[Lane], layout: Layout) -> Scene {
    let left = layout.gutter;
    let mut pen = Pen {
        source,
        layout,
        left,
        right: layout.width - layout.text,
        end: source.columns.end,
        scene: Scene::new(layout.width, 0.0),
        y: 0.0,
    };
    let head = layout.text * 2.0;
    pen.y = head;
    for lane in lanes {
        match lane {
            Lane::Faults => faults::draw(&mut pen),
            Lane::Load => curves::load(&mut pen),
            Lane::Latency => curves::latency(&mut pen),
            Lane::Outcomes => curves::outcomes(&mut pen),
            Lane::Breakers => states::breakers(&mut pen),
            Lane::Cache => curves::cache(&mut pen),
            Lane::Fallback => curves::fallback(&mut pen),
            Lane::Rollout => states::rollout(&mut pen),
            Lane::Pods => states::pods(&mut pen),
            Lane::Blind => states::blind(&mut pen),
        }
    }
    let bottom = pen.y;
    let plot = (pen.left, pen.right, head, bottom);
    let mut scene = Scene::new(layout.width, bottom + layout.text * 2.2);
    backdrop(&pen, &mut scene, plot);
    scene.shapes.append(&mut pen.scene.shapes);
    scene
}

/// What lies behind the lanes: phases, faults, the clock.
fn backdrop(pen: &Pen<'_>, scene: &mut Scene, (left, right, top, bottom): (f64, f64, f64, f64)) {
    let size = pen.layout.text;
    for (i, phase) in pen.source.series.phases.iter().enumerate() {
        let (x0, x1) = (pen.x(phase.start), pen.x(phase.end));
        if i % 2 == 0 {
            scene.rect((x0, 0.0), (x1 - x0, bottom), Fill::plain(Paint::Shade));
        }
        let warm_up = phase.name == "warm-up" && i == 0;
        let paint = if warm_up { Paint::Muted } else { Paint::Ink };
        let text = font::fit(&phase.name, size, true, x1 - x0 - 6.0);
        scene.text(Text {
            at: ((x0 + x1) / 2.0, size * 1.35),
            text,
            size,
            anchor: Anchor::Middle,
            bold: true,
            paint,
        });
    }
    let most = ((right - left) / (size * 6.5)) as usize;
    for t in scale::times(pen.end, most) {
        let x = pen.x(t);
        let line = vec![(x, top), (x, bottom)];
        scene.line(line, Stroke::solid(Paint::Grid, 1.0));
        let text = scale::time_label(t, pen.end);
        let wide = font::width(&text, size, false);
        let anchor = if x + wide / 2.0 > pen.layout.width { Anchor::End } else { Anchor::Middle };
        scene.text(Text {
            at: (x, bottom + size * 1.5),
            text,
            size,
            anchor,
            bold: false,
            paint: Paint::Muted,
        });
    }
    for fault in &pen.source.series.faults {
        let paint = faults::paint(fault);
        let Some((_, effect)) = fault.effect else { continue };
        let (x0, x1) = (pen.x(effect), pen.x(fault.bar_end.unwrap_or(effect)));
        if x1 - x0 > 1.0 {
            scene.rect((x0, top), (x1 - x0, bottom - top), Fill::soft(paint, 0.07));
        }
        scene.line(vec![(x0, top), (x0, bottom)], Stroke::dashed(paint, 1.0));
    }
}

/// Where the next lane is drawn, and the clock's scale.
struct Pen<'a> {
    source: Source<'a>,
    layout: Layout,
    left: f64,
    right: f64,
    end: f64,
    scene: Scene,
    y: f64,
}

/// A name in a lane's margin with the look of what it names.
struct Key {
    name: String,
    look: Look,
}

/// How a curve or an area looks.
#[derive(Clone, Copy)]
enum Look {
    Line(Stroke),
    Area(Fill),
}

impl Pen<'_> {
    /// Where an instant is.
    fn x(&self, t: f64) -> f64 {
        self.left + (self.right - self.left) * (t / self.end).clamp(0.0, 1.0)
    }

    /// Begins a lane: its title and keys; gives the top of its plot. `unit`
    /// follows the title.
    fn begin(&mut self, title: &str, unit: &str, keys: &[Key]) -> f64 {
        let (size, gutter) = (self.layout.text, self.layout.gutter);
        self.y += size * 0.9;
        let top = self.y;
        self.label((0.0, top + size), title, true, Paint::Ink);
        let after = font::width(title, size, true) + size * 0.45;
        let unit = font::fit(unit, size * 0.9, false, gutter - after - size);
        self.small((after, top + size), &unit);
        for (i, key) in keys.iter().enumerate() {
            self.key((0.0, top + size * (2.4 + i as f64 * 1.3)), key, gutter * 0.66);
        }
        top
    }

    /// Least height of a lane that has room for its keys.
    fn at_least(&self, height: f64, keys: usize) -> f64 {
        let room = if keys > 0 { self.layout.text * (2.0 + keys as f64 * 1.3) } else { 0.0 };
        (height * self.layout.tall).max(room)
    }

    /// Ends a lane that was this tall.
    fn end(&mut self, top: f64, height: f64) {
        self.y = top + height + self.layout.text * 0.5;
    }

    fn label(&mut self, at: Point, text: &str, bold: bool, paint: Paint) {
        let size = self.layout.text;
        let text = text.to_owned();
        self.scene.text(Text { at, text, size, anchor: Anchor::Start, bold, paint });
    }

    fn small(&mut self, at: Point, text: &str) {
        let size = self.layout.text * 0.9;
        let (text, paint) = (text.to_owned(), Paint::Muted);
        self.scene.text(Text { at, text, size, anchor: Anchor::Start, bold: false, paint });
    }

    fn key(&mut self, (x, base): Point, key: &Key, room: f64) {
        let size = self.layout.text;
        let wide = size * 1.1;
        let middle = base - size * 0.33;
        match key.look {
            Look::Line(stroke) => {
                self.scene.line(vec![(x, middle), (x + wide, middle)], stroke);
            }
            Look::Area(fill) => {
                self.scene.rect((x, base - size * 0.75), (wide, size * 0.85), fill);
            }
        }
        let name = font::fit(&key.name, size * 0.9, false, room - wide - size * 0.4);
        self.small((x + wide + size * 0.4, base), &name);
    }

    /// A lane's lines across, with their figures.
    fn grid(&mut self, scale: &scale::Scale, top: f64, height: f64, figure: impl Fn(f64) -> String) {
        let size = self.layout.text * 0.85;
        for &tick in &scale.ticks {
            let y = top + height * (1.0 - scale.at(tick));
            let line = vec![(self.left, y), (self.right, y)];
            self.scene.line(line, Stroke::solid(Paint::Grid, 1.0));
            let at = (self.left - size * 0.5, y + size * 0.35);
            let (text, paint) = (figure(tick), Paint::Muted);
            self.scene.text(Text { at, text, size, anchor: Anchor::End, bold: false, paint });
        }
    }

    /// A text in a stretch of time, cut to it.
    fn inside(&mut self, (from, to): (f64, f64), base: f64, text: &str, paint: Paint) {
        let size = self.layout.text * 0.85;
        let text = font::fit(text, size, true, to - from - size * 0.6);
        let at = ((from + to) / 2.0, base);
        self.scene.text(Text { at, text, size, anchor: Anchor::Middle, bold: true, paint });
    }

    fn mark(&mut self, at: Point, mark: Mark, paint: Paint) {
        self.scene.shapes.push(Shape::Mark { at, mark, paint });
    }
}

/// A key with an area's look.
fn area_key(name: impl Into<String>, paint: Paint, pattern: Pattern) -> Key {
    Key { name: name.into(), look: Look::Area(Fill::with(paint, pattern)) }
}
