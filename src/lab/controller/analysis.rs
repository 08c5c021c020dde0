//! Whether a canary is as good as the stable version. Pure.

use super::scrape::Counters;

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

/// Compares the canary's window with the stable version's.
pub(super) fn judge(canary: &Counters, stable: &Counters) -> Finding {
    if canary.total() < ENOUGH {
        return Finding::TooFew;
    }
    let (errors, usual) = (canary.error_ratio(), stable.error_ratio());
    let reason = format!("{:.0}% of the canary's requests failed", errors * 100.0);
    if errors - usual > TERRIBLE_ERRORS {
        return Finding::Terrible(reason);
    }
    if errors - usual > BAD_ERRORS {
        return Finding::Bad(reason);
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

#[cfg(test)]
mod tests {
    use super::*;

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
