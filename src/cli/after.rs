//! Commands on a run that is over: report, recover.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use super::exit::Exit;
use crate::{
    chaos::{self, RecoverReport},
    cluster::Cluster,
    journal::RunFolder,
    report::Format,
    run::{self, RunError},
};

/// `firedrill report`
pub(super) fn report(path: &Path, out: Option<&Path>, formats: &[Format]) -> Exit {
    let formats = if formats.is_empty() { &Format::ALL } else { formats };
    let rendered = RunFolder::open(path).map_err(RunError::from).and_then(|folder| {
        let out = out.unwrap_or(folder.path()).to_owned();
        run::render(&folder, &out, formats).map(|verdict| (verdict, out))
    });
    match rendered {
        Ok((verdict, out)) => {
            println!("{}", out.display());
            Exit::from(verdict.verdict)
        }
        Err(error) => {
            eprintln!("error: {error}");
            Exit::Usage
        }
    }
}

/// `firedrill explain`
pub(super) fn explain(path: &Path, check: Option<&str>) -> Exit {
    let explained =
        RunFolder::open(path).map_err(RunError::from).and_then(|folder| run::explain(&folder, check));
    match explained {
        Ok(Ok(text)) => {
            print!("{text}");
            Exit::Pass
        }
        Ok(Err(known)) => {
            eprintln!(
                "error: there is no check `{}`; there is\n  {}",
                check.unwrap_or_default(),
                known.join("\n  ")
            );
            Exit::Usage
        }
        Err(error) => {
            eprintln!("error: {error}");
            Exit::Usage
        }
    }
}

/// `firedrill recover`
pub(super) async fn recover(path: Option<PathBuf>, runs: &Path) -> Exit {
    let Some(path) = path.or_else(|| newest(runs)) else {
        eprintln!("error: there is no run in {}", runs.display());
        return Exit::Usage;
    };
    if RunFolder::never_began(&path) {
        print!("{}", in_words(&RecoverReport::default()));
        return Exit::Pass;
    }
    let folder = match RunFolder::open(&path) {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("error: {error}");
            return Exit::Usage;
        }
    };
    match chaos::recover(folder.path()).await {
        Ok(report) => {
            print!("{}", in_words(&report));
            if report.is_clean() { Exit::Pass } else { Exit::ChaosLeft }
        }
        Err(error) => {
            eprintln!("error: {error}");
            Exit::ChaosLeft
        }
    }
}

/// `firedrill recover --leftovers`
pub(super) async fn clear(namespaces: Vec<String>) -> Exit {
    let namespaces: BTreeSet<String> = namespaces.into_iter().collect();
    let found = async {
        let cluster = Cluster::current().await?;
        let only = (!namespaces.is_empty()).then_some(&namespaces);
        chaos::kubernetes::clear(&cluster, only).await
    };
    match found.await {
        Ok(report) => {
            print!("{}", in_words(&report));
            if report.is_clean() { Exit::Pass } else { Exit::ChaosLeft }
        }
        Err(error) => {
            eprintln!("error: {error}");
            Exit::ChaosLeft
        }
    }
}

/// The run's folder that was made last: their names begin with the time.
fn newest(runs: &Path) -> Option<PathBuf> {
    let folders = fs::read_dir(runs).ok()?.flatten().map(|entry| entry.path());
    folders.filter(|path| path.join("plan.json").exists()).max()
}

fn in_words(report: &RecoverReport) -> String {
    let mut text = String::new();
    for (fault, proof) in &report.recovered {
        text.push_str(&format!("{fault}: recovered\n"));
        for evidence in proof {
            text.push_str(&format!("  {}: {}\n", evidence.source, evidence.what));
        }
    }
    for (fault, why) in &report.failed {
        text.push_str(&format!("{fault}: STILL THERE: {why}\n"));
    }
    for line in &report.unreadable {
        text.push_str(&format!("faults.jsonl, line {line}: can't be read (a torn line after a crash)\n"));
    }
    if text.is_empty() {
        text.push_str("nothing was left behind\n");
    }
    text
}
