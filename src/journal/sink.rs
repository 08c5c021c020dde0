//! Where a run's parts put what they have to say. Never waits: what does not
//! fit is dropped and counted.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use tokio::sync::{broadcast, mpsc};

use super::{Event, Interval, Record};
use crate::clock::Clock;

/// Lines that may wait for the disk.
const BACKLOG: usize = 16_384;

/// Events that a slow listener may be behind before it misses some.
const NEWS: usize = 1024;

/// One line for one of the journal's files.
#[derive(Debug, Clone, PartialEq)]
pub enum Line {
    /// For `events.jsonl`.
    Event(Record),
    /// For `intervals.jsonl`.
    Interval(Interval),
}

/// A handle to the journal, cheap to clone.
#[derive(Debug, Clone)]
pub struct Sink {
    lines: mpsc::Sender<Line>,
    dropped: Arc<AtomicU64>,
    clock: Clock,
    news: broadcast::Sender<Record>,
}

impl Sink {
    /// A sink, and the end where its lines come out.
    pub fn new(clock: Clock) -> (Self, mpsc::Receiver<Line>) {
        let (lines, out) = mpsc::channel(BACKLOG);
        let (news, _) = broadcast::channel(NEWS);
        (Self { lines, dropped: Arc::default(), clock, news }, out)
    }

    /// The run's clock.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// Writes down what happened, now.
    pub fn event(&self, event: Event) {
        let record = Record { at: self.clock.now(), event };
        // Nobody need listen.
        let _ = self.news.send(record.clone());
        self.send(Line::Event(record));
    }

    /// Hears events as they are written down. A slow listener misses some; the
    /// journal does not.
    pub fn listen(&self) -> broadcast::Receiver<Record> {
        self.news.subscribe()
    }

    /// Writes down what the load measured.
    pub fn interval(&self, interval: Interval) {
        self.send(Line::Interval(interval));
    }

    /// How many lines did not fit so far.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn send(&self, line: Line) {
        if self.lines.try_send(line).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}
