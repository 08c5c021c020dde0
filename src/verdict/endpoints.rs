//! A Service that sends nothing more to the pods that a fault hit.

use indexmap::IndexMap;

use super::{
    counters,
    facts::Facts,
    finding::{Finding, evidence},
    states,
    times::{interval, within},
};
use crate::units::{FaultId, PodName, Seen, Span};

/// The sample of a Service's endpoints, by pod.
const ENDPOINT: &str = "kubernetes_endpoint_ready";

/// The Service sent to the pods that the fault hit, and does not any more.
pub(super) fn removed(facts: &Facts<'_>, after: Option<&FaultId>, limit: Span) -> Result<Finding, Finding> {
    let t0 = facts.effect(after)?;
    let hit = after.and_then(|id| facts.faults.get(id)).map_or(&[][..], |history| history.targets);
    let samples = facts.samples_of("kubernetes");
    if samples.is_empty() {
        return Err(Finding::inconclusive("no endpoints were observed: this needs a target on a cluster"));
    }
    let over = facts.fault_end(after).map_or(facts.judged().1, |over| over.not_before);
    let lasts = facts.lasts(after).then_some(over);
    // Whether any Service's endpoint of this pod gets traffic.
    let serves = |values: &IndexMap<String, f64>, pod: &PodName| {
        let its = |series: &str| {
            counters::name(series) == ENDPOINT
                && counters::label(series, "pod").as_deref() == Some(pod.as_str())
        };
        values.iter().any(|(series, value)| its(series) && *value > 0.0)
    };
    let mut last: Option<Option<Seen>> = None;
    let mut shown = Vec::new();
    for pod in hit {
        let served = samples.iter().any(|(seen, values)| seen.not_before <= t0.by && serves(values, pod));
        if !served {
            continue;
        }
        let states: Vec<(Seen, bool)> = samples.iter().map(|(seen, all)| (*seen, serves(all, pod))).collect();
        // While the fault lasts; a pod that was killed may come back by its name.
        let gone = match lasts {
            Some(until) => states::settled(&states, t0.not_before, until, |serves| !serves),
            None => states.iter().find(|(seen, on)| seen.by > t0.not_before && !on).map(|(seen, _)| *seen),
        };
        shown.push(match gone {
            Some(seen) => evidence("endpoints", format!("{pod} is none any more at {}", interval(seen))),
            None => evidence("endpoints", format!("{pod} is one to the end")),
        });
        // The slowest counts, and one that never went is slower than any.
        last = Some(match (last, gone) {
            (None, gone) => gone,
            (Some(Some(last)), Some(gone)) => Some(if gone.by > last.by { gone } else { last }),
            (Some(None), _) | (Some(_), None) => None,
        });
    }
    let Some(last) = last else {
        return Err(Finding::inconclusive("none of the pods that the fault hit was an endpoint before"));
    };
    Ok(within(t0, last, facts.end, limit, "the Service sent them nothing more").with(shown))
}
