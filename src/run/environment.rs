//! What a run ran on: `environment.json`.

use std::{fs, path::Path, process::Command};

use serde::{Deserialize, Serialize};

/// What a run ran on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Environment {
    /// This program's version.
    pub firedrill: String,
    /// The seed in force.
    pub seed: u64,
    /// The command line.
    pub command: Vec<String>,
    /// Commit of the repository that holds the scenario.
    pub scenario_commit: Option<String>,
    /// Whether the scenario differs from that commit.
    pub scenario_modified: Option<bool>,
    /// The machine's name.
    pub host: Option<String>,
    /// Operating system and architecture.
    pub os: String,
    /// The kernel's release.
    pub kernel: Option<String>,
    /// Cores that may be used.
    pub cores: Option<usize>,
    /// Memory in MiB.
    pub memory_mib: Option<u64>,
    /// The cluster: who answers there, its version, how far its clock is from
    /// this machine's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<serde_json::Value>,
}

impl Environment {
    /// Looks at the machine, and at the repository around `scenario`.
    pub(super) fn gather(scenario: &Path, seed: u64) -> Self {
        Self {
            firedrill: env!("CARGO_PKG_VERSION").to_owned(),
            seed,
            command: std::env::args().collect(),
            scenario_commit: git(scenario, &["rev-parse", "HEAD"]),
            scenario_modified: git(scenario, &["status", "--porcelain", "--", "."])
                .map(|text| !text.is_empty()),
            host: first_line("/proc/sys/kernel/hostname"),
            os: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            kernel: first_line("/proc/sys/kernel/osrelease"),
            cores: std::thread::available_parallelism().ok().map(usize::from),
            memory_mib: memory_mib(),
            cluster: None,
        }
    }
}

fn first_line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.lines().next()?.to_owned())
}

fn memory_mib() -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = total.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

/// What git says about the folder that holds `scenario`; none without git or
/// a repository.
fn git(scenario: &Path, arguments: &[&str]) -> Option<String> {
    let folder = scenario.canonicalize().ok()?.parent()?.to_owned();
    let out = Command::new("git").arg("-C").arg(folder).args(arguments).output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).trim().to_owned())
}
