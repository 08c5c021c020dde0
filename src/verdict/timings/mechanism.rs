//! What has to react, and to what.

use crate::{
    scenario::{
        alert::AlertExpectation,
        metric::MetricExpectation,
        model::{BreakerExpectation, Expectation},
        serving::{AutoscalingExpectation, FailoverExpectation},
    },
    units::{CheckId, FaultId, PhaseName},
    verdict::{
        facts::Facts,
        model::{Cause, CheckKind},
        run,
    },
};

/// What reacts, with what has to be known of its expectation.
#[derive(Debug, Clone, Copy)]
pub(super) enum Mechanism<'a> {
    Breaker(&'a BreakerExpectation),
    Cache(&'a PhaseName),
    Fallback(&'a FaultId),
    Shedding(&'a PhaseName),
    Retries(&'a FaultId),
    Failover(&'a FailoverExpectation),
    Autoscaling(&'a AutoscalingExpectation),
    Rollback(&'a FaultId),
    /// A good version that must not be rolled back.
    Promotion(&'a FaultId),
    Probes(&'a FaultId),
    Pods(&'a FaultId),
    Recovery(&'a FaultId),
    Alert(&'a AlertExpectation),
    Metric(&'a MetricExpectation),
}

impl<'a> Mechanism<'a> {
    /// What an expectation is about. None: it reacts to nothing.
    pub(super) fn of(expectation: &'a Expectation) -> Option<Self> {
        match expectation {
            Expectation::CircuitBreaker(e) => e.after.is_some().then_some(Self::Breaker(e)),
            Expectation::Cache(e) => e.serves_during.as_ref().map(Self::Cache),
            Expectation::Rollback(e) if e.promotes_within.is_some() => e.after.as_ref().map(Self::Promotion),
            Expectation::Rollback(e) => e.after.as_ref().map(Self::Rollback),
            Expectation::Fallback(e) => e.after.as_ref().map(Self::Fallback),
            Expectation::Shedding(e) => e.phase.as_ref().map(Self::Shedding),
            Expectation::Retries(e) => e.after.as_ref().map(Self::Retries),
            Expectation::Pods(e) => e.after.as_ref().map(Self::Pods),
            Expectation::Recovery(e) => e.after.as_ref().map(Self::Recovery),
            Expectation::Alert(e) => e.after.is_some().then_some(Self::Alert(e)),
            Expectation::Probes(e) => e.after.as_ref().map(Self::Probes),
            Expectation::Autoscaling(e) => Some(Self::Autoscaling(e)),
            Expectation::Failover(e) => e.after.is_some().then_some(Self::Failover(e)),
            Expectation::Metric(e) => e.after.is_some().then_some(Self::Metric(e)),
            // It compares two versions, and reacts to neither.
            Expectation::Drift(_) => None,
        }
    }

    pub(super) fn kind(self) -> CheckKind {
        match self {
            Self::Breaker(_) => CheckKind::CircuitBreaker,
            Self::Cache(_) => CheckKind::Cache,
            Self::Fallback(_) => CheckKind::Fallback,
            Self::Shedding(_) => CheckKind::Shedding,
            Self::Retries(_) => CheckKind::Retries,
            Self::Failover(_) => CheckKind::Failover,
            Self::Autoscaling(_) => CheckKind::Autoscaling,
            Self::Rollback(_) | Self::Promotion(_) => CheckKind::Rollback,
            Self::Probes(_) => CheckKind::Probes,
            Self::Pods(_) => CheckKind::Pods,
            Self::Recovery(_) => CheckKind::Recovery,
            Self::Alert(_) => CheckKind::Alert,
            Self::Metric(_) => CheckKind::Metric,
        }
    }

    /// Which of several is meant.
    pub(super) fn name(self) -> Option<String> {
        match self {
            Self::Alert(e) => Some(e.name.clone()),
            Self::Metric(e) => {
                let series = e.series.as_ref().map(|series| format!("{series} ")).unwrap_or_default();
                let must = e.must.map(|must| must.to_string()).unwrap_or_default();
                Some(format!("{}: {series}{must}", e.source))
            }
            Self::Failover(e) => e.to.clone(),
            Self::Promotion(_) => Some("promotion".to_owned()),
            Self::Breaker(e) => e.which(),
            Self::Cache(_)
            | Self::Fallback(_)
            | Self::Shedding(_)
            | Self::Retries(_)
            | Self::Autoscaling(_)
            | Self::Rollback(_)
            | Self::Probes(_)
            | Self::Pods(_)
            | Self::Recovery(_) => None,
        }
    }

    /// What it reacts to. A cache that has to serve in a phase reacts to the
    /// first act that is due in it.
    pub(super) fn cause(self, facts: &Facts<'_>) -> Option<Cause> {
        let act = |id: &FaultId| Some(Cause::Act(id.clone()));
        match self {
            Self::Fallback(id)
            | Self::Retries(id)
            | Self::Rollback(id)
            | Self::Promotion(id)
            | Self::Probes(id)
            | Self::Pods(id)
            | Self::Recovery(id) => act(id),
            Self::Breaker(e) => e.after.as_ref().and_then(act),
            Self::Alert(e) => e.after.as_ref().and_then(act),
            Self::Metric(e) => e.after.as_ref().and_then(act),
            Self::Failover(e) => e.after.as_ref().and_then(act),
            Self::Autoscaling(e) => Some(Cause::Phase(e.phase.clone())),
            Self::Shedding(phase) => Some(Cause::Phase(phase.clone())),
            Self::Cache(name) => {
                let phase = facts.plan.phases.iter().find(|phase| &phase.name == name)?;
                let due =
                    facts.plan.timeline.iter().filter(|act| phase.start <= act.at && act.at < phase.end);
                let first = due.min_by_key(|act| act.at).map(|act| Cause::Act(act.id.clone()));
                Some(first.unwrap_or_else(|| Cause::Phase(name.clone())))
            }
        }
    }

    /// `circuit-breaker.slow`, `alert.slow.Errors`.
    pub(super) fn id(self, cause: &Cause) -> CheckId {
        let kind = run::name(self.kind()).replace(' ', "-");
        let cause = cause.as_str();
        let name = self.name().map(|name| format!(".{name}")).unwrap_or_default();
        CheckId::new(format!("{kind}.{cause}{name}"))
    }
}
