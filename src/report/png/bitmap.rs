//! A scene as PNG, drawn with plotters at twice its size and averaged down:
//! plotters itself smooths neither wide lines nor the places of letters.

use plotters::{
    backend::{BitMapBackend, RGBPixel},
    coord::Shift,
    drawing::{DrawingArea, IntoDrawingArea},
    element::{Circle, PathElement, Polygon, Rectangle},
    style::{
        Color, RGBAColor, RGBColor, ShapeStyle,
        text_anchor::{HPos, Pos, VPos},
    },
};

use super::{
    font,
    scene::{Anchor, Fill, Mark, Point, Scene, Shape, Stroke, Text},
    theme::{Paint, Pattern},
};

/// Drawn this many times as large.
const SCALE: f64 = 2.0;
/// The same, in pixels.
const FACTOR: usize = 2;

type Area<'a> = DrawingArea<BitMapBackend<'a, RGBPixel>, Shift>;
type Drawn = Result<(), String>;

fn error(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// The scene as the bytes of a PNG file.
pub(super) fn png(scene: &Scene) -> Result<Vec<u8>, String> {
    let (width, height) = (scene.width as usize, scene.height as usize);
    let (w, h) = (width * FACTOR, height * FACTOR);
    let mut large = vec![0; w * h * 3];
    {
        let area = BitMapBackend::<RGBPixel>::with_buffer_and_format(&mut large, (w as u32, h as u32))
            .map_err(error)?
            .into_drawing_area();
        area.fill(&rgb(Paint::Panel)).map_err(error)?;
        for shape in &scene.shapes {
            draw(&area, shape)?;
        }
        area.present().map_err(error)?;
    }
    encode(&averaged(&large, w, height), width as u32, height as u32)
}

/// Each pixel the mean of a square of the large picture.
fn averaged(large: &[u8], wide: usize, height: usize) -> Vec<u8> {
    let width = wide / FACTOR;
    let mut small = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let sum: u32 = (0..FACTOR * FACTOR)
                    .map(|i| {
                        let at = (y * FACTOR + i / FACTOR) * wide + x * FACTOR + i % FACTOR;
                        u32::from(large[at * 3 + channel])
                    })
                    .sum();
                small.push((sum / (FACTOR * FACTOR) as u32) as u8);
            }
        }
    }
    small
}

fn encode(pixels: &[u8], width: u32, height: u32) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(error)?;
    writer.write_image_data(pixels).map_err(error)?;
    writer.finish().map_err(error)?;
    Ok(bytes)
}

fn rgb(paint: Paint) -> RGBColor {
    let (r, g, b) = paint.rgb();
    RGBColor(r, g, b)
}

fn colour(fill: &Fill) -> RGBAColor {
    rgb(fill.paint).mix(fill.opacity)
}

fn px((x, y): Point) -> (i32, i32) {
    ((x * SCALE).round() as i32, (y * SCALE).round() as i32)
}

fn draw(area: &Area<'_>, shape: &Shape) -> Drawn {
    match shape {
        Shape::Rect { x, y, w, h, round, fill } => rect(area, (*x, *y), (*w, *h), *round, fill),
        Shape::Area { points, fill } => {
            let points: Vec<(i32, i32)> = points.iter().copied().map(px).collect();
            area.draw(&Polygon::new(points, colour(fill))).map_err(error)
        }
        Shape::Line { points, stroke } => line(area, points, stroke),
        Shape::Text(text) => draw_text(area, text),
        Shape::Mark { at, mark, paint } => draw_mark(area, *at, *mark, *paint),
    }
}

fn rect(area: &Area<'_>, at: Point, (w, h): (f64, f64), round: f64, fill: &Fill) -> Drawn {
    let style = ShapeStyle::from(colour(fill)).filled();
    let ((x0, y0), (x1, y1)) = (px(at), px((at.0 + w, at.1 + h)));
    if x1 <= x0 || y1 <= y0 {
        return Ok(());
    }
    if round > 0.0 {
        area.draw(&Polygon::new(rounded((x0, y0), (x1, y1), round * SCALE), style)).map_err(error)?;
    } else {
        area.draw(&Rectangle::new([(x0, y0), (x1 - 1, y1 - 1)], style)).map_err(error)?;
    }
    match fill.pattern {
        Pattern::Plain => Ok(()),
        Pattern::Hatch => hatch(area, (x0, y0), (x1, y1)),
        Pattern::Cross => {
            let rows = (y0..y1).step_by(8);
            rows.map(|y| vec![(x0, y), (x1 - 1, y)]).try_for_each(|points| pale(area, points))
        }
    }
}

