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

/// The number in front of a line, if it has one.
fn number(line: &str) -> Option<u64> {
    let (number, _) = line.strip_prefix("{\"n\":")?.split_once(',')?;
    number.parse().ok()
}

/// Says which lines are missing, by the numbers of those that are there.
fn missing(name: &str, text: &str, warnings: &mut Vec<String>) {
    let mut last = 0;
    for n in text.lines().filter_map(number) {
        match n.checked_sub(last + 1) {
            Some(0) => {}
            Some(1) => warnings.push(format!("{name}: line {} is missing", last + 1)),
            Some(_) => warnings.push(format!("{name}: lines {} to {} are missing", last + 1, n - 1)),
            None => warnings.push(format!("{name}: line {n} comes after line {last}")),
        }
        last = n;
    }
}

fn lines<T: DeserializeOwned>(name: &str, text: &str, warnings: &mut Vec<String>) -> Vec<T> {
    let count = text.lines().count();
    missing(name, text, warnings);
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
    async fn a_line_that_is_missing_or_in_another_place_is_a_warning() {
        let (_dir, folder) = written().await;
        let whole = folder.read("events.jsonl").expect("text");
        let lines: Vec<&str> = whole.lines().collect();
        let told = |lines: &[&str]| {
            folder.write("events.jsonl", format!("{}\n", lines.join("\n")).as_bytes()).expect("written");
            read(&folder).expect("a record").warnings
        };
        assert_eq!(told(&lines), Vec::<String>::new());
        assert_eq!(told(&[lines[0], lines[2]]), ["events.jsonl: line 2 is missing"]);
        assert_eq!(told(&lines[2..]), ["events.jsonl: lines 1 to 2 are missing"]);
        assert_eq!(
            told(&[lines[0], lines[0], lines[1], lines[2]]),
            ["events.jsonl: line 1 comes after line 1"]
        );
        // Journals that were written before lines had numbers read as ever.
        let bare: Vec<String> =
            (1..).zip(&lines).map(|(n, line)| line.replace(&format!("\"n\":{n},"), "")).collect();
        assert!(!bare[0].contains("\"n\""));
        assert_eq!(told(&[&bare[0], &bare[2]]), Vec::<String>::new());
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
