//! What is judged: one check for each SLO in each of its phases, for each
//! demand of each expectation, for each act, and one for the generator.

mod metric;

use std::collections::BTreeMap;

use super::{
    model::{Check, PlannedAct, PlannedPhase, Subject},
    resolve::PlanError,
    serving,
};
use crate::{
    scenario::{
        ActKind, Scenario,
        alert::AlertExpectation,
        may_mean,
        model::{
            BreakerExpectation, CacheExpectation, Executor, Expectation, FallbackExpectation, Objective,
            PodExpectation, RecoveryExpectation, RetryExpectation, RollbackExpectation, SheddingExpectation,
        },
    },
    units::{CheckId, FaultId},
};

/// All checks, in the order of the report.
pub(super) fn checks(
    scenario: &Scenario,
    phases: &[PlannedPhase],
    timeline: &[PlannedAct],
    errors: &mut Vec<PlanError>,
) -> Vec<Check> {
    let mut checks = Checks::default();
    let search = scenario.load.iter().find(|load| matches!(load.executor, Executor::Capacity(_)));
    if let Some(load) = search {
        let subject = Subject::Capacity { load: load.name.clone(), slos: scenario.slos.clone() };
        checks.push(format!("capacity.{}", load.name), subject);
    }
    // A search breaks them on purpose, and judges them by step.
    for slo in scenario.slos.iter().filter(|_| search.is_none()) {
        for phase in phases.iter().filter(|phase| slo.phase.as_ref().is_none_or(|name| name == &phase.name)) {
            let mut id = format!("slo.{}.{}", indicator(&slo.objective), phase.name);
            if let Some(workload) = &slo.workload {
                id = format!("{id}.{workload}");
            }
            checks.push(id, Subject::Slo { slo: slo.clone(), phase: phase.name.clone() });
        }
    }
    for expectation in &scenario.expect {
        match demands(&Acts { scenario, timeline }, expectation) {
            Ok(demands) => {
                for (id, demand) in demands {
                    checks.push(id, Subject::Expectation(demand));
                }
            }
            Err(error) => errors.push(error),
        }
    }
    for act in timeline {
        checks.push(format!("fault.{}", act.id), Subject::Fault(act.id.clone()));
    }
    checks.push("generator".to_owned(), Subject::Generator);
    checks.list
}

#[derive(Default)]
struct Checks {
    list: Vec<Check>,
    taken: BTreeMap<String, usize>,
}

impl Checks {
    /// Adds a check; a second one of the same id ends in `#2`.
    fn push(&mut self, id: String, subject: Subject) {
        let count = self.taken.entry(id.clone()).or_insert(0);
        *count += 1;
        let id = if *count > 1 { format!("{id}#{count}") } else { id };
        self.list.push(Check { id: CheckId(id), subject });
    }
}

fn indicator(objective: &Objective) -> &'static str {
    match objective {
        Objective::Ttft(_) => "ttft",
        Objective::Itl(_) => "itl",
        Objective::Tpot(_) => "tpot",
        Objective::E2e(_) => "e2e",
        Objective::Availability(_) => "availability",
        Objective::Goodput(_) => "goodput",
        Objective::Accuracy(_) => "accuracy",
    }
}

/// The acts that an expectation may react to.
pub(super) struct Acts<'a> {
    scenario: &'a Scenario,
    timeline: &'a [PlannedAct],
}

impl Acts<'_> {
    /// The entry that an expectation reacts to: the named one, or the only
    /// one that it can mean.
    fn entry(
        &self,
        after: Option<&FaultId>,
        kind: ActKind,
        expectation: &'static str,
    ) -> Result<FaultId, PlanError> {
        if let Some(id) = after {
            return Ok(id.clone());
        }
        let mut meant = self.scenario.chaos.iter().filter(|act| may_mean(kind, act)).map(|act| &act.id);
        match (meant.next(), meant.next()) {
            (Some(only), None) => Ok(only.clone()),
            (None, _) => Err(PlanError::NothingToReactTo(expectation)),
            (Some(first), Some(second)) => {
                let mut acts = format!("`{first}`, `{second}`");
                for act in meant {
                    acts = format!("{acts}, `{act}`");
                }
                Err(PlanError::Ambiguous { expectation, acts })
            }
        }
    }

    /// The act on the timeline: of a schedule, its first.
    fn act(&self, entry: &FaultId) -> Result<FaultId, PlanError> {
        let first = format!("{entry}#1");
        let found = self.timeline.iter().find(|act| &act.id == entry || act.id.0 == first);
        found.map(|act| act.id.clone()).ok_or_else(|| PlanError::UnknownAct(entry.clone()))
    }

    /// What the service must recover from: of all acts (of a schedule's) the
    /// one that ends last.
    fn last(&self, entry: Option<&FaultId>) -> Result<FaultId, PlanError> {
        let belongs = |act: &&PlannedAct| match entry {
            Some(entry) => {
                &act.id == entry || act.id.0.strip_prefix(&entry.0).is_some_and(|rest| rest.starts_with('#'))
            }
            None => true,
        };
        let last = self.timeline.iter().filter(belongs).max_by_key(|act| act.until.unwrap_or(act.at));
        match (last, entry) {
            (Some(act), _) => Ok(act.id.clone()),
            (None, Some(entry)) => Err(PlanError::UnknownAct(entry.clone())),
            (None, None) => Err(PlanError::NothingToReactTo("recovery")),
        }
    }

    pub(super) fn resolved(
        &self,
        after: Option<&FaultId>,
        kind: ActKind,
        expectation: &'static str,
    ) -> Result<(FaultId, Option<FaultId>), PlanError> {
        let entry = self.entry(after, kind, expectation)?;
        let act = self.act(&entry)?;
        Ok((entry, Some(act)))
    }

    /// The act that was named, where none is needed.
    pub(super) fn named(&self, after: Option<&FaultId>) -> Result<(String, Option<FaultId>), PlanError> {
        match after {
            Some(entry) => Ok((format!(".{entry}"), Some(self.act(entry)?))),
            None => Ok((String::new(), None)),
        }
    }
}

