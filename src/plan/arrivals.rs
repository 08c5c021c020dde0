//! When requests of an open loop are due.
//!
//! A request is due wherever the integral of the rate passes the next mark:
//! marks one apart for evenly spaced arrivals, marks with exponential gaps for
//! a Poisson process (its inversion, without thinning, so that each arrival
//! costs one draw).

use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1};

use super::{profile::Curve, random};
use crate::{
    scenario::model::{Arrivals, Profile},
    units::{RunTime, Span},
};

/// The distance from one mark to the next.
#[derive(Debug, Clone)]
enum Gaps {
    Even,
    Exponential(Box<ChaCha8Rng>),
}

/// Arrivals from `start` to `end` along a curve.
#[derive(Debug, Clone)]
struct Stretch {
    curve: Curve,
    gaps: Gaps,
    start: RunTime,
    end: RunTime,
    /// The integral at the next arrival.
    mark: f64,
}

impl Stretch {
    fn new(curve: Curve, gaps: Gaps, start: RunTime, end: RunTime) -> Self {
        let mut stretch = Self { curve, gaps, start, end, mark: 0.0 };
        match stretch.gaps {
            // In the middle of its share, so that the count is the integral, rounded.
            Gaps::Even => stretch.mark = 0.5,
            Gaps::Exponential(_) => stretch.step(),
        }
        stretch
    }

    fn step(&mut self) {
        self.mark += match &mut self.gaps {
            Gaps::Even => 1.0,
            Gaps::Exponential(rng) => Exp1.sample(rng),
        };
    }
}

impl Iterator for Stretch {
    type Item = RunTime;

    fn next(&mut self) -> Option<RunTime> {
        let seconds = self.curve.when(self.mark);
        // Past any run, and where the rate stays at nothing.
        if seconds >= 1e9 {
            return None;
        }
        let at = RunTime(self.start.0.saturating_add((seconds * 1e6) as u64));
        if at >= self.end {
            return None;
        }
        self.step();
        Some(at)
    }
}

/// The instants at which the requests of a load stream are due, ascending.
///
/// `start` is the first phase's start, where the profile starts; the
/// `warm_up` lies before it, at the profile's first rate. Nothing is due at
/// or after `end`. What is due from `start` on does not depend on the warm-up.
pub fn arrivals(
    arrivals: &Arrivals,
    seed: u64,
    stream: &str,
    start: RunTime,
    warm_up: Span,
    end: RunTime,
) -> impl Iterator<Item = RunTime> + Send + 'static {
    let gaps = |name: &str| match arrivals {
        Arrivals::Constant(_) => Gaps::Even,
        Arrivals::Poisson(_) => Gaps::Exponential(Box::new(random::stream(seed, name))),
    };
    let curve = Curve::of(profile(arrivals));
    let before = Stretch::new(
        Curve::constant(curve.warm_up()),
        gaps(&format!("arrivals/{stream}/warm-up")),
        start - warm_up.0,
        start,
    );
    before.chain(Stretch::new(curve, gaps(&format!("arrivals/{stream}")), start, end))
}

