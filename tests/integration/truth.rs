//! Whether each way in which an answer goes wrong on the wire is called what
//! it is: 50 requests, every 5th of them wrong, exactly 10 counted.
//!
//! `scripts/outcome-table` prints what was seen.

mod case;
mod content;
mod endings;
mod framing;
mod peers;
mod table;
mod vanish;
mod wire;
mod write;

use std::collections::HashMap;

use case::Case;
use firedrill::journal::{Cell, Event, RunRecord, interval::Outcome};
use wire::Wire;

use crate::drill::Drilled;

/// Every case, in the order of the table.
fn cases() -> Vec<Case> {
    [framing::cases(), endings::cases(), content::cases()].concat()
}

/// What one case came to.
struct Seen {
    outcomes: HashMap<Outcome, u64>,
    tokens: u64,
    /// The reason that was given for one that failed.
    detail: String,
}

fn seen(record: &RunRecord, case: &Case) -> Seen {
    let mut seen = Seen { outcomes: HashMap::new(), tokens: 0, detail: String::new() };
    let mine = |cell: &&Cell| cell.key.workload.as_str() == case.name;
    for cell in record.cells().filter(mine) {
        *seen.outcomes.entry(cell.key.outcome).or_default() += cell.count;
        seen.tokens += cell.tokens;
    }
    let details = record.events.iter().filter_map(|record| match &record.event {
        Event::Exemplar(exemplar) if exemplar.workload.as_str() == case.name => Some(&exemplar.detail),
        _ => None,
    });
    seen.detail = details.into_iter().next().cloned().unwrap_or_default();
    seen
}

/// Cases of one run. More would keep each other waiting.
const AT_ONCE: usize = 12;

/// Runs these cases; what was wrong, and the lines of the table.
fn run(url: &str, cases: &[Case]) -> (Vec<String>, Vec<String>) {
    let drilled = Drilled::run(&case::scenario(url, cases));
    let (mut lines, mut wrong) = (Vec::new(), Vec::new());
    for case in cases {
        let seen = seen(&drilled.record, case);
        lines.push(format!("| {} |", table::row(case, &seen).join(" | ")));
        let expected = match case.outcome {
            Outcome::Ok => HashMap::from([(Outcome::Ok, 50)]),
            outcome => HashMap::from([(Outcome::Ok, 40), (outcome, 10)]),
        };
        let tokens = expected[&Outcome::Ok] * case::TOKENS;
        if seen.outcomes != expected || seen.tokens != tokens || !seen.detail.contains(case.says) {
            wrong.push(format!(
                "{}: {:?}, {} tokens, `{}`, not {expected:?}, `{}`\n{}",
                case.name, seen.outcomes, seen.tokens, seen.detail, case.says, drilled.said
            ));
        }
    }
    (lines, wrong)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_on_the_wire_is_called_what_it_is() {
    let mut cases = cases();
    // Those that wait for a limit wait together.
    cases.sort_by_key(|case| case.users);
    let server = Wire::start(cases.clone()).await;
    let url = format!("http://{}", server.address);
    let mut wrong = Vec::new();
    println!(
        "| on the wire, every 5th time | class | 50 requests | in its words |\n| --- | --- | --- | --- |"
    );
    for some in cases.chunks(AT_ONCE) {
        let (lines, mistakes) = tokio::task::block_in_place(|| run(&url, some));
        println!("{}", lines.join("\n"));
        wrong.extend(mistakes);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
