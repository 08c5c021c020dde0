//! The request log: one JSON line a request, with the system as soon as the
//! request has ended, so that a replica that is killed leaves its books.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
};

use tokio::{sync::mpsc, task::JoinHandle};

use crate::lab::api::ReplicaLogLine;

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
    loop {
        let (line, stops) = tokio::select! {
            line = lines.recv() => match line {
                Some(line) => (Some(line), false),
                None => return,
            },
            _ = stopped.recv() => (None, true),
        };
        if let Err(error) = batch(&mut out, line, &mut lines) {
            tracing::warn!(%error, "request log");
            return;
        }
        if stops {
            return;
        }
    }
}

/// Writes all lines that are there, so that a SIGKILL takes none of them.
fn batch(
    out: &mut BufWriter<File>,
    first: Option<ReplicaLogLine>,
    lines: &mut mpsc::UnboundedReceiver<ReplicaLogLine>,
) -> std::io::Result<()> {
    if let Some(line) = first {
        append(out, &line)?;
    }
    while let Ok(line) = lines.try_recv() {
        append(out, &line)?;
    }
    out.flush()
}

fn append(out: &mut BufWriter<File>, line: &ReplicaLogLine) -> std::io::Result<()> {
    serde_json::to_writer(&mut *out, line)?;
    out.write_all(b"\n")
}
