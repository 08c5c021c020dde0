//! Counters in samples: how much they grew between two instants.

use std::collections::BTreeMap;

use super::facts::{Facts, Sample};
pub(super) use crate::units::series::label;
use crate::units::{PodName, RunTime};

/// Values that a counter can have: whole numbers are exact up to here.
const COUNTABLE: std::ops::Range<f64> = 0.0..9e15;

/// What the lab's gateway counts: attempts that ended, by pod and outcome.
pub(super) const UPSTREAM: &str = "gateway_upstream_requests_total";

/// How much counters grew.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Growth {
    /// By how much, all matching series together.
    pub(super) by: f64,
    /// In how many seconds.
    pub(super) seconds: f64,
}

impl Growth {
    /// A second.
    pub(super) fn rate(self) -> f64 {
        if self.seconds > 0.0 { self.by / self.seconds } else { 0.0 }
    }
}

impl std::ops::Add for Growth {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { by: self.by + other.by, seconds: self.seconds + other.seconds }
    }
}

/// A series' name without its labels.
pub(super) fn name(series: &str) -> &str {
    series.split('{').next().unwrap_or(series)
}

/// Attempts of the lab's gateway at a pod, but for those that were given up: they
/// say nothing about the pod.
pub(super) fn attempts_at(pod: &PodName) -> impl Fn(&str) -> bool {
    move |series: &str| {
        name(series) == UPSTREAM
            && label(series, "pod").as_deref() == Some(pod.as_str())
            && label(series, "outcome").as_deref() != Some("cancelled")
    }
}

/// Growth between the first and the last sample that lie within the interval.
/// None with fewer than two samples.
pub(super) fn inside(
    samples: &[Sample<'_>],
    from: RunTime,
    to: RunTime,
    matches: impl Fn(&str) -> bool,
) -> Option<Growth> {
    let first = samples.partition_point(|(seen, _)| seen.by < from);
    let end = samples.partition_point(|(seen, _)| seen.by <= to);
    growth(samples.get(first..end)?, matches)
}

/// Growth between the last sample at or before `from` (or else the first
/// one) and the first sample at or after `to` (or else the last one).
pub(super) fn around(
    samples: &[Sample<'_>],
    from: RunTime,
    to: RunTime,
    matches: impl Fn(&str) -> bool,
) -> Option<Growth> {
    let first = samples.partition_point(|(seen, _)| seen.by <= from).saturating_sub(1);
    let end = (samples.partition_point(|(seen, _)| seen.by < to) + 1).min(samples.len());
    growth(samples.get(first..end)?, matches)
}

/// Growth between the last sample at or before `from` (or else the first
/// one) and the last sample at or before `to`.
pub(super) fn up_to(
    samples: &[Sample<'_>],
    from: RunTime,
    to: RunTime,
    matches: impl Fn(&str) -> bool,
) -> Option<Growth> {
    let first = samples.partition_point(|(seen, _)| seen.by <= from).saturating_sub(1);
    let end = samples.partition_point(|(seen, _)| seen.by <= to);
    growth(samples.get(first..end)?, matches)
}

/// Sums the growth from sample to sample. A counter that fell was started
/// again from zero; one that appeared had been zero.
fn growth(samples: &[Sample<'_>], matches: impl Fn(&str) -> bool) -> Option<Growth> {
    let [(start, before), rest @ ..] = samples else { return None };
    let (end, _) = rest.last()?;
    let pick = |values: &Sample<'_>| -> BTreeMap<String, f64> {
        let mine = values.1.iter().filter(|(series, value)| matches(series) && COUNTABLE.contains(*value));
        mine.map(|(series, value)| (series.clone(), *value)).collect()
    };
    let mut last = pick(&(*start, before));
    let mut by = 0.0;
    for sample in rest {
        let now = pick(sample);
        for (series, &value) in &now {
            let was = last.get(series).copied().unwrap_or(0.0);
            by += if value >= was { value - was } else { value };
        }
        last.extend(now);
    }
    Some(Growth { by, seconds: end.by.since(start.by).as_secs_f64() })
}

impl<'a> Facts<'a> {
    /// The samples of a source.
    pub(super) fn samples_of(&self, source: &str) -> &[Sample<'a>] {
        self.samples.get(source).map_or(&[], Vec::as_slice)
    }

    /// Whether anything that counts answered during the run.
    pub(super) fn has_samples(&self) -> bool {
        self.samples.values().any(|samples| !samples.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use indexmap::IndexMap;

    use super::*;
    use crate::units::Seen;

    #[test]
    fn names_are_read() {
        let series = r#"gateway_upstream_requests_total{pod="replica-0",outcome="ok"}"#;
        assert_eq!(name(series), "gateway_upstream_requests_total");
    }

    #[test]
    fn growth_survives_restarts_and_new_series() {
        let values: Vec<IndexMap<String, f64>> =
            [vec![("a", 5.0)], vec![("a", 9.0), ("b", 2.0)], vec![("a", 3.0), ("b", 2.0)]]
                .into_iter()
                .map(|pairs| pairs.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
                .collect();
        let samples: Vec<Sample<'_>> =
            values.iter().enumerate().map(|(s, v)| (Seen::at(RunTime(s as u64 * 1_000_000)), v)).collect();
        let all = inside(&samples, RunTime(0), RunTime(2_000_000), |_| true);
        assert_eq!(all, Some(Growth { by: 4.0 + 2.0 + 3.0, seconds: 2.0 }));
        assert_eq!(inside(&samples, RunTime(1), RunTime(1_999_999), |_| true), None, "one sample");
        let around = around(&samples, RunTime(1), RunTime(999_999), |s| s == "a");
        assert_eq!(around, Some(Growth { by: 4.0, seconds: 1.0 }));
        let up_to = up_to(&samples, RunTime(1), RunTime(1_999_999), |s| s == "a");
        assert_eq!(up_to, Some(Growth { by: 4.0, seconds: 1.0 }), "and not what came after");
    }
}
