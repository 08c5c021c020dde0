//! How many users a load stream gets.

use crate::{
    scenario::model::{Arrivals, Executor, Load, Trace},
    units::Span,
};

/// Users of an open loop, whatever its rate.
const FEWEST_USERS: u32 = 64;
/// Users of an open loop, whatever its rate and timeout, unless the scenario
/// says how many.
const MOST_USERS: u32 = 4096;

/// How many users a load stream gets. An open loop gets as many as can be
/// busy at once at worst, when each arrival at the highest rate lasts as
/// long as it can: then none can be starved of a user. From 64 to 4096;
/// beyond that a slow target can starve arrivals, which is counted.
pub(super) fn users(load: &Load, longest: Span) -> u32 {
    let longest = longest.as_secs_f64();
    let worst = match &load.executor {
        Executor::Closed(closed) => return closed.users.max(1),
        Executor::Capacity(search) => search.to.0 * longest,
        Executor::Arrivals(Arrivals::Constant(profile) | Arrivals::Poisson(profile)) => {
            profile.peak().0 * longest
        }
        // Bursts are above the rate; requests that all last until their
        // timeout are rarer than bursts.
        Executor::Arrivals(Arrivals::Gamma(gamma)) => gamma.profile.peak().0 * longest,
        Executor::Arrivals(Arrivals::Trace(trace)) => most_within(trace, longest),
    };
    load.users.unwrap_or_else(|| (worst.ceil() as u32).clamp(FEWEST_USERS, MOST_USERS)).max(1)
}

/// The highest rate of a load stream, in requests per second. None: a closed
/// loop has none of its own.
pub fn peak_rate(executor: &Executor) -> Option<f64> {
    match executor {
        Executor::Closed(_) => None,
        Executor::Capacity(search) => Some(search.to.0),
        Executor::Arrivals(Arrivals::Constant(profile) | Arrivals::Poisson(profile)) => {
            Some(profile.peak().0)
        }
        Executor::Arrivals(Arrivals::Gamma(gamma)) => Some(gamma.profile.peak().0),
        Executor::Arrivals(Arrivals::Trace(trace)) => Some(most_within(trace, 1.0)),
    }
}

/// The most requests of a trace that come within any `window` (s).
fn most_within(trace: &Trace, window: f64) -> f64 {
    let times: Vec<f64> = trace.times().collect();
    let mut first = 0;
    let most = times.iter().enumerate().map(|(last, time)| {
        while times[first] + window < *time {
            first += 1;
        }
        last - first + 1
    });
    most.max().unwrap_or(0) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        scenario::{
            TracedRequest,
            model::{Closed, Profile, Think},
        },
        units::{Rate, Ratio},
    };

    fn load(executor: Executor) -> Load {
        let workload = "chat".into();
        Load { name: "a".to_owned(), workload, start: Span::default(), lasting: None, users: None, executor }
    }

    fn open(rate: f64) -> Load {
        load(Executor::Arrivals(Arrivals::Constant(Profile::Rate(Rate(rate)))))
    }

    #[test]
    fn the_pool_is_sized_for_the_worst_time() {
        assert_eq!(users(&open(1.0), Span::secs(30)), 64);
        assert_eq!(users(&open(60.0), Span::secs(30)), 1800);
        assert_eq!(users(&open(1e6), Span::secs(30)), 4096);
        assert_eq!(users(&Load { users: Some(9000), ..open(1e6) }, Span::secs(30)), 9000);
        let spike = Profile::Spike {
            base: Rate(20.0),
            peak: Rate(80.0),
            at: Span::secs(1),
            rise: Span::secs(1),
            hold: Span::secs(1),
        };
        assert_eq!(users(&load(Executor::Arrivals(Arrivals::Poisson(spike))), Span::secs(10)), 800);
        let closed = Closed { users: 5, requests: None, think: Think::default() };
        assert_eq!(users(&load(Executor::Closed(closed)), Span::secs(1)), 5);
    }

    #[test]
    fn a_trace_gets_users_for_its_densest_time() {
        let at = |seconds: f64| TracedRequest {
            at: Span(std::time::Duration::from_secs_f64(seconds)),
            ..Default::default()
        };
        let trace = |scale| Trace {
            file: "x".into(),
            format: None,
            scale: Ratio(scale),
            from: Span::default(),
            to: None,
            lengths: Default::default(),
            requests: (0..200).map(|i| at(if i < 150 { 0.0 } else { f64::from(i) })).collect(),
        };
        let of = |scale| users(&load(Executor::Arrivals(Arrivals::Trace(trace(scale)))), Span::secs(10));
        assert_eq!(of(1.0), 150);
        assert_eq!(of(1000.0), 200);
    }
}
