//! How the load is doing, for the terminal and the stop conditions, and the
//! intervals for the journal.

use std::{
    collections::{BTreeMap, VecDeque},
    convert::Infallible,
    sync::{Arc, atomic::Ordering, mpsc},
    time::Duration,
};

use indexmap::IndexMap;
use tokio::sync::watch;

use super::{
    crew::Crew,
    record::{Recorder, Tally},
};
use crate::{
    clock::Clock,
    journal::{
        Distribution, Interval, Sink,
        interval::{Generator, Outcome},
    },
    units::RunTime,
};

/// How often the progress is shown.
const TICK: Duration = Duration::from_millis(250);
/// Seconds of [`Progress::seconds`].
const REMEMBERED: usize = 120;
/// Looks (a quarter of a second each) that the TTFT is taken from.
const TTFT_LOOKS: usize = 20;

/// How the load is doing. Updated about four times a second.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// When this was true.
    pub at: RunTime,
    /// Arrivals that were due.
    pub due: u64,
    /// Requests sent.
    pub sent: u64,
    /// Requests ended.
    pub done: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Arrivals that had to wait for a free user.
    pub starved: u64,
    /// Requests ended by second of the clock, ascending, the last two minutes
    /// with any. The last one may not be over yet.
    pub seconds: Vec<Second>,
    /// p95 (µs) of the scheduled TTFT of what ended `ok` in the last 5 s.
    pub ttft_p95: Option<u64>,
    /// p99 (µs) of the lag of all requests so far.
    pub lag_p99: Option<u64>,
    /// Requests by class, so far.
    pub outcomes: IndexMap<Outcome, u64>,
}

/// What ended in one second of the clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Second {
    /// Which.
    pub second: u32,
    /// Requests that ended in it.
    pub ended: u64,
    /// Those that ended other than `ok`.
    pub failed: u64,
}

impl Second {
    /// Share of failures. None: nothing ended.
    pub fn error_ratio(&self) -> Option<f64> {
        (self.ended > 0).then(|| self.failed as f64 / self.ended as f64)
    }
}

impl Progress {
    /// The whole seconds later than `second` in which anything ended, as
    /// (second, requests that ended, those other than `ok`). A second is whole
    /// a little after its end, when all that ended in it is recorded.
    pub fn seconds_after(&self, second: u32) -> Vec<(u32, u64, u64)> {
        let whole = (self.at - TICK).second();
        let after = self.seconds.iter().filter(|s| second < s.second && s.second < whole);
        after.map(|s| (s.second, s.ended, s.failed)).collect()
    }

    /// Requests that ended in the last whole second, and those of them that
    /// ended other than `ok`.
    pub fn last_second(&self) -> Second {
        let last = (self.at - TICK).second().saturating_sub(1);
        let second = self.seconds.iter().rev().find(|s| s.second == last);
        second.copied().unwrap_or(Second { second: last, ended: 0, failed: 0 })
    }

    /// Requests that ended in the last whole second.
    pub fn rate(&self) -> u64 {
        self.last_second().ended
    }

    /// Requests that ended other than `ok`, so far.
    pub fn errors(&self) -> u64 {
        self.outcomes.iter().filter(|(outcome, _)| **outcome != Outcome::Ok).map(|(_, count)| count).sum()
    }
}

/// Writes the intervals and keeps the progress.
pub(crate) struct Reporter {
    clock: Clock,
    sink: Sink,
    recorder: Arc<Recorder>,
    crews: Vec<Arc<Crew>>,
    progress: watch::Sender<Progress>,
    flushed: Option<u32>,
    /// Totals at the last interval.
    due: u64,
    sent: u64,
    starved: u64,
    lag: Distribution,
    seconds: BTreeMap<u32, Tally>,
    ttft: VecDeque<Distribution>,
}

