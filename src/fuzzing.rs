//! What the fuzz targets in `fuzz/` reach of the inside.

use crate::load::sse;

/// The events in `pieces` as name and data, without one whose blank line is
/// missing at the end, and whether the parser refused the rest.
pub fn sse_events(pieces: &[&[u8]]) -> (Vec<(String, String)>, bool) {
    sse::events(pieces)
}
