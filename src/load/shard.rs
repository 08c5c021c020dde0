//! What a few users measured since it was collected last. Adding is cheap and
//! sorting is left to who collects: it is done by another thread.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::{record::Tally, request::Ended};
use crate::{
    journal::{
        Cell, CellKey, Distribution,
        interval::{Outcome, Served},
    },
    units::RunTime,
};

/// A cell's key without the names.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) second: u32,
    pub(super) phase: Option<u16>,
    pub(super) workload: u16,
    pub(super) outcome: Outcome,
    pub(super) served: Served,
    pub(super) golden: bool,
}

/// A cell that is being filled; latencies in µs, as they came.
#[derive(Debug)]
pub(super) struct Row {
    count: u64,
    good: u64,
    first_end: RunTime,
    last_end: RunTime,
    ttft: Vec<u64>,
    service_ttft: Vec<u64>,
    e2e: Vec<u64>,
    service_e2e: Vec<u64>,
    itl: Vec<u64>,
    tpot: Vec<u64>,
    tokens: u64,
    wasted_tokens: u64,
    sendings: u64,
    attempts: u64,
    attempts_stated: u64,
    overlapping_misses: u64,
}

impl Row {
    fn new(ended: RunTime) -> Self {
        Self {
            count: 0,
            good: 0,
            first_end: ended,
            last_end: ended,
            ttft: Vec::new(),
            service_ttft: Vec::new(),
            e2e: Vec::new(),
            service_e2e: Vec::new(),
            itl: Vec::new(),
            tpot: Vec::new(),
            tokens: 0,
            wasted_tokens: 0,
            sendings: 0,
            attempts: 0,
            attempts_stated: 0,
            overlapping_misses: 0,
        }
    }

    fn add(&mut self, request: &Ended, good: bool) {
        let since = |from: RunTime, to: RunTime| to.0.saturating_sub(from.0);
        let content_end = request.last.unwrap_or(request.ended);
        self.count += 1;
        self.good += u64::from(good);
        self.first_end = self.first_end.min(request.ended);
        self.last_end = self.last_end.max(request.ended);
        if let Some(first) = request.first {
            self.ttft.push(since(request.scheduled, first));
            self.service_ttft.push(since(request.sent, first));
        }
        self.e2e.push(since(request.scheduled, content_end));
        self.service_e2e.push(since(request.sent, content_end));
        self.itl.extend_from_slice(&request.gaps);
        self.tpot.extend(request.tpot());
        match request.outcome {
            Outcome::Ok => self.tokens += request.tokens,
            _ => self.wasted_tokens += request.tokens,
        }
        self.sendings += u64::from(request.sendings);
        if let Some(attempts) = request.attempts {
            self.attempts += attempts;
            self.attempts_stated += 1;
        }
        self.overlapping_misses += u64::from(request.overlapping_miss);
    }

    /// The cell that it is, under its key.
    pub(super) fn into_cell(self, key: CellKey) -> Cell {
        Cell {
            key,
            count: self.count,
            good: self.good,
            first_end: self.first_end,
            last_end: self.last_end,
            ttft: Distribution::of(self.ttft),
            service_ttft: Distribution::of(self.service_ttft),
            e2e: Distribution::of(self.e2e),
            service_e2e: Distribution::of(self.service_e2e),
            itl: Distribution::of(self.itl),
            tpot: Distribution::of(self.tpot),
            tokens: self.tokens,
            wasted_tokens: self.wasted_tokens,
            sendings: self.sendings,
            attempts: self.attempts,
            attempts_stated: self.attempts_stated,
            overlapping_misses: self.overlapping_misses,
        }
    }
}

/// What was measured.
#[derive(Debug, Default)]
pub(super) struct Shard {
    /// Cells, in the order in which they began.
    rows: IndexMap<Key, Row>,
    /// The cell of the last request: most often the next one's, too.
    last: usize,
    /// Lags of what was sent (µs).
    pub(super) lag: Vec<u64>,
    /// Scheduled TTFTs (µs) of what ended `ok` since the last look.
    pub(super) ttft: Vec<u64>,
    /// What ended, by second of its end, since the last look.
    pub(super) tallies: IndexMap<u32, Tally>,
    /// All that ended and was collected.
    outcomes: HashMap<Outcome, u64>,
    /// When the last of it ended.
    pub(super) last_end: RunTime,
}

impl Shard {
    /// A request ended.
    pub(super) fn add(&mut self, phase: Option<u16>, request: Ended, good: bool) {
        self.last_end = self.last_end.max(request.ended);
        let ok = request.outcome == Outcome::Ok;
        let tally = self.tallies.entry(request.ended.second()).or_default();
        tally.ended += 1;
        tally.failed += u64::from(!ok);
        if let (true, Some(first)) = (ok, request.first) {
            self.ttft.push(first.0.saturating_sub(request.scheduled.0));
        }
        self.row(phase, &request).add(&request, good);
    }

    /// Takes the cells that were filled since the last time.
    pub(super) fn take(&mut self) -> IndexMap<Key, Row> {
        let rows = std::mem::take(&mut self.rows);
        for (key, row) in &rows {
            *self.outcomes.entry(key.outcome).or_default() += row.count;
        }
        rows
    }

    /// All that ended so far, by class.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = (Outcome, u64)> + '_ {
        let open = self.rows.iter().map(|(key, row)| (key.outcome, row.count));
        self.outcomes.iter().map(|(outcome, count)| (*outcome, *count)).chain(open)
    }

    fn row(&mut self, phase: Option<u16>, request: &Ended) -> &mut Row {
        let is_it = |key: &Key| {
            key.second == request.scheduled.second()
                && key.phase == phase
                && key.workload == request.workload
                && key.outcome == request.outcome
                && key.golden == request.golden
                && key.served == request.served
        };
        if !self.rows.get_index(self.last).is_some_and(|(key, _)| is_it(key)) {
            let key = Key {
                second: request.scheduled.second(),
                phase,
                workload: request.workload,
                outcome: request.outcome,
                served: request.served.clone(),
                golden: request.golden,
            };
            let entry = self.rows.entry(key);
            self.last = entry.index();
            entry.or_insert_with(|| Row::new(request.ended));
        }
        &mut self.rows[self.last]
    }
}
