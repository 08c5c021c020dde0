//! What a few users measured since it was collected last. Adding is cheap and
//! sorting is left to who collects: it is done by another thread.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::{misses::Company, record::Tally, request::Ended};
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

/// A cell that is being filled: its counts, and latencies in µs as they came.
#[derive(Debug)]
pub(super) struct Row {
    cell: Cell,
    ttft: Vec<u64>,
    service_ttft: Vec<u64>,
    e2e: Vec<u64>,
    service_e2e: Vec<u64>,
    itl: Vec<u64>,
    tpot: Vec<u64>,
}

impl Row {
    fn new(key: CellKey, ended: RunTime) -> Self {
        Self {
            cell: Cell::new(key, ended),
            ttft: Vec::new(),
            service_ttft: Vec::new(),
            e2e: Vec::new(),
            service_e2e: Vec::new(),
            itl: Vec::new(),
            tpot: Vec::new(),
        }
    }

    fn add(&mut self, request: Ended, good: bool) {
        let since = |from: RunTime, to: RunTime| to.0.saturating_sub(from.0);
        let content_end = request.last.unwrap_or(request.ended);
        if let Some(first) = request.first {
            self.ttft.push(since(request.scheduled, first));
            self.service_ttft.push(since(request.sent, first));
        }
        self.e2e.push(since(request.scheduled, content_end));
        self.service_e2e.push(since(request.sent, content_end));
        self.tpot.extend(request.tpot());
        self.itl.extend_from_slice(&request.gaps);
        let cell = &mut self.cell;
        cell.count += 1;
        cell.good += u64::from(good);
        cell.first_end = cell.first_end.min(request.ended);
        cell.last_end = cell.last_end.max(request.ended);
        match request.outcome {
            Outcome::Ok => {
                cell.tokens += request.tokens;
                if request.free {
                    cell.lengths.record(request.tokens);
                }
                request.features.into_iter().for_each(|feature| cell.features.record(feature));
            }
            _ => cell.wasted_tokens += request.tokens,
        }
        cell.sendings += u64::from(request.sendings);
        if let Some(attempts) = request.attempts {
            cell.attempts += attempts;
            cell.attempts_stated += 1;
        }
        if let Some(age) = request.age {
            cell.oldest_hit = cell.oldest_hit.max(age);
            cell.ages_stated += 1;
        }
        if let Some(company) = request.miss {
            cell.comparable_misses += 1;
            cell.overlapping_misses += u64::from(company == Company::Overlaps);
        }
        cell.hits_alike += u64::from(request.compared.alike);
        cell.hits_unlike += u64::from(request.compared.unlike);
    }

    /// The cell that it is.
    pub(super) fn into_cell(self) -> Cell {
        Cell {
            ttft: Distribution::of(self.ttft),
            service_ttft: Distribution::of(self.service_ttft),
            e2e: Distribution::of(self.e2e),
            service_e2e: Distribution::of(self.service_e2e),
            itl: Distribution::of(self.itl),
            tpot: Distribution::of(self.tpot),
            ..self.cell
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
    /// A request ended. `named` gives a key its names.
    pub(super) fn add(
        &mut self,
        phase: Option<u16>,
        mut request: Ended,
        good: bool,
        named: impl FnOnce(&Key) -> CellKey,
    ) {
        self.last_end = self.last_end.max(request.ended);
        let ok = request.outcome == Outcome::Ok;
        let tally = self.tallies.entry(request.ended.second()).or_default();
        tally.ended += 1;
        tally.failed += u64::from(!ok);
        if let (true, Some(first)) = (ok, request.first) {
            self.ttft.push(first.0.saturating_sub(request.scheduled.0));
        }
        let key = Key {
            second: request.scheduled.second(),
            phase,
            workload: request.workload,
            outcome: request.outcome,
            served: std::mem::take(&mut request.served),
            golden: request.golden,
        };
        self.row(key, request.ended, named).add(request, good);
    }

    /// Takes the cells that were filled since the last time.
    pub(super) fn take(&mut self) -> IndexMap<Key, Row> {
        let rows = std::mem::take(&mut self.rows);
        for (key, row) in &rows {
            *self.outcomes.entry(key.outcome).or_default() += row.cell.count;
        }
        rows
    }

    /// All that ended so far, by class.
    pub(super) fn outcomes(&self) -> impl Iterator<Item = (Outcome, u64)> + '_ {
        let open = self.rows.iter().map(|(key, row)| (key.outcome, row.cell.count));
        self.outcomes.iter().map(|(outcome, count)| (*outcome, *count)).chain(open)
    }

    fn row(&mut self, key: Key, ended: RunTime, named: impl FnOnce(&Key) -> CellKey) -> &mut Row {
        if self.rows.get_index(self.last).is_none_or(|(last, _)| *last != key) {
            let named = named(&key);
            let entry = self.rows.entry(key);
            self.last = entry.index();
            entry.or_insert_with(|| Row::new(named, ended));
        }
        &mut self.rows[self.last]
    }
}
