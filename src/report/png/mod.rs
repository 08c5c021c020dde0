//! Pictures for slides, chats and CI summaries.

#[expect(dead_code, reason = "the charts come next")]
mod canvas;

use super::{Input, ReportError, text};
use canvas::{Align, Type};
use plotters::style::RGBAColor;

/// The summary's size in pixels.
const SIZE: (u32, u32) = (1600, 900);

/// The run in one picture of 1600 × 900 pixels.
pub fn summary_png(input: &Input<'_>) -> Result<Vec<u8>, ReportError> {
    let draw = |canvas: &mut canvas::Canvas<'_>| {
        let look = Type { size: 40.0, bold: true, ink: RGBAColor(20, 20, 20, 1.0) };
        canvas.text(text::word(input.verdict.verdict), (60.0, 80.0), look, Align::Left);
    };
    canvas::picture(SIZE, draw).map_err(|why| ReportError::Draw { chart: "summary", why })
}

/// The charts by the names of their files.
pub(super) fn charts(_input: &Input<'_>) -> Result<Vec<(&'static str, Vec<u8>)>, ReportError> {
    Ok(Vec::new())
}
