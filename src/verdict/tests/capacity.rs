//! Searches for capacity: what is found, and what is not said.

use crate::verdict::{
    judge,
    model::{CheckVerdict, RunVerdict, Verdict},
    searched::{Made, search_plan, searched, up_to},
};

fn run(change: &str, server: impl FnMut(f64) -> Made) -> RunVerdict {
    let plan = search_plan(change);
    judge(&plan, &searched(&plan, server))
}

fn check(verdict: &RunVerdict) -> &CheckVerdict {
    verdict.checks.iter().find(|check| check.id.as_str() == "capacity.search").expect("the check")
}

#[test]
fn the_knee_is_found_and_what_broke_beyond_it() {
    let verdict = run("", up_to(90.0));
    let found = check(&verdict);
    assert_eq!((found.verdict, verdict.verdict), (Verdict::Pass, Verdict::Pass), "{}", found.why);
    // 80 held and 160 broke; two halvings leave a factor of 2^(1/4).
    let (low, high) = found.error.expect("what is known of it");
    let high = high.expect("a rate that broke");
    assert!(low <= 90.0 && 90.0 < high && high / low < 1.2, "{low} {high}");
    let capacity = verdict.capacity.as_ref().expect("figures");
    assert_eq!((capacity.holds, capacity.breaks), (Some(low), Some(high)));
    assert_eq!(capacity.broke.as_deref(), Some("TTFT p90 < 500ms"));
    assert!(found.why.contains("TTFT p90"), "{}", found.why);
    assert_eq!(capacity.steps.len(), found.evidence.len());
}

#[test]
fn a_demand_is_met_or_not_or_open() {
    let verdict = |at_least: u32, knee| {
        let verdict = run(&format!(", at-least: {at_least}/s"), up_to(knee));
        check(&verdict).verdict
    };
    assert_eq!(verdict(80, 90.0), Verdict::Pass);
    assert_eq!(verdict(160, 90.0), Verdict::Fail);
    assert_eq!(verdict(92, 90.0), Verdict::Inconclusive, "between what held and what broke");
    assert_eq!(verdict(320, 1e6), Verdict::Pass, "the search ends there, and it held");
}

#[test]
fn what_is_beyond_the_generator_is_not_the_targets_knee() {
    let lagging = |rate: f64| Made { lag_ms: if rate > 30.0 { 80 } else { 1 }, ..up_to(90.0)(rate) };
    let verdict = run("", lagging);
    let found = check(&verdict);
    assert_eq!(found.verdict, Verdict::Inconclusive);
    assert!(found.why.contains("20/s holds") && found.why.contains("generator"), "{}", found.why);
    assert!(found.why.contains("faster machine") && !found.why.contains("breaks"), "{}", found.why);
    assert_eq!(verdict.capacity.expect("figures").invalid, Some(40.0));
    let starving = |rate: f64| Made { starved: if rate > 30.0 { 5 } else { 0 }, ..up_to(90.0)(rate) };
    let found = check(&run("", starving)).clone();
    assert!(found.verdict == Verdict::Inconclusive && found.why.contains("`users:`"), "{}", found.why);
}

#[test]
fn the_ends_of_the_search_are_not_its_knee() {
    let high = run("", up_to(1e6));
    assert!(check(&high).why.contains("raise `to`"), "{}", check(&high).why);
    assert_eq!(check(&high).verdict, Verdict::Inconclusive);
    let low = run("", up_to(1.0));
    assert_eq!(check(&low).verdict, Verdict::Fail, "{}", check(&low).why);
    let mut record = searched(&search_plan(""), up_to(90.0));
    record.events.truncate(4);
    let cut = judge(&search_plan(""), &record);
    assert!(check(&cut).why.contains("did not come to its end"), "{}", check(&cut).why);
    record.events.clear();
    assert_eq!(check(&judge(&search_plan(""), &record)).verdict, Verdict::Inconclusive);
}

#[test]
fn requests_without_an_outcome_make_a_step_invalid() {
    let plan = search_plan("");
    let mut record = searched(&plan, up_to(90.0));
    let cells = record.intervals.iter_mut().flat_map(|interval| &mut interval.cells);
    cells.filter(|cell| cell.key.second > 30).for_each(|cell| cell.count -= 1);
    let verdict = judge(&plan, &record);
    assert!(check(&verdict).why.contains("have an outcome"), "{}", check(&verdict).why);
}
