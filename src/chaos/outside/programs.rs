//! Faults and rollouts by programs of the user's.
//!
//! Their environment and working directory are the harness's. A program that
//! starts something in the background may leave it its output: only the
//! program itself is waited for.

use std::{process::Stdio, sync::Arc, time::Duration};

use tokio::{
    io::AsyncReadExt,
    process::Command as Process,
    sync::Mutex,
    time::{Instant, sleep, timeout},
};

use super::proven;
use crate::{
    chaos::{
        driver::{ChaosError, Proof, evidence},
        look::{Look, Timing},
        undo::Undo,
    },
    clock::Clock,
    journal::event::Evidence,
    scenario::outside::{Command, DeployCommand, Program},
    units::{FaultId, Seen},
};

/// How long a program may take that breaks, mends or deploys something.
const ENDS_WITHIN: Duration = Duration::from_secs(60);
/// How long one that proves it may take.
const PROVES_WITHIN: Duration = Duration::from_secs(5);
/// How long what was mended may take to show it.
const MENDED_WITHIN: Duration = Duration::from_secs(15);
/// Between two looks for that.
const LOOK: Duration = Duration::from_millis(100);
/// What is kept of a program's complaints.
const COMPLAINT: usize = 2000;
/// How long its last words may be on their way.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// What programs do, and how it is seen.
#[derive(Debug)]
pub struct Programs {
    run: Program,
    undo: Option<Program>,
    /// None: its own success is the proof.
    proof: Option<Program>,
    timing: Timing,
}

impl Programs {
    /// A fault. Its proof must fail before it is there, or proves nothing.
    pub(super) async fn breaking(id: &FaultId, command: &Command) -> Result<Self, ChaosError> {
        let Command { run, undo, proof } = command.clone();
        if let Ended::Well = end_of(&proof, PROVES_WITHIN).await? {
            let why = format!(
                "`{proof}` succeeds before `{id}` has broken anything, so it can't prove that it did"
            );
            return Err(ChaosError::Unfit(why));
        }
        Ok(Self { run, undo, proof: Some(proof), timing: Timing::default() })
    }

    /// A rollout. Which version answers is seen elsewhere.
    pub(super) fn deploying(command: &DeployCommand) -> Self {
        let DeployCommand { run, undo } = command.clone();
        Self { run, undo, proof: None, timing: Timing::default() }
    }

    pub(super) fn undo(&self) -> Vec<Undo> {
        let undo = |run: &Program| Undo::Program { run: run.clone(), proof: self.proof.clone() };
        self.undo.iter().map(undo).collect()
    }

    pub(super) async fn inject(&mut self, clock: Clock) -> Result<(), ChaosError> {
        let asked = clock.now();
        well(&self.run).await?;
        self.timing.placed(Seen { not_before: asked, by: clock.now() });
        Ok(())
    }

    pub(super) async fn prove(&mut self, clock: Clock) -> Proof {
        let started = clock.now();
        let look = self.look().await.unwrap_or_else(|error| Look::not(error.to_string(), vec![]));
        proven(&mut self.timing, look, started, clock)
    }

    async fn look(&self) -> Result<Look, ChaosError> {
        let Some(proof) = &self.proof else {
            let said = vec![evidence(self.run.to_string(), "exit status 0")];
            return Ok(Look::acts(said));
        };
        Ok(match end_of(proof, PROVES_WITHIN).await? {
            Ended::Well => Look::acts(vec![evidence(proof.to_string(), "exit status 0")]),
            Ended::Badly(how) => {
                let said = vec![evidence(proof.to_string(), how)];
                Look::not(format!("`{proof}` does not succeed"), said)
            }
        })
    }
}

/// Mends what was broken, as what is written ahead says.
pub(in crate::chaos) async fn take_back(
    run: &Program,
    proof: Option<&Program>,
) -> Result<Vec<Evidence>, ChaosError> {
    well(run).await?;
    let mut all = vec![evidence(run.to_string(), "exit status 0")];
    let Some(proof) = proof else { return Ok(all) };
    let deadline = Instant::now() + MENDED_WITHIN;
    loop {
        match end_of(proof, PROVES_WITHIN).await? {
            Ended::Badly(how) => {
                all.push(evidence(proof.to_string(), format!("{how}: it is not broken any more")));
                return Ok(all);
            }
            Ended::Well if Instant::now() >= deadline => {
                let why = format!("`{run}` succeeded, and still `{proof}` says that it is broken");
                return Err(ChaosError::Unfit(why));
            }
            Ended::Well => sleep(LOOK).await,
        }
    }
}

