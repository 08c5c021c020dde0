//! A synthetic run that looks like a real one, for tests of what is drawn.
//! Only its record is made up: it is judged by the real judges.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use super::Input;
use crate::{
    journal::{
        Cell, CellKey, Event, Interval, Record, RunRecord,
        event::{BreakerKind, BreakerState, Exemplar, FaultStep, RolloutPhase, RunEnd, Signal},
        interval::{CacheUse, Generator, Outcome, Served},
    },
    plan::Plan,
    units::{RunTime, Seen, Version},
    verdict::{self, Series, model::RunVerdict},
};

/// All that an [`Input`] borrows from.
pub(super) struct Run {
    pub(super) plan: Plan,
    pub(super) record: RunRecord,
    pub(super) verdict: RunVerdict,
    pub(super) series: Series,
    environment: Value,
    scenario: String,
}

impl Run {
    /// Judges a record.
    pub(super) fn of(plan: Plan, record: RunRecord) -> Self {
        let verdict = verdict::judge(&plan, &record);
        let series = verdict::series(&plan, &record);
        let environment = json!({
            "firedrill": "0.1.0", "seed": 42, "command": ["firedrill", "run", "holiday-readiness.yaml"],
            "scenario_commit": "5d1f0c2a", "scenario_modified": false, "host": "drill-1",
            "os": "linux x86_64", "kernel": "6.8.0", "cores": 8, "memory_mib": 15_872, "nothing": null,
        });
        let scenario = "# Is the platform ready?\nversion: 1\nname: holiday-readiness\nseed: 42\n".to_owned();
        Self { plan, record, verdict, series, environment, scenario }
    }

    pub(super) fn input(&self) -> Input<'_> {
        Input {
            plan: &self.plan,
            record: &self.record,
            verdict: &self.verdict,
            series: &self.series,
            environment: &self.environment,
            scenario_yaml: &self.scenario,
        }
    }
}

/// How the synthetic target does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// Every mechanism works.
    Well,
    /// The breaker stays open, and the rollback comes late.
    Ill,
}

/// The run of the whole drill.
pub(super) fn run(health: Health) -> Run {
    Run::of(plan(), record(health))
}

/// The same, ended by a stop condition after 38 s.
pub(super) fn aborted() -> Run {
    let mut record = record(Health::Ill);
    record.events.retain(|line| line.at < at(38.0));
    record.intervals.retain(|line| line.at < at(38.0));
    let condition = "error-rate > 50% for 10s".to_owned();
    record.events.push(Record { at: at(38.0), event: Event::StopCondition { condition } });
    record.events.push(Record { at: at(38.2), event: Event::RunEnded { end: RunEnd::Aborted } });
    Run::of(plan(), record)
}

/// A run of which there is nothing but that it was started.
pub(super) fn nothing() -> Run {
    let mut record = record(Health::Well);
    record.events.truncate(1);
    record.intervals.clear();
    Run::of(plan(), record)
}

/// A capacity search that found its knee.
pub(super) fn search() -> Run {
    let plan = crate::verdict::searched::search_plan("");
    let mut record = crate::verdict::searched::searched(&plan, crate::verdict::searched::up_to(90.0));
    let (run, wall_clock) = ("run".to_owned(), "2026-11-21T08:00:00.000Z".to_owned());
    record.events.insert(0, Record { at: at(0.0), event: Event::RunStarted { format: 1, run, wall_clock } });
    Run::of(plan, record)
}

fn at(secs: f64) -> RunTime {
    RunTime((secs * 1e6).round() as u64)
}

fn seen(secs: f64) -> Seen {
    Seen { not_before: at(secs - 0.2), by: at(secs) }
}

