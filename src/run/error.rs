//! Why there is no verdict.

use std::path::PathBuf;

use crate::{
    chaos::ContextError, journal::folder::FolderError, lab::client::ClientError, report::ReportError,
};

/// Why a run came to no verdict.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something is wrong before anything was sent or broken.
    #[error("the preflight found {}, nothing was sent or broken:{}", count(.0), list(.0))]
    Preflight(Vec<String>),
    /// There is no place for the run's folder.
    #[error("{0}\nnothing was started; choose another place with --runs")]
    NoFolder(FolderError),
    /// There is no place for the log of all requests.
    #[error("create the log of requests `{}`: {source}\nnothing was started", .path.display())]
    RequestsLog {
        /// Where it was wanted.
        path: PathBuf,
        /// Why it can't be there.
        source: std::io::Error,
    },
    /// What faults need could not be set up, and a part of it stays.
    #[error("{why}\nnothing was sent or broken; try: firedrill recover {}", .folder.display())]
    SetUpLeft {
        /// The run's folder, which says what is left.
        folder: PathBuf,
        /// Why, and what to do by hand.
        why: String,
    },
    /// A person left at once, faults may be in place.
    #[error("left at once; faults may still be in place: firedrill recover {}", .0.display())]
    LeftAtOnce(PathBuf),
    /// A file of the run's folder could not be written or read.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The write-ahead log of faults could not be kept.
    #[error(transparent)]
    Wal(#[from] ContextError),
    /// The driver of faults could not be made.
    #[error(transparent)]
    Driver(#[from] ClientError),
    /// The target's URL is none.
    #[error("target: `{url}` is no URL: {source}")]
    Url {
        /// The URL.
        url: String,
        /// What is wrong with it.
        source: http::uri::InvalidUri,
    },
    /// The report could not be made.
    #[error("report: {0}")]
    Report(#[from] ReportError),
    /// Ctrl-C could not be caught, so faults could be left behind.
    #[error("catch Ctrl-C: {0}")]
    Interrupts(#[from] ctrlc::Error),
    /// A file of the run's folder is not what it should be.
    #[error("the run's folder: {0}")]
    Format(#[from] serde_json::Error),
    /// This program's own file could not be found, to start the lab from.
    #[error("find this program's own file: {0}")]
    Executable(std::io::Error),
}

fn count(problems: &[String]) -> String {
    match problems.len() {
        1 => "a problem".to_owned(),
        n => format!("{n} problems"),
    }
}

fn list(problems: &[String]) -> String {
    problems.iter().map(|problem| format!("\n  - {problem}")).collect()
}
