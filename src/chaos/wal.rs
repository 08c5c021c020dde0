//! The write-ahead log of faults (`faults.jsonl`): what a run is about to do
//! is on the disk before it is done, with what takes it back, so that another
//! process can finish what a dead one left.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};

use super::undo::Undo;
use crate::{
    journal::event::Evidence,
    plan::model::PlannedAction,
    units::{FaultId, PodName},
};

/// The log's name in a run's folder.
pub const FILE: &str = "faults.jsonl";

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The wall clock, RFC 3339 UTC.
    pub at: String,
    /// The fault.
    pub id: FaultId,
    /// What is about to happen to it, or has happened.
    #[serde(flatten)]
    pub step: Step,
}

/// A step in the life of a fault.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum Step {
    /// It is about to be injected.
    Intent {
        /// By which driver.
        driver: String,
        /// What it does.
        action: PlannedAction,
        /// To which pods.
        targets: Vec<PodName>,
        /// What takes it back. Empty: it happens at an instant.
        undo: Vec<Undo>,
        /// After so many ms the target ends by itself what it can.
        ttl_ms: Option<u64>,
    },
    /// Something that faults need is about to be set up, for the whole run.
    SetUp {
        /// What takes it away again.
        undo: Vec<Undo>,
    },
    /// It is in place.
    Injected,
    /// It is gone.
    Recovered {
        /// How that is known.
        how: Vec<String>,
    },
    /// It could not be taken back.
    RecoveryFailed {
        /// Why, and what to do by hand.
        why: String,
    },
}

/// A log that can be written.
#[derive(Debug, Clone)]
pub struct Wal {
    file: Arc<Mutex<File>>,
}

impl Wal {
    /// Opens the log of a run's folder, or makes it.
    pub fn open(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        let mut file = OpenOptions::new().create(true).append(true).read(true).open(&path)?;
        // A torn last line must not swallow the next one.
        if !ends_a_line(&path)? {
            file.write_all(b"\n")?;
        }
        // The name must be as durable as what is under it.
        File::open(folder)?.sync_all()?;
        Ok(Self { file: Arc::new(Mutex::new(file)) })
    }

    /// Writes a step down; when this returns, it is on the disk.
    pub async fn write(&self, id: &FaultId, step: Step) -> io::Result<()> {
        let at = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
        let mut line = serde_json::to_vec(&Entry { at, id: id.clone(), step })?;
        line.push(b'\n');
        let file = Arc::clone(&self.file);
        let written = tokio::task::spawn_blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.write_all(&line)?;
            file.sync_data()
        });
        written.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

impl Step {
    /// How it went to take something back.
    pub fn taken_back(taken: &Result<Vec<Evidence>, String>) -> Self {
        match taken {
            Ok(proof) => Self::Recovered { how: proof.iter().map(ToString::to_string).collect() },
            Err(why) => Self::RecoveryFailed { why: why.clone() },
        }
    }
}

fn ends_a_line(path: &Path) -> io::Result<bool> {
    let bytes = std::fs::read(path)?;
    Ok(bytes.last().is_none_or(|last| *last == b'\n'))
}

/// What a log says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Log {
    /// Its entries in order.
    pub entries: Vec<Entry>,
    /// Lines (from 1) that could not be read, such as a torn last one.
    pub unreadable: Vec<usize>,
}

/// Why a log can't be read.
#[derive(Debug, thiserror::Error)]
#[error("read `{path}`: {source}")]
pub struct WalError {
    path: PathBuf,
    source: io::Error,
}

impl WalError {
    pub(super) fn new(folder: &Path, source: io::Error) -> Self {
        Self { path: folder.join(FILE), source }
    }
}

/// Reads the log of a run's folder. A run that injected nothing has none.
pub fn read(folder: &Path) -> Result<Log, WalError> {
    let text = match std::fs::read(folder.join(FILE)) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(WalError::new(folder, error)),
    };
    let mut log = Log::default();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        match serde_json::from_str(line) {
            Ok(entry) => log.entries.push(entry),
            Err(_) => log.unreadable.push(number),
        }
    }
    Ok(log)
}

