//! What a cluster's horizontal pod autoscalers say of themselves, beside what is
//! seen of the pods: whether they wanted more, and when.

use super::{
    counters,
    facts::{Facts, Sample},
    finding::{counted, evidence},
    states,
    times::interval,
};
use crate::{
    journal::event::Evidence,
    units::{RunTime, Seen},
};

const LABEL: &str = "horizontalpodautoscaler";
const WANTED: &str = "kube_horizontalpodautoscaler_status_desired_replicas";
const MOST: &str = "kube_horizontalpodautoscaler_spec_max_replicas";
const BLIND: &str = "kubernetes_horizontalpodautoscaler_blind";

/// What each of them wanted from `from` to `until`.
pub(super) fn told(facts: &Facts<'_>, from: RunTime, until: RunTime) -> Vec<Evidence> {
    let told = facts.samples.iter().flat_map(|(source, samples)| {
        names(samples).into_iter().map(|name| {
            let figure = |metric| steps(samples, metric, &name);
            let (wanted, most, blind) = (figure(WANTED), figure(MOST), figure(BLIND));
            let what = [
                Some(wishes(&wanted, &most, from, until)),
                states::met(&blind, (from, until), until, |blind| *blind > 0).map(|met| match met {
                    states::Met::Surely(seen) | states::Met::Perhaps(seen) => {
                        format!("it could not tell how many (ScalingActive: False) at {}", interval(seen))
                    }
                }),
            ];
            let what = what.into_iter().flatten().collect::<Vec<_>>().join("; ");
            evidence(*source, format!("autoscaler {name} {what}"))
        })
    });
    told.collect()
}

/// `wanted 4 replicas at 20.13–21.02 s, 5 at the most (it may have 6)`.
fn wishes(wanted: &[(Seen, u64)], most: &[(Seen, u64)], from: RunTime, until: RunTime) -> String {
    let before = states::at(wanted, from).unwrap_or(0);
    let during = || wanted.iter().filter(|(seen, _)| seen.by > from && seen.by <= until);
    let limit = states::at(most, until).unwrap_or(0);
    match during().find(|(_, count)| *count > before) {
        Some((seen, count)) => {
            let peak = during().map(|(_, count)| *count).max().unwrap_or(*count);
            let first = counted(*count, "replica");
            format!("wanted {first} at {}, {peak} at the most (it may have {limit})", interval(*seen))
        }
        None => format!("never wanted more than {} (it may have {limit})", counted(before, "replica")),
    }
}

/// The autoscalers that a source tells of.
fn names(samples: &[Sample<'_>]) -> Vec<String> {
    let last = samples.last().into_iter().flat_map(|(_, values)| values.keys());
    let named = last.filter(|series| counters::name(series) == WANTED);
    named.filter_map(|series| Some(counters::label(series, LABEL)?.into_owned())).collect()
}

/// A figure of one autoscaler, at each change.
fn steps(samples: &[Sample<'_>], metric: &str, name: &str) -> Vec<(Seen, u64)> {
    let its = |series: &str| {
        counters::name(series) == metric && counters::label(series, LABEL).as_deref() == Some(name)
    };
    let seen = samples.iter().filter_map(|(seen, values)| {
        let (_, value) = values.iter().find(|(series, _)| its(series))?;
        Some((*seen, value.max(0.0) as u64))
    });
    let mut steps: Vec<(Seen, u64)> = seen.collect();
    steps.dedup_by_key(|(_, value)| *value);
    steps
}