/// The profile of an open loop.
pub fn profile(arrivals: &Arrivals) -> &Profile {
    match arrivals {
        Arrivals::Constant(profile) | Arrivals::Poisson(profile) => profile,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{scenario::model::Stage, units::Rate};

    fn spike() -> Profile {
        Profile::Spike {
            base: Rate(20.0),
            peak: Rate(80.0),
            at: Span::secs(20),
            rise: Span::secs(4),
            hold: Span::secs(10),
        }
    }

    fn drawn(kind: &Arrivals, seed: u64, warm_up: u64, seconds: u64) -> Vec<RunTime> {
        let start = RunTime(warm_up * 1_000_000);
        arrivals(kind, seed, "s", start, Span::secs(warm_up), RunTime((warm_up + seconds) * 1_000_000))
            .collect()
    }

    #[test]
    fn even_arrivals_are_evenly_spaced() {
        let times = drawn(&Arrivals::Constant(Profile::Rate(Rate(10.0))), 1, 0, 10);
        assert_eq!(times.len(), 100);
        assert!(times.windows(2).all(|w| (w[1].0 - w[0].0).abs_diff(100_000) <= 1), "{times:?}");
    }

    #[test]
    fn even_arrivals_follow_the_integral() {
        let times = drawn(&Arrivals::Constant(spike()), 1, 0, 60);
        let curve = Curve::of(&spike());
        for second in 1..60 {
            let seen = times.iter().filter(|t| t.0 < second * 1_000_000).count() as f64;
            assert!((seen - curve.until(second as f64)).abs() <= 0.5 + 1e-6, "{second}: {seen}");
        }
    }

    /// Time-rescaling: through the integral, a right Poisson process has
    /// exponential gaps with mean 1; tested by Kolmogorov and Smirnov at 0.1 %.
    #[test]
    fn poisson_gaps_are_exponential_in_the_integral() {
        let kind = Arrivals::Poisson(spike());
        let curve = Curve::of(&spike());
        let times = drawn(&kind, 7, 0, 200);
        let marks: Vec<f64> = times.iter().map(|t| curve.until(t.as_secs_f64())).collect();
        let mut gaps: Vec<f64> =
            std::iter::once(marks[0]).chain(marks.windows(2).map(|w| w[1] - w[0])).collect();
        gaps.sort_by(f64::total_cmp);
        let n = gaps.len() as f64;
        let distance = gaps
            .iter()
            .enumerate()
            .map(|(i, gap)| {
                let model = 1.0 - (-gap).exp();
                (model - i as f64 / n).abs().max(((i + 1) as f64 / n - model).abs())
            })
            .fold(0.0, f64::max);
        assert!(distance < 1.95 / n.sqrt(), "{distance} for {n} gaps");
        let due = curve.until(200.0);
        assert!((n - due).abs() < 4.0 * due.sqrt(), "{n} arrivals for {due}");
    }

    #[test]
    fn the_warm_up_changes_nothing_that_is_judged() {
        for kind in [Arrivals::Poisson(spike()), Arrivals::Constant(spike())] {
            let without = drawn(&kind, 3, 0, 30);
            let with: Vec<_> = drawn(&kind, 3, 5, 30);
            let (before, after): (Vec<_>, Vec<_>) = with.into_iter().partition(|t| t.0 < 5_000_000);
            assert!(before.len() > 50, "{}", before.len());
            assert_eq!(after.iter().map(|t| *t - Span::secs(5).0).collect::<Vec<_>>(), without);
        }
    }

    #[test]
    fn no_rate_is_no_arrivals() {
        for kind in [Arrivals::Poisson, Arrivals::Constant] {
            let stages =
                vec![Stage::To { to: Rate(5.0), over: Span::secs(0) }, Stage::Hold { hold: Span::secs(2) }];
            let stages = [stages, vec![Stage::To { to: Rate(0.0), over: Span::secs(0) }]].concat();
            assert!(drawn(&kind(Profile::Stages(stages)), 1, 0, 3600).iter().all(|t| t.0 < 2_000_000));
            assert!(drawn(&kind(Profile::Rate(Rate(0.0))), 1, 2, 10).is_empty());
        }
    }

    proptest! {
        #[test]
        fn arrivals_ascend_within_the_window(seed in any::<u64>(), rate in 0.0..500.0f64, ramp in 0.0..500.0f64) {
            let profile = Profile::Ramp { from: Rate(rate), to: Rate(ramp), over: Span::secs(3) };
            let times = drawn(&Arrivals::Poisson(profile), seed, 1, 4);
            prop_assert!(times.windows(2).all(|w| w[0] <= w[1]));
            prop_assert!(times.iter().all(|t| t.0 < 5_000_000));
        }
    }
}
