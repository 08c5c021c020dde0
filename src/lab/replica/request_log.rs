//! The request log: one JSON line a request, written in batches and on disk
//! within a second.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    time::Duration,
};

use tokio::{sync::mpsc, task::JoinHandle};

use crate::lab::api::ReplicaLogLine;

const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// The task that writes.
#[derive(Debug)]
pub(super) struct Writer {
    task: JoinHandle<()>,
    stop: mpsc::Sender<()>,
}

impl Writer {
    /// Writes what was logged so far, and ends.
    pub(super) async fn finish(self) {
        let _ = self.stop.send(()).await;
        // Lines, not lives: a failed task only loses the log.
        let _ = self.task.await;
    }
}

/// Opens the log and starts its task.
pub(super) fn start(path: &Path) -> std::io::Result<(mpsc::UnboundedSender<ReplicaLogLine>, Writer)> {
    let file = File::options().create(true).append(true).open(path)?;
    let (lines, receiver) = mpsc::unbounded_channel();
    let (stop, stopped) = mpsc::channel(1);
    Ok((lines, Writer { task: tokio::spawn(write(BufWriter::new(file), receiver, stopped)), stop }))
}

async fn write(
    mut out: BufWriter<File>,
    mut lines: mpsc::UnboundedReceiver<ReplicaLogLine>,
    mut stopped: mpsc::Receiver<()>,
) {
    let mut flush = tokio::time::interval(FLUSH_EVERY);
    loop {
        let done = tokio::select! {
            line = lines.recv() => match line {
                Some(line) => append(&mut out, &line),
                None => return,
            },
            _ = flush.tick() => out.flush(),
            _ = stopped.recv() => {
                while let Ok(line) = lines.try_recv() {
                    if append(&mut out, &line).is_err() {
                        return;
                    }
                }
                let _ = out.flush();
                return;
            }
        };
        if let Err(error) = done {
            tracing::warn!(%error, "request log");
            return;
        }
    }
}

fn append(out: &mut BufWriter<File>, line: &ReplicaLogLine) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}
