//! Whether a canary is as good as the stable version. Pure.
//!
//! What the gateway counts tells of errors and of the time to first token; what
//! the pods say, of throughput, saturation and drift; what they answer, of
//! accuracy.

use std::collections::BTreeMap;

use super::{scrape::Counters, trial::PodFigures};
use crate::units::PodName;

/// Fewer attempts than this are not judged.
const ENOUGH: f64 = 5.0;
/// A canary may fail this share of its attempts more than the stable version.
const BAD_ERRORS: f64 = 0.10;
/// No second look at one that fails this share.
const TERRIBLE_ERRORS: f64 = 0.30;
/// A canary may take this many times as long for a first token…
const BAD_TTFT: f64 = 2.5;
/// …and no second look at one that takes so many times as long…
const TERRIBLE_TTFT: f64 = 5.0;
/// …if it is this much longer, too, in seconds.
const TTFT_MARGIN: f64 = 0.150;
/// A canary's tokens may come so many times as slowly…
const BAD_PACE: f64 = 2.5;
/// …if that is this much more for each, too, in seconds.
const PACE_MARGIN: f64 = 0.010;
/// Gaps without which nothing is said of the pace.
const ENOUGH_GAPS: f64 = 30.0;
/// A canary's memory may be this much fuller than the stable version's…
const BAD_MEMORY: f64 = 0.15;
/// …unless it gets so much fuller between two looks.
const MEMORY_GROWTH: f64 = 0.03;
/// Answers without which nothing is said of their lengths.
const ENOUGH_ANSWERS: f64 = 15.0;
/// A canary's answers may be so many times as long or as short on average…
const BAD_LENGTH: f64 = 1.6;
/// …if chance does not explain the distance of the distributions: the 99.9 %
/// quantile of Kolmogorov's.
const KOLMOGOROV: f64 = 1.95;

/// What an analysis found.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Finding {
    /// Not enough attempts to say.
    TooFew,
    /// As good as the stable version.
    Healthy,
    /// Worse; a second such finding in a row condemns it.
    Bad(String),
    /// So much worse that it need not be seen twice.
    Terrible(String),
}

/// Compares the shares of attempts that failed.
pub(super) fn errors(canary: &Counters, stable: &Counters) -> Finding {
    if canary.total() < ENOUGH {
        return Finding::TooFew;
    }
    let (errors, usual) = (canary.error_ratio(), stable.error_ratio());
    let reason = format!("{:.0}% of the canary's requests failed", errors * 100.0);
    if errors - usual > TERRIBLE_ERRORS {
        return Finding::Terrible(reason);
    }
    if errors - usual > BAD_ERRORS { Finding::Bad(reason) } else { Finding::Healthy }
}

/// Compares the canary's window with the stable version's: errors, then the
/// time to first token.
pub(super) fn judge(canary: &Counters, stable: &Counters) -> Finding {
    match errors(canary, stable) {
        Finding::Healthy => {}
        found => return found,
    }
    let slower = |quantile: f64| {
        let canary = canary.ttft_quantile(quantile)?;
        let stable = stable.ttft_quantile(quantile)?;
        let factor = canary / stable.max(1e-3);
        (canary - stable > TTFT_MARGIN && factor > BAD_TTFT).then(|| {
            let percent = quantile * 100.0;
            let reason = format!(
                "the canary's time to first token (p{percent:.0}) is {:.0} ms where the stable version's is {:.0} ms",
                canary * 1e3,
                stable * 1e3
            );
            (factor, reason)
        })
    };
    match slower(0.5).or_else(|| slower(0.95)) {
        Some((factor, reason)) if factor > TERRIBLE_TTFT => Finding::Terrible(reason),
        Some((_, reason)) => Finding::Bad(reason),
        None => Finding::Healthy,
    }
}

/// What the pods of one version said at one look.
pub(super) type Pods = BTreeMap<PodName, PodFigures>;

/// What was added between two looks at all of a version's pods.
#[derive(Debug, Default)]
struct Window {
    gaps: (f64, f64),
    tokens: f64,
    lengths: BTreeMap<u64, f64>,
    memory: f64,
    memory_growth: f64,
}

impl Window {
    fn of(now: &Pods, before: &Pods) -> Self {
        let mut window = Self::default();
        let none = PodFigures::default();
        for (pod, now) in now {
            let then = before.get(pod).unwrap_or(&none);
            window.gaps.0 += (now.gaps.0 - then.gaps.0).max(0.0);
            window.gaps.1 += (now.gaps.1 - then.gaps.1).max(0.0);
            window.tokens += (now.tokens - then.tokens).max(0.0);
            window.memory = window.memory.max(now.memory);
            window.memory_growth = window.memory_growth.max(now.memory - then.memory);
            for (bound, count) in &now.lengths {
                let old = then.lengths.get(bound).copied().unwrap_or(0.0);
                *window.lengths.entry(*bound).or_default() += (count - old).max(0.0);
            }
        }
        window
    }

    fn pace(&self) -> Option<f64> {
        (self.gaps.1 >= ENOUGH_GAPS).then(|| self.gaps.0 / self.gaps.1)
    }

    fn answers(&self) -> f64 {
        self.lengths.values().next_back().copied().unwrap_or(0.0)
    }
}

/// Compares what the pods said at two looks. None: nothing is wrong.
pub(super) fn compare(canary: (&Pods, &Pods), stable: (&Pods, &Pods)) -> Option<String> {
    let of = |(now, before): (&Pods, &Pods)| Window::of(now, before);
    let (canary, stable) = (of(canary), of(stable));
    throughput(&canary, &stable).or_else(|| saturation(&canary, &stable)).or_else(|| drift(&canary, &stable))
}

