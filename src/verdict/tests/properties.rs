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
    units::{RunTime, Seen},
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

/// Journals for each property: `FIREDRILL_JOURNALS=5000` for more.
fn cases() -> u32 {
    std::env::var("FIREDRILL_JOURNALS").ok().and_then(|n| n.parse().ok()).unwrap_or(64)
}

type Kind = (&'static str, fn(&Signal) -> bool);

/// The kinds of signals, by name.
const KINDS: [Kind; 5] = [
    ("breakers", |signal| matches!(signal, Signal::Breaker { .. })),
    ("rollouts", |signal| matches!(signal, Signal::Rollout { .. })),
    ("pods", |signal| matches!(signal, Signal::Pod { .. } | Signal::PodGone { .. })),
    ("alerts", |signal| matches!(signal, Signal::Alert { .. })),
    ("samples", |signal| matches!(signal, Signal::Sample { .. })),
];

/// Who tells samples.
const SOURCES: [&str; 3] = ["gateway", "replica-0", "kubernetes"];

/// Judges that a pass of theirs may stand on what contradicts nobody any more: the
/// rejections of a breaker that says that it is closed, or its word without them.
fn contradicted(check: &CheckVerdict) -> bool {
    matches!(check.title.as_str(), "breaker opens" | "breaker closes" | "breaker stays closed")
}

/// Whether a check may not gain by the loss of such signals. What users see of a
/// breaker shows it without its own word; two that count contradict each other
/// only where both do.
fn told_by(check: &CheckVerdict, signals: &str) -> bool {
    match signals {
        "breakers" => {
            !matches!(check.kind, CheckKind::CircuitBreaker) || check.title == "breaker stays closed"
        }
        "samples" => {
            !matches!(check.kind, CheckKind::Retries | CheckKind::Probes | CheckKind::CircuitBreaker)
        }
        _ => true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

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
    fn without_requests_nothing_holds_that_did_not(drill in drills()) {
        let whole = drill.record();
        let mut without = whole.clone();
        without.intervals.clear();
        let before = holding(&drill, &whole, |_| true);
        prop_assert!(judge(&drill.plan, &without).verdict != Verdict::Pass);
        let after = holding(&drill, &without, |check| !contradicted(check));
        for id in &after {
            prop_assert!(before.contains(id), "{id} holds only without requests");
        }
        // That a rollback has begun is its controller's to say.
        let of_requests = |check: &CheckVerdict| {
            check.title != "rollback starts" && !matches!(check.kind, CheckKind::Fault | CheckKind::CircuitBreaker | CheckKind::Pods | CheckKind::Autoscaling
                | CheckKind::Alert | CheckKind::Metric | CheckKind::Probes)
        };
        prop_assert_eq!(holding(&drill, &without, of_requests), Vec::<String>::new());
    }

    #[test]
    fn a_lost_interval_is_noticed(drill in drills(), lost in 0..90usize) {
        let mut record = drill.record();
        record.intervals.remove(lost);
        let generator = |check: &CheckVerdict| check.kind == CheckKind::Generator;
        prop_assert_eq!(holding(&drill, &record, generator), Vec::<String>::new());
    }

    #[test]
    fn a_kind_of_signals_that_is_missing_makes_nothing_hold_that_did_not(drill in drills(), which in 0..KINDS.len()) {
        let whole = drill.record();
        let mut without = whole.clone();
        let (name, is_kind) = KINDS[which];
        without.events.retain(|line| !matches!(&line.event, Event::Signal { signal, .. } if is_kind(signal)));
        let before = holding(&drill, &whole, |_| true);
        for id in holding(&drill, &without, |check| told_by(check, name)) {
            prop_assert!(before.contains(&id), "{id} holds only without {name}");
        }
    }

    #[test]
    fn a_source_that_is_down_makes_nothing_hold_that_did_not(drill in drills(), which in 0..SOURCES.len()) {
        let whole = drill.record();
        let mut without = whole.clone();
        let source = SOURCES[which];
        // It shows nothing, and never says that it is back.
        without.events.retain(|line| !matches!(&line.event, Event::Signal { signal: Signal::Sample { source: of, .. } | Signal::Source { source: of, .. }, .. } if of == source));
        let down = Signal::Source { source: source.to_owned(), up: false, why: "it is gone".to_owned() };
        let event = Event::Signal { seen: Seen::at(RunTime::ZERO), signal: down };
        without.events.insert(0, Record { at: RunTime::ZERO, event });
        let before = holding(&drill, &whole, |_| true);
        for id in holding(&drill, &without, |check| !contradicted(check)) {
            prop_assert!(before.contains(&id), "{id} holds only without {source}");
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
