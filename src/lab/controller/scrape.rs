//! What the controller reads of the gateway's `/metrics`: figures by version.

use std::collections::BTreeMap;

use crate::units::Version;

/// Attempts at replicas, by pod, version and outcome.
const REQUESTS: &str = "gateway_upstream_requests_total";
/// Time to first token by version.
const TTFT_BUCKET: &str = "gateway_upstream_ttft_seconds_bucket";

/// The outcome of an attempt that served.
const GOOD: &str = "ok";
/// The outcome of an attempt that says nothing about the replica: it was
/// given up.
const NEUTRAL: &str = "cancelled";

/// One version's counters at one time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counters {
    /// Attempts that were served well.
    pub(super) good: f64,
    /// Attempts that failed.
    pub(super) bad: f64,
    /// Cumulative counts by upper bound in microseconds; `u64::MAX` for +Inf.
    pub(super) ttft: BTreeMap<u64, f64>,
}

/// All versions' counters at one time.
pub(super) type Snapshot = BTreeMap<Version, Counters>;

/// Reads a page of metrics; lines that are not of interest are passed over.
pub(super) fn read(text: &str) -> Snapshot {
    let mut snapshot = Snapshot::new();
    for (name, labels, value) in text.lines().filter_map(sample) {
        let Some(version) = label(labels, "version") else { continue };
        let counters = snapshot.entry(Version::from(version)).or_default();
        match (name, label(labels, "outcome"), label(labels, "le")) {
            (REQUESTS, Some(GOOD), _) => counters.good += value,
            (REQUESTS, Some(outcome), _) if outcome != NEUTRAL => counters.bad += value,
            (TTFT_BUCKET, _, Some(bound)) => {
                let bound = match bound.parse::<f64>() {
                    Ok(seconds) if seconds.is_finite() => (seconds * 1e6).round() as u64,
                    _ => u64::MAX,
                };
                *counters.ttft.entry(bound).or_default() += value;
            }
            _ => {}
        }
    }
    snapshot
}

/// Name, labels and value of a line.
pub(super) fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (name, rest) = line.split_once('{')?;
    let (labels, value) = rest.rsplit_once('}')?;
    let value = value.split_whitespace().next()?.parse().ok()?;
    Some((name, labels, value))
}

/// A label's value. The lab's own values hold no quotes or commas.
pub(super) fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    labels.split(',').find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key.trim() == name).then(|| value.trim().trim_matches('"'))
    })
}

impl Counters {
    /// What was added since `before`.
    pub(super) fn since(&self, before: Option<&Self>) -> Self {
        let Some(before) = before else { return self.clone() };
        let ttft = self.ttft.iter().map(|(bound, count)| {
            let old = before.ttft.get(bound).copied().unwrap_or(0.0);
            (*bound, (count - old).max(0.0))
        });
        Self {
            good: (self.good - before.good).max(0.0),
            bad: (self.bad - before.bad).max(0.0),
            ttft: ttft.collect(),
        }
    }

    /// Attempts that were judged.
    pub(super) fn total(&self) -> f64 {
        self.good + self.bad
    }

    /// Share of attempts that failed.
    pub(super) fn error_ratio(&self) -> f64 {
        if self.total() > 0.0 { self.bad / self.total() } else { 0.0 }
    }

    /// A quantile of the time to first token in seconds, interpolated within
    /// its bucket. None: no first token was seen.
    pub(super) fn ttft_quantile(&self, quantile: f64) -> Option<f64> {
        let count = *self.ttft.values().next_back()?;
        if count <= 0.0 {
            return None;
        }
        let rank = quantile * count;
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, cumulative) in &self.ttft {
            if *bound == u64::MAX {
                break;
            }
            let upper = *bound as f64 / 1e6;
            if *cumulative >= rank && *cumulative > below {
                return Some(lower + (upper - lower) * (rank - below) / (cumulative - below));
            }
            (lower, below) = (upper, *cumulative);
        }
        // Beyond the last bound: at least that.
        Some(lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"# TYPE gateway_upstream_requests_total counter
gateway_upstream_requests_total{pod="replica-0",version="v1",outcome="ok"} 90
gateway_upstream_requests_total{pod="replica-1",version="v1",outcome="ok"} 10
gateway_upstream_requests_total{pod="replica-2",version="v2",outcome="ok"} 6
gateway_upstream_requests_total{pod="replica-2",version="v2",outcome="error"} 4
gateway_upstream_requests_total{pod="replica-2",version="v2",outcome="cancelled"} 3
gateway_upstream_ttft_seconds_bucket{version="v1",le="0.1"} 50
gateway_upstream_ttft_seconds_bucket{version="v1",le="0.25"} 100
gateway_upstream_ttft_seconds_bucket{version="v1",le="+Inf"} 100
gateway_in_flight 7
"#;

    #[test]
    fn counters_are_summed_by_version_and_leavers_do_not_count() {
        let snapshot = read(PAGE);
        let v1 = &snapshot[&Version::from("v1")];
        let v2 = &snapshot[&Version::from("v2")];
        assert_eq!((v1.good, v1.bad), (100.0, 0.0));
        assert_eq!((v2.total(), v2.error_ratio()), (10.0, 0.4));
        assert_eq!(v2.ttft_quantile(0.5), None);
    }

    #[test]
    fn quantiles_are_interpolated_and_windows_subtract() {
        let snapshot = read(PAGE);
        let v1 = &snapshot[&Version::from("v1")];
        assert_eq!(v1.ttft_quantile(0.5), Some(0.1));
        assert_eq!(v1.ttft_quantile(0.75), Some(0.175));
        let nothing = v1.since(Some(v1));
        assert_eq!((nothing.total(), nothing.ttft_quantile(0.5)), (0.0, None));
        assert_eq!(v1.since(None), *v1);
    }
}
