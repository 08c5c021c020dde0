//! A scenario run by the program, and what it left behind.

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

use firedrill::{
    journal::{Cell, RunFolder, RunRecord, interval::Outcome, reader},
    verdict::model::{CheckKind, RunVerdict, Verdict},
};
use indexmap::IndexMap;

use crate::support::{Folder, exe};

/// The command that runs `scenario`, which is written into `folder`.
pub(crate) fn command(folder: &Folder, scenario: &str) -> Command {
    let mut command = Command::new(exe());
    command.arg("run").arg(folder.write("drill.yaml", scenario));
    command.args(["--ui", "none", "--runs"]).arg(folder.path().join("runs"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// A run that has ended. Its folder goes with it.
pub(crate) struct Drilled {
    /// The exit code.
    pub(crate) code: i32,
    /// Both standard streams.
    pub(crate) said: String,
    /// The journal; empty where nothing ran.
    pub(crate) record: RunRecord,
    /// The verdict; none where nothing ran.
    pub(crate) verdict: Option<RunVerdict>,
    _folder: Folder,
}

impl Drilled {
    /// Runs `scenario` to its end.
    pub(crate) fn run(scenario: &str) -> Self {
        let folder = Folder::new();
        let out = command(&folder, scenario).output().expect("the program starts");
        Self::of(folder, &out)
    }

    /// Runs it again while the machine is too busy to tell: a run whose load
    /// generator lagged says so, and decides nothing.
    pub(crate) fn conclusive(run: impl Fn() -> Self) -> Self {
        (1..4).fold(run(), |drilled, _| if drilled.lagged() { run() } else { drilled })
    }

    fn lagged(&self) -> bool {
        let checks = self.verdict.iter().flat_map(|verdict| &verdict.checks);
        checks
            .into_iter()
            .any(|check| check.kind == CheckKind::Generator && check.verdict == Verdict::Inconclusive)
    }

    /// Reads what a run left in `folder`.
    pub(crate) fn of(folder: Folder, out: &Output) -> Self {
        let stdout = String::from_utf8_lossy(&out.stdout);
        let run = stdout.lines().last().map(Path::new).filter(|path| path.is_dir());
        let run = run.map(|path| RunFolder::open(path).expect("a run's folder"));
        let verdict = run.as_ref().and_then(|run| run.read("verdict.json").ok());
        Self {
            code: out.status.code().expect("an exit code"),
            said: format!("{stdout}\n{}", String::from_utf8_lossy(&out.stderr)),
            record: run.map(|run| reader::read(&run).expect("a journal")).unwrap_or_default(),
            verdict: verdict.map(|text| serde_json::from_str(&text).expect("a verdict")),
            _folder: folder,
        }
    }

    /// Requests by class.
    pub(crate) fn outcomes(&self) -> IndexMap<Outcome, u64> {
        let mut outcomes = IndexMap::new();
        for cell in self.record.cells() {
            *outcomes.entry(cell.key.outcome).or_default() += cell.count;
        }
        outcomes
    }

    /// All cells of a workload as one.
    pub(crate) fn sum(&self, workload: &str) -> Cell {
        let mut cells = self.record.cells().filter(|cell| cell.key.workload.as_str() == workload);
        let mut sum = cells.next().expect("a cell").clone();
        cells.for_each(|cell| sum.merge(cell));
        sum
    }
}
