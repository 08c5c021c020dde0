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

/// All cases at once, in one run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_on_the_wire_is_called_what_it_is() {
    let cases = cases();
    let server = Wire::start(cases.clone()).await;
    let text = case::scenario(&format!("http://{}", server.address), &cases);
    let drilled = tokio::task::spawn_blocking(move || Drilled::run(&text)).await.expect("no panic");
    let mut wrong = Vec::new();
    println!(
        "| on the wire, every 5th time | class | 50 requests | in its words |\n| --- | --- | --- | --- |"
    );
    for case in &cases {
        let seen = seen(&drilled.record, case);
        println!("| {} |", table::row(case, &seen).join(" | "));
        let expected = match case.outcome {
            Outcome::Ok => HashMap::from([(Outcome::Ok, 50)]),
            outcome => HashMap::from([(Outcome::Ok, 40), (outcome, 10)]),
        };
        let ok = expected[&Outcome::Ok];
        if seen.outcomes != expected || seen.tokens != ok * case::TOKENS || !seen.detail.contains(case.says) {
            wrong.push(format!(
                "{}: {:?}, {} tokens, `{}`, not {expected:?}, `{}`",
                case.name, seen.outcomes, seen.tokens, seen.detail, case.says
            ));
        }
    }
    assert!(wrong.is_empty(), "{}\n{}", wrong.join("\n"), drilled.said);
    assert_eq!(drilled.code, 1, "{}", drilled.said);
}
