//! Faults and rollouts by programs of the user's.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use firedrill::verdict::model::Verdict;
use nix::sys::signal::Signal;

use super::{DRILL, command, run, started};
use crate::support::{Folder, Running, exe, run_folder, said, verdict};

/// A fault that is a file: `run` makes it, `proof` is that it is there.
fn broken(folder: &Path, run: &str, proof: &str, duration: &str) -> String {
    let file = folder.join("broken").display().to_string();
    format!(
        "chaos:\n  - id: gone\n    at: fault + 0s\n    {duration}\n    command:\n      run: [{run}, {file}]\n      \
         undo: [rm, {file}]\n      proof: [{proof}, -e, {file}]\n"
    )
}

#[test]
fn what_a_program_breaks_is_proven_and_mended() {
    let folder = Folder::new();
    let (_folder, out) = run(&format!("{DRILL}{}", broken(folder.path(), "touch", "test", "duration: 2s")));
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let judged = verdict(&run_folder(&out));
    let fault = &judged.faults[0];
    assert!(fault.recovered_at.is_some() && fault.what == "command/touch", "{fault:?}");
    assert!(!folder.path().join("broken").exists());
}

#[test]
fn a_program_that_breaks_nothing_is_no_fault() {
    let folder = Folder::new();
    let idle = broken(folder.path(), "echo", "test", "duration: 2s").replace("undo: [rm, ", "undo: [echo, ");
    let (_folder, out) = run(&format!("{DRILL}{idle}"));
    assert_eq!(out.status.code(), Some(3), "{}", said(&out));
    let judged = verdict(&run_folder(&out));
    let fault = judged.checks.iter().find(|check| check.id.as_str() == "fault.gone").expect("it is judged");
    assert_eq!(fault.verdict, Verdict::Inconclusive, "{}", fault.why);
}

#[test]
fn a_proof_that_holds_before_is_refused() {
    let folder = Folder::new();
    let (runs, out) = run(&format!("{DRILL}{}", broken(folder.path(), "touch", "'true'", "duration: 2s")));
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    assert!(said(&out).contains("it can't prove that it did"), "{}", said(&out));
    assert!(!folder.path().join("broken").exists(), "nothing was broken");
    drop(runs);
}

/// A drill whose program has broken something for most of a minute.
fn under_way(folder: &Folder) -> (Running, PathBuf) {
    let chaos = broken(folder.path(), "touch", "test", "duration: 50s");
    let long = format!("{}{chaos}", DRILL.replace("fault: 4s", "fault: 60s"));
    let under_way = started(folder, &long, "\"proven\"");
    assert!(folder.path().join("broken").exists());
    under_way
}

#[test]
fn an_interrupted_drill_mends_what_a_program_broke() {
    let folder = Folder::new();
    let (mut drill, _run) = under_way(&folder);
    drill.signal(Signal::SIGINT);
    let out = drill.ended();
    assert_eq!(out.status.code(), Some(4), "{}", said(&out));
    assert!(!folder.path().join("broken").exists());
}

#[test]
fn what_a_killed_drill_left_broken_is_mended_by_recover() {
    let folder = Folder::new();
    let (mut drill, run) = under_way(&folder);
    drill.signal(Signal::SIGKILL);
    drill.ended();
    assert!(folder.path().join("broken").exists());
    let recover = Command::new(exe()).arg("recover").arg(&run).output().expect("the program starts");
    assert_eq!(recover.status.code(), Some(0), "{}", said(&recover));
    assert!(!folder.path().join("broken").exists());
}

#[test]
fn nothing_ends_a_program_without_an_undo() {
    let folder = Folder::new();
    let chaos = broken(folder.path(), "touch", "test", "duration: 2s");
    let endless: String =
        chaos.lines().filter(|line| !line.contains("undo")).map(|line| format!("{line}\n")).collect();
    let out = command(&folder, &format!("{DRILL}{endless}")).output().expect("the program starts");
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    assert!(said(&out).contains("nothing ends it: there is no `undo`"), "{}", said(&out));
}
