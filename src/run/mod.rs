//! The supervisor: preflight, clock, phases, stop conditions, recovery on
//! every way out.

mod acts;
mod environment;
mod error;
mod finish;
mod gate;
mod interrupt;
mod preflight;
mod search;
mod stop;
mod supervise;
mod target;
pub mod ui;

use std::{
    fs,
    io::IsTerminal,
    path::{Path, PathBuf},
    sync::Arc,
};

use self::{environment::Environment, finish::Judged, target::Running, ui::UiMode};
pub use self::{error::RunError, gate::HALT};
use crate::{
    journal::RunFolder,
    load::{RequestLog, RequestLogWriter},
    plan::Plan,
    report::Format,
    scenario::SourceFile,
    units::FaultId,
    verdict::model::RunVerdict,
};

/// How to run.
#[derive(Debug)]
pub struct Options {
    /// The scenario's file.
    pub scenario: PathBuf,
    /// The files as they were read, the scenario first.
    pub files: Vec<SourceFile>,
    /// Where runs are kept.
    pub runs: PathBuf,
    /// Where every request is written down, if anywhere.
    pub requests_log: Option<PathBuf>,
    /// How to show progress.
    pub ui: UiMode,
    /// Whether a cluster that is not on this machine may be drilled without
    /// asking.
    pub yes: bool,
}

/// A run that came to a verdict.
#[derive(Debug)]
pub struct Drilled {
    /// Its folder.
    pub folder: RunFolder,
    /// What came out.
    pub verdict: RunVerdict,
    /// Faults that could not be taken back, with what to do by hand.
    pub left_behind: Vec<(FaultId, String)>,
    /// For the terminal.
    pub summary: String,
}

/// The whole drill: starts the target, looks whether everything is right, runs
/// the plan, judges, reports, and stops what it started.
pub async fn drill(plan: Plan, options: Options) -> Result<Drilled, RunError> {
    let interrupts = interrupt::listen()?;
    if let Some(why) = gate::halted(&options.runs) {
        return Err(RunError::Preflight(vec![why]));
    }
    let (log, log_writer) = options.requests_log.as_deref().map(create_requests_log).transpose()?.unzip();
    let folder = RunFolder::create(&options.runs, &plan.name).map_err(RunError::NoFolder)?;
    let exe = std::env::current_exe().map_err(RunError::Executable)?;
    let started = async {
        let mut target = Running::start(&plan, &options.scenario, &exe, &folder.file("logs"))
            .await
            .map_err(|error| RunError::Preflight(vec![error.to_string()]))?;
        let mut problems = preflight::preflight(&plan, &target, &folder.id()).await;
        if problems.is_empty() {
            problems.extend(gate::confirm(&plan, &target, options.yes).err());
        }
        if problems.is_empty() {
            // Before anything is set up that would have to be recovered.
            write_inputs(&folder, &plan, &options, target.facts().await)?;
            match target.set_up(&folder).await {
                Ok(()) => return Ok(target),
                // The folder says what has to be taken away still.
                Err(error) if error.left.is_some() => {
                    return Err(RunError::SetUpLeft {
                        folder: folder.path().to_owned(),
                        why: error.to_string(),
                    });
                }
                Err(error) => problems.push(error.to_string()),
            }
        }
        target.stop().await;
        Err(RunError::Preflight(problems))
    };
    let target = match started.await {
        Ok(target) => target,
        Err(error @ RunError::SetUpLeft { .. }) => return Err(error),
        Err(error) => {
            // Nothing happened that would have to be kept.
            let _ = fs::remove_dir_all(folder.path());
            return Err(error);
        }
    };
    let supervised = supervise::supervise(Arc::new(plan), &target, &folder, &options, log, interrupts).await;
    // After a second Ctrl-C no cluster is waited for.
    let left = match (&supervised, &target) {
        (Err(RunError::LeftAtOnce(_)), Running::Kubernetes(_)) => None,
        _ => target.stop().await,
    };
    let mut left_behind = supervised?;
    left_behind.extend(left);
    if let (Some(path), Some(writer)) = (&options.requests_log, log_writer) {
        end_requests_log(path, writer).await;
    }
    folder.release_reserve();
    let judged = Judged::read(&folder)?;
    judged.write(folder.path(), &Format::ALL)?;
    let colour = std::io::stderr().is_terminal();
    let summary = judged.summary(colour, ui::width());
    Ok(Drilled { folder, verdict: judged.verdict, left_behind, summary })
}

/// Judges a run again from its folder, and writes verdict and report to `out`.
pub fn render(folder: &RunFolder, out: &Path, formats: &[Format]) -> Result<RunVerdict, RunError> {
    let judged = Judged::read(folder)?;
    judged.write(out, formats)?;
    Ok(judged.verdict)
}

/// The chain of evidence of one check, or a list of all. The inner error: there
/// is no such check, but there are these.
pub fn explain(folder: &RunFolder, check: Option<&str>) -> Result<Result<String, Vec<String>>, RunError> {
    Ok(Judged::read(folder)?.explain(check))
}

fn create_requests_log(path: &Path) -> Result<(RequestLog, RequestLogWriter), RunError> {
    RequestLog::create(path).map_err(|source| RunError::RequestsLog { path: path.to_owned(), source })
}

/// The verdict does not depend on it, so what it lacks is only said.
async fn end_requests_log(path: &Path, writer: RequestLogWriter) {
    let (dropped, written) = writer.finish().await;
    if let Err(error) = written {
        eprintln!("warning: the log of requests `{}` ends early: {error}", path.display());
    }
    if dropped > 0 {
        eprintln!("warning: the log of requests `{}` lacks {dropped} of them", path.display());
    }
}

fn write_inputs(
    folder: &RunFolder,
    plan: &Plan,
    options: &Options,
    cluster: Option<serde_json::Value>,
) -> Result<(), RunError> {
    let pretty = |value: serde_json::Result<String>| value.map(|text| text + "\n");
    for file in options.files.iter().take(1) {
        folder.write("scenario.yaml", file.text.as_bytes())?;
    }
    folder.write("plan.json", pretty(serde_json::to_string_pretty(plan))?.as_bytes())?;
    let environment = Environment { cluster, ..Environment::gather(&options.scenario, plan.seed) };
    folder.write("environment.json", pretty(serde_json::to_string_pretty(&environment))?.as_bytes())?;
    Ok(())
}
