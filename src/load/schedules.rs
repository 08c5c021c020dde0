//! A thousand random schedules, from the scenario to the claims of users: what
//! is sent is what was planned, stage by stage, and distributed as it should
//! be.
//!
//! Each is tested by Kolmogorov and Smirnov at a level of one in a million, so
//! that a thousand tests of what is right fail together once in a thousand
//! (Bonferroni). What all say together is tested once more, which notices
//! much smaller errors. Seeds are fixed: the outcome is always the same.

use std::{sync::Arc, time::Duration};

use futures::FutureExt;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{schedule::Schedule, search::Search};
use crate::{
    plan::{self, Curve, Plan},
    scenario::{
        self, TracedRequest,
        model::{Arrivals, Executor, Gamma, Load, Profile, Scenario, Stage, Trace},
    },
    units::{PhaseName, Rate, Ratio, RunTime, Span},
};

const SCHEDULES: u64 = 1000;
const LEVEL: f64 = 1e-6;

/// The Kolmogorov–Smirnov distance that `n` right samples stay below but once
/// in a million: √(ln(2/α)/2n), Massart's bound.
fn critical(n: usize) -> f64 {
    ((2.0 / LEVEL).ln() / 2.0 / n as f64).sqrt()
}

/// The distance between sorted samples, each known to ±`error`, and a
/// distribution function: no more than it is at least.
fn distance(samples: &[f64], error: f64, cdf: impl Fn(f64) -> f64) -> f64 {
    let n = samples.len() as f64;
    let at = |(i, x): (usize, &f64)| {
        let above = (i + 1) as f64 / n - cdf(x + error);
        let below = cdf((x - error).max(0.0)) - i as f64 / n;
        above.max(below)
    };
    samples.iter().enumerate().map(at).fold(0.0, f64::max)
}

/// The regularised lower incomplete gamma function P(a, x): by its series
/// below a + 1, by its continued fraction above (Numerical Recipes, 6.2).
fn gamma_cdf(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    let head = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0 / a, 1.0 / a);
        for n in 1..500 {
            term *= x / (a + f64::from(n));
            sum += term;
            if term < sum * 1e-13 {
                break;
            }
        }
        return head * sum;
    }
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1e300, 1.0 / b);
    let mut h = d;
    for n in 1..500 {
        let n = f64::from(n);
        let an = -n * (n - a);
        b += 2.0;
        d = 1.0 / (an * d + b);
        c = b + an / c;
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-13 {
            break;
        }
    }
    1.0 - head * h
}

/// Stirling's series, with the recurrence for small arguments.
fn ln_gamma(a: f64) -> f64 {
    if a < 12.0 {
        return ln_gamma(a + 1.0) - a.ln();
    }
    let series = 1.0 / (12.0 * a) - 1.0 / (360.0 * a.powi(3)) + 1.0 / (1260.0 * a.powi(5));
    (a - 0.5) * a.ln() - a + 0.5 * std::f64::consts::TAU.ln() + series
}

/// A scenario to change; its phases last 40 s.
fn base() -> Scenario {
    let text = include_str!("../../tests/data/valid/smallest.yaml");
    let none = |_: &str| Err("not here".to_owned());
    let loaded = scenario::parse(text, std::path::Path::new("x.yaml"), &[], &none).expect("a scenario");
    let phases = [("a", 15), ("b", 25)].map(|(name, length)| (PhaseName::from(name), Span::secs(length)));
    Scenario { phases: phases.into_iter().collect(), ..loaded.scenario }
}

fn rate(rng: &mut ChaCha8Rng) -> Rate {
    Rate(rng.random_range(4.0..40.0))
}

fn span(rng: &mut ChaCha8Rng) -> Span {
    Span(Duration::from_millis(rng.random_range(1_000..12_000)))
}

