//! A run as series on one clock, for charts. Pure.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use serde::Serialize;

use super::facts::{Facts, FaultHistory, describe};
use crate::{
    journal::{
        Distribution, RunRecord,
        event::{BreakerState, RolloutPhase, RunEnd, Signal},
        interval::{CacheUse, Outcome},
    },
    plan::{Plan, model::PlannedAction},
    scenario::model::Objective,
    units::{FaultId, LatencyThreshold, PodName, RolloutName, RunTime, Seen, Version},
};

/// More seconds than this are not drawn (a day).
const LONGEST: u32 = 24 * 3600;

/// A run on its clock. Every `Vec` that is "by second" has [`Series::seconds`]
/// elements; element `s` is of the second `[s, s + 1)` of the run's clock. All
/// other times are seconds on the same clock.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Series {
    /// How many seconds there are.
    pub seconds: u32,
    /// When the run ended.
    pub end: f64,
    /// How it ended. None: the journal is incomplete.
    pub ended: Option<RunEnd>,
    /// The warm-up (named `warm-up`), if any, and the phases as they were run.
    pub phases: Vec<Band>,
    /// Arrivals due, by second.
    pub due: Vec<u64>,
    /// Requests sent, by second.
    pub sent: Vec<u64>,
    /// Requests that ended in this second, however.
    pub done: Vec<u64>,
    /// Requests open at the end of the second.
    pub in_flight: Vec<u64>,
    /// Arrivals that waited for a free user, by second.
    pub starved: Vec<u64>,
    /// p99 of scheduled → sent, ms, by second.
    pub lag_p99: Vec<Option<f64>>,
    /// Requests *due* in the second by how they ended; only classes that
    /// occur, in the order of [`Outcome::ALL`].
    pub outcomes: IndexMap<Outcome, Vec<u64>>,
    /// TTFT of `ok` requests due in the second, from the scheduled time, ms.
    pub ttft: Percentiles,
    /// E2E latency of the same, ms.
    pub e2e: Percentiles,
    /// p95 of the gaps between chunks, of requests due in the second, ms.
    pub itl_p95: Vec<Option<f64>>,
    /// Cache hits among requests due in the second.
    pub cache_hits: Vec<u64>,
    /// Cache misses (forwarded or collapsed), likewise.
    pub cache_misses: Vec<u64>,
    /// Answers by version, requests due in the second.
    pub versions: IndexMap<Version, Vec<u64>>,
    /// Answers from a fallback, likewise.
    pub fallback: Vec<u64>,
    /// Output tokens of `ok` requests due in the second.
    pub tokens: Vec<u64>,
    /// Every act of the timeline, in the plan's order.
    pub faults: Vec<FaultBar>,
    /// States of each breaker by its name: gapless from where it was first
    /// seen; `state` is `closed`, `open` or `half-open`.
    pub breakers: IndexMap<String, Vec<Band>>,
    /// The rollout from where it was first seen, gapless.
    pub rollout: Vec<RolloutBand>,
    /// How many pods said that they are ready: a step at each change.
    pub pods_ready: Vec<PodStep>,
    /// Where a source of signals did not answer; `name` is the source.
    pub blind: Vec<Band>,
}

/// Percentiles by second, ms. None: no samples.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// Median.
    pub p50: Vec<Option<f64>>,
    /// 95th.
    pub p95: Vec<Option<f64>>,
    /// 99th.
    pub p99: Vec<Option<f64>>,
}

/// The latency that users of a run feel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Felt {
    /// Until the first token.
    Ttft,
    /// Until the whole answer: its endpoints have no tokens.
    E2e,
}

impl Felt {
    /// Its short name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ttft => "TTFT",
            Self::E2e => "E2E",
        }
    }

    /// The limit of an objective on it.
    pub fn limit(self, objective: &Objective) -> Option<LatencyThreshold> {
        match (self, objective) {
            (Self::Ttft, Objective::Ttft(limit)) | (Self::E2e, Objective::E2e(limit)) => Some(*limit),
            _ => None,
        }
    }
}