/// The plan of the drill.
pub(super) fn plan() -> Plan {
    let micros = |secs: u64| secs * 1_000_000;
    let expect = |id: &str, what: Value| json!({ "id": id, "subject": { "expectation": what } });
    let slo = |id: &str, key: &str, limit: &str, phase: &str| json!({ "id": id, "subject": { "slo": { "slo": { key: limit, "in": phase }, "phase": phase } } });
    let proof = |id: &str| json!({ "id": format!("fault.{id}"), "subject": { "fault": id } });
    let phase = |name: &str, start: u64, end: u64| json!({ "name": name, "start": micros(start), "end": micros(end), "good": { "ttft": "500ms" } });
    let all = json!({ "labelSelectors": { "app": "replica" } });
    let plan = json!({
        "name": "holiday-readiness",
        "description": "A holiday rush with a dead replica, a slow link, a short partition and a bad release, and every mechanism that must keep users from noticing.",
        "seed": 42,
        "target": { "lab": { "replicas": 3 } },
        "warm_up": "3s",
        "phases": [phase("baseline", 3, 23), phase("fault", 23, 58), phase("recovery", 58, 93)],
        "workloads": [], "load": [], "stop_when": [], "unless_steady": "stop",
        "timeline": [
            { "id": "kill", "at": micros(25), "until": null, "action": { "fault": {
                "kind": "PodChaos", "spec": { "action": "pod-kill", "mode": "one", "selector": all } } } },
            { "id": "slow-link", "at": micros(31), "until": micros(41), "action": { "fault": {
                "kind": "NetworkChaos", "spec": { "mode": "one", "selector": all, "effects": [
                    { "delay": { "latency": "800ms", "jitter": "100ms", "correlation": "0%" } }] } } } },
            { "id": "cut-off", "at": micros(47), "until": micros(52), "action": { "fault": {
                "kind": "NetworkChaos", "spec": { "mode": "all", "selector": all, "effects": ["partition"] } } } },
            { "id": "bad-release", "at": micros(66), "until": null,
              "action": { "deploy": { "version": "v2", "defect": "errors" } } },
        ],
        "checks": [
            slo("slo.availability.baseline", "availability", ">= 99%", "baseline"),
            slo("slo.ttft.baseline", "ttft", "p95 < 500ms", "baseline"),
            slo("slo.availability.fault", "availability", ">= 80%", "fault"),
            slo("slo.goodput.recovery", "goodput", ">= 90%", "recovery"),
            expect("pods.kill.replaced-within", json!({ "pods": { "after": "kill", "replaced-within": "15s" } })),
            expect("circuit-breaker.slow-link.opens-within", json!({ "circuit-breaker": { "after": "slow-link", "opens-within": "6s" } })),
            expect("circuit-breaker.slow-link.closes-within", json!({ "circuit-breaker": { "after": "slow-link", "closes-within": "5s" } })),
            expect("circuit-breaker.quiet-in", json!({ "circuit-breaker": { "quiet-in": "baseline" } })),
            expect("fallback.cut-off.engages-within", json!({ "fallback": { "after": "cut-off", "engages-within": "4s" } })),
            expect("cache.hit-ratio", json!({ "cache": { "hit-ratio": ">= 15%" } })),
            expect("cache.hit", json!({ "cache": { "hit": "p95 < 50ms" } })),
            expect("rollback.bad-release.detects-within", json!({ "rollback": { "after": "bad-release", "detects-within": "10s" } })),
            expect("rollback.bad-release.completes-within", json!({ "rollback": { "after": "bad-release", "completes-within": "20s" } })),
            expect("recovery.cut-off", json!({ "recovery": { "after": "cut-off", "within": "12s" } })),
            proof("kill"), proof("slow-link"), proof("cut-off"), proof("bad-release"),
            { "id": "generator", "subject": "generator" },
        ],
    });
    serde_json::from_value(plan).expect("the plan above is one")
}

/// When the bad version was withdrawn.
fn withdrawn(health: Health) -> f64 {
    if health == Health::Well { 74.2 } else { 88.6 }
}

fn record(health: Health) -> RunRecord {
    let mut events = vec![(0.0, started())];
    let mut add = |secs: f64, event: Event| events.push((secs, event));
    for (phase, start, end) in [("baseline", 3.0, 23.0), ("fault", 23.0, 58.0), ("recovery", 58.0, 93.0)] {
        add(start, Event::PhaseStarted { phase: phase.into() });
        add(end, Event::PhaseEnded { phase: phase.into() });
    }
    add(23.0, Event::SteadyState { holds: true, broken: Vec::new() });
    for (secs, signal) in signals(health) {
        add(secs, Event::Signal { seen: seen(secs), signal });
    }
    faults(&mut add);
    add(25.3, exemplar(25.2, 25.3, Outcome::Reset, None, "connection reset by peer after 3 chunks"));
    add(
        47.9,
        exemplar(
            47.5,
            47.9,
            Outcome::Http5xx,
            Some(502),
            "no upstream is reachable: all 3 breakers are open",
        ),
    );
    add(93.6, Event::RunEnded { end: RunEnd::Completed });
    events.sort_by(|a, b| a.0.total_cmp(&b.0));
    let events = events.into_iter().map(|(secs, event)| Record { at: at(secs), event }).collect();
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let intervals = (0..93).map(|second| interval(second, health, &mut random)).collect();
    RunRecord { run: RUN.to_owned(), events, intervals, warnings: Vec::new() }
}

