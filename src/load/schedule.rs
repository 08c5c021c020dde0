//! Who sends when: the claims of an open loop, the turns of a closed one.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use rand::RngExt;

use super::search::Search;
use crate::{
    plan::{
        self,
        model::{Plan, PlannedLoad},
    },
    scenario::{
        TracedRequest,
        model::{Arrivals, Closed, Executor, Think, TraceLengths},
    },
    units::{RunTime, Span},
};

/// The schedule of one load stream, shared by its users.
#[derive(Debug)]
pub(crate) enum Schedule {
    /// Requests are due by the clock.
    Open {
        /// When, ascending.
        due: Vec<RunTime>,
        /// No turn of a session is due from here on.
        end: RunTime,
        /// Their sizes, where a trace has them.
        sizes: Vec<TracedRequest>,
        /// The next to claim.
        next: AtomicU64,
    },
    /// Requests follow answers.
    Closed {
        /// The loop.
        closed: Closed,
        /// No request is due before.
        begin: RunTime,
        /// The stream's start: what is sent before is not counted.
        start: RunTime,
        /// For the pauses: the run's seed and the stream's name.
        random: (u64, String),
        /// No request is due from here on.
        end: RunTime,
        /// The next request's number.
        next: AtomicU64,
        /// Requests taken from [`Closed::requests`].
        taken: AtomicU64,
    },
    /// Requests are due by the clock, and are not all known yet.
    Search(Arc<Search>),
}

/// A request to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Claim {
    /// Its number in the stream.
    pub(crate) index: u64,
    /// When it is due.
    pub(crate) scheduled: RunTime,
}

impl Schedule {
    /// The schedule of `load` in `plan`; `search` is that of a capacity search.
    pub(crate) fn of(plan: &Plan, load: &PlannedLoad, search: &Arc<Search>) -> Self {
        let first = plan.phases.first().map_or(RunTime::ZERO, |phase| phase.start);
        // Who starts later has no part in the warm-up.
        let warm_up = if load.start > first { Span::default() } else { plan.warm_up };
        match &load.executor {
            Executor::Arrivals(arrivals) => Self::Open {
                due: plan::arrivals(arrivals, plan.seed, &load.name, load.start, warm_up, load.end).collect(),
                end: load.end,
                sizes: match arrivals {
                    Arrivals::Trace(trace) if trace.lengths == TraceLengths::Trace => trace.requests.clone(),
                    Arrivals::Trace(_)
                    | Arrivals::Constant(_)
                    | Arrivals::Poisson(_)
                    | Arrivals::Gamma(_) => Vec::new(),
                },
                next: AtomicU64::new(0),
            },
            Executor::Closed(closed) => Self::Closed {
                closed: closed.clone(),
                begin: load.start - warm_up.0,
                start: load.start,
                random: (plan.seed, load.name.clone()),
                end: load.end,
                next: AtomicU64::new(0),
                taken: AtomicU64::new(0),
            },
            Executor::Capacity(_) => Self::Search(Arc::clone(search)),
        }
    }

    /// How many of an open loop's requests were due at `now`.
    pub(crate) fn due_until(&self, now: RunTime) -> u64 {
        match self {
            Self::Open { due, .. } => due.partition_point(|at| *at <= now) as u64,
            Self::Closed { .. } => 0,
            Self::Search(search) => search.due_until(now),
        }
    }

