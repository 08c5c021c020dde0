//! What tests share.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Output},
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

use firedrill::verdict::model::RunVerdict;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

/// The program under test: `FIREDRILL_EXE`, or the one that was built with the
/// tests.
pub(crate) fn exe() -> &'static Path {
    static EXE: OnceLock<PathBuf> = OnceLock::new();
    let built = || PathBuf::from(env!("CARGO_BIN_EXE_firedrill"));
    EXE.get_or_init(|| env::var_os("FIREDRILL_EXE").map_or_else(built, PathBuf::from))
}

/// A folder that goes with the test.
#[derive(Debug)]
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file into it.
    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, text).expect("the file is written");
        path
    }
}

/// All that a program printed.
pub(crate) fn said(out: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

/// The folder of a run, which its last line names.
pub(crate) fn run_folder(out: &Output) -> PathBuf {
    let text = String::from_utf8_lossy(&out.stdout);
    PathBuf::from(text.lines().last().unwrap_or_else(|| panic!("the run's folder: {}", said(out))))
}

/// The verdict in a run's folder.
pub(crate) fn verdict(folder: &Path) -> RunVerdict {
    let text = fs::read_to_string(folder.join("verdict.json")).expect("verdict.json");
    serde_json::from_str(&text).expect("a verdict")
}

/// The events of a run, and the wall clock at its zero.
pub(crate) fn events(run: &Path) -> (SystemTime, Vec<Value>) {
    let journal = fs::read_to_string(run.join("events.jsonl")).expect("a journal");
    let lines: Vec<Value> = journal.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let zero = lines[0]["wall_clock"].as_str().expect("a time");
    (humantime::parse_rfc3339(zero).expect("a time"), lines)
}

/// When a signal came true: from, to, in seconds on the run's clock.
pub(crate) fn seen(event: &Value) -> (f64, f64) {
    let micros = |key: &str| event["seen"][key].as_f64().expect("a time") / 1e6;
    (micros("not_before"), micros("by"))
}

/// A process that ends with its test.
#[derive(Debug)]
pub(crate) struct Running(Option<Child>);

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(Some(command.spawn().expect("the program starts")))
    }

    /// Starts a drill, and waits until the journal of a run below `runs` tells
    /// of `needle`. The drill, and that run's folder.
    pub(crate) fn drill(
        command: &mut Command,
        runs: &Path,
        needle: &str,
        patience: Duration,
    ) -> (Self, PathBuf) {
        let mut drill = Self::start(command);
        let deadline = Instant::now() + patience;
        loop {
            for run in fs::read_dir(runs).into_iter().flatten().flatten().map(|run| run.path()) {
                if fs::read_to_string(run.join("events.jsonl")).is_ok_and(|text| text.contains(needle)) {
                    return (drill, run);
                }
            }
            if drill.is_over() {
                panic!("it ended before {needle}: {}", said(&drill.ended()));
            }
            assert!(Instant::now() < deadline, "the journal never told of {needle}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it runs")
    }

    /// What it says, where that is a pipe. Once.
    pub(crate) fn stdout(&mut self) -> ChildStdout {
        self.child().stdout.take().expect("a pipe")
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.child().try_wait().expect("it can be asked").is_some()
    }

    pub(crate) fn signal(&mut self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.child().id()).expect("a pid")), signal).expect("a signal");
    }

    /// Waits for its end, and for all that it says.
    pub(crate) fn ended(mut self) -> Output {
        self.0.take().expect("it runs").wait_with_output().expect("it ends")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
