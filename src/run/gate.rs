//! What may stand between a plan and its faults: the halt file, and a person
//! who is asked where a cluster is not this machine's own.

use std::{
    io::{self, IsTerminal, Write},
    path::{Path, PathBuf},
};

use super::target::Running;
use crate::plan::Plan;

/// A file of this name in the folder of runs stops every run, and none starts
/// while it is there.
pub const HALT: &str = "HALT";

/// Where the halt file would be.
pub(super) fn halt_file(runs: &Path) -> PathBuf {
    runs.join(HALT)
}

/// Why no run may start at all. None: one may.
pub(super) fn halted(runs: &Path) -> Option<String> {
    let file = halt_file(runs);
    file.exists().then(|| format!("{} is there: no run starts until it is removed", file.display()))
}

/// Asks before anything is broken on a cluster that is not on this machine.
/// The error says why not, and what to do.
pub(super) fn confirm(plan: &Plan, target: &Running, yes: bool) -> Result<(), String> {
    let Some(cluster) = target.remote_cluster() else { return Ok(()) };
    if yes || plan.timeline.is_empty() {
        return Ok(());
    }
    let at = cluster.at();
    let what = format!(
        "the context `{}` ({}) is not on this machine, and {} would be broken there",
        at.context,
        at.server,
        if plan.timeline.len() == 1 { "something" } else { "several things" },
    );
    if !io::stdin().is_terminal() {
        return Err(format!("{what}: look at `firedrill plan`, and say --yes"));
    }
    eprint!("{what}.\nType the context's name to go on: ");
    // Nothing can be asked where nothing can be written.
    let _ = io::stderr().flush();
    let mut answer = String::new();
    match io::stdin().read_line(&mut answer) {
        Ok(_) if answer.trim() == at.context => Ok(()),
        Ok(_) | Err(_) => Err(format!("{what}: not confirmed")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halt_file_stops_every_run() {
        let runs = tempfile::tempdir().expect("a folder");
        assert_eq!(halted(runs.path()), None);
        std::fs::write(halt_file(runs.path()), "").expect("it writes");
        assert!(halted(runs.path()).is_some_and(|why| why.contains(HALT)));
    }
}