impl Reporter {
    /// Nothing reported yet.
    pub(crate) fn new(
        clock: Clock,
        sink: Sink,
        recorder: Arc<Recorder>,
        crews: Vec<Arc<Crew>>,
        progress: watch::Sender<Progress>,
    ) -> Self {
        Self {
            clock,
            sink,
            recorder,
            crews,
            progress,
            flushed: None,
            due: 0,
            sent: 0,
            starved: 0,
            lag: Distribution::default(),
            seconds: BTreeMap::new(),
            ttft: VecDeque::new(),
        }
    }

    /// Reports until `over` is dropped, then all that is left; for a thread of
    /// its own, since it sorts all that was measured.
    pub(crate) fn run(mut self, over: &mpsc::Receiver<Infallible>) -> Self {
        while let Err(mpsc::RecvTimeoutError::Timeout) = over.recv_timeout(TICK) {
            self.tick();
        }
        self.finish();
        self
    }

    /// About four times a second: the progress, and the interval of a second
    /// that is over.
    fn tick(&mut self) {
        let now = self.clock.now();
        if self.flushed.replace(now.second()).is_some_and(|last| last != now.second()) {
            self.flush(now);
        }
        self.show(now);
    }

    /// The end: everything that is left.
    fn finish(&mut self) {
        let now = self.clock.now();
        self.flush(now);
        self.show(now);
    }

    /// Arrivals due so far.
    pub(crate) fn due_until(&self, now: RunTime) -> u64 {
        let open: u64 = self.crews.iter().map(|crew| crew.schedule.due_until(now)).sum();
        open + self.recorder.counts.followed.load(Ordering::Relaxed)
    }

    fn flush(&mut self, now: RunTime) {
        // What is sent is counted before its lag, what is done before its cell:
        // counts first, so that an interval never claims more than it shows.
        let sent = self.recorder.counts.sent.load(Ordering::Relaxed);
        let starved = self.recorder.counts.starved.load(Ordering::Relaxed);
        let in_flight = sent.saturating_sub(self.recorder.counts.done.load(Ordering::Relaxed));
        let due = self.due_until(now);
        let collected = self.recorder.collect();
        self.lag.merge(&collected.lag);
        self.sink.interval(Interval {
            at: now,
            cells: collected.cells,
            generator: Generator {
                due: due - self.due,
                sent: sent - self.sent,
                starved: starved - self.starved,
                lag: collected.lag,
                in_flight,
                starved_by_load: self.starved_by_load(),
            },
        });
        (self.due, self.sent, self.starved) = (due, sent, starved);
    }

    /// By stream, since the last interval.
    fn starved_by_load(&self) -> IndexMap<String, u64> {
        let taken =
            self.crews.iter().map(|crew| (crew.name.clone(), crew.starved.swap(0, Ordering::Relaxed)));
        taken.filter(|(_, starved)| *starved > 0).collect()
    }

    fn show(&mut self, now: RunTime) {
        let glance = self.recorder.glance();
        for (second, tally) in glance.tallies {
            let sum = self.seconds.entry(second).or_default();
            sum.ended += tally.ended;
            sum.failed += tally.failed;
        }
        while self.seconds.len() > REMEMBERED {
            self.seconds.pop_first();
        }
        self.ttft.push_back(Distribution::of(glance.ttft));
        if self.ttft.len() > TTFT_LOOKS {
            self.ttft.pop_front();
        }
        let mut ttft = Distribution::default();
        self.ttft.iter().for_each(|look| ttft.merge(look));
        let sent = self.recorder.counts.sent.load(Ordering::Relaxed);
        let done = self.recorder.counts.done.load(Ordering::Relaxed);
        self.progress.send_replace(Progress {
            at: now,
            due: self.due_until(now),
            sent,
            done,
            in_flight: sent.saturating_sub(done),
            starved: self.recorder.counts.starved.load(Ordering::Relaxed),
            seconds: self
                .seconds
                .iter()
                .map(|(&second, tally)| Second { second, ended: tally.ended, failed: tally.failed })
                .collect(),
            ttft_p95: ttft.quantile(0.95, 0),
            lag_p99: self.lag.quantile(0.99, 0),
            outcomes: self.recorder.outcomes(),
        });
    }
}