/// A random profile and where its stages begin (s).
fn profile(rng: &mut ChaCha8Rng) -> (Profile, Vec<f64>) {
    match rng.random_range(0..5) {
        0 => (Profile::Rate(rate(rng)), Vec::new()),
        1 => {
            let mut stages = vec![Stage::To { to: rate(rng), over: Span::default() }];
            let mut starts = vec![0.0];
            for i in 0..rng.random_range(1..6) {
                let length = span(rng);
                stages.push(if i % 2 == 0 {
                    Stage::Hold { hold: length }
                } else {
                    Stage::To { to: rate(rng), over: length }
                });
                starts.push(starts[i] + length.as_secs_f64());
            }
            (Profile::Stages(stages), starts)
        }
        2 => {
            let over = span(rng);
            (Profile::Ramp { from: rate(rng), to: rate(rng), over }, vec![over.as_secs_f64()])
        }
        3 => {
            let (base, at, rise, hold) = (rate(rng), span(rng), span(rng), span(rng));
            let ends = [at, rise, hold, rise].into_iter().scan(0.0, |t, length| {
                *t += length.as_secs_f64();
                Some(*t)
            });
            let ends = ends.collect();
            (Profile::Spike { base, peak: Rate(base.0 * 3.0), at, rise, hold }, ends)
        }
        _ => {
            let (mean, period) = (rate(rng), span(rng));
            let amplitude = Rate(mean.0 * rng.random_range(0.0..=1.0));
            let halves = (1..8).map(|i| f64::from(i) * period.as_secs_f64() / 2.0).collect();
            (Profile::Sine { mean, amplitude, period, phase: span(rng) }, halves)
        }
    }
}

fn trace(rng: &mut ChaCha8Rng) -> Trace {
    let mut at = 0.0;
    let requests = (0..200).map(|_| {
        at += rng.random_range(0.0..0.5);
        TracedRequest {
            at: Span(Duration::from_micros((at * 1e6) as u64)),
            input: Some(9),
            output: Some(9),
            blocks: Vec::new(),
        }
    });
    let requests = requests.collect();
    let scale = Ratio(rng.random_range(0.5..4.0));
    Trace {
        file: "x".into(),
        format: None,
        scale,
        from: Span::default(),
        to: None,
        lengths: Default::default(),
        requests,
    }
}

/// What is claimed by users, in order.
fn claimed(plan: &Plan) -> Vec<RunTime> {
    let schedule = Schedule::of(plan, &plan.load[0], &Arc::new(Search::default()));
    let claims = std::iter::from_fn(|| schedule.claim(RunTime::ZERO).now_or_never().flatten());
    let claims: Vec<_> = claims.collect();
    assert!(claims.iter().enumerate().all(|(i, claim)| claim.index == i as u64));
    claims.into_iter().map(|claim| claim.scheduled).collect()
}

/// Gaps in the integral of the rate: 1 on average. And how exactly they are
/// known, since instants are whole microseconds.
fn gaps(curve: &Curve, times: &[f64]) -> (Vec<f64>, f64) {
    let marks: Vec<f64> = times.iter().map(|t| curve.until(*t)).collect();
    let mut gaps: Vec<f64> = marks.windows(2).map(|w| w[1] - w[0]).collect();
    gaps.sort_by(f64::total_cmp);
    (gaps, curve.peak(0.0, 40.0) * 1e-6)
}

/// All that a schedule is checked for; the probabilities of its gaps, where
/// they are exact enough to be pooled.
fn check(
    name: &str,
    arrivals: &Arrivals,
    curve: &Curve,
    stages: &[f64],
    load: &plan::model::PlannedLoad,
    times: &[f64],
) -> Vec<f64> {
    let length = load.end.since(load.start).as_secs_f64();
    let shape = match arrivals {
        Arrivals::Constant(_) => f64::INFINITY,
        Arrivals::Poisson(_) | Arrivals::Trace(_) => 1.0,
        Arrivals::Gamma(gamma) => gamma.burstiness,
    };
    // Stage by stage, and all together.
    let mut bounds = vec![0.0];
    bounds.extend(stages.iter().copied().filter(|at| *at > 0.0 && *at < length));
    bounds.push(length);
    for (from, to) in bounds.windows(2).map(|w| (w[0], w[1])).chain([(0.0, length)]) {
        let sent = times.iter().filter(|t| (from..to).contains(*t)).count() as f64;
        let planned = curve.until(to) - curve.until(from);
        // The count's variance is the mean over the shape; six deviations, and
        // as much again for what is skewed in small counts.
        let allowed = 1.0 + 6.0 * ((planned / shape).sqrt() + 1.0 / shape);
        assert!(
            (sent - planned).abs() <= allowed,
            "{name}: {sent} sent from {from} to {to}, {planned} planned"
        );
    }
    let whole = curve.until(length).round();
    assert_eq!(load.planned_arrivals, Some(whole as u64), "{name}: what the plan says");
    let (gaps, error) = gaps(curve, times);
    if gaps.is_empty() {
        return Vec::new();
    }
    if shape.is_infinite() {
        assert!(gaps.iter().all(|gap| (gap - 1.0).abs() <= 2.0 * error + 1e-9), "{name}: {gaps:?}");
        return Vec::new();
    }
    let cdf = |gap: f64| gamma_cdf(shape, shape * gap);
    let seen = distance(&gaps, error, cdf);
    assert!(seen < critical(gaps.len()), "{name}: {seen} for {} gaps", gaps.len());
    // Below 1, the shortest gaps are beyond what a microsecond resolves.
    if shape >= 1.0 { gaps.into_iter().map(cdf).collect() } else { Vec::new() }
}