pub(super) type Demands = Vec<(String, Expectation)>;

/// Those that are set, each with its check's id under `about`.
pub(super) fn set<E, const N: usize>(
    about: &str,
    all: [(&str, Option<E>); N],
    of: impl Fn(E) -> Expectation,
) -> Demands {
    all.into_iter().filter_map(|(id, demand)| Some((format!("{about}.{id}"), of(demand?)))).collect()
}

/// An expectation, one demand at a time, each with its check's id.
fn demands(acts: &Acts<'_>, expectation: &Expectation) -> Result<Demands, PlanError> {
    match expectation {
        Expectation::CircuitBreaker(e) => breaker(acts, e),
        Expectation::Cache(e) => cache(acts, e),
        Expectation::Rollback(e) => rollback(acts, e),
        Expectation::Fallback(e) => fallback(acts, e),
        Expectation::Shedding(e) => Ok(shedding(e)),
        Expectation::Retries(e) => retries(acts, e),
        Expectation::Pods(e) => pods(acts, e),
        Expectation::Recovery(e) => recovery(acts, e),
        Expectation::Alert(e) => alert(acts, e),
        Expectation::Probes(e) => serving::probes(acts, e),
        Expectation::Autoscaling(e) => Ok(serving::autoscaling(e)),
        Expectation::Failover(e) => serving::failover(acts, e),
        Expectation::Drift(e) => serving::drift(acts, e),
        Expectation::Metric(e) => metric::metric(acts, e),
    }
}

fn breaker(acts: &Acts<'_>, e: &BreakerExpectation) -> Result<Demands, PlanError> {
    let mut demands = Vec::new();
    let (name, after) = acts.named(e.after.as_ref())?;
    let with = |demand: BreakerExpectation| Expectation::CircuitBreaker(demand);
    // Which breaker is meant goes with each demand.
    let meant = BreakerExpectation { kind: e.kind, name: e.name.clone(), ..BreakerExpectation::default() };
    let none = BreakerExpectation { after, ..meant.clone() };
    if e.opens_within.is_some() || e.closes_within.is_some() {
        let (entry, after) = acts.resolved(e.after.as_ref(), ActKind::Fault, "circuit-breaker")?;
        let timed = BreakerExpectation { after, ..meant.clone() };
        for (id, demand) in [
            (
                "opens-within",
                e.opens_within.map(|d| BreakerExpectation { opens_within: Some(d), ..timed.clone() }),
            ),
            (
                "closes-within",
                e.closes_within.map(|d| BreakerExpectation { closes_within: Some(d), ..timed.clone() }),
            ),
        ] {
            demands.extend(demand.map(|demand| (format!("circuit-breaker.{entry}.{id}"), with(demand))));
        }
    }
    if let Some(limit) = e.fails_fast {
        let demand = BreakerExpectation { fails_fast: Some(limit), ..none.clone() };
        demands.push((format!("circuit-breaker{name}.fails-fast"), with(demand)));
    }
    if let Some(limit) = e.leaks {
        let demand = BreakerExpectation { leaks: Some(limit), ..none.clone() };
        demands.push((format!("circuit-breaker{name}.leaks"), with(demand)));
    }
    if let Some(limit) = e.probes {
        let demand = BreakerExpectation { probes: Some(limit), ..none };
        demands.push((format!("circuit-breaker{name}.probes"), with(demand)));
    }
    if let Some(phase) = &e.quiet_in {
        let demand = BreakerExpectation { quiet_in: Some(phase.clone()), ..meant };
        demands.push((format!("circuit-breaker.quiet-in.{phase}"), with(demand)));
    }
    Ok(demands)
}

