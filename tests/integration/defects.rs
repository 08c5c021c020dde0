//! The defect matrix: each defect of the lab is caught, by the check of its
//! mechanism and no other, and the same drill without the defect passes.
//!
//! Takes minutes, so it runs on demand:
//! `cargo test --release --test integration -- --ignored defect_matrix`.
//! `FIREDRILL_SEEDS=7,8,9` sets the seeds, `FIREDRILL_JOBS` how many drills run
//! at a time, `FIREDRILL_ONLY` a part of the names. `FIREDRILL_TRUTH=FILE` adds
//! a line of each drill to a file, which `benches/truth` makes a table of; with
//! `FIREDRILL_KEEP=FOLDER` the runs stay there, to be judged again.

use std::{
    collections::BTreeSet,
    env, fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Mutex,
};

use firedrill::verdict::model::{RunVerdict, Verdict};
use serde_json::json;

use crate::support::exe;

/// One drill of the matrix.
#[derive(Debug, Clone)]
struct Drill {
    scenario: PathBuf,
    seed: u64,
    /// `--set` arguments that heal the lab.
    heal: Option<String>,
}

impl Drill {
    fn name(&self) -> String {
        self.scenario.file_stem().expect("a file has a name").to_string_lossy().into_owned()
    }

    /// The mechanism that the file's name begins with.
    fn mechanism(&self) -> &'static str {
        const MECHANISMS: [&str; 12] = [
            "circuit-breaker",
            "cache",
            "rollback",
            "fallback",
            "shedding",
            "retries",
            "pods",
            "probes",
            "autoscaling",
            "failover",
            "drift",
            "recovery",
        ];
        let name = self.name();
        MECHANISMS.into_iter().find(|mechanism| name.starts_with(mechanism)).expect("a known mechanism")
    }

    /// What heals it: the switch of the lab's gateway for that mechanism, or
    /// another version.
    fn cure(&self) -> String {
        match self.mechanism() {
            "drift" => "chaos.0.deploy.defect=none".to_owned(),
            "circuit-breaker" => "target.lab.gateway.breaker=on".to_owned(),
            // What keeps a service down is a mechanism that should help it.
            "recovery" => "target.lab.gateway.retries=on".to_owned(),
            mechanism => format!("target.lab.gateway.{mechanism}=on"),
        }
    }

    /// What is drilled, but for its name and its defect.
    fn without_defect(&self) -> String {
        let text = fs::read_to_string(&self.scenario).expect("the scenario is read");
        let switch = match self.mechanism() {
            "circuit-breaker" => "breaker:".to_owned(),
            "recovery" => "retries:".to_owned(),
            mechanism => format!("{mechanism}:"),
        };
        let other = |line: &&str| {
            let line = line.trim_start();
            !["#", "name:", "description:", &switch].iter().any(|start| line.starts_with(start))
        };
        text.lines().filter(other).collect::<Vec<_>>().join("\n")
    }

    /// Adds to the file of the truth how each check of a drill was judged.
    fn note(&self, verdict: &RunVerdict, run: &str) {
        let Some(file) = env::var_os("FIREDRILL_TRUTH") else { return };
        let checks = verdict.checks.iter().map(
            |check| json!({ "id": check.id, "kind": check.kind, "verdict": check.verdict, "why": check.why }),
        );
        let line = json!({
            "defect": self.name(),
            "mechanism": self.mechanism(),
            "healed": self.heal.is_some(),
            "checks": checks.collect::<Vec<_>>(),
            "run": run,
            "seed": self.seed,
        });
        let mut file =
            fs::OpenOptions::new().create(true).append(true).open(file).expect("the file of the truth");
        // In one piece: drills end side by side.
        file.write_all(format!("{line}\n").as_bytes()).expect("it is written");
    }

    /// Runs it, and says what was wrong with its end.
    fn run(&self, runs: &Path) -> Result<String, String> {
        let mut command = Command::new(exe());
        command.arg("run").arg(&self.scenario).args(["--ui", "none", "--seed", &self.seed.to_string()]);
        command.arg("--runs").arg(runs).stderr(Stdio::piped());
        if let Some(heal) = &self.heal {
            command.args(["--set", heal]);
        }
        let out = command.output().expect("the program starts");
        let stdout = String::from_utf8_lossy(&out.stdout);
        let folder = stdout.lines().last().unwrap_or_default();
        let text = fs::read_to_string(Path::new(folder).join("verdict.json"))
            .map_err(|error| format!("no verdict ({error}): {}", String::from_utf8_lossy(&out.stderr)))?;
        let verdict: RunVerdict = serde_json::from_str(&text).map_err(|error| error.to_string())?;
        self.note(&verdict, folder);
        let (want, failing) = match self.heal {
            Some(_) => (0, BTreeSet::new()),
            None => (1, BTreeSet::from([self.mechanism().to_owned()])),
        };
        let kinds = |wanted: Verdict| -> BTreeSet<String> {
            let of = verdict.checks.iter().filter(|check| check.verdict == wanted);
            of.map(|check| serde_json::to_value(check.kind).expect("JSON").as_str().expect("text").to_owned())
                .collect()
        };
        let got = (out.status.code(), kinds(Verdict::Fail));
        let whys: Vec<_> = verdict
            .checks
            .iter()
            .filter(|check| check.verdict != Verdict::Pass)
            .map(|check| format!("    {} {}: {}", check.verdict.as_str(), check.id, check.why))
            .collect();
        if got == (Some(want), failing) {
            Ok(verdict.why)
        } else {
            Err(format!("exit {:?}, {}\n{}\n    {folder}", got.0, verdict.why, whys.join("\n")))
        }
    }
}

