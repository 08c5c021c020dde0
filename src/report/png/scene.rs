//! What is drawn, before it is known on what: shapes in pixels, with colours
//! by their meaning.

use super::theme::{Paint, Pattern};

/// A point in pixels.
pub(super) type Point = (f64, f64);

/// How an area is filled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Fill {
    /// Its colour.
    pub(super) paint: Paint,
    /// 0–1.
    pub(super) opacity: f64,
    /// Its pattern.
    pub(super) pattern: Pattern,
}

impl Fill {
    /// Evenly.
    pub(super) fn plain(paint: Paint) -> Self {
        Self { paint, opacity: 1.0, pattern: Pattern::Plain }
    }

    /// Evenly, seen through.
    pub(super) fn soft(paint: Paint, opacity: f64) -> Self {
        Self { paint, opacity, pattern: Pattern::Plain }
    }

    /// With a pattern.
    pub(super) fn with(paint: Paint, pattern: Pattern) -> Self {
        Self { paint, opacity: 1.0, pattern }
    }
}

/// A line's colour, width and dashes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Stroke {
    /// Its colour.
    pub(super) paint: Paint,
    /// In pixels.
    pub(super) width: f64,
    /// Broken.
    pub(super) dashed: bool,
}

impl Stroke {
    /// A whole line.
    pub(super) fn solid(paint: Paint, width: f64) -> Self {
        Self { paint, width, dashed: false }
    }

    /// A broken line.
    pub(super) fn dashed(paint: Paint, width: f64) -> Self {
        Self { paint, width, dashed: true }
    }
}

/// Which side of a text its point is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    /// The text begins there.
    Start,
    /// It is centred there.
    Middle,
    /// It ends there.
    End,
}

/// A line of text; `at` is on its baseline.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) at: Point,
    pub(super) text: String,
    /// Em size in pixels.
    pub(super) size: f64,
    pub(super) anchor: Anchor,
    pub(super) bold: bool,
    pub(super) paint: Paint,
}

/// A small sign at an instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// A fault was seen to act.
    Diamond,
    /// It was asked for.
    Tick,
    /// It was seen to be gone.
    Ring,
}

/// One thing that is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// A rectangle.
    Rect { x: f64, y: f64, w: f64, h: f64, round: f64, fill: Fill },
    /// A line through points.
    Line { points: Vec<Point>, stroke: Stroke },
    /// A closed area.
    Area { points: Vec<Point>, fill: Fill },
    /// A line of text.
    Text(Text),
    /// A sign.
    Mark { at: Point, mark: Mark, paint: Paint },
}

/// Shapes in the order in which they are drawn.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Scene {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) shapes: Vec<Shape>,
}

impl Scene {
    /// An empty scene.
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self { width, height, shapes: Vec::new() }
    }

    /// Adds a rectangle.
    pub(super) fn rect(&mut self, at: Point, size: (f64, f64), fill: Fill) {
        self.pill(at, size, 0.0, fill);
    }

    /// Adds a rectangle with round corners.
    pub(super) fn pill(&mut self, (x, y): Point, (w, h): (f64, f64), round: f64, fill: Fill) {
        if w > 0.0 && h > 0.0 {
            self.shapes.push(Shape::Rect { x, y, w, h, round, fill });
        }
    }

    /// Adds a line.
    pub(super) fn line(&mut self, points: Vec<Point>, stroke: Stroke) {
        if points.len() > 1 {
            self.shapes.push(Shape::Line { points, stroke });
        }
    }

    /// Adds a closed area.
    pub(super) fn area(&mut self, points: Vec<Point>, fill: Fill) {
        if points.len() > 2 {
            self.shapes.push(Shape::Area { points, fill });
        }
    }

    /// Adds a text.
    pub(super) fn text(&mut self, text: Text) {
        if !text.text.is_empty() {
            self.shapes.push(Shape::Text(text));
        }
    }

    /// Adds another scene, moved.
    pub(super) fn place(&mut self, other: Self, (dx, dy): Point) {
        let moved = |(x, y): Point| (x + dx, y + dy);
        let all = |points: Vec<Point>| points.into_iter().map(moved).collect();
        self.shapes.extend(other.shapes.into_iter().map(|shape| match shape {
            Shape::Rect { x, y, w, h, round, fill } => {
                Shape::Rect { x: x + dx, y: y + dy, w, h, round, fill }
            }
            Shape::Line { points, stroke } => Shape::Line { points: all(points), stroke },
            Shape::Area { points, fill } => Shape::Area { points: all(points), fill },
            Shape::Text(text) => Shape::Text(Text { at: moved(text.at), ..text }),
            Shape::Mark { at, mark, paint } => Shape::Mark { at: moved(at), mark, paint },
        }));
    }
}