impl Series {
    /// What its users feel, in ms.
    pub fn felt(&self) -> (Felt, &Percentiles) {
        let there = |one: &Percentiles| one.p50.iter().any(Option::is_some);
        if !there(&self.ttft) && there(&self.e2e) { (Felt::E2e, &self.e2e) } else { (Felt::Ttft, &self.ttft) }
    }
}

/// A state that lasted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Band {
    /// Of what.
    pub name: String,
    /// Which state (of a phase: its name).
    pub state: String,
    /// From, in seconds.
    pub start: f64,
    /// To, in seconds.
    pub end: f64,
}

/// An act on the timeline. Times in seconds; None: never.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FaultBar {
    /// Its id.
    pub id: FaultId,
    /// `PodChaos/pod-kill`, `deploy v2`.
    pub what: String,
    /// Whether it is a rollout and not a fault.
    pub is_deploy: bool,
    /// The pods it hit.
    pub targets: Vec<PodName>,
    /// When it was due by the plan.
    pub due: f64,
    /// When it was asked for.
    pub requested: Option<f64>,
    /// When the driver said that it was in place.
    pub injected: Option<f64>,
    /// When it was first seen to act: not before, by.
    pub effect: Option<(f64, f64)>,
    /// When it was seen to be gone.
    pub recovered: Option<f64>,
    /// Where its bar ends: recovered, or (one-shot) its effect, or the run's
    /// end. None where it was never injected.
    pub bar_end: Option<f64>,
    /// `proven`, `unproven`, `skipped`, `injected`, `not-requested`,
    /// `recovery-failed`.
    pub state: String,
}

/// A state of the rollout that lasted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RolloutBand {
    /// What is rolled out, where more than one thing may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<RolloutName>,
    /// Its phase.
    pub phase: RolloutPhase,
    /// The stable version.
    pub stable: Version,
    /// The version under trial.
    pub candidate: Option<Version>,
    /// Share of the traffic for the candidate, 0–1.
    pub weight: f64,
    /// In the system's own words.
    pub reason: String,
    /// From, in seconds.
    pub start: f64,
    /// To, in seconds.
    pub end: f64,
}

/// A change in the number of pods.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PodStep {
    /// When it was seen, in seconds.
    pub at: f64,
    /// Pods that say that they are ready.
    pub ready: u32,
    /// Pods that are listed.
    pub listed: u32,
}

/// The series of a run.
pub fn series(plan: &Plan, record: &RunRecord) -> Series {
    let facts = Facts::new(plan, record);
    let last = record.cells().map(|cell| cell.key.second).max().unwrap_or(0).saturating_add(1);
    let seconds = facts.end.second().saturating_add(1).max(last).min(LONGEST);
    let mut series = empty(seconds, &facts);
    count_intervals(record, &mut series);
    count_cells(record, &mut series);
    series.faults = plan
        .timeline
        .iter()
        .map(|act| {
            let history = facts.faults.get(&act.id).cloned().unwrap_or_default();
            fault_bar(act, &history, facts.end)
        })
        .collect();
    series.breakers = breaker_bands(&facts);
    series.rollout = rollout_bands(&facts);
    series.pods_ready = pod_steps(&facts);
    series.blind = blind_bands(&facts);
    series
}

fn empty(seconds: u32, facts: &Facts<'_>) -> Series {
    let n = seconds as usize;
    Series {
        seconds,
        end: facts.end.as_secs_f64(),
        ended: facts.run_end.cloned(),
        phases: phase_bands(facts),
        due: vec![0; n],
        sent: vec![0; n],
        done: vec![0; n],
        in_flight: vec![0; n],
        starved: vec![0; n],
        lag_p99: vec![None; n],
        outcomes: IndexMap::new(),
        ttft: Percentiles::default(),
        e2e: Percentiles::default(),
        itl_p95: Vec::new(),
        cache_hits: vec![0; n],
        cache_misses: vec![0; n],
        versions: IndexMap::new(),
        fallback: vec![0; n],
        tokens: vec![0; n],
        faults: Vec::new(),
        breakers: IndexMap::new(),
        rollout: Vec::new(),
        pods_ready: Vec::new(),
        blind: Vec::new(),
    }
}