fn drills() -> Vec<Drill> {
    let seeds = env::var("FIREDRILL_SEEDS").unwrap_or_else(|_| "7".to_owned());
    let seeds: Vec<u64> = seeds.split(',').map(|seed| seed.trim().parse().expect("a seed")).collect();
    let only = env::var("FIREDRILL_ONLY").unwrap_or_default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/defects");
    let files = fs::read_dir(folder).expect("the defect scenarios").flatten().map(|file| file.path());
    // Beside them lie the datasets that they send.
    let mut files: Vec<_> = files.filter(|file| file.extension().is_some_and(|is| is == "yaml")).collect();
    files.sort();
    let mut drills = Vec::new();
    let mut healthy = BTreeSet::new();
    for scenario in files {
        for &seed in &seeds {
            let drill = Drill { scenario: scenario.clone(), seed, heal: None };
            if !drill.name().contains(&only) {
                continue;
            }
            let heal = Some(drill.cure());
            drills.push(drill.clone());
            let healed = Drill { heal, ..drill };
            // Several defects of one mechanism leave the same drill, once healed.
            if healthy.insert((seed, healed.without_defect())) {
                drills.push(healed);
            }
        }
    }
    drills
}

/// Cheap, and run with every change: the matrix itself takes minutes.
#[test]
fn each_defect_drill_is_a_scenario_with_a_cure() {
    for drill in drills() {
        let mut command = Command::new(exe());
        command.arg("validate").arg(&drill.scenario);
        if let Some(heal) = &drill.heal {
            command.args(["--set", heal]);
        }
        let out = command.output().expect("the program starts");
        assert!(out.status.success(), "{drill:?}: {}", String::from_utf8_lossy(&out.stderr));
    }
}

#[test]
#[ignore = "takes minutes"]
fn defect_matrix() {
    let kept = env::var_os("FIREDRILL_KEEP").map(PathBuf::from);
    let passing = tempfile::tempdir().expect("a folder");
    let runs = kept.as_deref().unwrap_or(passing.path());
    let jobs = env::var("FIREDRILL_JOBS").map_or(2, |jobs| jobs.parse().expect("a number of jobs"));
    let (queue, failures) = (Mutex::new(drills().into_iter()), Mutex::new(0));
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let Some(drill) = queue.lock().expect("no panic").next() else { break };
                    let state = if drill.heal.is_some() { "healed" } else { "defect" };
                    let head = format!("{:<32} {state} seed {}", drill.name(), drill.seed);
                    match drill.run(runs) {
                        Ok(why) => println!("ok    {head}  {why}"),
                        Err(why) => {
                            *failures.lock().expect("no panic") += 1;
                            println!("WRONG {head}  {why}");
                        }
                    }
                }
            });
        }
    });
    assert_eq!(failures.into_inner().expect("no panic"), 0, "drills ended otherwise than they should");
}
