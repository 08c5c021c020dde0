//! Child processes of this program that cannot outlive it.
//!
//! The parent keeps the write end of the child's standard input open. Its
//! first line is the child's configuration as JSON; when it closes, however
//! the parent ended, the child exits. (A parent-death signal is tied to the
//! thread that forked, so it would end children too early.) The child writes
//! one line of JSON to standard output when it is ready.

use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt},
    process::{ChildStdin, Command},
    sync::oneshot,
};

/// How long a child may take until it is ready.
const READY_WITHIN: Duration = Duration::from_secs(20);

/// What can go wrong with a child process.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started, or its pipes broke.
    #[error("start `{command}`: {source}")]
    Io {
        /// The sub-command.
        command: String,
        /// Why.
        source: std::io::Error,
    },
    /// It ended, or said something else, before it was ready.
    #[error("`{command}` did not become ready: {why}")]
    NotReady {
        /// The sub-command.
        command: String,
        /// Why.
        why: String,
    },
    /// Its configuration could not be read.
    #[error("read the configuration from standard input: {0}")]
    Config(String),
}

/// A running child. Dropping it kills the process.
#[derive(Debug)]
pub struct Child {
    inner: tokio::process::Child,
    // Its closing ends the child.
    lifeline: Option<ChildStdin>,
    pid: u32,
}

impl Child {
    /// The process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// SIGKILL, at once. The exit is seen by [`Self::wait`].
    pub fn kill(&mut self) -> std::io::Result<()> {
        self.inner.start_kill()
    }

    /// Waits for the end of the process. Cancel safe.
    pub async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        // tokio's `wait` closes standard input, which here would end it.
        loop {
            if let Some(status) = self.inner.try_wait()? {
                return Ok(status);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Closes the lifeline and waits for the end; kills after `patience`.
    pub async fn stop(mut self, patience: Duration) -> std::io::Result<ExitStatus> {
        drop(self.lifeline.take());
        match tokio::time::timeout(patience, self.inner.wait()).await {
            Ok(status) => status,
            Err(_) => {
                self.inner.start_kill()?;
                self.inner.wait().await
            }
        }
    }
}

/// Starts `exe command` in a process group of its own (so that a Ctrl-C in
/// the terminal reaches only the parent), hands it `config`, and returns it
/// with what it said when it was ready. Its standard error goes to `log`.
pub async fn spawn<C: Serialize, R: DeserializeOwned>(
    exe: &Path,
    command: &str,
    config: &C,
    log: Option<&Path>,
) -> Result<(Child, R), ProcessError> {
    let io = |source| ProcessError::Io { command: command.to_owned(), source };
    let not_ready = |why: String| ProcessError::NotReady { command: command.to_owned(), why };
    let stderr = match log {
        Some(path) => Stdio::from(File::options().create(true).append(true).open(path).map_err(io)?),
        None => Stdio::null(),
    };
    let mut inner = Command::new(exe)
        .arg(command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(io)?;
    let pid = inner.id().ok_or_else(|| not_ready("it ended at once".to_owned()))?;
    let mut lifeline = inner.stdin.take().ok_or_else(|| not_ready("it has no standard input".to_owned()))?;
    let stdout = inner.stdout.take().ok_or_else(|| not_ready("it has no standard output".to_owned()))?;
    let mut config = serde_json::to_vec(config).map_err(|error| not_ready(error.to_string()))?;
    config.push(b'\n');
    lifeline.write_all(&config).await.map_err(io)?;
    let mut lines = tokio::io::BufReader::new(stdout).lines();
    let line = tokio::time::timeout(READY_WITHIN, lines.next_line())
        .await
        .map_err(|_| not_ready(format!("it said nothing for {} s", READY_WITHIN.as_secs())))?
        .map_err(io)?
        .ok_or_else(|| not_ready("it ended first".to_owned()))?;
    let ready = serde_json::from_str(&line).map_err(|error| not_ready(format!("{error} in `{line}`")))?;
    Ok((Child { inner, lifeline: Some(lifeline), pid }, ready))
}

/// The child's side: its configuration, and a future that resolves when the
/// parent is gone.
pub fn lifeline<C: DeserializeOwned>() -> Result<(C, oneshot::Receiver<()>), ProcessError> {
    let mut stdin = BufReader::new(std::io::stdin());
    let mut line = String::new();
    stdin.read_line(&mut line).map_err(|error| ProcessError::Config(error.to_string()))?;
    let config = serde_json::from_str(&line).map_err(|error| ProcessError::Config(error.to_string()))?;
    let (gone, parent_gone) = oneshot::channel();
    // A thread of its own: a blocked read must not keep the runtime from ending.
    std::thread::spawn(move || {
        while stdin.read_line(&mut line).is_ok_and(|n| n > 0) {
            line.clear();
        }
        // Nobody listens where the child is ending anyway.
        let _ = gone.send(());
    });
    Ok((config, parent_gone))
}

/// The child's side: says that it is ready.
pub fn ready<R: Serialize>(what: &R) -> Result<(), ProcessError> {
    let line = serde_json::to_string(what).map_err(|error| ProcessError::Config(error.to_string()))?;
    println!("{line}");
    Ok(())
}