async fn well(program: &Program) -> Result<(), ChaosError> {
    match end_of(program, ENDS_WITHIN).await? {
        Ended::Well => Ok(()),
        Ended::Badly(how) => Err(ChaosError::Unfit(format!("`{program}`: {how}"))),
    }
}

/// How a program ended.
enum Ended {
    Well,
    /// In words, with what it complained of.
    Badly(String),
}

/// Runs it to its end. An error: it can't be started, or does not end.
async fn end_of(program: &Program, within: Duration) -> Result<Ended, ChaosError> {
    let unfit = |why: String| ChaosError::Unfit(format!("`{program}`: {why}"));
    let mut child = Process::new(program.name())
        .args(program.0.iter().skip(1))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // A Ctrl-C in the terminal is for the harness, which mends first.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| unfit(format!("it can't be started: {error}")))?;
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = tokio::spawn(hear(child.stderr.take(), Arc::clone(&heard)));
    let status = match timeout(within, child.wait()).await {
        Ok(status) => status.map_err(|error| unfit(error.to_string()))?,
        Err(_) => return Err(unfit(format!("it has not ended after {} s", within.as_secs()))),
    };
    // What it left in the background may keep its standard error open.
    let _ = timeout(LAST_WORDS, hearing).await;
    if status.success() {
        return Ok(Ended::Well);
    }
    let heard = heard.lock().await;
    let said = String::from_utf8_lossy(&heard).trim().replace('\n', "; ");
    let gap = if said.is_empty() { "" } else { ": " };
    Ok(Ended::Badly(format!("{status}{gap}{said}")))
}

async fn hear(from: Option<tokio::process::ChildStderr>, into: Arc<Mutex<Vec<u8>>>) {
    let Some(mut from) = from else { return };
    let mut part = [0; 512];
    while let Ok(n @ 1..) = from.read(&mut part).await {
        let mut heard = into.lock().await;
        let room = COMPLAINT.saturating_sub(heard.len());
        heard.extend(part.iter().take(n.min(room)));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn program(words: &[&str]) -> Program {
        Program(words.iter().map(|word| (*word).to_owned()).collect())
    }

    /// Breaks a folder by a file in it.
    fn broken(folder: &Path) -> Command {
        let file = folder.join("broken").display().to_string();
        Command {
            run: program(&["touch", &file]),
            undo: Some(program(&["rm", &file])),
            proof: program(&["test", "-e", &file]),
        }
    }

    #[tokio::test]
    async fn what_a_program_breaks_is_proven_and_mended() {
        let folder = tempfile::tempdir().expect("a folder");
        let (id, command, clock) = (FaultId::from("gone"), broken(folder.path()), Clock::start());
        let mut fault = Programs::breaking(&id, &command).await.expect("nothing is broken yet");
        assert!(matches!(fault.prove(clock).await, Proof::NotYet { .. }), "it has not been run");
        fault.inject(clock).await.expect("it runs");
        assert!(matches!(fault.prove(clock).await, Proof::Seen { .. }));
        let again = Programs::breaking(&id, &command).await.expect_err("it is broken already");
        assert!(again.to_string().contains("can't prove"), "{again}");
        let [undo] = fault.undo().try_into().expect("one thing to take back");
        let proof = undo.perform().await.expect("it is mended");
        assert!(proof.iter().any(|one| one.what.contains("not broken any more")), "{proof:?}");
        let why = undo.perform().await.expect_err("`rm` finds nothing").to_string();
        assert!(why.contains("exit status: 1: rm:"), "{why}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_says_so() {
        let missing = DeployCommand { run: program(&["/nowhere/deploy", "v2"]), undo: None };
        let mut fault = Programs::deploying(&missing);
        let why = fault.inject(Clock::start()).await.expect_err("there is none").to_string();
        assert!(why.contains("`/nowhere/deploy v2`: it can't be started"), "{why}");
        assert!(fault.undo().is_empty());
    }

    #[tokio::test]
    async fn what_stays_in_the_background_is_not_waited_for() {
        let run = program(&["sh", "-c", "sleep 2 & exit 3"]);
        let started = Instant::now();
        let why = well(&run).await.expect_err("it fails").to_string();
        assert!(why.contains("exit status: 3"), "{why}");
        // Far less than what it left behind takes.
        assert!(started.elapsed() < Duration::from_secs(2));
    }
}
