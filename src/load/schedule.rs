//! Who sends when: the claims of an open loop, the turns of a closed one.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{
    plan::{
        self,
        model::{Plan, PlannedLoad},
    },
    scenario::model::{Arrivals, Closed, Executor, Profile, Stage, Workload},
    units::{Rate, RunTime, Span},
};

/// Users of an open loop, whatever its rate.
const FEWEST_USERS: u32 = 64;
/// Users of an open loop, whatever its rate and timeout.
const MOST_USERS: u32 = 4096;

/// The schedule of one load stream, shared by its users.
#[derive(Debug)]
pub(crate) enum Schedule {
    /// Requests are due by the clock.
    Open {
        /// When, ascending.
        due: Vec<RunTime>,
        /// No turn of a session is due from here on.
        end: RunTime,
        /// The next to claim.
        next: AtomicU64,
    },
    /// Requests follow answers.
    Closed {
        /// The loop.
        closed: Closed,
        /// The first phase's start: what is sent before is not counted.
        start: RunTime,
        /// No request is due from here on.
        end: RunTime,
        /// The next request's number.
        next: AtomicU64,
        /// Requests taken from [`Closed::requests`].
        taken: AtomicU64,
    },
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
    /// The schedule of `load` in `plan`.
    pub(crate) fn of(plan: &Plan, load: &PlannedLoad) -> Self {
        let start = plan.phases.first().map_or(RunTime::ZERO, |phase| phase.start);
        let end = plan.phases.last().map_or(start, |phase| phase.end);
        match &load.executor {
            Executor::Arrivals(arrivals) => Self::Open {
                due: plan::arrivals(arrivals, plan.seed, &load.name, start, plan.warm_up, end).collect(),
                end,
                next: AtomicU64::new(0),
            },
            Executor::Closed(closed) => Self::Closed {
                closed: closed.clone(),
                start,
                end,
                next: AtomicU64::new(0),
                taken: AtomicU64::new(0),
            },
        }
    }

    /// How many of an open loop's requests were due at `now`.
    pub(crate) fn due_until(&self, now: RunTime) -> u64 {
        match self {
            Self::Open { due, .. } => due.partition_point(|at| *at <= now) as u64,
            Self::Closed { .. } => 0,
        }
    }

    /// The next request of an open loop, or of a closed one for a user whose
    /// next turn is at `turn`. None: there are no more.
    pub(crate) fn claim(&self, turn: RunTime) -> Option<Claim> {
        match self {
            Self::Open { due, next, .. } => {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let scheduled = *due.get(usize::try_from(index).ok()?)?;
                Some(Claim { index, scheduled })
            }
            Self::Closed { closed, start, end, next, taken } => {
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
        }
    }

    /// A user's pause between an answer and the next request; none in an open
    /// loop, where the schedule alone decides.
    pub(crate) fn pause(&self) -> Option<Span> {
        match self {
            Self::Open { .. } => None,
            Self::Closed { closed, .. } => Some(closed.think),
        }
    }
}

/// How long an arrival can keep its user at worst: until its timeout, or, as
/// a session, until each turn's and all the thinking between them.
pub(crate) fn longest(workload: &Workload) -> Span {
    let turns = workload.prompts.session.as_ref().map_or(1, |session| session.turns.most().max(1));
    let think = workload.prompts.session.as_ref().map_or(Span::default(), |session| session.think);
    Span(workload.timeout.0.saturating_mul(turns).saturating_add(think.0.saturating_mul(turns - 1)))
}

/// How many users a load stream gets. An open loop gets as many as can be
/// busy at once at worst, when each arrival at the highest rate lasts as long
/// as it can: then none can be starved of a user. From 64 to 4096; beyond
/// that a slow target can starve arrivals, which is counted.
pub(crate) fn users(executor: &Executor, longest: Span) -> u32 {
    match executor {
        Executor::Closed(closed) => closed.users.max(1),
        Executor::Arrivals(arrivals) => {
            let worst = peak(arrivals).0 * longest.as_secs_f64();
            (worst.ceil() as u32).clamp(FEWEST_USERS, MOST_USERS)
        }
    }
}

/// The highest rate of an open loop.
fn peak(arrivals: &Arrivals) -> Rate {
    let rates: Vec<Rate> = match plan::profile(arrivals) {
        Profile::Rate(rate) => vec![*rate],
        Profile::Stages(stages) => stages
            .iter()
            .map(|stage| match stage {
                Stage::To { to, .. } => *to,
                Stage::Hold { .. } => Rate(0.0),
            })
            .collect(),
        Profile::Ramp { from, to, .. } => vec![*from, *to],
        Profile::Spike { base, peak, .. } => vec![*base, *peak],
    };
    Rate(rates.into_iter().map(|rate| rate.0).fold(0.0, f64::max))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(rate: f64) -> Executor {
        Executor::Arrivals(Arrivals::Constant(Profile::Rate(Rate(rate))))
    }

    #[test]
    fn the_pool_is_sized_for_the_worst_time() {
        assert_eq!(users(&open(1.0), Span::secs(30)), 64);
        assert_eq!(users(&open(60.0), Span::secs(30)), 1800);
        assert_eq!(users(&open(1e6), Span::secs(30)), 4096);
        let spike = Profile::Spike {
            base: Rate(20.0),
            peak: Rate(80.0),
            at: Span::secs(1),
            rise: Span::secs(1),
            hold: Span::secs(1),
        };
        assert_eq!(users(&Executor::Arrivals(Arrivals::Poisson(spike)), Span::secs(10)), 800);
        assert_eq!(
            users(
                &Executor::Closed(Closed { users: 5, requests: None, think: Span::secs(0) }),
                Span::secs(1)
            ),
            5
        );
    }

    #[test]
    fn a_closed_loop_gives_out_exactly_its_requests() {
        let schedule = Schedule::Closed {
            closed: Closed { users: 2, requests: Some(3), think: Span::secs(0) },
            start: RunTime(10),
            end: RunTime(100),
            next: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        };
        assert!(schedule.claim(RunTime(5)).is_some(), "a warm-up counts for nothing");
        let claims = (10..20).filter_map(|turn| schedule.claim(RunTime(turn))).count();
        assert_eq!(claims, 3);
        assert_eq!(schedule.claim(RunTime(100)), None);
    }

    #[test]
    fn later_turns_are_requests_too() {
        let schedule = Schedule::Closed {
            closed: Closed { users: 2, requests: Some(3), think: Span::secs(0) },
            start: RunTime(10),
            end: RunTime(100),
            next: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        };
        assert!(schedule.claim(RunTime(10)).is_some() && schedule.goes_on(RunTime(20)));
        assert!(schedule.goes_on(RunTime(30)) && !schedule.goes_on(RunTime(40)), "three in all");
        assert_eq!(schedule.claim(RunTime(50)), None);
        let open = Schedule::Open { due: vec![RunTime(1)], end: RunTime(50), next: AtomicU64::new(0) };
        assert!(open.goes_on(RunTime(49)) && !open.goes_on(RunTime(50)), "none is due after the end");
    }
}
