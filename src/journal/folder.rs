//! The folder of a run: `runs/<UTC time>-<name>-<id>/`.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

/// Bytes set aside, so that a run on a full disk can still say how it ended.
const RESERVE: usize = 8 << 20;
/// Where they are.
const RESERVE_FILE: &str = ".reserve";
/// Written once the preflight has found nothing, before anything is broken.
const PLAN: &str = "plan.json";

/// What can go wrong with a run's folder.
#[derive(Debug, thiserror::Error)]
#[error("{what} `{path}`: {source}")]
pub struct FolderError {
    what: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FolderError {
    pub(super) fn new(what: &'static str, path: &Path, source: io::Error) -> Self {
        Self { what, path: path.to_owned(), source }
    }
}

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes a new folder below `runs`, and sets some of the disk aside.
    pub fn create(runs: &Path, name: &str) -> Result<Self, FolderError> {
        fs::create_dir_all(runs).map_err(|e| FolderError::new("create the folder of runs", runs, e))?;
        let time = humantime::format_rfc3339_seconds(SystemTime::now()).to_string().replace(':', "");
        let folder = Self { path: runs.join(format!("{time}-{name}-{:06x}", unique())) };
        fs::create_dir(&folder.path)
            .map_err(|e| FolderError::new("create the run's folder", &folder.path, e))?;
        let reserve = folder.reserve();
        File::create(&reserve)
            .and_then(|mut file| file.write_all(&vec![0; RESERVE]).and_then(|()| file.sync_all()))
            .map_err(|e| {
                // Nothing is left of a run that never was.
                let _ = fs::remove_dir_all(&folder.path);
                FolderError::new("set disk space aside in", &reserve, e)
            })?;
        Ok(folder)
    }

    /// A folder that exists.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let path = fs::canonicalize(path).map_err(|e| FolderError::new("open the run", path, e))?;
        let plan = path.join(PLAN);
        match fs::metadata(&plan) {
            Ok(_) => Ok(Self { path }),
            Err(e) => Err(FolderError::new("not a run's folder, there is no", &plan, e)),
        }
    }

    /// Whether a run died there before it began, so that it broke nothing.
    pub fn never_began(path: &Path) -> bool {
        path.join(RESERVE_FILE).exists() && !path.join(PLAN).exists()
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's id.
    pub fn id(&self) -> String {
        self.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// A file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes a whole file, by a rename, so that nobody reads half of it.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.file(name);
        let part = self.file(&format!(".{name}.part"));
        fs::write(&part, bytes)
            .and_then(|()| fs::rename(&part, &path))
            .map_err(|e| FolderError::new("write", &path, e))
    }

    /// Reads a file as text.
    pub fn read(&self, name: &str) -> Result<String, FolderError> {
        let path = self.file(name);
        fs::read_to_string(&path).map_err(|e| FolderError::new("read", &path, e))
    }

    /// Gives back the disk space that was set aside. Whether there was any.
    pub fn release_reserve(&self) -> bool {
        fs::remove_file(self.reserve()).is_ok()
    }

    fn reserve(&self) -> PathBuf {
        self.file(RESERVE_FILE)
    }
}

/// 24 bits that differ between runs started in the same second.
fn unique() -> u64 {
    let nanos = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.subsec_nanos());
    (u64::from(nanos) ^ (u64::from(std::process::id()) << 8)) & 0xff_ffff
}
