//! What must hold of every journal: less evidence never makes a pass, more
//! failures never make it better, and only differences of time count.

use proptest::prelude::*;

use super::totality::{answers, events, every_check};
use crate::{
    journal::{
        Event, Record, RunRecord,
        event::{FaultStep, RunEnd, Signal},
        interval::Outcome,
    },
    units::RunTime,
    verdict::{
        judge,
        model::{CheckKind, CheckVerdict, Verdict},
        testing::{Answers, Drill, drill},
    },
};

/// A drill that mostly goes well, with events and answers at random.
fn drills() -> impl Strategy<Value = Drill> {
    let when = (0..95_000_000_u64).prop_map(RunTime);
    let events = prop::collection::vec((when, events()), 0..30);
    let load = prop::collection::vec((0..90u32, 0..10u32, answers()), 0..6);
    (events, load).prop_map(|(events, load)| {
        let mut drill =
            every_check(drill().healthy().fault("cut", 25.0, Some(40.0), &["replica-0"]).deploy("bad", 55.0));
        let ours = |event: &Event| !matches!(event, Event::RunEnded { .. });
        drill.events.extend(
            events.into_iter().filter(|(_, event)| ours(event)).map(|(at, event)| Record { at, event }),
        );
        drill.events.sort_by_key(|record| record.at);
        load.into_iter().fold(drill, |drill, (second, seconds, answers)| {
            drill.load(second..(second + seconds).min(90), answers)
        })
    })
}

/// The checks of a kind that hold, by their ids.
fn holding(drill: &Drill, record: &RunRecord, wanted: impl Fn(&CheckVerdict) -> bool) -> Vec<String> {
    let checks = judge(&drill.plan, record).checks;
    let holding = checks.into_iter().filter(|check| check.verdict == Verdict::Pass && wanted(check));
    holding.map(|check| check.id.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn a_journal_that_stops_early_is_no_pass(drill in drills(), kept in 0.0..1.0f64) {
        let mut record = drill.record();
        let last = (record.events.len() as f64 * kept) as usize;
        record.events.truncate(last.min(record.events.len() - 1));
        let run = judge(&drill.plan, &record);
        prop_assert!(run.verdict != Verdict::Pass && run.exit_code != 0, "{}", run.why);
    }

    #[test]
    fn without_its_proof_a_fault_makes_nothing_hold_that_did_not(drill in drills()) {
        let whole = drill.record();
        let mut without = whole.clone();
        without.events.retain(|line| !matches!(line.event, Event::Fault { step: FaultStep::Proven { .. }, .. }));
        let before = holding(&drill, &whole, |_| true);
        for id in holding(&drill, &without, |check| check.kind != CheckKind::Generator) {
            prop_assert!(before.contains(&id), "{id} holds only without the proof");
        }
    }

    #[test]
    fn without_requests_no_objective_holds(drill in drills()) {
        let mut record = drill.record();
        record.intervals.clear();
        let of_requests = |check: &CheckVerdict| matches!(check.kind, CheckKind::Slo | CheckKind::Generator);
        prop_assert_eq!(holding(&drill, &record, of_requests), Vec::<String>::new());
    }

    #[test]
    fn without_signals_no_breaker_rollout_or_pod_holds_that_did_not(drill in drills()) {
        let whole = drill.record();
        let mut without = whole.clone();
        // What is left is what users saw: that may still show a rejection.
        without.events.retain(|line| !matches!(&line.event, Event::Signal { signal, .. } if !matches!(signal, Signal::Source { .. })));
        let before = holding(&drill, &whole, |_| true);
        let stands_on_signals = |check: &CheckVerdict| {
            matches!(
                check.kind,
                CheckKind::Pods
                    | CheckKind::Rollback
                    | CheckKind::Probes
                    | CheckKind::Autoscaling
                    | CheckKind::Alert
            ) || check.title == "breaker stays closed"
        };
        for id in holding(&drill, &without, stands_on_signals) {
            prop_assert!(before.contains(&id), "{id} holds only without signals");
        }
    }

    #[test]
    fn more_failures_never_make_an_objective_hold(drill in drills(), second in 0..90u32, count in 1..200u64) {
        let slo = |check: &CheckVerdict| check.kind == CheckKind::Slo;
        let before = holding(&drill, &drill.record(), slo);
        let worse = drill.clone().load(second..second + 1, Answers::failed(count, Outcome::Http5xx));
        for id in holding(&worse, &worse.record(), slo) {
            prop_assert!(before.contains(&id), "{id} holds only with failures");
        }
    }

    #[test]
    fn only_differences_of_time_count(drill in drills(), by in 1..100_000u32) {
        let verdicts = |drill: &Drill| {
            let run = drill.judged();
            (run.verdict, run.checks.into_iter().map(|check| (check.id, check.verdict)).collect::<Vec<_>>())
        };
        prop_assert_eq!(verdicts(&drill), verdicts(&drill.shifted(by)));
    }
}

#[test]
fn a_drill_that_goes_well_holds_what_it_should() {
    // Or the properties above say nothing.
    let well = every_check(drill().healthy().fault("cut", 25.0, Some(40.0), &["replica-0"]));
    let holding = holding(&well, &well.record(), |_| true);
    assert!(holding.len() >= 6, "{holding:?}");
    assert_eq!(well.end, Some(RunEnd::Completed));
}