const RUN: &str = "2026-01-12T090000Z-holiday-readiness-5d1f0c";

fn started() -> Event {
    Event::RunStarted { format: 1, run: RUN.to_owned(), wall_clock: "2026-01-12T09:00:00.125Z".to_owned() }
}

fn exemplar(due: f64, ended: f64, outcome: Outcome, status: Option<u16>, detail: &str) -> Event {
    Event::Exemplar(Exemplar {
        workload: "chat".into(),
        phase: Some("fault".into()),
        scheduled: at(due),
        ended: at(ended),
        outcome,
        status,
        pod: Some("replica-1".into()),
        version: Some("v1".into()),
        detail: detail.to_owned(),
    })
}

fn faults(add: &mut impl FnMut(f64, Event)) {
    let proof = |source: &str, what: &str| {
        vec![crate::journal::event::Evidence { source: source.to_owned(), what: what.to_owned() }]
    };
    let acts = [
        ("kill", vec!["replica-1"], 25.0, 25.1, None, "kill(2)", "process 4211 was gone after 38 ms"),
        (
            "slow-link",
            vec!["replica-0"],
            31.0,
            31.4,
            Some(41.1),
            "proxy link replica-0",
            "chunks were held back 812 ms on average (412 of them)",
        ),
        (
            "cut-off",
            vec!["replica-0", "replica-1", "replica-2"],
            47.0,
            47.3,
            Some(52.2),
            "proxy link replica-2",
            "23 connections got no answer",
        ),
        ("bad-release", vec![], 66.0, 67.1, None, "gateway /metrics", "the first request was answered by v2"),
    ];
    for (id, targets, requested, effect, recovered, source, what) in acts {
        let mut step = |secs, step| add(secs, Event::Fault { id: id.into(), step });
        step(requested, FaultStep::Requested { targets: targets.into_iter().map(Into::into).collect() });
        step(requested + 0.05, FaultStep::Injected);
        step(effect + 0.2, FaultStep::Proven { effect: seen(effect), proof: proof(source, what) });
        if let Some(recovered) = recovered {
            step(
                recovered,
                FaultStep::Recovered { proof: proof(source, "the link passes data at once again") },
            );
        }
    }
}

fn signals(health: Health) -> Vec<(f64, Signal)> {
    let mut out = Vec::new();
    let pod = |name: &str, ready| Signal::Pod {
        name: name.into(),
        phase: "Running".to_owned(),
        ready,
        version: Some("v1".into()),
        restarts: 0,
    };
    let breaker = |name: &str, state| Signal::Breaker {
        name: name.to_owned(),
        state,
        kind: Some(BreakerKind::StateMachine),
    };
    for name in ["replica-0", "replica-1", "replica-2"] {
        out.extend([(0.5, pod(name, true)), (0.5, breaker(name, BreakerState::Closed))]);
    }
    out.push((25.3, Signal::PodGone { name: "replica-1".into() }));
    out.extend([(25.8, pod("replica-1", false)), (30.1, pod("replica-1", true))]);
    use BreakerState::{Closed, HalfOpen, Open};
    out.extend(
        [(34.4, Open), (37.5, HalfOpen), (38.1, Open)].map(|(t, state)| (t, breaker("replica-0", state))),
    );
    if health == Health::Well {
        out.extend([(41.4, HalfOpen), (42.5, Closed)].map(|(t, state)| (t, breaker("replica-0", state))));
    }
    for (name, shift) in [("replica-1", 0.0), ("replica-2", 0.3)] {
        let states = [(48.6, Open), (51.7, HalfOpen), (51.9, Open), (54.8, HalfOpen), (55.6, Closed)];
        out.extend(states.map(|(t, state)| (t + shift, breaker(name, state))));
    }
    let rollout = |phase, weight, reason: &str| Signal::Rollout {
        of: None,
        phase,
        stable: "v1".into(),
        candidate: Some("v2".into()),
        weight,
        reason: reason.to_owned(),
    };
    let end = withdrawn(health);
    out.extend([
        (0.5, rollout(RolloutPhase::Stable, 0.0, "")),
        (66.4, rollout(RolloutPhase::Progressing, 0.1, "step 1 of 4")),
        (70.4, rollout(RolloutPhase::Progressing, 0.25, "step 2 of 4")),
        (end - 1.0, rollout(RolloutPhase::RollingBack, 0.0, "error rate 34 % over 5 %")),
        (end, rollout(RolloutPhase::RolledBack, 0.0, "v1 serves everything")),
    ]);
    out.push((80.2, Signal::Source { source: "gateway".to_owned(), up: false, why: "timed out".to_owned() }));
    out.push((82.3, Signal::Source { source: "gateway".to_owned(), up: true, why: String::new() }));
    out
}