fn throughput(canary: &Window, stable: &Window) -> Option<String> {
    let (new, old) = (canary.pace()?, stable.pace()?);
    (new > old * BAD_PACE && new - old > PACE_MARGIN).then(|| {
        let rate = |pace: f64| 1.0 / pace.max(1e-6);
        format!(
            "throughput: the canary gives {:.0} tokens a second where the stable version gives {:.0}",
            rate(new),
            rate(old)
        )
    })
}

fn saturation(canary: &Window, stable: &Window) -> Option<String> {
    let fuller = canary.memory - stable.memory > BAD_MEMORY;
    (fuller && canary.memory_growth > MEMORY_GROWTH).then(|| {
        let (new, old) = (canary.memory * 100.0, stable.memory * 100.0);
        format!(
            "saturation: the canary's memory is {new:.0}% full and filling, the stable version's {old:.0}%"
        )
    })
}

/// Another mean, and a distance of the distributions (Kolmogorov–Smirnov) that
/// chance does not explain.
fn drift(canary: &Window, stable: &Window) -> Option<String> {
    let (n, m) = (canary.answers(), stable.answers());
    if n < ENOUGH_ANSWERS || m < ENOUGH_ANSWERS {
        return None;
    }
    let (new, old) = (canary.tokens / n, stable.tokens / m);
    let times = (new / old.max(1e-9)).max(old / new.max(1e-9));
    let share =
        |window: &Window, bound: &u64, all: f64| window.lengths.get(bound).copied().unwrap_or(0.0) / all;
    let distance =
        canary.lengths.keys().map(|bound| (share(canary, bound, n) - share(stable, bound, m)).abs());
    let distance = distance.fold(0.0, f64::max);
    (times > BAD_LENGTH && distance > KOLMOGOROV * (1.0 / n + 1.0 / m).sqrt()).then(|| {
        format!("drift: the canary's answers have {new:.0} tokens on average where the stable version's have {old:.0}")
    })
}

/// Judges golden prompts: asked, and wrong.
pub(super) fn accuracy((asked, wrong): (usize, usize)) -> Option<String> {
    (wrong > 0).then(|| format!("accuracy: the canary got {wrong} of {asked} golden prompts wrong"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods(gap_ms: f64, memory: f64, short: f64, long: f64) -> Pods {
        let lengths = BTreeMap::from([(5, short), (20, short + long), (u64::MAX, short + long)]);
        let figures = PodFigures {
            gaps: (gap_ms * (short + long) * 10.0 / 1e3, (short + long) * 10.0),
            memory,
            lengths,
            tokens: short * 5.0 + long * 16.0,
        };
        BTreeMap::from([(PodName::from("a"), figures)])
    }

    #[test]
    fn what_pods_say_is_compared() {
        let none = Pods::new();
        let stable = pods(12.0, 0.05, 20.0, 80.0);
        let says = |canary: &Pods| compare((canary, &none), (&stable, &none)).unwrap_or_default();
        assert_eq!(says(&pods(14.0, 0.06, 4.0, 16.0)), "");
        assert!(says(&pods(60.0, 0.06, 4.0, 16.0)).starts_with("throughput"));
        assert!(says(&pods(14.0, 0.4, 4.0, 16.0)).starts_with("saturation"));
        assert!(says(&pods(14.0, 0.06, 20.0, 1.0)).starts_with("drift"));
        assert_eq!(says(&pods(14.0, 0.06, 6.0, 1.0)), "", "too few answers");
        let full = pods(14.0, 0.4, 4.0, 16.0);
        assert_eq!(compare((&full, &full), (&stable, &stable)), None, "full, but not filling");
    }

    #[test]
    fn one_wrong_golden_answer_counts() {
        assert_eq!(accuracy((3, 0)), None);
        assert_eq!(accuracy((0, 0)), None);
        assert!(accuracy((3, 1)).is_some());
    }

    fn counters(good: f64, bad: f64, ttft_ms: u64) -> Counters {
        let below = ttft_ms * 1000 - 1;
        let ttft = [(below, 0.0), (below + 1, good), (u64::MAX, good)].into_iter().collect();
        Counters { good, bad, ttft }
    }

    #[test]
    fn errors_condemn_at_once_or_after_a_second_look() {
        let stable = counters(100.0, 1.0, 80);
        assert_eq!(judge(&counters(4.0, 0.0, 80), &stable), Finding::TooFew);
        assert_eq!(judge(&counters(20.0, 1.0, 80), &stable), Finding::Healthy);
        assert!(matches!(judge(&counters(16.0, 4.0, 80), &stable), Finding::Bad(_)));
        assert!(matches!(judge(&counters(6.0, 4.0, 80), &stable), Finding::Terrible(_)));
    }

    #[test]
    fn a_canary_is_not_blamed_for_what_both_versions_suffer() {
        assert_eq!(judge(&counters(6.0, 4.0, 800), &counters(60.0, 40.0, 700)), Finding::Healthy);
    }

    #[test]
    fn slowness_counts_where_it_is_both_relative_and_absolute() {
        let stable = counters(100.0, 0.0, 80);
        assert_eq!(judge(&counters(20.0, 0.0, 180), &stable), Finding::Healthy);
        assert!(matches!(judge(&counters(20.0, 0.0, 300), &stable), Finding::Bad(_)));
        assert!(matches!(judge(&counters(20.0, 0.0, 560), &stable), Finding::Terrible(_)));
        assert_eq!(judge(&counters(20.0, 0.0, 100), &counters(100.0, 0.0, 20)), Finding::Healthy);
    }

    #[test]
    fn without_a_stable_latency_only_errors_are_judged() {
        assert_eq!(judge(&counters(20.0, 0.0, 900), &Counters::default()), Finding::Healthy);
    }
}