#[test]
fn a_thousand_schedules_send_what_was_planned_as_it_was_meant() {
    let base = base();
    let mut pooled: Vec<f64> = Vec::new();
    for number in 0..SCHEDULES {
        let mut rng = ChaCha8Rng::seed_from_u64(number);
        let (profile, stages) = profile(&mut rng);
        let curve = Curve::of(&profile);
        let arrivals = match number % 4 {
            0 => Arrivals::Constant(profile),
            1 => Arrivals::Poisson(profile),
            2 => Arrivals::Gamma(Gamma {
                profile,
                burstiness: [0.3, 0.5, 1.0, 2.0, 8.0][rng.random_range(0..5)],
            }),
            _ => Arrivals::Trace(trace(&mut rng)),
        };
        let (start, lasting) = (rng.random_range(0..10), rng.random_bool(0.5).then(|| Span::secs(20)));
        let load = Load {
            name: format!("load-{number}"),
            workload: base.load[0].workload.clone(),
            start: Span::secs(start),
            lasting,
            users: None,
            executor: Executor::Arrivals(arrivals.clone()),
        };
        let scenario = Scenario { load: vec![load], ..base.clone() };
        let plan = plan::resolve(&scenario, number).expect("a plan");
        let planned = &plan.load[0];
        let sent = claimed(&plan);
        let name = format!("{number}: {arrivals:?}");
        assert_eq!(
            sent,
            claimed(&plan::resolve(&scenario, number).expect("a plan")),
            "{name}: the same seed"
        );
        assert!(sent.windows(2).all(|w| w[0] <= w[1]), "{name}: in order");
        assert!(sent.iter().all(|at| planned.start <= *at && *at < planned.end), "{name}: within its time");
        let times: Vec<f64> = sent.iter().map(|at| at.since(planned.start).as_secs_f64()).collect();
        match &arrivals {
            Arrivals::Trace(trace) => {
                let length = planned.end.since(planned.start).as_secs_f64();
                let wanted: Vec<f64> = trace.times().take_while(|at| *at < length).collect();
                assert!(wanted.len() > 10 && wanted.len() == times.len(), "{name}");
                assert_eq!(planned.planned_arrivals, Some(wanted.len() as u64), "{name}");
                assert!(wanted.iter().zip(&times).all(|(a, b)| (a - b).abs() <= 2e-6), "{name}");
            }
            Arrivals::Constant(_) => drop(check(&name, &arrivals, &curve, &stages, planned, &times)),
            Arrivals::Poisson(_) | Arrivals::Gamma(_) => {
                pooled.extend(check(&name, &arrivals, &curve, &stages, planned, &times));
                let other = claimed(&plan::resolve(&scenario, number + 1).expect("a plan"));
                assert_ne!(sent, other, "{name}: another seed");
            }
        }
    }
    pooled.sort_by(f64::total_cmp);
    // That a window cuts its last gap off makes long gaps a little rarer: by
    // one gap of each window at most.
    let seen = distance(&pooled, 0.0, |p| p);
    let cut = SCHEDULES as f64 / 2.0 / pooled.len() as f64;
    assert!(pooled.len() > 50_000, "{}", pooled.len());
    assert!(seen < critical(pooled.len()) + cut, "{seen} for {} gaps", pooled.len());
}

/// Abramowitz and Stegun's table 26.9, and the exponential distribution.
#[test]
fn the_yardstick_is_right() {
    for x in [0.1f64, 1.0, 3.0, 9.0] {
        assert!((gamma_cdf(1.0, x) - (1.0 - (-x).exp())).abs() < 1e-9, "{x}");
    }
    assert!((gamma_cdf(0.5, 1.92) - 0.949_96).abs() < 1e-4, "chi square with one degree of freedom");
    assert!((gamma_cdf(5.0, 9.15) - 0.949_9).abs() < 1e-3, "chi square with ten degrees of freedom");
}
