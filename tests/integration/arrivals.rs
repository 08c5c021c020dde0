//! Every kind of arrivals, through the program and on the wire; a search.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use firedrill::{
    journal::Interval,
    plan::{self, Plan},
    scenario::model::Executor,
    verdict::model::RunVerdict,
};

use crate::support::{Folder, exe};

/// Runs a scenario of the repository; what it said, and the run's folder.
fn run(scenario: &str, set: &[&str]) -> (Folder, Option<i32>, String) {
    let runs = Folder::new();
    let mut command = Command::new(exe());
    command.current_dir(env!("CARGO_MANIFEST_DIR")).arg("run").arg(scenario);
    command.args(["--ui", "plain", "--runs"]).arg(runs.path());
    for change in set {
        command.args(["--set", change]);
    }
    let out = command.output().expect("the program starts");
    let said = format!("{}\n{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    (runs, out.status.code(), said)
}

fn only(runs: &Folder) -> std::path::PathBuf {
    fs::read_dir(runs.path()).expect("runs").next().expect("a run").expect("an entry").path()
}

fn json<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    serde_json::from_str(&fs::read_to_string(path).expect("the file")).expect("JSON")
}

#[test]
fn what_arrives_is_what_was_planned_of_every_kind() {
    let (runs, _, said) = run("tests/data/load/arrivals.yaml", &[]);
    let folder = only(&runs);
    let plan: Plan = json(&folder.join("plan.json"));
    let intervals = fs::read_to_string(folder.join("intervals.jsonl")).expect("intervals");
    let mut seen: BTreeMap<String, BTreeMap<u32, u64>> = BTreeMap::new();
    let mut tokens: BTreeMap<String, u64> = BTreeMap::new();
    for line in intervals.lines() {
        let interval: Interval = serde_json::from_str(line).expect("JSON");
        for cell in interval.cells {
            let seconds = seen.entry(cell.key.workload.to_string()).or_default();
            *seconds.entry(cell.key.second).or_default() += cell.count;
            *tokens.entry(cell.key.workload.to_string()).or_default() += cell.tokens;
        }
    }
    assert_eq!(plan.load.len(), 10);
    for load in &plan.load {
        let seen = seen.get(load.name.as_str()).unwrap_or_else(|| panic!("nothing of {}: {said}", load.name));
        match &load.executor {
            Executor::Arrivals(kind) => {
                let due =
                    plan::arrivals(kind, plan.seed, &load.name, load.start, Default::default(), load.end);
                let mut wanted: BTreeMap<u32, u64> = BTreeMap::new();
                due.for_each(|at| *wanted.entry(at.second()).or_default() += 1);
                assert_eq!(seen, &wanted, "{} by second: {said}", load.name);
            }
            Executor::Closed(closed) => {
                // As many as there is time for.
                let (sent, most) = (seen.values().sum::<u64>(), closed.requests.unwrap_or(0));
                assert!((u64::from(closed.users)..=most).contains(&sent), "{}: {sent}", load.name);
            }
            Executor::Capacity(_) => panic!("there is none"),
        }
    }
    // What each trace says was asked for and delivered; of BurstGPT's failed request the workload's 4.
    let of = |name| tokens.get(name).copied().unwrap_or(0);
    assert_eq!([of("azure"), of("burstgpt"), of("mooncake")], [98, 18 + 12 + 4 + 9 + 14, 37], "{said}");
    let verdict: RunVerdict = json(&folder.join("verdict.json"));
    assert!(verdict.outcomes.keys().all(|outcome| outcome.as_str() == "ok"), "{said}");
}

#[test]
fn a_search_goes_up_until_it_breaks_and_judges_each_step() {
    let set = [
        "load.0.capacity.from=5/s",
        "load.0.capacity.to=40/s",
        "load.0.capacity.hold=2s",
        "load.0.capacity.warm-up=0s",
        "load.0.capacity.refine=0",
        "slos.0.ttft=p50 < 1ms",
        "slos.1.availability='>= 50%'",
    ];
    let (runs, _, said) = run("scenarios/capacity.yaml", &set);
    let verdict: RunVerdict = json(&only(&runs).join("verdict.json"));
    let capacity = verdict.capacity.expect("a search");
    // No server answers in a millisecond: the first step that has requests enough breaks.
    // On a machine that is too busy to say, it says that.
    assert!(capacity.holds.is_none() && !capacity.steps.is_empty(), "{said}");
    assert!(capacity.breaks.is_some() || capacity.invalid.is_some(), "{said}");
    let sent: u64 = capacity.steps.iter().map(|step| step.requests).sum();
    assert!(sent > 0 && verdict.generator.due == verdict.generator.sent, "{said}");
}
