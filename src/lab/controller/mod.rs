//! The lab's controller process.

use crate::process::ProcessError;

/// Runs the controller until its parent is gone.
pub async fn serve() -> Result<(), ProcessError> {
    Ok(())
}
