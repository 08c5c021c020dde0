//! Drills of systems that others wrote, by the scenarios that users are given
//! for them: each set up well and badly, and told apart.

mod alerts;
mod breakers;
mod caches;
mod failovers;
mod fallbacks;
mod figures;
mod hangs;
mod invalidation;
mod limits;
mod records;
mod registries;

use std::{
    fmt,
    path::Path,
    process::{Command, Output},
    thread,
    time::SystemTime,
};

use firedrill::verdict::model::{RunVerdict, Verdict};
use serde_json::Value;

use super::servers::{Real, origin, way};
use crate::support::{Folder, events, exe, run_folder, said, verdict};

/// What a drill came to.
struct Told {
    judged: RunVerdict,
    /// What it printed.
    said: String,
    /// What it wrote down, and the wall clock at its zero.
    events: (SystemTime, Vec<Value>),
}

impl Told {
    /// The verdict on one check.
    fn on(&self, check: &str) -> Verdict {
        let found = self.judged.checks.iter().find(|one| one.id.as_str() == check);
        found.unwrap_or_else(|| panic!("{check} is not judged: {self}")).verdict
    }

    /// Holds these verdicts against the drill's. `how` says what was drilled.
    fn must(&self, how: &str, wanted: &[(&str, Verdict)]) {
        for (check, verdict) in wanted {
            assert_eq!(self.on(check), *verdict, "{how}: {check}: {self}");
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.judged.checks {
            writeln!(f, "{:?} {}: {}", check.verdict, check.id, check.why)?;
        }
        f.write_str(&self.said)
    }
}

/// A system that is up, and the scenario that is for it.
struct Site {
    scenario: &'static str,
    /// What stands in place of the scenario's own values.
    sets: Vec<(&'static str, String)>,
    /// Variables of the drill's environment.
    env: Vec<(&'static str, String)>,
    /// The programs, its system first.
    up: Vec<Real>,
}

impl Site {
    /// Of a system on its own.
    fn new(scenario: &'static str, front: Real) -> Self {
        Self { scenario, sets: vec![("target.url", front.url.clone())], env: vec![], up: vec![front] }
    }

    /// Of a system that `start` puts before this origin.
    fn before(origin: Real, scenario: &'static str, start: impl FnOnce(&str) -> Real) -> Self {
        Self::new(scenario, start(origin.address())).with(origin)
    }

    /// The same with a fault proxy on the way.
    fn cut_off(scenario: &'static str, start: impl FnOnce(&str) -> Real) -> Self {
        let origin = origin();
        let way = way(&origin);
        Self::behind(scenario, start(way.address()), way).with(origin)
    }

    /// Of a system that is up, with the way from it that the drill breaks.
    fn behind(scenario: &'static str, front: Real, way: Real) -> Self {
        let sets = vec![
            ("target.url.at", front.url.clone()),
            ("target.url.proxy", format!("127.0.0.1:{}", way.beside)),
        ];
        Self { scenario, sets, env: vec![], up: vec![front, way] }
    }

    /// Another program that has to be up.
    fn with(mut self, program: Real) -> Self {
        self.up.push(program);
        self
    }

    fn env(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    fn set(mut self, path: &'static str, value: impl Into<String>) -> Self {
        self.sets.push((path, value.into()));
        self
    }

    /// The second port of its system.
    fn beside(&self) -> String {
        format!("http://127.0.0.1:{}", self.up[0].beside)
    }

    /// Where its system is.
    fn url(&self) -> &str {
        &self.up[0].url
    }

    /// Its drill.
    fn drill(&self) -> Told {
        let folder = Folder::new();
        let out = self.run(&folder);
        let run = run_folder(&out);
        Told { judged: verdict(&run), said: said(&out), events: events(&run) }
    }

    /// What is wrong with its drill, of which nothing may be started.
    fn refused(&self) -> String {
        let out = self.run(&Folder::new());
        assert_eq!(out.status.code(), Some(2), "{}", said(&out));
        said(&out)
    }

    fn run(&self, folder: &Folder) -> Output {
        let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/systems").join(self.scenario);
        let mut command = Command::new(exe());
        command.arg("run").arg(scenario).args(["--ui", "plain", "--runs"]).arg(folder.path().join("runs"));
        for (path, value) in &self.sets {
            command.arg("--set").arg(format!("{path}={value}"));
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command.output().expect("it starts")
    }
}

/// Starts a site for each case, one after another, drills them side by side (a
/// drill waits most of its time), and holds each against its case.
fn tell_apart<T>(cases: &[T], start: impl Fn(&T) -> Site, judge: impl Fn(&T, &Told)) {
    let sites: Vec<Site> = cases.iter().map(start).collect();
    let told: Vec<Told> = thread::scope(|scope| {
        let drills: Vec<_> = sites.iter().map(|site| scope.spawn(|| site.drill())).collect();
        drills.into_iter().map(|drill| drill.join().expect("a drill")).collect()
    });
    cases.iter().zip(&told).for_each(|(case, told)| judge(case, told));
}