/// One request's fate.
fn request(second: u32, health: Health, random: &mut ChaCha8Rng) -> (Outcome, Served, u64, u64) {
    let t = f64::from(second) + random.random::<f64>();
    let within = |from: f64, to: f64| t >= from && t < to;
    let pod = random.random_range(0..3u32);
    let mut served = Served {
        version: Some(Version::from("v1")),
        pod: Some(format!("replica-{pod}").as_str().into()),
        cache: CacheUse::Miss,
        ..Served::default()
    };
    if random.random::<f64>() < 0.31 {
        served.cache = CacheUse::Hit;
        let ttft = random.random_range(2_000..9_000);
        return (Outcome::Ok, served, ttft, ttft + 3_000);
    }
    let spread = -random.random::<f64>().max(1e-3).ln();
    let crowd = if within(23.0, 51.0) { 1.7 } else { 1.0 };
    let mut ttft = (65_000.0 * crowd + 30_000.0 * crowd * spread) as u64;
    let mut outcome = Outcome::Ok;
    let dice = random.random::<f64>();
    if within(25.1, 26.0) && pod == 1 {
        outcome = Outcome::Reset;
    } else if within(31.4, 34.4) && pod == 0 {
        ttft += 820_000;
        outcome = if dice < 0.25 { Outcome::Timeout } else { Outcome::Ok };
    } else if within(47.2, 55.0) && dice < 0.92 {
        served.fallback = t > 48.9;
        ttft = 240_000;
        outcome = match dice {
            _ if t < 48.9 => Outcome::Http5xx,
            d if d < 0.12 => Outcome::Shed,
            _ => Outcome::Ok,
        };
    } else if within(67.0, withdrawn(health) - 0.8) && dice < 0.2 {
        served.version = Some("v2".into());
        outcome = if dice < 0.08 { Outcome::InBandError } else { Outcome::Ok };
    }
    (outcome, served, ttft, ttft + 290_000)
}

fn interval(second: u32, health: Health, random: &mut ChaCha8Rng) -> Interval {
    let rate = match second {
        0..23 | 56.. => 20.0,
        23..26 => 20.0 + 25.0 * f64::from(second - 22) / 3.0,
        26..51 => 45.0,
        51..56 => 45.0 - 5.0 * f64::from(second - 50),
    };
    let due = (rate + (random.random::<f64>() - 0.5) * 9.0).round() as u64;
    let phase = match second {
        0..3 => None,
        3..23 => Some("baseline"),
        23..58 => Some("fault"),
        _ => Some("recovery"),
    };
    let mut generator = Generator { due, sent: due, in_flight: due / 3, ..Generator::default() };
    let mut cells: Vec<Cell> = Vec::new();
    for _ in 0..due {
        generator.lag.record(random.random_range(80..900));
        let (outcome, served, ttft, e2e) = request(second, health, random);
        let key = CellKey {
            second,
            phase: phase.map(Into::into),
            workload: "chat".into(),
            outcome,
            served,
            golden: false,
        };
        let end = at(f64::from(second) + 0.9);
        let mut cell = Cell::new(key, end);
        cell.count = 1;
        cell.e2e.record(e2e);
        cell.service_e2e.record(e2e);
        if outcome == Outcome::Ok {
            cell.good = u64::from(ttft < 500_000);
            cell.tokens = 24;
            cell.ttft.record(ttft);
            cell.service_ttft.record(ttft);
            cell.tpot.record(12_500);
            cell.itl.record_n(12_000, 23);
        }
        match cells.iter_mut().find(|other| other.key == cell.key) {
            Some(other) => other.merge(&cell),
            None => cells.push(cell),
        }
    }
    Interval { at: at(f64::from(second) + 1.001), cells, generator }
}