/// What the generator said, and what ended, by interval. An interval is
/// written just after the second that it covers.
fn count_intervals(record: &RunRecord, series: &mut Series) {
    for interval in &record.intervals {
        let covered = RunTime(interval.at.0.saturating_sub(500_000)).second() as usize;
        let Some(s) = (covered < series.due.len()).then_some(covered) else { continue };
        let generator = &interval.generator;
        series.due[s] += generator.due;
        series.sent[s] += generator.sent;
        series.starved[s] += generator.starved;
        series.in_flight[s] = generator.in_flight;
        series.lag_p99[s] = generator.lag.quantile(0.99, 0).map(millis);
        series.done[s] += interval.cells.iter().map(|cell| cell.count).sum::<u64>();
    }
}

fn count_cells(record: &RunRecord, series: &mut Series) {
    let n = series.seconds as usize;
    let mut latencies: BTreeMap<usize, [Distribution; 3]> = BTreeMap::new();
    let mut outcomes: BTreeMap<Outcome, Vec<u64>> = BTreeMap::new();
    let mut versions: BTreeMap<Version, Vec<u64>> = BTreeMap::new();
    for cell in record.cells() {
        let s = cell.key.second as usize;
        if s >= n {
            continue;
        }
        outcomes.entry(cell.key.outcome).or_insert_with(|| vec![0; n])[s] += cell.count;
        if let Some(version) = &cell.key.served.version {
            versions.entry(version.clone()).or_insert_with(|| vec![0; n])[s] += cell.count;
        }
        match cell.key.served.cache {
            CacheUse::Hit => series.cache_hits[s] += cell.count,
            CacheUse::Miss | CacheUse::Collapsed => series.cache_misses[s] += cell.count,
            CacheUse::Unknown | CacheUse::Bypass => {}
        }
        if cell.key.served.fallback {
            series.fallback[s] += cell.count;
        }
        series.tokens[s] += cell.tokens;
        let [ttft, e2e, itl] = latencies.entry(s).or_default();
        if cell.key.outcome == Outcome::Ok {
            ttft.merge(&cell.ttft);
            e2e.merge(&cell.e2e);
        }
        itl.merge(&cell.itl);
    }
    series.outcomes = Outcome::ALL.into_iter().filter_map(|o| Some((o, outcomes.remove(&o)?))).collect();
    series.versions = versions.into_iter().collect();
    let quantiles = |of: usize, q: f64| -> Vec<Option<f64>> {
        (0..n).map(|s| latencies.get(&s).and_then(|d| d[of].quantile(q, 0)).map(millis)).collect()
    };
    let percentiles =
        |of| Percentiles { p50: quantiles(of, 0.5), p95: quantiles(of, 0.95), p99: quantiles(of, 0.99) };
    series.ttft = percentiles(0);
    series.e2e = percentiles(1);
    series.itl_p95 = quantiles(2, 0.95);
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

fn phase_bands(facts: &Facts<'_>) -> Vec<Band> {
    let band = |name: &str, start: RunTime, end: RunTime| Band {
        name: name.to_owned(),
        state: name.to_owned(),
        start: start.as_secs_f64(),
        end: end.as_secs_f64(),
    };
    let first = facts.plan.phases.first().map_or(RunTime::ZERO, |phase| phase.start).min(facts.end);
    let warm_up = (first > RunTime::ZERO).then(|| band("warm-up", RunTime::ZERO, first));
    let phases = facts.plan.phases.iter().filter_map(|phase| {
        let (start, end) = facts.phase(&phase.name)?;
        Some(band(phase.name.as_str(), start, end))
    });
    warm_up.into_iter().chain(phases).collect()
}

fn fault_bar(act: &crate::plan::model::PlannedAct, history: &FaultHistory<'_>, end: RunTime) -> FaultBar {
    let secs = |t: RunTime| t.as_secs_f64();
    let effect = history.effect.map(|seen| (secs(seen.not_before), secs(seen.by)));
    let begun = history.injected.or(history.effect.map(|seen| seen.by));
    let bar_end = begun.map(|begun| match (history.recovered, act.until) {
        (Some(recovered), _) => recovered,
        (None, None) => history.effect.map_or(begun, |seen| seen.by).max(begun),
        (None, Some(_)) => end.max(begun),
    });
    FaultBar {
        id: act.id.clone(),
        what: describe(&act.action),
        is_deploy: matches!(act.action, PlannedAction::Deploy(_)),
        targets: history.targets.to_vec(),
        due: secs(act.at),
        requested: history.requested.map(secs),
        injected: history.injected.map(secs),
        effect,
        recovered: history.recovered.map(secs),
        bar_end: bar_end.map(secs),
        state: history.state().to_owned(),
    }
}

fn breaker_bands(facts: &Facts<'_>) -> IndexMap<String, Vec<Band>> {
    let name_of = |state| match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half-open",
    };
    let bands = facts.breakers.iter().map(|(name, states)| {
        let over = facts.gone(name).map_or(facts.end, |seen| seen.by);
        let bands = states
            .iter()
            .enumerate()
            .map(|(i, (seen, state))| Band {
                name: (*name).to_owned(),
                state: name_of(*state).to_owned(),
                start: seen.by.as_secs_f64(),
                end: states.get(i + 1).map_or(over, |(next, _)| next.by).max(seen.by).as_secs_f64(),
            })
            .collect();
        ((*name).to_owned(), bands)
    });
    bands.collect()
}

