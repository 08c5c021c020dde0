//! When requests of an open loop are due.
//!
//! A request is due wherever the integral of the rate passes the next mark:
//! marks one apart for evenly spaced arrivals, marks with exponential gaps for
//! a Poisson process, with gamma-distributed ones for a burstier or a more even
//! one (inversion, without thinning, so that each arrival costs one draw). A
//! trace says itself when.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, Gamma};

use super::{profile::Curve, random};
use crate::{
    scenario::model::{Arrivals, Profile, Trace},
    units::{RunTime, Span},
};

/// The distance from one mark to the next; 1 on average.
#[derive(Debug, Clone)]
enum Gaps {
    Even,
    Exponential(Box<ChaCha8Rng>),
    Gamma { shape: f64, rng: Box<ChaCha8Rng> },
}

/// A gap of mean `mean` from a gamma distribution of this shape.
fn gamma(shape: f64, mean: f64, rng: &mut ChaCha8Rng) -> f64 {
    // Shapes are above 0, which is all that it asks for.
    Gamma::new(shape, mean / shape).map_or(mean, |gamma| gamma.sample(rng))
}

impl Gaps {
    /// From the start to the first mark, as if the process had been going on
    /// for ever: then as many arrivals are expected as the integral says.
    fn first(&mut self) -> f64 {
        match self {
            // In the middle of its share, so that the count is the integral, rounded.
            Self::Even => 0.5,
            Self::Exponential(rng) => Exp1.sample(rng),
            // A part, evenly drawn, of a gap drawn by its length (Cox 1962,
            // Renewal Theory, 5.4): the longer one is of the next shape.
            Self::Gamma { shape, rng } => {
                let part: f64 = rng.random();
                part * gamma(*shape + 1.0, (*shape + 1.0) / *shape, rng)
            }
        }
    }

    fn next(&mut self) -> f64 {
        match self {
            Self::Even => 1.0,
            Self::Exponential(rng) => Exp1.sample(rng),
            Self::Gamma { shape, rng } => gamma(*shape, 1.0, rng),
        }
    }
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
    fn new(curve: Curve, mut gaps: Gaps, start: RunTime, end: RunTime) -> Self {
        let mark = gaps.first();
        Self { curve, gaps, start, end, mark }
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
        let at = after(self.start, seconds);
        if at >= self.end {
            return None;
        }
        self.mark += self.gaps.next();
        Some(at)
    }
}

fn after(start: RunTime, seconds: f64) -> RunTime {
    RunTime(start.0.saturating_add((seconds * 1e6) as u64))
}

/// The instants at which the requests of a load stream are due, ascending.
///
/// At `start` the profile starts; the `warm_up` lies before it, at the
/// profile's first rate (a trace has none). Nothing is due at or after `end`.
/// What is due from `start` on does not depend on the warm-up.
pub fn arrivals(
    arrivals: &Arrivals,
    seed: u64,
    stream: &str,
    start: RunTime,
    warm_up: Span,
    end: RunTime,
) -> Box<dyn Iterator<Item = RunTime> + Send> {
    let rng = |name: &str| Box::new(random::stream(seed, name));
    let gaps = |name: &str| match arrivals {
        Arrivals::Constant(_) | Arrivals::Trace(_) => Gaps::Even,
        Arrivals::Poisson(_) => Gaps::Exponential(rng(name)),
        Arrivals::Gamma(gamma) => Gaps::Gamma { shape: gamma.burstiness, rng: rng(name) },
    };
    let profile = match arrivals {
        Arrivals::Constant(profile) | Arrivals::Poisson(profile) => profile,
        Arrivals::Gamma(gamma) => &gamma.profile,
        Arrivals::Trace(trace) => return Box::new(traced(trace, start, end)),
    };
    let curve = Curve::of(profile);
    let before = Stretch::new(
        Curve::constant(curve.warm_up()),
        gaps(&format!("arrivals/{stream}/warm-up")),
        start - warm_up.0,
        start,
    );
    Box::new(before.chain(Stretch::new(curve, gaps(&format!("arrivals/{stream}")), start, end)))
}

fn traced(trace: &Trace, start: RunTime, end: RunTime) -> impl Iterator<Item = RunTime> + Send + use<> {
    let times: Vec<RunTime> =
        trace.times().map(|seconds| after(start, seconds)).take_while(|at| *at < end).collect();
    times.into_iter()
}

/// How many requests of an open loop are due within `length` from its start:
/// of a trace exactly, else on average.
pub(super) fn expected(arrivals: &Arrivals, length: Span) -> f64 {
    let by_profile = |profile: &Profile| super::profile::expected(profile, Span::default(), length);
    match arrivals {
        Arrivals::Constant(profile) | Arrivals::Poisson(profile) => by_profile(profile),
        Arrivals::Gamma(gamma) => by_profile(&gamma.profile),
        Arrivals::Trace(trace) => {
            trace.times().take_while(|seconds| *seconds < length.as_secs_f64()).count() as f64
        }
    }
}

/// The highest rate of an open loop between two times after its start, in
/// requests per second; of a trace, the rate over that time.
pub(super) fn peak(arrivals: &Arrivals, from: f64, to: f64) -> f64 {
    match arrivals {
        Arrivals::Constant(profile) | Arrivals::Poisson(profile) => Curve::of(profile).peak(from, to),
        Arrivals::Gamma(gamma) => Curve::of(&gamma.profile).peak(from, to),
        Arrivals::Trace(trace) => {
            trace.times().filter(|seconds| (from..to).contains(seconds)).count() as f64 / (to - from)
        }
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

    #[test]
    fn a_trace_is_replayed_at_its_scale() {
        let requests = [10.0, 10.5, 12.0, 19.0].map(|at| crate::scenario::TracedRequest {
            at: Span(std::time::Duration::from_secs_f64(at)),
            ..Default::default()
        });
        let trace = Arrivals::Trace(Trace {
            file: "x".into(),
            format: None,
            scale: crate::units::Ratio(2.0),
            from: Span::secs(10),
            to: Some(Span::secs(20)),
            lengths: Default::default(),
            requests: requests.to_vec(),
        });
        let times = drawn(&trace, 1, 3, 4);
        assert_eq!(times, [3.0, 3.25, 4.0].map(|s| RunTime((s * 1e6) as u64)), "nothing in the warm-up");
        assert_eq!((expected(&trace, Span::secs(4)), expected(&trace, Span::secs(5))), (3.0, 4.0));
        let Arrivals::Trace(trace) = trace else { return };
        assert_eq!(trace.length(), Span::secs(5));
    }

    #[test]
    fn the_warm_up_changes_nothing_that_is_judged() {
        let gamma = Arrivals::Gamma(crate::scenario::model::Gamma { profile: spike(), burstiness: 0.5 });
        for kind in [Arrivals::Poisson(spike()), Arrivals::Constant(spike()), gamma] {
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
