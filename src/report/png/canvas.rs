//! A bitmap to draw on: pixels, text that is measured, no charts. Drawn at
//! twice the size and averaged down, so that every edge is smooth.

use std::sync::OnceLock;

use plotters::{
    coord::Shift,
    drawing::{DrawingArea, IntoDrawingArea},
    element::{PathElement, Polygon, Rectangle, Text},
    prelude::BitMapBackend,
    style::{
        FontDesc, FontFamily, FontStyle, IntoFont, RGBAColor, ShapeStyle, TextStyle, register_font,
        text_anchor::{HPos, Pos, VPos},
    },
};

/// How often a pixel is sampled in each direction.
const SCALE: u32 = 2;

static REGULAR: &[u8] = include_bytes!("../../../reports/fonts/DejaVuSans.ttf");
static BOLD: &[u8] = include_bytes!("../../../reports/fonts/DejaVuSans-Bold.ttf");

/// What the bundled font is called.
const FONT: &str = "firedrill";

/// A colour with its opacity, 0–1.
pub(super) type Ink = RGBAColor;

/// Where text stands relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    /// It begins there.
    Left,
    /// Its middle is there.
    Centre,
    /// It ends there.
    Right,
}

/// How text looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Type {
    /// Height in pixels.
    pub(super) size: f64,
    /// Bold or regular.
    pub(super) bold: bool,
    /// Its colour.
    pub(super) ink: Ink,
}

type Area<'a> = DrawingArea<BitMapBackend<'a>, Shift>;

/// What is drawn on. Coordinates are pixels of the finished picture, from the
/// top left.
pub(super) struct Canvas<'a> {
    area: Area<'a>,
    /// Only the first error is kept: after it, nothing else counts.
    error: Option<String>,
}

/// Draws a picture of this size and encodes it.
pub(super) fn picture(
    (width, height): (u32, u32),
    draw: impl FnOnce(&mut Canvas<'_>),
) -> Result<Vec<u8>, String> {
    static FONTS: OnceLock<bool> = OnceLock::new();
    let registered = *FONTS.get_or_init(|| {
        register_font(FONT, FontStyle::Normal, REGULAR).is_ok()
            && register_font(FONT, FontStyle::Bold, BOLD).is_ok()
    });
    if !registered {
        return Err("the bundled font does not load".to_owned());
    }
    let (wide, high) = (width * SCALE, height * SCALE);
    let mut buffer = vec![0xff; wide as usize * high as usize * 3];
    {
        let area = BitMapBackend::with_buffer(&mut buffer, (wide, high)).into_drawing_area();
        let mut canvas = Canvas { area, error: None };
        draw(&mut canvas);
        if let Err(error) = canvas.area.present() {
            canvas.error.get_or_insert(error.to_string());
        }
        if let Some(error) = canvas.error {
            return Err(error);
        }
    }
    encode(&averaged(&buffer, width as usize, height as usize), width, height)
        .map_err(|error| error.to_string())
}

/// Each pixel is the mean of its samples.
fn averaged(samples: &[u8], width: usize, height: usize) -> Vec<u8> {
    let scale = SCALE as usize;
    let stride = width * scale * 3;
    let mut out = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let sum: u32 = (0..scale * scale)
                    .map(|i| {
                        let (dy, dx) = (i / scale, i % scale);
                        u32::from(samples[(y * scale + dy) * stride + (x * scale + dx) * 3 + channel])
                    })
                    .sum();
                out.push((sum / (SCALE * SCALE)) as u8);
            }
        }
    }
    out
}

fn encode(rgb: &[u8], width: u32, height: u32) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_filter(png::FilterType::Paeth);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(rgb)?;
    writer.finish()?;
    Ok(bytes)
}

fn scaled((x, y): (f64, f64)) -> (i32, i32) {
    let px = |v: f64| (v * f64::from(SCALE)).round().clamp(-1e6, 1e6) as i32;
    (px(x), px(y))
}

fn font(size: f64, bold: bool) -> FontDesc<'static> {
    let style = if bold { FontStyle::Bold } else { FontStyle::Normal };
    (FontFamily::Name(FONT), size * f64::from(SCALE), style).into_font()
}

/// How wide text will be, in pixels.
pub(super) fn text_width(text: &str, size: f64, bold: bool) -> f64 {
    font(size, bold).layout_box(text).map_or(0.0, |((x0, _), (x1, _))| f64::from(x1 - x0) / f64::from(SCALE))
}

