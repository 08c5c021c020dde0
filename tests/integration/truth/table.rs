//! Every class of outcome, each in a run of its own.

use std::{sync::Mutex, thread};

use firedrill::journal::interval::Outcome;

use super::{
    Seen,
    case::{self, Case},
    cases, seen, vanish,
    wire::Wire,
};
use crate::drill::Drilled;

/// Runs at a time.
const JOBS: usize = 3;

/// A line of the table: what happened, its class, how many, and the reason.
pub(super) fn row(case: &Case, seen: &Seen) -> [String; 4] {
    let mut counts: Vec<_> = seen.outcomes.iter().map(|(outcome, n)| (outcome.as_str(), n)).collect();
    counts.sort_by_key(|(name, n)| (*name != "ok", std::cmp::Reverse(*n)));
    let counts: Vec<String> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
    let detail = if seen.detail.is_empty() { "–".to_owned() } else { format!("“{}”", seen.detail) };
    [
        case.how.to_owned(),
        case.outcome.as_str().to_owned(),
        counts.join(", "),
        detail.replace('|', "\\|").replace('\n', " "),
    ]
}

/// A case that stands for its class; those without one need a server that
/// goes away, or a person.
fn representative(outcome: Outcome) -> Option<&'static str> {
    Some(match outcome {
        Outcome::Ok => "one-chunk",
        Outcome::Shed => "status-429",
        Outcome::Http4xx => "status-404",
        Outcome::Http5xx => "status-500",
        Outcome::Reset => "reset-between",
        Outcome::Timeout => "silence",
        Outcome::Stalled => "stall",
        Outcome::Truncated => "half-a-chunk",
        Outcome::InBandError => "error-object",
        Outcome::Short => "short",
        Outcome::Discontinuous => "lost",
        Outcome::Malformed => "gzip",
        Outcome::Mismatch => "mismatch",
        Outcome::ConnectRefused | Outcome::ConnectTimeout | Outcome::Cancelled => return None,
    })
}

/// One class: its case, the run, and the exit code that it must have.
fn run(outcome: Outcome, wire: &str) -> (Case, Drilled, i32) {
    match (representative(outcome), outcome) {
        (Some(name), _) => {
            let case = cases().into_iter().find(|case| case.name == name).expect("a case");
            let drilled =
                Drilled::conclusive(|| Drilled::run(&case::scenario(wire, std::slice::from_ref(&case))));
            (case, drilled, i32::from(outcome != Outcome::Ok))
        }
        (None, Outcome::Cancelled) => {
            let (case, drilled) = vanish::given_up();
            (case, drilled, 4)
        }
        (None, _) => {
            let (case, drilled) = vanish::gone(outcome);
            (case, drilled, 1)
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_class_is_counted_and_decides_the_exit_code() {
    let server = Wire::start(cases()).await;
    let wire = format!("http://{}", server.address);
    // The slowest first.
    let mut left = Outcome::ALL.to_vec();
    left.sort_by_key(|outcome| *outcome == Outcome::ConnectTimeout);
    let (left, done) = (Mutex::new(left), Mutex::new(Vec::new()));
    let next = || left.lock().expect("no panic").pop();
    let runtime = tokio::runtime::Handle::current();
    let work = || {
        let _in = runtime.enter();
        while let Some(outcome) = next() {
            let (case, drilled, code) = run(outcome, &wire);
            done.lock().expect("no panic").push((outcome, case, drilled, code));
        }
    };
    tokio::task::block_in_place(|| {
        thread::scope(|scope| (0..JOBS).for_each(|_| drop(scope.spawn(work))));
    });

    let mut done = done.into_inner().expect("no panic");
    done.sort_by_key(|(outcome, ..)| Outcome::ALL.iter().position(|other| other == outcome));
    println!("| on the wire | class | 50 requests | in its words | exit |\n| --- | --- | --- | --- | --- |");
    let mut wrong = Vec::new();
    for (outcome, case, drilled, code) in &done {
        let seen = seen(&drilled.record, case);
        println!("| {} | {} |", row(case, &seen).join(" | "), drilled.code);
        let all = seen.outcomes.values().sum::<u64>();
        let ok = seen.outcomes.get(&Outcome::Ok);
        let (of_class, good) = if *outcome == Outcome::Ok { (50, 50) } else { (10, 40) };
        let right = (50, Some(&of_class), Some(&good), *code);
        if (all, seen.outcomes.get(outcome), ok, drilled.code) != right {
            wrong.push(format!("{outcome:?}: {:?}, exit {}\n{}", seen.outcomes, drilled.code, drilled.said));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(done.len(), Outcome::ALL.len());
}