fn alert(acts: &Acts<'_>, e: &AlertExpectation) -> Result<Demands, PlanError> {
    let mut demands = Vec::new();
    let name = e.name.clone();
    let none = AlertExpectation { name: name.clone(), ..AlertExpectation::default() };
    if e.fires_within.is_some() || e.resolves_within.is_some() {
        let (entry, after) = acts.resolved(e.after.as_ref(), ActKind::Fault, "alert")?;
        let timed = AlertExpectation { after, ..none.clone() };
        let fires = e.fires_within.map(|d| AlertExpectation { fires_within: Some(d), ..timed.clone() });
        let resolves =
            e.resolves_within.map(|d| AlertExpectation { resolves_within: Some(d), ..timed.clone() });
        for (id, demand) in [("fires-within", fires), ("resolves-within", resolves)] {
            let id = format!("alert.{entry}.{}.{id}", in_an_id(&name));
            demands.extend(demand.map(|demand| (id, Expectation::Alert(demand))));
        }
    }
    if let Some(phase) = &e.quiet_in {
        let demand = AlertExpectation { quiet_in: Some(phase.clone()), ..none };
        demands.push((format!("alert.{}.quiet-in.{phase}", in_an_id(&name)), Expectation::Alert(demand)));
    }
    Ok(demands)
}

/// A name that others gave, as a part of a check's id: those are typed.
fn in_an_id(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.chars().map(|c| if plain(c) { c } else { '-' }).collect()
}

fn cache(acts: &Acts<'_>, e: &CacheExpectation) -> Result<Demands, PlanError> {
    let none = CacheExpectation::default();
    let mut demands = Vec::new();
    let mut push = |id: String, demand| demands.push((format!("cache.{id}"), Expectation::Cache(demand)));
    if let Some(limit) = e.hit_ratio {
        push("hit-ratio".to_owned(), CacheExpectation { hit_ratio: Some(limit), ..none.clone() });
    }
    if let Some(limit) = e.hit {
        push("hit".to_owned(), CacheExpectation { hit: Some(limit), ..none.clone() });
    }
    if let Some(limit) = e.speed_up {
        push("speed-up".to_owned(), CacheExpectation { speed_up: Some(limit), ..none.clone() });
    }
    if let Some(limit) = e.stale {
        let phase = e.phase.as_ref().map(|phase| format!(".{phase}")).unwrap_or_default();
        let demand = CacheExpectation { stale: Some(limit), phase: e.phase.clone(), ..none.clone() };
        push(format!("stale{phase}"), demand);
    }
    if let Some(phase) = &e.serves_during {
        let demand = CacheExpectation { serves_during: Some(phase.clone()), ..none.clone() };
        push(format!("serves-during.{phase}"), demand);
    }
    if let Some(limit) = e.wrong {
        push("wrong".to_owned(), CacheExpectation { wrong: Some(limit), ..none.clone() });
    }
    if let Some(limit) = e.differs {
        push("differs".to_owned(), CacheExpectation { differs: Some(limit), ..none.clone() });
    }
    if let Some(limit) = e.max_age {
        push("max-age".to_owned(), CacheExpectation { max_age: Some(limit), ..none.clone() });
    }
    if let Some(entry) = &e.fresh_after {
        let demand = CacheExpectation { fresh_after: Some(acts.act(entry)?), ..none.clone() };
        push(format!("fresh-after.{entry}"), demand);
    }
    if let Some(limit) = e.overlapping_misses {
        push("overlapping-misses".to_owned(), CacheExpectation { overlapping_misses: Some(limit), ..none });
    }
    Ok(demands)
}

fn rollback(acts: &Acts<'_>, e: &RollbackExpectation) -> Result<Demands, PlanError> {
    let (entry, after) = acts.resolved(e.after.as_ref(), ActKind::Rollout, "rollback")?;
    let none = RollbackExpectation { after, ..RollbackExpectation::default() };
    let demands = [
        (
            "detects-within",
            e.detects_within.map(|d| RollbackExpectation { detects_within: Some(d), ..none.clone() }),
        ),
        (
            "completes-within",
            e.completes_within.map(|d| RollbackExpectation { completes_within: Some(d), ..none.clone() }),
        ),
        (
            "promotes-within",
            e.promotes_within.map(|d| RollbackExpectation { promotes_within: Some(d), ..none.clone() }),
        ),
        ("exposure", e.exposure.map(|d| RollbackExpectation { exposure: Some(d), ..none.clone() })),
        ("to", e.to.clone().map(|d| RollbackExpectation { to: Some(d), ..none.clone() })),
    ];
    Ok(set(&format!("rollback.{entry}"), demands, Expectation::Rollback))
}