/// Text cut to a width in pixels, with an ellipsis.
pub(super) fn fitted(text: &str, size: f64, bold: bool, width: f64) -> String {
    if text_width(text, size, bold) <= width {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let cut = |n: usize| format!("{}…", chars[..n].iter().collect::<String>().trim_end());
    // Width grows with length: the longest that fits, by halving.
    let (mut fits, mut too_long) = (0, chars.len());
    while fits + 1 < too_long {
        let middle = usize::midpoint(fits, too_long);
        if text_width(&cut(middle), size, bold) <= width { fits = middle } else { too_long = middle }
    }
    cut(fits)
}

/// Words in lines no wider than `width` pixels, at most `lines` of them.
pub(super) fn wrapped(text: &str, size: f64, bold: bool, width: f64, lines: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let longer = out.last().map(|line| format!("{line} {word}"));
        match longer.filter(|line| text_width(line, size, bold) <= width || out.len() == lines) {
            Some(line) => drop(out.pop().map(|_| out.push(line))),
            None => out.push(word.to_owned()),
        }
    }
    out.iter().map(|line| fitted(line, size, bold, width)).collect()
}

impl Canvas<'_> {
    fn keep<E: std::fmt::Display>(&mut self, result: Result<(), E>) {
        if let Err(error) = result {
            self.error.get_or_insert(error.to_string());
        }
    }

    /// A filled rectangle.
    pub(super) fn rect(&mut self, (x0, y0): (f64, f64), (x1, y1): (f64, f64), ink: Ink) {
        let (a, b) = (scaled((x0, y0)), scaled((x1, y1)));
        if b.0 <= a.0 || b.1 <= a.1 {
            return;
        }
        // The last row and column belong to the neighbour.
        let result = self.area.draw(&Rectangle::new([a, (b.0 - 1, b.1 - 1)], ShapeStyle::from(ink).filled()));
        self.keep(result);
    }

    /// A line through points.
    pub(super) fn line(&mut self, points: &[(f64, f64)], ink: Ink, width: f64) {
        if points.len() < 2 {
            return;
        }
        let stroke = (width * f64::from(SCALE)).round().max(1.0) as u32;
        let path: Vec<(i32, i32)> = points.iter().map(|&p| scaled(p)).collect();
        let result = self.area.draw(&PathElement::new(path, ShapeStyle::from(ink).stroke_width(stroke)));
        self.keep(result);
    }

    /// A line with gaps.
    pub(super) fn dashed(&mut self, from: (f64, f64), to: (f64, f64), ink: Ink, width: f64, dash: f64) {
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let at = |d: f64| (from.0 + (to.0 - from.0) * d / length, from.1 + (to.1 - from.1) * d / length);
        let mut done = 0.0;
        while done < length {
            self.line(&[at(done), at((done + dash).min(length))], ink, width);
            done += dash * 2.0;
        }
    }

    /// A filled area.
    pub(super) fn polygon(&mut self, points: &[(f64, f64)], ink: Ink) {
        if points.len() < 3 {
            return;
        }
        let path: Vec<(i32, i32)> = points.iter().map(|&p| scaled(p)).collect();
        let result = self.area.draw(&Polygon::new(path, ShapeStyle::from(ink).filled()));
        self.keep(result);
    }

    /// Slanted lines over a rectangle, so that it differs by more than colour.
    pub(super) fn hatch(&mut self, (x0, y0): (f64, f64), (x1, y1): (f64, f64), ink: Ink, gap: f64) {
        let height = y1 - y0;
        let mut x = x0 - height;
        while x < x1 {
            // The part of the slanted line that is inside.
            let (from, to) = (x.max(x0), (x + height).min(x1));
            if to > from {
                self.line(&[(from, y1 - (from - x)), (to, y1 - (to - x))], ink, 1.0);
            }
            x += gap;
        }
    }

    /// Text on one line; `y` is the middle of its capitals.
    pub(super) fn text(&mut self, text: &str, (x, y): (f64, f64), look: Type, align: Align) {
        let h = match align {
            Align::Left => HPos::Left,
            Align::Centre => HPos::Center,
            Align::Right => HPos::Right,
        };
        let style =
            TextStyle::from(font(look.size, look.bold)).color(&look.ink).pos(Pos::new(h, VPos::Center));
        let result = self.area.draw(&Text::new(text.to_owned(), scaled((x, y)), style));
        self.keep(result);
    }
}
