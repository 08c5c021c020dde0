//! The demands on figures of a source.

use super::{Acts, Demands};
use crate::{
    plan::PlanError,
    scenario::{ActKind, metric::MetricExpectation, model::Expectation},
};

pub(super) fn metric(acts: &Acts<'_>, e: &MetricExpectation) -> Result<Demands, PlanError> {
    let mut demands = Vec::new();
    let none = MetricExpectation {
        phase: None,
        after: None,
        recovers_within: None,
        must: None,
        grows: None,
        ..e.clone()
    };
    if let (Some(phase), Some(must)) = (&e.phase, e.must) {
        let demand = MetricExpectation { phase: Some(phase.clone()), must: Some(must), ..none.clone() };
        demands.push((format!("metric.{}.in.{phase}", e.source), Expectation::Metric(demand)));
    }
    if let (Some(phase), Some(grows)) = (&e.phase, e.grows) {
        let demand = MetricExpectation { phase: Some(phase.clone()), grows: Some(grows), ..none.clone() };
        demands.push((format!("metric.{}.grows.{phase}", e.source), Expectation::Metric(demand)));
    }
    if e.recovers_within.is_some() {
        let (entry, after) = acts.resolved(e.after.as_ref(), ActKind::Fault, "metric")?;
        let demand = MetricExpectation { after, must: e.must, recovers_within: e.recovers_within, ..none };
        let id = format!("metric.{entry}.{}.recovers-within", e.source);
        demands.push((id, Expectation::Metric(demand)));
    }
    Ok(demands)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::{
        plan::{Plan, model::Subject, resolve},
        scenario::{self, model::Expectation},
    };

    const SCENARIO: &str = r#"
version: 1
name: test
target: { url: "http://127.0.0.1:8080" }
workloads: { ask: { endpoint: { http: { path: /, good: { status: [200] } } } } }
load: [ { name: users, workload: ask, arrivals: { constant: { rate: 1/s } } } ]
phases: { baseline: 5s, fault: 5s }
observe:
  - { name: business, prometheus-query: "http://127.0.0.1:9090", query: up }
  - { name: store, redis: "redis://127.0.0.1" }
chaos: [ { id: cut, at: fault, duration: 2s, command: { run: [x], undo: [x], proof: [x] } } ]
expect:
  - metric: { source: business, series: 'up{job="a"}', must: ">= 10", in: fault, recovers-within: 5s }
  - metric: { source: business, must: "< 50%", in: fault }
  - metric: { source: store, series: maxmemory, must: "> 0", grows: "<= 0", in: baseline }
"#;

    #[test]
    fn each_demand_is_a_check_of_its_own() {
        let none = |name: &str| Err(format!("no file {name}"));
        let loaded =
            scenario::parse(SCENARIO, Path::new("x.yaml"), &[], &none).unwrap_or_else(|e| panic!("{e}"));
        let plan = resolve(&loaded.scenario, 1).expect("a plan");
        let metrics = plan.checks.iter().filter_map(|check| match &check.subject {
            Subject::Expectation(Expectation::Metric(e)) => Some((check.id.as_str(), e)),
            _ => None,
        });
        let told: Vec<(&str, String)> = metrics
            .map(|(id, e)| {
                let after = e.after.as_ref().map(ToString::to_string).unwrap_or_default();
                let limit = e.must.or(e.grows).map(|limit| limit.to_string()).unwrap_or_default();
                assert!(e.must.is_none() || e.grows.is_none());
                (id, format!("{limit} {after} {}", e.phase.is_some() != e.recovers_within.is_some()))
            })
            .collect();
        let wanted = [
            ("metric.business.in.fault", ">= 10  true"),
            ("metric.cut.business.recovers-within", ">= 10 cut true"),
            ("metric.business.in.fault#2", "< 0.5  true"),
            ("metric.store.in.baseline", "> 0  true"),
            ("metric.store.grows.baseline", "<= 0  true"),
        ];
        assert_eq!(told, wanted.map(|(id, e)| (id, e.to_owned())));
        // As written to `plan.json`.
        let text = serde_json::to_string(&plan).expect("JSON");
        assert_eq!(serde_json::from_str::<Plan>(&text).expect("a plan"), plan);
    }
}
