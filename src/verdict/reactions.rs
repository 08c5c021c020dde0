//! Each expectation to the judge of its mechanism.

use super::{
    alert, autoscaling, cache, drift, facts::Facts, failover, fallback, finding::Finding, judge::Title,
    meant, metric, pods, probes, recovery, retries, rollback, shedding,
};
use crate::scenario::model::Expectation;

/// Judges an expectation that has exactly one demand.
pub(super) fn judge(facts: &Facts<'_>, expectation: &Expectation) -> (Title, Finding) {
    match expectation {
        Expectation::CircuitBreaker(e) => meant::judge(facts, e),
        Expectation::Cache(e) => cache::judge(facts, e),
        Expectation::Rollback(e) => rollback::judge(facts, e),
        Expectation::Fallback(e) => fallback::judge(facts, e),
        Expectation::Shedding(e) => shedding::judge(facts, e),
        Expectation::Retries(e) => retries::judge(facts, e),
        Expectation::Pods(e) => pods::judge(facts, e),
        Expectation::Recovery(e) => recovery::judge(facts, e),
        Expectation::Alert(e) => alert::judge(facts, e),
        Expectation::Probes(e) => probes::judge(facts, e),
        Expectation::Autoscaling(e) => autoscaling::judge(facts, e),
        Expectation::Failover(e) => failover::judge(facts, e),
        Expectation::Drift(e) => drift::judge(facts, e),
        Expectation::Metric(e) => metric::judge(facts, e),
    }
}
