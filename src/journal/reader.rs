//! Files → record. Reads a journal that is still being written, and one that
//! ended in a crash.

use serde::de::DeserializeOwned;

use super::{
    RunRecord,
    folder::{FolderError, RunFolder},
};

/// Reads a run's journal. Lines that can't be read become warnings.
pub fn read(folder: &RunFolder) -> Result<RunRecord, FolderError> {
    let mut record = RunRecord { run: folder.id(), ..RunRecord::default() };
    record.events = lines("events.jsonl", &folder.read("events.jsonl")?, &mut record.warnings);
    record.intervals = lines("intervals.jsonl", &folder.read("intervals.jsonl")?, &mut record.warnings);
    Ok(record)
}

fn lines<T: DeserializeOwned>(name: &str, text: &str, warnings: &mut Vec<String>) -> Vec<T> {
    let count = text.lines().count();
    let read = |(index, line): (usize, &str)| match serde_json::from_str(line) {
        Ok(value) => Some(value),
        Err(_) if index + 1 == count && !text.ends_with('\n') => {
            warnings.push(format!("{name}: the last line is torn (the run ended in a crash)"));
            None
        }
        Err(error) => {
            warnings.push(format!("{name}, line {}: {error}", index + 1));
            None
        }
    };
    text.lines().enumerate().filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        clock::Clock,
        journal::{
            Event, Sink,
            event::{RunEnd, Signal},
            writer::Writer,
        },
        units::{RunTime, Seen},
    };

    async fn written() -> (tempfile::TempDir, RunFolder) {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = RunFolder::create(dir.path(), "test").expect("a run's folder");
        let (sink, out) = Sink::new(Clock::start());
        let writer = Writer::start(&folder, out).expect("a writer");
        sink.event(Event::PhaseStarted { phase: "baseline".into() });
        let values = [("x{a=\"b\"}".to_owned(), 1.5)].into_iter().collect();
        let signal = Signal::Sample { source: "gateway".into(), values };
        sink.event(Event::Signal { seen: Seen::at(RunTime(5)), signal });
        sink.event(Event::RunEnded { end: RunEnd::Completed });
        drop(sink);
        writer.finish().await.expect("everything was written");
        (dir, folder)
    }

    #[tokio::test]
    async fn what_was_written_reads_back() {
        let (_dir, folder) = written().await;
        let record = read(&folder).expect("a record");
        assert_eq!(record.warnings, Vec::<String>::new());
        assert_eq!(record.events.len(), 3);
        assert_eq!(record.events[2].event, Event::RunEnded { end: RunEnd::Completed });
    }

    #[tokio::test]
    async fn a_torn_last_line_is_a_warning_and_the_rest_reads() {
        let (_dir, folder) = written().await;
        let whole = folder.read("events.jsonl").expect("text");
        folder.write("events.jsonl", &whole.as_bytes()[..whole.len() - 4]).expect("written");
        let record = read(&folder).expect("a record");
        assert_eq!(record.events.len(), 2);
        assert!(record.warnings[0].contains("torn"), "{:?}", record.warnings);
    }
}
