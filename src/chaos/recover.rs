//! Finishing what a dead harness left.

use std::{fmt, path::Path, time::Duration};

use super::{
    undo::take_back,
    wal::{self, Pending, Step, Wal, WalError},
};
use crate::{journal::event::Evidence, units::FaultId};

/// How long one fault's recovery is tried.
const PATIENCE: Duration = Duration::from_secs(8);

/// What was found and done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RecoverReport {
    /// Faults that were left and are gone now, with what shows it.
    pub recovered: Vec<(FaultId, Vec<Evidence>)>,
    /// Faults that are still there, with what to do by hand.
    pub failed: Vec<(FaultId, String)>,
    /// Lines of the log (from 1) that could not be read.
    pub unreadable: Vec<usize>,
}

impl RecoverReport {
    /// Whether nothing is left behind.
    pub fn is_clean(&self) -> bool {
        self.failed.is_empty()
    }
}

impl fmt::Display for RecoverReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recovered, failed, unreadable } = self;
        if recovered.is_empty() && failed.is_empty() {
            write!(f, "nothing was left behind")?;
        } else {
            write!(
                f,
                "{} of {} faults left behind are gone",
                recovered.len(),
                recovered.len() + failed.len()
            )?;
        }
        for (id, proof) in recovered {
            for evidence in proof {
                write!(f, "\n  {id}: {evidence}")?;
            }
        }
        for (id, why) in failed {
            write!(f, "\n  {id}: STILL THERE: {why}")?;
        }
        if !unreadable.is_empty() {
            write!(f, "\n  {} unreadable lines in the log of faults: {unreadable:?}", unreadable.len())?;
        }
        Ok(())
    }
}

/// Takes back what the log of a run's folder says was injected and not
/// recovered. A lab that is gone took its faults with it. Can be done again.
pub async fn recover(folder: &Path) -> Result<RecoverReport, WalError> {
    let log = wal::read(folder)?;
    let pending = wal::pending(&log.entries);
    let mut report = RecoverReport { unreadable: log.unreadable, ..RecoverReport::default() };
    if pending.is_empty() {
        return Ok(report);
    }
    let io = |source| WalError::new(folder, source);
    let wal = Wal::open(folder).map_err(io)?;
    for Pending { id, undo, .. } in pending {
        let taken = take_back(&undo, PATIENCE).await;
        wal.write(&id, Step::taken_back(&taken)).await.map_err(io)?;
        match taken {
            Ok(proof) => report.recovered.push((id, proof)),
            Err(why) => report.failed.push((id, why)),
        }
    }
    Ok(report)
}