fn rollout_bands(facts: &Facts<'_>) -> Vec<RolloutBand> {
    let mut bands: Vec<RolloutBand> = Vec::new();
    for seen in &facts.rollouts {
        let start = seen.seen.by.as_secs_f64();
        // What is told of one goes on while another one is told of.
        if let Some(last) = bands.iter_mut().rev().find(|band| band.of.as_ref() == seen.of) {
            last.end = start;
        }
        bands.push(RolloutBand {
            of: seen.of.cloned(),
            phase: seen.phase,
            stable: seen.stable.clone(),
            candidate: seen.candidate.cloned(),
            weight: seen.weight,
            reason: seen.reason.to_owned(),
            start,
            end: facts.end.as_secs_f64().max(start),
        });
    }
    bands
}

pub(super) fn pod_steps(facts: &Facts<'_>) -> Vec<PodStep> {
    let mut pods: BTreeMap<&PodName, bool> = BTreeMap::new();
    let mut steps: Vec<PodStep> = Vec::new();
    for (seen, signal) in &facts.signals {
        match signal {
            Signal::Pod { name, ready, .. } => drop(pods.insert(name, *ready)),
            Signal::PodGone { name } => drop(pods.remove(name)),
            _ => continue,
        }
        let ready = pods.values().filter(|&&ready| ready).count() as u32;
        let step = PodStep { at: seen.by.as_secs_f64(), ready, listed: pods.len() as u32 };
        match steps.last_mut() {
            Some(last) if last.at == step.at => *last = step,
            Some(last) if (last.ready, last.listed) == (step.ready, step.listed) => {}
            _ => steps.push(step),
        }
    }
    steps
}

fn blind_bands(facts: &Facts<'_>) -> Vec<Band> {
    let mut down: IndexMap<&str, (Seen, &str)> = IndexMap::new();
    let mut bands = Vec::new();
    let band = |source: &str, since: Seen, why: &str, until: RunTime| Band {
        name: source.to_owned(),
        state: why.to_owned(),
        start: since.by.as_secs_f64(),
        end: until.max(since.by).as_secs_f64(),
    };
    for (seen, signal) in &facts.signals {
        let Signal::Source { source, up, why } = signal else { continue };
        match (up, down.get(source.as_str()).copied()) {
            (true, Some((since, why))) => {
                bands.push(band(source, since, why, seen.by));
                down.shift_remove(source.as_str());
            }
            (false, None) => drop(down.insert(source, (*seen, why))),
            (true, None) | (false, Some(_)) => {}
        }
    }
    bands.extend(down.into_iter().map(|(source, (since, why))| band(source, since, why, facts.end)));
    bands
}
