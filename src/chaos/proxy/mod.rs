//! The fault proxy: TCP links whose bytes can be delayed, lost, cut.

pub mod api;

use crate::process::ProcessError;

/// Runs the proxy until its parent is gone.
pub async fn serve() -> Result<(), ProcessError> {
    Ok(())
}
