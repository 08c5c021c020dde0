//! The demands on figures of a source.

use super::{Acts, Demands};
use crate::{
    plan::PlanError,
    scenario::{ActKind, metric::MetricExpectation, model::Expectation},
};

pub(super) fn metric(acts: &Acts<'_>, e: &MetricExpectation) -> Result<Demands, PlanError> {
    let mut demands = Vec::new();
    let none = MetricExpectation { phase: None, after: None, recovers_within: None, ..e.clone() };
    if let Some(phase) = &e.phase {
        let demand = MetricExpectation { phase: Some(phase.clone()), ..none.clone() };
        demands.push((format!("metric.{}.in.{phase}", e.source), Expectation::Metric(demand)));
    }
    if e.recovers_within.is_some() {
        let (entry, after) = acts.resolved(e.after.as_ref(), ActKind::Fault, "metric")?;
        let demand = MetricExpectation { after, recovers_within: e.recovers_within, ..none };
        let id = format!("metric.{entry}.{}.recovers-within", e.source);
        demands.push((id, Expectation::Metric(demand)));
    }
    Ok(demands)
}
