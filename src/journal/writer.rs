//! Lines → files. Every line is handed to the system at once, so that a
//! journal reads up to its last line even after a SIGKILL.

use std::{
    fs::File,
    io::{self, Write},
    thread,
};

use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use super::{
    folder::{FolderError, RunFolder},
    sink::Line,
};

/// The thread that writes, and what it has to say.
#[derive(Debug)]
pub struct Writer {
    thread: thread::JoinHandle<Result<(), FolderError>>,
    /// Resolves when a line could not be written. The run must end then.
    pub failed: oneshot::Receiver<String>,
}

impl Writer {
    /// Starts to write what comes out of `lines` into `folder`.
    pub fn start(folder: &RunFolder, lines: mpsc::Receiver<Line>) -> Result<Self, FolderError> {
        let mut events = Appender::create(folder, "events.jsonl")?;
        let mut intervals = Appender::create(folder, "intervals.jsonl")?;
        let (fail, failed) = oneshot::channel();
        let thread = thread::spawn(move || write(lines, &mut events, &mut intervals, fail));
        Ok(Self { thread, failed })
    }

    /// Waits until everything is on the disk; every sink must be gone.
    pub async fn finish(self) -> Result<(), FolderError> {
        let join = tokio::task::spawn_blocking(move || self.thread.join());
        match join.await {
            Ok(Ok(result)) => result,
            // The thread does not panic, and the runtime outlives this call.
            Ok(Err(_)) | Err(_) => Ok(()),
        }
    }
}

fn write(
    mut lines: mpsc::Receiver<Line>,
    events: &mut Appender,
    intervals: &mut Appender,
    fail: oneshot::Sender<String>,
) -> Result<(), FolderError> {
    let mut fail = Some(fail);
    let mut first = Ok(());
    while let Some(line) = lines.blocking_recv() {
        let written = match line {
            Line::Event(record) => events.append(&record),
            Line::Interval(interval) => intervals.append(&interval),
        };
        if let Err(error) = written
            && let Some(fail) = fail.take()
        {
            // The supervisor may be past listening.
            let _ = fail.send(error.to_string());
            first = Err(error);
        }
    }
    events.sync()?;
    intervals.sync()?;
    first
}

/// An object with its line's number in front, so that a line that is lost later is
/// missed.
fn numbered(n: u64, object: &str) -> String {
    match object.strip_prefix('{') {
        Some(fields) => format!("{{\"n\":{n},{fields}"),
        None => object.to_owned(),
    }
}

/// A file that grows by whole lines.
#[derive(Debug)]
struct Appender {
    folder: RunFolder,
    name: &'static str,
    file: File,
    length: u64,
    /// Lines that there should be by now.
    lines: u64,
}

impl Appender {
    fn create(folder: &RunFolder, name: &'static str) -> Result<Self, FolderError> {
        let path = folder.file(name);
        let file = File::create(&path).map_err(|e| FolderError::new("create", &path, e))?;
        Ok(Self { folder: folder.clone(), name, file, length: 0, lines: 0 })
    }

    /// Appends one line. On a full disk the reserve is given back and the
    /// line tried once more; that is an error all the same.
    fn append<T: Serialize>(&mut self, value: &T) -> Result<(), FolderError> {
        let json = serde_json::to_string(value).map_err(|e| self.error(io::Error::other(e)))?;
        self.lines += 1;
        let line = [numbered(self.lines, &json).as_bytes(), b"\n"].concat();
        match self.file.write_all(&line) {
            Ok(()) => {
                self.length += line.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Half a line must not stay.
                let whole = self.length;
                self.truncate(whole).map_err(|e| self.error(e))?;
                if self.folder.release_reserve() && self.file.write_all(&line).is_ok() {
                    self.length += line.len() as u64;
                }
                Err(self.error(error))
            }
        }
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        use std::io::Seek;
        self.file.set_len(length)?;
        self.file.seek(io::SeekFrom::Start(length)).map(drop)
    }

    fn sync(&mut self) -> Result<(), FolderError> {
        self.file.sync_all().map_err(|e| self.error(e))
    }

    fn error(&self, source: io::Error) -> FolderError {
        FolderError::new("write", &self.folder.file(self.name), source)
    }
}
