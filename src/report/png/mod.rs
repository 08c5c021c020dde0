//! Pictures for slides, chats and CI summaries.

mod bitmap;
mod capacity;
mod charts;
mod columns;
mod font;
mod scale;
mod scene;
mod summary;
mod theme;
mod timeline;

pub(super) use charts::charts;

use super::{Input, ReportError};

/// The run in one picture of 1600 × 900 pixels: verdict, reasons, figures,
/// timeline.
pub fn summary_png(input: &Input<'_>) -> Result<Vec<u8>, ReportError> {
    bitmap::png(&summary::scene(input)).map_err(|why| ReportError::Draw { chart: "summary", why })
}