fn fallback(acts: &Acts<'_>, e: &FallbackExpectation) -> Result<Demands, PlanError> {
    let (mut name, mut after) = acts.named(e.after.as_ref())?;
    if e.engages_within.is_some() || e.disengages_within.is_some() {
        let (entry, act) = acts.resolved(e.after.as_ref(), ActKind::Fault, "fallback")?;
        (name, after) = (format!(".{entry}"), act);
    }
    let none = FallbackExpectation { after, ..FallbackExpectation::default() };
    let demands = [
        (
            "engages-within",
            e.engages_within.map(|d| FallbackExpectation { engages_within: Some(d), ..none.clone() }),
        ),
        ("to", e.to.clone().map(|d| FallbackExpectation { to: Some(d), ..none.clone() })),
        ("ttft", e.ttft.map(|d| FallbackExpectation { ttft: Some(d), ..none.clone() })),
        ("wrong", e.wrong.map(|d| FallbackExpectation { wrong: Some(d), ..none.clone() })),
        (
            "disengages-within",
            e.disengages_within.map(|d| FallbackExpectation { disengages_within: Some(d), ..none.clone() }),
        ),
    ];
    Ok(set(&format!("fallback{name}"), demands, Expectation::Fallback))
}

/// Without a demand beside the phase, that there is shedding.
fn shedding(e: &SheddingExpectation) -> Demands {
    let none = SheddingExpectation { phase: e.phase.clone(), ..SheddingExpectation::default() };
    let phase = e.phase.as_ref().map(|phase| format!(".{phase}")).unwrap_or_default();
    let all = [
        ("ratio", e.ratio.map(|d| SheddingExpectation { ratio: Some(d), ..none.clone() })),
        ("rejects", e.rejects.map(|d| SheddingExpectation { rejects: Some(d), ..none.clone() })),
        ("admitted", e.admitted.map(|d| SheddingExpectation { admitted: Some(d), ..none.clone() })),
    ];
    let demands = set(&format!("shedding{phase}"), all, Expectation::Shedding);
    if demands.is_empty() { vec![(format!("shedding{phase}"), Expectation::Shedding(none))] } else { demands }
}

fn retries(acts: &Acts<'_>, e: &RetryExpectation) -> Result<Demands, PlanError> {
    let mut demands = Vec::new();
    if let Some(limit) = e.absorbs {
        let (entry, after) = acts.resolved(e.after.as_ref(), ActKind::Fault, "retries")?;
        let demand = RetryExpectation { after, absorbs: Some(limit), ..RetryExpectation::default() };
        demands.push((format!("retries.{entry}.absorbs"), Expectation::Retries(demand)));
    }
    if let Some(limit) = e.settles_within {
        let (entry, after) = acts.resolved(e.after.as_ref(), ActKind::Fault, "retries")?;
        let demand = RetryExpectation { after, settles_within: Some(limit), ..RetryExpectation::default() };
        demands.push((format!("retries.{entry}.settles-within"), Expectation::Retries(demand)));
    }
    if let Some(limit) = e.amplification {
        let phase = e.phase.as_ref().map(|phase| format!(".{phase}")).unwrap_or_default();
        let demand = RetryExpectation {
            amplification: Some(limit),
            phase: e.phase.clone(),
            name: e.name.clone(),
            ..RetryExpectation::default()
        };
        demands.push((format!("retries{phase}.amplification"), Expectation::Retries(demand)));
    }
    Ok(demands)
}

fn pods(acts: &Acts<'_>, e: &PodExpectation) -> Result<Demands, PlanError> {
    let (entry, after) = acts.resolved(e.after.as_ref(), ActKind::PodFault, "pods")?;
    let none = PodExpectation { after, ..PodExpectation::default() };
    let demands = [
        (
            "replaced-within",
            e.replaced_within.map(|d| PodExpectation { replaced_within: Some(d), ..none.clone() }),
        ),
        (
            "removed-within",
            e.removed_within.map(|d| PodExpectation { removed_within: Some(d), ..none.clone() }),
        ),
        ("cold-failures", e.cold_failures.map(|d| PodExpectation { cold_failures: Some(d), ..none.clone() })),
    ];
    Ok(set(&format!("pods.{entry}"), demands, Expectation::Pods))
}

fn recovery(acts: &Acts<'_>, e: &RecoveryExpectation) -> Result<Demands, PlanError> {
    let after = acts.last(e.after.as_ref())?;
    let name = e.after.as_ref().unwrap_or(&after);
    let id = format!("recovery.{name}.within");
    Ok(vec![(id, Expectation::Recovery(RecoveryExpectation { after: Some(after), within: e.within }))])
}
