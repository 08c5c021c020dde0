//! The lab's replica process.

use crate::process::ProcessError;

/// Runs the replica until its parent is gone.
pub async fn serve() -> Result<(), ProcessError> {
    Ok(())
}
