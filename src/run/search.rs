//! A capacity search under way: step by step, each judged from the journal
//! before the next is chosen.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    clock::Clock,
    journal::{Event, RunFolder, RunRecord, Sink, event::StepChange, reader},
    load::{Progress, Search},
    plan::{
        self, Plan,
        capacity::{self, Tried},
        model::Subject,
    },
    scenario::model::{Arrivals, CapacityArrivals, Profile},
    units::{Rate, RunTime, Span},
    verdict::capacity::{Step, judge_step},
};

/// A step's requests are set this long before the first is due.
const LEAD: Duration = Duration::from_millis(500);
/// How long the journal may take to have what the load has measured.
const WRITTEN_WITHIN: Duration = Duration::from_secs(3);
/// How often it is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// What a search needs.
pub(super) struct Searcher {
    pub(super) plan: Arc<Plan>,
    pub(super) folder: RunFolder,
    pub(super) clock: Clock,
    pub(super) sink: Sink,
    pub(super) search: Arc<Search>,
    pub(super) progress: watch::Receiver<Progress>,
}

/// However the search ends, the users must not wait for more.
struct Finish(Arc<Search>);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.finish();
    }
}

impl Searcher {
    /// Searches to the end, or until the phase is over or the load is gone.
    pub(super) async fn run(mut self) {
        let _finish = Finish(Arc::clone(&self.search));
        let plan = Arc::clone(&self.plan);
        let Some((load, search)) = plan.search() else { return };
        let slos = plan.checks.iter().find_map(|check| match &check.subject {
            Subject::Capacity { slos, .. } => Some(slos.as_slice()),
            Subject::Slo { .. } | Subject::Expectation(_) | Subject::Fault(_) | Subject::Generator => None,
        });
        let (mut steps, mut tried, mut sent): (Vec<Step>, Vec<Tried>, u64) = Default::default();
        while let Some(rate) = capacity::next(search, &tried) {
            let start = next_second((self.clock.now() + LEAD).max(load.start));
            let judged_from = start + search.warm_up.0;
            let judged_until = judged_from + search.hold.0;
            if judged_until > load.end {
                return;
            }
            let number = steps.len() as u32 + 1;
            let profile = Profile::Rate(rate);
            let arrivals = match search.arrivals {
                CapacityArrivals::Poisson => Arrivals::Poisson(profile),
                CapacityArrivals::Constant => Arrivals::Constant(profile),
            };
            let stream = format!("{}/{number}", load.name);
            let due: Vec<RunTime> =
                plan::arrivals(&arrivals, plan.seed, &stream, start, Span::default(), judged_until).collect();
            let judged = due.iter().filter(|at| **at >= judged_from).count() as u64;
            let step = Step { number, rate, judged_from, judged_until, due: judged };
            self.tell(number, rate, StepChange::Started { judged_from, judged_until, due: judged });
            sent += due.len() as u64;
            self.search.add(due);
            self.clock.sleep_until(judged_until).await;
            // The next step must find the target as this one did: at rest.
            if self.progress.wait_for(|progress| progress.done >= sent).await.is_err() {
                return;
            }
            let Some(record) = self.written(&step).await else { return };
            steps.push(step);
            let judged = judge_step(slos.unwrap_or_default(), &steps, &step, &record);
            tried.push(Tried { rate, result: judged.result });
            self.tell(number, rate, StepChange::Judged { result: judged.result, why: judged.why });
        }
    }

    fn tell(&self, number: u32, rate: Rate, change: StepChange) {
        self.sink.event(Event::Step { number, rate, change });
    }

    /// The record, once it has all of the step; what it has, if that takes too
    /// long: then the step is found incomplete.
    async fn written(&self, step: &Step) -> Option<RunRecord> {
        let until = self.clock.now() + WRITTEN_WITHIN;
        loop {
            let record = reader::read(&self.folder);
            if let Err(error) = &record {
                tracing::error!("read the journal of the search: {error}");
            }
            let record = record.ok()?;
            if step.is_written(&record) || self.clock.now() >= until {
                return Some(record);
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// The first whole second that is not before `at`.
fn next_second(at: RunTime) -> RunTime {
    RunTime(at.0.div_ceil(1_000_000) * 1_000_000)
}
