//! A line for every request, for whoever wants to reckon for themselves. Off
//! unless asked for, and never waited for: what does not fit is dropped and
//! counted.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    },
    thread,
};

use serde::{Deserialize, Serialize};

use crate::{
    journal::interval::Outcome,
    units::{PhaseName, RunTime, WorkloadName},
};

/// Lines that may wait for the disk.
const BACKLOG: usize = 65_536;

/// A request that has ended. Times are µs on the run's clock, unrounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoggedRequest {
    /// Its `x-request-id`.
    pub id: String,
    /// Its workload.
    pub workload: WorkloadName,
    /// The phase in which it was due. None: warm-up.
    pub phase: Option<PhaseName>,
    /// When it was due.
    pub scheduled: RunTime,
    /// When it was sent.
    pub sent: RunTime,
    /// When the answer's head came.
    pub first_byte: Option<RunTime>,
    /// When the first content came.
    pub first_token: Option<RunTime>,
    /// When the last content came.
    pub last_token: Option<RunTime>,
    /// When it ended.
    pub end: RunTime,
    /// Gaps between content chunks (µs).
    pub gaps: Vec<u64>,
    /// Output tokens delivered.
    pub tokens: u64,
    /// HTTP status, if there was one.
    pub status: Option<u16>,
    /// How it ended.
    pub outcome: Outcome,
}

/// Where the load puts its lines, cheap to clone.
#[derive(Debug, Clone)]
pub struct RequestLog {
    lines: SyncSender<LoggedRequest>,
    dropped: Arc<AtomicU64>,
}

/// The thread that writes them.
#[derive(Debug)]
pub struct RequestLogWriter {
    thread: thread::JoinHandle<io::Result<()>>,
    dropped: Arc<AtomicU64>,
}

impl RequestLog {
    /// A log in a new file, JSON Lines; one that is there is overwritten.
    ///
    /// # Errors
    /// The file can't be created.
    pub fn create(path: &Path) -> io::Result<(Self, RequestLogWriter)> {
        Ok(Self::into(File::create(path)?, BACKLOG))
    }

    fn into(out: impl Write + Send + 'static, backlog: usize) -> (Self, RequestLogWriter) {
        let (lines, waiting) = sync_channel(backlog);
        let dropped = Arc::<AtomicU64>::default();
        let thread = thread::spawn(move || write(&waiting, BufWriter::new(out)));
        (Self { lines, dropped: dropped.clone() }, RequestLogWriter { thread, dropped })
    }

    /// Writes a request down, unless too many wait.
    pub(crate) fn request(&self, request: LoggedRequest) {
        if self.lines.try_send(request).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl RequestLogWriter {
    /// Waits until all is written; every log must be gone. How many requests
    /// were dropped, and what went wrong with the file, if anything did.
    pub async fn finish(self) -> (u64, io::Result<()>) {
        let written = match tokio::task::spawn_blocking(move || self.thread.join()).await {
            Ok(Ok(written)) => written,
            // The thread does not panic, and the runtime outlives this call.
            Ok(Err(_)) | Err(_) => Ok(()),
        };
        (self.dropped.load(Ordering::Relaxed), written)
    }
}

/// After an error nobody reads on: what is sent then is dropped, and counted.
fn write(lines: &Receiver<LoggedRequest>, mut out: impl Write) -> io::Result<()> {
    loop {
        let line = match lines.try_recv() {
            Ok(line) => line,
            Err(TryRecvError::Disconnected) => return out.flush(),
            // Nothing to do: somebody may be reading along.
            Err(TryRecvError::Empty) => {
                out.flush()?;
                match lines.recv() {
                    Ok(line) => line,
                    Err(_) => return Ok(()),
                }
            }
        };
        serde_json::to_writer(&mut out, &line)?;
        out.write_all(b"\n")?;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn request(tokens: u64) -> LoggedRequest {
        LoggedRequest {
            id: "fd1-users-0".to_owned(),
            workload: WorkloadName::from("chat"),
            phase: None,
            scheduled: RunTime(1),
            sent: RunTime(2),
            first_byte: Some(RunTime(3)),
            first_token: Some(RunTime(4)),
            last_token: Some(RunTime(6)),
            end: RunTime(7),
            gaps: vec![2],
            tokens,
            status: Some(200),
            outcome: Outcome::Ok,
        }
    }

    #[tokio::test]
    async fn a_line_for_each_request() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("requests.jsonl");
        let (log, writer) = RequestLog::create(&path).expect("a log");
        (0..3).for_each(|tokens| log.request(request(tokens)));
        drop(log);
        let (dropped, written) = writer.finish().await;
        assert_eq!(dropped, 0);
        written.expect("it is written");
        let text = std::fs::read_to_string(&path).expect("the log");
        let read: Vec<LoggedRequest> =
            text.lines().map(|line| serde_json::from_str(line).expect("a line")).collect();
        assert_eq!(read, (0..3).map(request).collect::<Vec<_>>());
    }

    /// A disk that takes nothing until it is let go.
    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // The sender is gone: let go.
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_slow_disk_holds_nobody_up() {
        let (let_go, stuck) = mpsc::channel();
        let (log, writer) = RequestLog::into(Stuck(stuck), 4);
        // Far more than the buffers hold: whoever waited would wait for ever.
        (0..10_000).for_each(|tokens| log.request(request(tokens)));
        drop((log, let_go));
        let (dropped, written) = writer.finish().await;
        assert!(dropped > 9_000, "{dropped}");
        written.expect("it is written");
    }

    struct Full;

    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::StorageFull))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_said() {
        let (log, writer) = RequestLog::into(Full, 4);
        log.request(request(1));
        drop(log);
        assert_eq!(writer.finish().await.1.expect_err("it is full").kind(), io::ErrorKind::StorageFull);
    }
}
