//! The samples that a check stands on: of each series that its judge looks at
//! the first, the last and the largest change, not all of them.

use std::collections::BTreeSet;

use crate::{
    journal::{
        Event,
        event::{FaultStep, Signal},
    },
    plan::model::Subject,
    report::{Input, text},
    scenario::model::Expectation,
    units::{FaultId, PodName, RunTime, series},
    verdict::{model::CheckVerdict, sent},
};

/// Series that are shown: those that changed most.
const MOST: usize = 8;
/// So far before the interval the first sample may be: what a counter was.
const BEFORE: std::time::Duration = std::time::Duration::from_secs(5);

/// One value of a series, and its line of the journal.
#[derive(Clone, Copy)]
struct Value {
    line: usize,
    at: RunTime,
    seen: RunTime,
    value: f64,
}

/// What a check's judge looks at.
enum Wanted<'a> {
    /// A series of a source, as the scenario says which.
    Metric(&'a crate::scenario::metric::MetricExpectation),
    /// What is sent to these pods (or to any), by all who count it.
    Upstream(Vec<&'a PodName>),
    /// Which endpoints a Service has, and what autoscalers want.
    Endpoints,
}

impl<'a> Wanted<'a> {
    fn of(input: &Input<'a>, check: &CheckVerdict, act: Option<&FaultId>) -> Option<Self> {
        let planned = input.plan.checks.iter().find(|planned| planned.id == check.id)?;
        let Subject::Expectation(expectation) = &planned.subject else { return None };
        Some(match expectation {
            Expectation::Metric(e) => Self::Metric(e),
            Expectation::CircuitBreaker(e) if e.leaks.is_some() => Self::Upstream(targets(input, act)),
            Expectation::Retries(e) if e.amplification.is_some() => Self::Upstream(Vec::new()),
            Expectation::Probes(_) => Self::Upstream(targets(input, act)),
            Expectation::Pods(e) if e.cold_failures.is_some() => Self::Upstream(Vec::new()),
            Expectation::Pods(e) if e.removed_within.is_some() => Self::Endpoints,
            Expectation::Autoscaling(_) => Self::Endpoints,
            Expectation::CircuitBreaker(_)
            | Expectation::Retries(_)
            | Expectation::Pods(_)
            | Expectation::Cache(_)
            | Expectation::Rollback(_)
            | Expectation::Fallback(_)
            | Expectation::Shedding(_)
            | Expectation::Recovery(_)
            | Expectation::Alert(_)
            | Expectation::Failover(_)
            | Expectation::Drift(_) => return None,
        })
    }

    fn has(&self, source: &str, name: &str, meant: &BTreeSet<(&str, &str)>) -> bool {
        let bare = name.split('{').next().unwrap_or(name);
        match self {
            Self::Metric(_) => meant.contains(&(source, name)),
            Self::Upstream(pods) => match bare {
                "gateway_upstream_requests_total" => {
                    let pod = series::label(name, "pod");
                    pods.is_empty() || pods.iter().any(|of| pod.as_deref() == Some(of.as_str()))
                }
                "firedrill_lab_requests_total" => {
                    pods.is_empty() || pods.iter().any(|of| of.as_str() == source)
                }
                _ => sent::is_counter(bare),
            },
            Self::Endpoints => {
                matches!(bare, "kubernetes_endpoint_ready" | "kubernetes_endpoints_ready")
                    || bare.starts_with("kube_horizontalpodautoscaler_")
            }
        }
    }
}

/// Whom an act hit.
fn targets<'a>(input: &Input<'a>, act: Option<&FaultId>) -> Vec<&'a PodName> {
    let hit = input.record.events.iter().find_map(|record| match &record.event {
        Event::Fault { id, step: FaultStep::Requested { targets } } if Some(id) == act => Some(targets),
        _ => None,
    });
    hit.into_iter().flatten().collect()
}

/// The samples in an interval that a check stands on, in words.
pub(super) fn told(
    input: &Input<'_>,
    check: &CheckVerdict,
    act: Option<&FaultId>,
    (from, to): (RunTime, RunTime),
) -> Vec<String> {
    let Some(wanted) = Wanted::of(input, check, act) else { return Vec::new() };
    let samples = || {
        input.record.events.iter().enumerate().filter_map(|(line, record)| match &record.event {
            Event::Signal { seen, signal: Signal::Sample { source, values } } => {
                Some((line + 1, record.at, seen.by, source.as_str(), values))
            }
            _ => None,
        })
    };
    let meant: BTreeSet<(&str, &str)> = match &wanted {
        Wanted::Metric(e) => {
            let its = samples().filter(|(.., source, _)| *source == e.source);
            let shown: BTreeSet<&str> =
                its.flat_map(|(.., values)| values.keys()).map(String::as_str).collect();
            e.meant(&shown).into_iter().map(|series| (e.source.as_str(), series)).collect()
        }
        Wanted::Upstream(_) | Wanted::Endpoints => BTreeSet::new(),
    };
    let mut found: indexmap::IndexMap<(&str, &str), Vec<Value>> = indexmap::IndexMap::new();
    for (line, at, seen, source, values) in samples() {
        if seen < from - BEFORE || seen > to {
            continue;
        }
        for (name, value) in values.iter().filter(|(name, _)| wanted.has(source, name, &meant)) {
            let value = Value { line, at, seen, value: *value };
            found.entry((source, name.as_str())).or_default().push(value);
        }
    }
    for values in found.values_mut() {
        values.sort_by_key(|value| value.seen);
    }
    // Those that changed most tell most.
    found.sort_by(|_, a, _, b| spread(b).total_cmp(&spread(a)));
    let more = found.len().saturating_sub(MOST);
    let mut out: Vec<String> = found
        .iter()
        .take(MOST)
        .flat_map(|((source, name), values)| series_told(source, name, values))
        .collect();
    if more > 0 {
        out.push(format!("  … and {more} more series in events.jsonl"));
    }
    out
}

/// From the least to the most that a series was.
fn spread(values: &[Value]) -> f64 {
    let finite = || values.iter().map(|value| value.value).filter(|value| value.is_finite());
    finite().reduce(f64::max).unwrap_or_default() - finite().reduce(f64::min).unwrap_or_default()
}

fn series_told(source: &str, name: &str, values: &[Value]) -> Vec<String> {
    let mut out = vec![format!("  {source}: {name}, {} samples", text::count(values.len() as u64))];
    let line = |what: &str, value: &Value| {
        format!(
            "  events.jsonl:{:<5} {}  {what}: {} at {}",
            value.line,
            value.at,
            text::trimmed(value.value, 3),
            value.seen
        )
    };
    let Some((first, last)) = values.first().zip(values.last()) else { return out };
    out.push(line("first", first));
    let change = |pair: &[Value]| match pair {
        [before, after] => (after.value - before.value).abs(),
        _ => 0.0,
    };
    let most = values.windows(2).max_by(|a, b| change(a).total_cmp(&change(b)));
    if let Some([before, after]) = most.filter(|pair| change(pair) > 0.0) {
        let what = format!("changed most, from {}", text::trimmed(before.value, 3));
        out.push(line(&what, after));
    }
    if values.len() > 1 {
        out.push(line("last", last));
    }
    out
}
