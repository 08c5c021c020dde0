//! Capacity searches on servers that are made up, for tests: followed as a run
//! does, and written down as a run does.

use std::path::Path;

use super::capacity::{Step, judge_step};
use crate::{
    journal::{
        Cell, CellKey, Event, Interval, Record, RunRecord,
        event::{RunEnd, StepChange},
        interval::{Generator, Outcome, Served},
    },
    plan::{
        self, Plan,
        capacity::{self, Tried},
        model::Subject,
    },
    scenario,
    units::RunTime,
};

/// What a server and the generator make of a rate.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Made {
    /// Half of the requests wait this long for their first token, the others
    /// two thirds of it, ms.
    pub(crate) ttft_ms: u64,
    /// Of a hundred, so many fail.
    pub(crate) failed: u64,
    /// How late requests are sent, ms.
    pub(crate) lag_ms: u64,
    /// Of a hundred, so many wait for a user.
    pub(crate) starved: u64,
}

/// A server that holds its SLOs up to `knee` requests per second.
pub(crate) fn up_to(knee: f64) -> impl FnMut(f64) -> Made {
    move |rate| {
        let load = rate / knee;
        let ttft_ms = if load <= 1.0 { 90.0 + 300.0 * load.powi(6) } else { 600.0 + 1500.0 * (load - 1.0) };
        Made {
            ttft_ms: ttft_ms as u64,
            lag_ms: 1,
            failed: if load > 2.5 { 30 } else { 0 },
            ..Made::default()
        }
    }
}

/// The scenario that ships.
pub(crate) fn search_plan(change: &str) -> Plan {
    let text = include_str!("../../scenarios/capacity.yaml");
    let text = text.replace("refine: 2", &format!("refine: 2{change}"));
    let none = |_: &str| Err("not here".to_owned());
    let loaded = scenario::parse(&text, Path::new("x.yaml"), &[], &none).unwrap_or_else(|e| panic!("{e}"));
    plan::resolve(&loaded.scenario, 1).expect("a plan")
}

/// The record of a search with this plan on this server.
pub(crate) fn searched(plan: &Plan, mut server: impl FnMut(f64) -> Made) -> RunRecord {
    let (_, search) = plan.search().expect("a search");
    let slos = plan.checks.iter().find_map(|check| match &check.subject {
        Subject::Capacity { slos, .. } => Some(slos.clone()),
        _ => None,
    });
    let slos = slos.expect("a check");
    let mut record = RunRecord { run: "run".into(), ..RunRecord::default() };
    record.intervals.push(interval(0, 0, server(0.0)));
    let (mut steps, mut tried, mut now) = (Vec::new(), Vec::<Tried>::new(), 1u32);
    let at = |second: u32| RunTime(u64::from(second) * 1_000_000);
    while let Some(rate) = capacity::next(search, &tried) {
        let number = steps.len() as u32 + 1;
        let (warm_up, hold) = (search.warm_up.0.as_secs() as u32, search.hold.0.as_secs() as u32);
        let (from, until) = (now + warm_up, now + warm_up + hold);
        let made = server(rate.0);
        let each = rate.0.round() as u64;
        let due = each * u64::from(hold);
        let (judged_from, judged_until) = (at(from), at(until));
        let change = StepChange::Started { judged_from, judged_until, due };
        record.events.push(Record { at: at(now), event: Event::Step { number, rate, change } });
        for second in now..until {
            record.intervals.push(interval(second, each, made));
        }
        record.intervals.extend([until + 1, until + 2].map(|second| Interval {
            at: RunTime(at(second).0 + 10_000),
            cells: Vec::new(),
            generator: Generator::default(),
        }));
        let step = Step { number, rate, judged_from, judged_until, due };
        assert!(step.is_written(&record));
        steps.push(step);
        let judged = judge_step(&slos, &steps, &step, &record);
        tried.push(Tried { rate, result: judged.result });
        let change = StepChange::Judged { result: judged.result, why: judged.why };
        now = until + 2;
        record.events.push(Record { at: at(now), event: Event::Step { number, rate, change } });
    }
    record.events.push(Record { at: at(now), event: Event::RunEnded { end: RunEnd::Completed } });
    record
}

fn interval(second: u32, each: u64, made: Made) -> Interval {
    let failed = each * made.failed / 100;
    let cell = |outcome, count: u64, ttft_ms: u64| {
        let key = CellKey {
            second,
            phase: Some("search".into()),
            workload: "chat".into(),
            outcome,
            served: Served::default(),
            golden: false,
        };
        let mut cell = Cell::new(key, RunTime(u64::from(second) * 1_000_000 + 900_000));
        cell.count = count;
        if outcome == Outcome::Ok {
            cell.good = if ttft_ms < 500 { count } else { 0 };
            cell.ttft.record_n(ttft_ms * 1000, count);
            cell.tokens = 16 * count;
        }
        cell.e2e.record_n(ttft_ms * 2000, count);
        cell.service_e2e.record_n(ttft_ms * 2000, count);
        cell
    };
    let ok = each - failed;
    let mut cells = vec![cell(Outcome::Ok, ok - ok / 2, made.ttft_ms)];
    cells[0].merge(&cell(Outcome::Ok, ok / 2, made.ttft_ms * 2 / 3));
    if failed > 0 {
        cells.push(cell(Outcome::Timeout, failed, 2500));
    }
    let mut generator =
        Generator { due: each, sent: each, starved: each * made.starved / 100, ..Generator::default() };
    generator.lag.record_n(made.lag_ms * 1000, each);
    Interval { at: RunTime(u64::from(second + 1) * 1_000_000 + 10_000), cells, generator }
}