/// The outline of a rectangle with round corners.
fn rounded((x0, y0): (i32, i32), (x1, y1): (i32, i32), round: f64) -> Vec<(i32, i32)> {
    let r = round.min(f64::from(x1 - x0) / 2.0).min(f64::from(y1 - y0) / 2.0);
    let corners =
        [(x1, y0, -1.0, 1.0, 270), (x1, y1, -1.0, -1.0, 0), (x0, y1, 1.0, -1.0, 90), (x0, y0, 1.0, 1.0, 180)];
    let arc = corners.into_iter().flat_map(|(x, y, sx, sy, from)| {
        let (cx, cy) = (f64::from(x) + sx * r, f64::from(y) + sy * r);
        (0..=6).map(move |i| {
            let angle = f64::from(from + i * 15).to_radians();
            ((cx + r * angle.cos()).round() as i32, (cy + r * angle.sin()).round() as i32)
        })
    });
    arc.collect()
}

/// Slanting lines over a rectangle.
fn hatch(area: &Area<'_>, (x0, y0): (i32, i32), (x1, y1): (i32, i32)) -> Drawn {
    let height = y1 - y0;
    (x0 - height..x1).step_by(12).try_for_each(|x| {
        // From (x, y1) up to (x + height, y0), as far as it is inside.
        let (from, to) = (x.max(x0), (x + height).min(x1 - 1));
        if from >= to { Ok(()) } else { pale(area, vec![(from, y1 - (from - x)), (to, y1 - (to - x))]) }
    })
}

fn pale(area: &Area<'_>, points: Vec<(i32, i32)>) -> Drawn {
    let style = ShapeStyle::from(rgb(Paint::Panel).mix(0.7)).stroke_width(3);
    area.draw(&PathElement::new(points, style)).map_err(error)
}

fn line(area: &Area<'_>, points: &[Point], stroke: &Stroke) -> Drawn {
    let style =
        ShapeStyle::from(rgb(stroke.paint)).stroke_width((stroke.width * SCALE).round().max(1.0) as u32);
    let pieces = if stroke.dashed { dashes(points) } else { vec![points.to_vec()] };
    pieces.into_iter().try_for_each(|piece| {
        let piece: Vec<(i32, i32)> = piece.into_iter().map(px).collect();
        area.draw(&PathElement::new(piece, style)).map_err(error)
    })
}

/// A line in pieces of five pixels, four apart.
fn dashes(points: &[Point]) -> Vec<Vec<Point>> {
    let (on, off) = (5.0, 4.0);
    let mut pieces = Vec::new();
    for pair in points.windows(2) {
        let ((x0, y0), (x1, y1)) = (pair[0], pair[1]);
        let length = (x1 - x0).hypot(y1 - y0);
        let at = |d: f64| (x0 + (x1 - x0) * d / length, y0 + (y1 - y0) * d / length);
        let mut d = 0.0;
        while d < length {
            pieces.push(vec![at(d), at((d + on).min(length))]);
            d += on + off;
        }
    }
    pieces
}

fn draw_text(area: &Area<'_>, text: &Text) -> Drawn {
    let size = text.size * SCALE;
    let shown = font::letters(&text.text);
    let width = font::width(&shown, size, text.bold);
    let left = match text.anchor {
        Anchor::Start => text.at.0 * SCALE,
        Anchor::Middle => text.at.0 * SCALE - width / 2.0,
        Anchor::End => text.at.0 * SCALE - width,
    };
    // Plotters puts the baseline half a line below the point.
    let top = text.at.1 * SCALE - font::line_size(size) / 2.0;
    let style = font::font(size, text.bold).color(&rgb(text.paint)).pos(Pos::new(HPos::Left, VPos::Top));
    area.draw_text(&shown, &style, (left.round() as i32, top.round() as i32)).map_err(error)
}

fn draw_mark(area: &Area<'_>, (x, y): Point, mark: Mark, paint: Paint) -> Drawn {
    match mark {
        Mark::Diamond => {
            let diamond = |r: f64| vec![px((x, y - r)), px((x + r, y)), px((x, y + r)), px((x - r, y))];
            area.draw(&Polygon::new(diamond(6.5), rgb(Paint::Panel))).map_err(error)?;
            area.draw(&Polygon::new(diamond(5.0), rgb(paint))).map_err(error)
        }
        Mark::Tick => line(area, &[(x, y - 7.0), (x, y + 7.0)], &Stroke::solid(paint, 2.0)),
        Mark::Ring => {
            let circle = |r: f64, paint| Circle::new(px((x, y)), (r * SCALE) as i32, rgb(paint).filled());
            area.draw(&circle(5.0, paint)).map_err(error)?;
            area.draw(&circle(3.0, Paint::Panel)).map_err(error)
        }
    }
}
