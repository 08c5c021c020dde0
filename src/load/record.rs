//! Where users put what they measured: cells by key, in shards that few users
//! share, collected each second.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use indexmap::IndexMap;

use super::{
    request::Ended,
    shard::{Key, Shard},
};
use crate::{
    journal::{Cell, CellKey, Distribution, interval::Outcome},
    plan::model::{GoodLimits, Plan},
    units::{PhaseName, RunTime, WorkloadName},
};

/// Exemplars of each class of each workload in each phase.
const EXEMPLARS: u32 = 5;

/// Of which an exemplar is: class, workload, phase.
type Kind = (Outcome, u16, Option<u16>);

/// What ended in a second of the clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Requests that ended.
    pub(crate) ended: u64,
    /// Those that ended other than `ok`.
    pub(crate) failed: u64,
}

/// Plain counts of the whole load.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Requests sent.
    pub(crate) sent: AtomicU64,
    /// Requests ended.
    pub(crate) done: AtomicU64,
    /// Arrivals that had to wait for a free user.
    pub(crate) starved: AtomicU64,
    /// Requests that were due after an answer: those of closed loops, and
    /// later turns of sessions.
    pub(crate) followed: AtomicU64,
    /// Users that panicked.
    pub(crate) panics: AtomicU64,
}

/// All that is measured.
#[derive(Debug)]
pub(crate) struct Recorder {
    phases: Vec<(PhaseName, RunTime, GoodLimits)>,
    workloads: Vec<WorkloadName>,
    shards: Vec<Mutex<Shard>>,
    next_shard: AtomicUsize,
    /// How many were taken, by class, workload and phase.
    exemplars: Mutex<HashMap<Kind, u32>>,
    /// Plain counts.
    pub(crate) counts: Counts,
}

/// What came in since the last collection.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    /// Cells, merged over the shards and in order.
    pub(crate) cells: Vec<Cell>,
    /// Lags of what was sent.
    pub(crate) lag: Distribution,
}

/// What came in since the last look, for the progress.
#[derive(Debug, Default)]
pub(crate) struct Glance {
    /// Scheduled TTFTs (µs) of what ended `ok`.
    pub(crate) ttft: Vec<u64>,
    /// By second of the end.
    pub(crate) tallies: IndexMap<u32, Tally>,
}

impl Recorder {
    /// An empty record of `plan`'s load.
    pub(crate) fn new(plan: &Plan) -> Self {
        // Several for each thread: two users seldom want the same one at once.
        let shards = 4 * std::thread::available_parallelism().map_or(4, usize::from).clamp(1, 16);
        Self {
            phases: plan.phases.iter().map(|p| (p.name.clone(), p.start, p.good)).collect(),
            workloads: plan.workloads.iter().map(|w| w.name.clone()).collect(),
            shards: (0..shards).map(|_| Mutex::default()).collect(),
            next_shard: AtomicUsize::new(0),
            exemplars: Mutex::default(),
            counts: Counts::default(),
        }
    }

    /// A shard for one more user.
    pub(crate) fn seat(&self) -> usize {
        self.next_shard.fetch_add(1, Ordering::Relaxed) % self.shards.len()
    }

    /// The phase in which `scheduled` lies. None: warm-up.
    fn phase(&self, scheduled: RunTime) -> Option<u16> {
        let next = self.phases.partition_point(|(_, start, _)| *start <= scheduled);
        next.checked_sub(1).and_then(|index| u16::try_from(index).ok())
    }

    /// The same, by name.
    pub(crate) fn phase_name(&self, scheduled: RunTime) -> Option<PhaseName> {
        self.phase(scheduled).map(|index| self.phases[usize::from(index)].0.clone())
    }

    /// A request was sent, this late (µs).
    pub(crate) fn sent(&self, shard: usize, lag: u64) {
        lock(&self.shards[shard]).lag.push(lag);
    }

    /// A request ended.
    pub(crate) fn ended(&self, shard: usize, request: Ended) {
        let phase = self.phase(request.scheduled);
        let good = phase.map(|index| self.phases[usize::from(index)].2).unwrap_or_default();
        let good = request.is_good(good);
        lock(&self.shards[shard]).add(phase, request, good, |key| self.named(key));
    }

    fn named(&self, key: &Key) -> CellKey {
        CellKey {
            second: key.second,
            phase: key.phase.map(|index| self.phases[usize::from(index)].0.clone()),
            workload: self.workloads[usize::from(key.workload)].clone(),
            outcome: key.outcome,
            served: key.served.clone(),
            golden: key.golden,
        }
    }

    /// Whether a request that ended so is one of the first of its kind.
    pub(crate) fn is_exemplary(&self, outcome: Outcome, workload: u16, scheduled: RunTime) -> bool {
        if outcome == Outcome::Ok {
            return false;
        }
        let mut exemplars = self.exemplars.lock().unwrap_or_else(PoisonError::into_inner);
        let count = exemplars.entry((outcome, workload, self.phase(scheduled))).or_default();
        *count += 1;
        *count <= EXEMPLARS
    }

    /// Takes what came in since the last collection.
    pub(crate) fn collect(&self) -> Collected {
        let mut collected = Collected::default();
        let mut merged: HashMap<Key, Cell> = HashMap::new();
        for shard in &self.shards {
            let (rows, lag) = {
                let mut shard = lock(shard);
                (shard.take(), std::mem::take(&mut shard.lag))
            };
            collected.lag.merge(&Distribution::of(lag));
            for (key, row) in rows {
                let cell = row.into_cell();
                match merged.entry(key) {
                    Entry::Occupied(mut entry) => entry.get_mut().merge(&cell),
                    Entry::Vacant(entry) => drop(entry.insert(cell)),
                }
            }
        }
        collected.cells = merged.into_values().collect();
        collected.cells.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        collected
    }

