//! What tests share.

use std::path::Path;

/// The program under test.
pub(crate) fn exe() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_firedrill"))
}