/// A fault that was (about to be) injected and is not known to be gone.
#[derive(Debug, Clone, PartialEq)]
pub struct Pending {
    /// Which.
    pub id: FaultId,
    /// Its targets.
    pub targets: Vec<PodName>,
    /// What takes it back.
    pub undo: Vec<Undo>,
}

/// The faults of a log that have to be taken back still, in order.
pub fn pending(entries: &[Entry]) -> Vec<Pending> {
    let mut pending: Vec<Pending> = Vec::new();
    for Entry { id, step, .. } in entries {
        match step {
            Step::Intent { targets, undo, .. } if !undo.is_empty() => {
                pending.push(Pending { id: id.clone(), targets: targets.clone(), undo: undo.clone() });
            }
            Step::SetUp { undo } => {
                pending.push(Pending { id: id.clone(), targets: vec![], undo: undo.clone() });
            }
            Step::Recovered { .. } => pending.retain(|fault| fault.id != *id),
            Step::Intent { .. } | Step::Injected | Step::RecoveryFailed { .. } => {}
        }
    }
    pending
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::{scenario::model::Deploy, units::Version};

    fn intent(reversible: bool) -> Step {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let undo = Undo::Toxic { proxy: at(3), link: "pod-0".to_owned(), id: "t".to_owned() };
        Step::Intent {
            driver: "lab".to_owned(),
            action: PlannedAction::Deploy(Deploy {
                version: Version::from("v2"),
                defect: Default::default(),
                of: None,
                namespace: None,
                spec: None,
                patch: Default::default(),
            }),
            targets: vec![PodName::from("pod-0")],
            undo: if reversible { vec![undo] } else { vec![] },
            ttl_ms: Some(5),
        }
    }

    #[tokio::test]
    async fn a_torn_last_line_loses_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(read(folder.path()).expect("no log yet"), Log::default());
        let wal = Wal::open(folder.path()).expect("opened");
        wal.write(&FaultId::from("a"), intent(true)).await.expect("written");
        wal.write(&FaultId::from("a"), Step::Injected).await.expect("written");
        let path = folder.path().join(FILE);
        let whole = std::fs::read(&path).expect("read");
        std::fs::write(&path, &whole[..whole.len() - 5]).expect("torn");

        let log = read(folder.path()).expect("read");
        assert_eq!((log.entries.len(), log.unreadable), (1, vec![2]));
        assert_eq!(pending(&log.entries).len(), 1);

        let wal = Wal::open(folder.path()).expect("opened again");
        wal.write(&FaultId::from("a"), Step::Recovered { how: vec![] }).await.expect("written");
        let log = read(folder.path()).expect("read");
        assert_eq!((log.entries.len(), log.unreadable), (2, vec![2]));
        assert_eq!(pending(&log.entries), []);
    }

    #[tokio::test]
    async fn only_what_can_be_taken_back_and_was_not_is_pending() {
        let folder = tempfile::tempdir().expect("a folder");
        let wal = Wal::open(folder.path()).expect("opened");
        for (id, step) in [
            ("kill", intent(false)),
            ("slow", intent(true)),
            ("cut", intent(true)),
            ("kill", Step::Injected),
            ("slow", Step::Recovered { how: vec!["gone".to_owned()] }),
            ("cut", Step::RecoveryFailed { why: "no answer".to_owned() }),
        ] {
            wal.write(&FaultId::from(id), step).await.expect("written");
        }
        let log = read(folder.path()).expect("read");
        assert_eq!(log.entries.len(), 6);
        let ids: Vec<_> = pending(&log.entries).into_iter().map(|fault| fault.id.0).collect();
        assert_eq!(ids, ["cut"]);
    }
}