    /// Whether requests are due by the clock, whatever answers do.
    pub(crate) fn is_open(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Search(_) => true,
            Self::Closed { .. } => false,
        }
    }

    /// The size of a request, if a trace has it.
    pub(crate) fn size(&self, claim: Claim) -> Option<&TracedRequest> {
        match self {
            Self::Open { sizes, .. } => sizes.get(usize::try_from(claim.index).ok()?),
            Self::Closed { .. } | Self::Search(_) => None,
        }
    }

    /// The next request of an open loop, or of a closed one for a user whose
    /// next turn is at `turn`. Waits only where the next one is not known yet.
    /// None: there are no more.
    pub(crate) async fn claim(&self, turn: RunTime) -> Option<Claim> {
        match self {
            Self::Open { due, next, .. } => {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let scheduled = *due.get(usize::try_from(index).ok()?)?;
                Some(Claim { index, scheduled })
            }
            Self::Closed { closed, begin, start, end, next, taken, .. } => {
                let turn = turn.max(*begin);
                if turn >= *end {
                    return None;
                }
                let counts = turn >= *start;
                if let (true, Some(requests)) = (counts, closed.requests)
                    && taken.fetch_add(1, Ordering::Relaxed) >= requests
                {
                    return None;
                }
                Some(Claim { index: next.fetch_add(1, Ordering::Relaxed), scheduled: turn })
            }
            Self::Search(search) => search.claim().await,
        }
    }

    /// Whether its users send again as soon as they have an answer.
    pub(crate) fn is_busy(&self) -> bool {
        match self {
            Self::Open { .. } | Self::Search(_) => false,
            Self::Closed { closed, .. } => closed.think == Think::default(),
        }
    }

    /// Whether a later turn of a session may be due at `at`. It counts as a
    /// request, also of those that a closed loop has in all.
    pub(crate) fn goes_on(&self, at: RunTime) -> bool {
        match self {
            Self::Open { end, .. } => at < *end,
            Self::Closed { closed, start, end, taken, .. } => {
                at < *end
                    && (at < *start
                        || closed
                            .requests
                            .is_none_or(|requests| taken.fetch_add(1, Ordering::Relaxed) < requests))
            }
            // A step is as long as its arrivals: what follows is the next one's.
            Self::Search(_) => false,
        }
    }

    /// A user's pause between the answer to its request `index` and the next
    /// request; none in an open loop, where the schedule alone decides.
    pub(crate) fn pause(&self, index: u64) -> Span {
        match self {
            Self::Open { .. } | Self::Search(_) => Span::default(),
            Self::Closed { closed, random: (seed, name), .. } => match closed.think {
                Think::Fixed(pause) => pause,
                Think::Between(from, to) => {
                    let part: f64 = plan::stream(*seed, &format!("think/{name}/{index}")).random();
                    Span(from.0 + (to.0 - from.0).mul_f64(part))
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    /// A loop of two users, from `begin` to 100 µs, that counts from `start`.
    fn closed(requests: Option<u64>, think: Think, seed: u64, begin: u64, start: u64) -> Schedule {
        Schedule::Closed {
            closed: Closed { users: 2, requests, think },
            begin: RunTime(begin),
            start: RunTime(start),
            random: (seed, "a".to_owned()),
            end: RunTime(100),
            next: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        }
    }

    #[test]
    fn a_closed_loop_gives_out_exactly_its_requests() {
        let schedule = closed(Some(3), Think::default(), 1, 3, 10);
        let claim = |turn| schedule.claim(RunTime(turn)).now_or_never().expect("at once");
        assert!(claim(5).is_some(), "a warm-up counts for nothing");
        assert_eq!(claim(0).map(|claim| claim.scheduled), Some(RunTime(3)), "not before it begins");
        assert_eq!((10..20).filter_map(claim).count(), 3);
        assert_eq!(claim(100), None);
    }

    #[test]
    fn pauses_are_drawn_evenly_and_fixed_by_the_seed() {
        let of = |seed, think| closed(None, think, seed, 0, 0);
        let between = Think::Between(Span::secs(1), Span::secs(5));
        let pauses = |seed| (0..1000).map(|i| of(seed, between).pause(i).as_secs_f64()).collect::<Vec<_>>();
        let drawn = pauses(1);
        assert!(drawn.iter().all(|pause| (1.0..=5.0).contains(pause)));
        let mean = drawn.iter().sum::<f64>() / 1000.0;
        // 4 s wide: the mean of 1000 is within 0.11 s of 3 s but once in 400.
        assert!((mean - 3.0).abs() < 0.11, "{mean}");
        assert_eq!(drawn, pauses(1));
        assert_ne!(drawn, pauses(2));
        assert_eq!(of(1, Think::Fixed(Span::secs(2))).pause(7), Span::secs(2));
    }

    #[test]
    fn later_turns_are_requests_too() {
        let schedule = closed(Some(3), Think::default(), 1, 0, 10);
        let claim = |turn| schedule.claim(RunTime(turn)).now_or_never().expect("at once");
        assert!(claim(10).is_some() && schedule.goes_on(RunTime(20)));
        assert!(schedule.goes_on(RunTime(30)) && !schedule.goes_on(RunTime(40)), "three in all");
        assert_eq!(claim(50), None);
        let due = vec![RunTime(1)];
        let open = Schedule::Open { due, end: RunTime(50), sizes: Vec::new(), next: AtomicU64::new(0) };
        assert!(open.goes_on(RunTime(49)) && !open.goes_on(RunTime(50)), "none is due after the end");
    }
}