    /// Takes what came in since the last look.
    pub(crate) fn glance(&self) -> Glance {
        let mut glance = Glance::default();
        for shard in &self.shards {
            let mut shard = lock(shard);
            glance.ttft.append(&mut shard.ttft);
            for (second, tally) in shard.tallies.drain(..) {
                let sum = glance.tallies.entry(second).or_default();
                sum.ended += tally.ended;
                sum.failed += tally.failed;
            }
        }
        glance
    }

    /// All outcomes so far, in the order of reports; those that never
    /// happened are left out.
    pub(crate) fn outcomes(&self) -> IndexMap<Outcome, u64> {
        let mut sums: HashMap<Outcome, u64> = HashMap::new();
        for shard in &self.shards {
            for (outcome, count) in lock(shard).outcomes() {
                *sums.entry(outcome).or_default() += count;
            }
        }
        Outcome::ALL.into_iter().filter_map(|outcome| Some((outcome, *sums.get(&outcome)?))).collect()
    }

    /// When the last request so far ended.
    pub(crate) fn last_end(&self) -> RunTime {
        self.shards.iter().map(|shard| lock(shard).last_end).max().unwrap_or_default()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while adding leaves counts that are still counts.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::{super::request::tests::request, *};
    use crate::{journal::Feature, units::Span};

    fn recorder() -> Recorder {
        let good = GoodLimits { ttft: Some(Span::millis(22)), ..GoodLimits::default() };
        Recorder {
            phases: vec![
                (PhaseName::from("baseline"), RunTime(1_000), good),
                (PhaseName::from("fault"), RunTime(2_000_000), GoodLimits::default()),
            ],
            workloads: vec![WorkloadName::from("chat")],
            shards: (0..2).map(|_| Mutex::default()).collect(),
            next_shard: AtomicUsize::new(0),
            exemplars: Mutex::default(),
            counts: Counts::default(),
        }
    }

    #[test]
    fn two_latencies_from_scheduled_and_from_sent() {
        let recorder = recorder();
        recorder.ended(0, request(Outcome::Ok));
        let cell = recorder.collect().cells.pop().expect("a cell");
        let only = |micros: u64| {
            let mut distribution = Distribution::default();
            distribution.record(micros);
            distribution
        };
        assert_eq!((&cell.ttft, &cell.service_ttft), (&only(22_000), &only(20_000)));
        // To the last content, not to the end.
        assert_eq!((&cell.e2e, &cell.service_e2e), (&only(102_000), &only(100_000)));
        assert_eq!((&cell.tpot, cell.itl.len()), (&only(20_000), 2));
        assert_eq!((cell.tokens, cell.wasted_tokens), (5, 0));
        assert_eq!((cell.attempts, cell.attempts_stated), (2, 1));
    }

    #[test]
    fn features_are_those_of_good_answers() {
        let recorder = recorder();
        let cat = || vec![Feature::text("cat"), Feature::number(2.0)];
        recorder.ended(0, Ended { features: cat(), ..request(Outcome::Ok) });
        recorder.ended(1, Ended { features: cat(), ..request(Outcome::Ok) });
        recorder.ended(0, Ended { features: cat(), ..request(Outcome::Mismatch) });
        let cells = recorder.collect().cells;
        let of = |outcome| {
            let cells = cells.iter().filter(move |cell| cell.key.outcome == outcome);
            cells.flat_map(|cell| cell.features.iter()).map(|(_, n)| n).collect::<Vec<_>>()
        };
        assert_eq!((of(Outcome::Ok), of(Outcome::Mismatch)), (vec![2, 2], vec![]));
    }

    #[test]
    fn shards_add_up_and_phases_stay_apart() {
        let recorder = recorder();
        recorder.ended(0, request(Outcome::Ok));
        recorder.ended(1, request(Outcome::Ok));
        recorder.ended(1, request(Outcome::Reset));
        recorder.ended(1, Ended { scheduled: RunTime(500), ..request(Outcome::Ok) });
        recorder.ended(0, Ended { scheduled: RunTime(2_000_000), ..request(Outcome::Ok) });
        let cells = recorder.collect().cells;
        let seen: Vec<_> = cells
            .iter()
            .map(|c| {
                (c.key.phase.as_ref().map(PhaseName::as_str), c.key.outcome, c.count, c.good, c.wasted_tokens)
            })
            .collect();
        assert_eq!(
            seen,
            [
                (None, Outcome::Ok, 1, 1, 0),
                (Some("baseline"), Outcome::Ok, 2, 2, 0),
                (Some("baseline"), Outcome::Reset, 1, 0, 5),
                (Some("fault"), Outcome::Ok, 1, 1, 0),
            ]
        );
        assert!(recorder.collect().cells.is_empty(), "nothing is told twice");
        let tallies = recorder.glance().tallies;
        assert_eq!(tallies.get(&0), Some(&Tally { ended: 5, failed: 1 }));
        assert_eq!(recorder.outcomes().get(&Outcome::Ok), Some(&4));
    }

    #[test]
    fn the_first_few_of_a_kind_are_exemplary() {
        let recorder = recorder();
        let shown = |outcome, at| (0..9).filter(|_| recorder.is_exemplary(outcome, 0, RunTime(at))).count();
        assert_eq!(shown(Outcome::Reset, 1_000), 5);
        assert_eq!(shown(Outcome::Reset, 2_000_000), 5);
        assert_eq!(shown(Outcome::Shed, 2_000_000), 5);
        assert_eq!(shown(Outcome::Ok, 2_000_000), 0);
    }
}
