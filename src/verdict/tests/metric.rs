//! Figures of declared sources.

use crate::{
    scenario::{metric::MetricExpectation, model::Expectation, observe::*},
    units::Span,
    verdict::{
        model::Verdict::*,
        testing::{Drill, drill},
    },
};

/// A fault from 25 to 40 s, and a source of figures that is looked at every
/// second.
fn cut() -> Drill {
    let mut drill = drill().healthy().fault("cut", 25.0, Some(40.0), &["replica-0"]);
    let query = PromQuery { at: String::new(), query: "orders".to_owned() };
    drill.plan.observe = vec![Observed {
        name: "business".to_owned(),
        system: System::PrometheusQuery(query),
        every: Span::secs(1),
    }];
    drill
}

/// A sample at half past each of these seconds.
fn shown(drill: Drill, seconds: std::ops::Range<u32>, values: &[(&str, f64)]) -> Drill {
    seconds.fold(drill, |drill, second| drill.sample(f64::from(second) + 0.6, "business", values))
}

fn orders(drill: Drill, seconds: std::ops::Range<u32>, value: f64) -> Drill {
    shown(drill, seconds, &[("orders", value)])
}

fn expects(must: &str) -> MetricExpectation {
    MetricExpectation {
        source: "business".to_owned(),
        series: None,
        must: Some(must.parse().expect("a threshold")),
        grows: None,
        phase: None,
        after: None,
        recovers_within: None,
    }
}

/// It must be 10 or more in the phase `fault`, which is from 20 to 50 s.
fn holds(drill: Drill) -> Drill {
    drill.expect(Expectation::Metric(MetricExpectation { phase: Some("fault".into()), ..expects(">= 10") }))
}

fn recovers(drill: Drill) -> Drill {
    drill.expect(Expectation::Metric(MetricExpectation {
        after: Some("cut".into()),
        recovers_within: Some(Span::secs(10)),
        ..expects(">= 10")
    }))
}

#[test]
fn every_sample_in_the_phase_has_to_hold() {
    let check = holds(orders(cut(), 0..90, 12.0)).checked();
    assert_eq!((check.verdict, check.observed), (Pass, Some(12.0)), "{}", check.why);
    let dip = orders(orders(orders(cut(), 0..30, 12.0), 30..31, 7.0), 31..90, 12.0);
    let check = holds(dip).checked();
    assert_eq!((check.verdict, check.observed), (Fail, Some(7.0)), "{}", check.why);
    // Not in this phase.
    let before = orders(orders(cut(), 0..10, 3.0), 10..90, 12.0);
    holds(before).gives(Pass);
    // On the phase's edge: the look may have been a moment earlier.
    let edge = orders(cut(), 0..90, 12.0).sample(20.2, "business", &[("orders", 0.0)]);
    holds(edge).gives(Inconclusive);
}

#[test]
fn what_was_not_seen_does_not_hold() {
    let why = holds(cut()).gives(Inconclusive);
    assert!(why.contains("no sample"), "{why}");
    let why = holds(orders(orders(cut(), 0..30, 12.0), 35..90, 12.0)).gives(Inconclusive);
    assert!(why.contains("did not tell"), "{why}");
    // It answered, with nothing.
    let empty = shown(orders(orders(cut(), 0..30, 12.0), 35..90, 12.0), 30..35, &[]);
    let why = holds(empty).gives(Inconclusive);
    assert!(why.contains("no value"), "{why}");
    // One look that failed is no silence.
    holds(orders(orders(cut(), 0..30, 12.0), 31..90, 12.0)).gives(Pass);
    // What is surely broken stays so.
    holds(orders(orders(cut(), 0..30, 12.0), 35..90, 2.0)).gives(Fail);
    holds(orders(cut(), 0..10, 12.0)).gives(Inconclusive);
    // It was right until it fell silent, near the phase's end.
    holds(orders(cut(), 0..46, 12.0)).gives(Inconclusive);
}

#[test]
fn one_series_has_to_be_meant() {
    let two = [("orders{shop=\"a\"}", 12.0), ("orders{shop=\"b\"}", 3.0), ("carts", 11.0)];
    let all = || shown(cut(), 0..90, &two);
    let why = holds(all()).gives(Inconclusive);
    assert!(why.contains("3 series") && why.contains("`carts`"), "{why}");
    let of = |series: &str, drill: Drill| {
        let series = Some(series.parse().expect("a series"));
        let phase = Some("fault".into());
        drill.expect(Expectation::Metric(MetricExpectation { series, phase, ..expects(">= 10") }))
    };
    of("orders{ shop = \"a\" }", all()).gives(Pass);
    of("orders{shop=\"b\"}", all()).gives(Fail);
    of("carts", all()).gives(Pass);
    of("orders", all()).gives(Inconclusive);
    of("sales", all()).gives(Inconclusive);
    of("orders{shop=\"c\"}", all()).gives(Inconclusive);
    of("orders", shown(cut(), 0..90, &two[..1])).gives(Pass);
}

#[test]
fn it_has_to_hold_again_in_time_and_go_on() {
    let broken = |until: u32| orders(orders(orders(cut(), 0..26, 12.0), 26..until, 1.0), until..90, 12.0);
    let check = recovers(broken(45)).checked();
    assert_eq!(check.verdict, Pass, "{}", check.why);
    // From the last sample that broke it to the first that holds.
    assert_eq!(check.error.map(|(low, high)| (low.round(), high)), Some((4.0, Some(5.6))), "{}", check.why);
    recovers(broken(55)).gives(Fail);
    // Ten seconds are between the two samples.
    recovers(broken(50)).gives(Inconclusive);
    recovers(broken(90)).gives(Fail);
    let again = orders(orders(orders(broken(45), 45..60, 12.0), 60..61, 2.0), 61..90, 12.0);
    recovers(again).gives(Fail);
    // The first look was at the clock's zero.
    let from_zero = cut().sample(0.0, "business", &[("orders", 12.0)]);
    recovers(orders(from_zero, 0..90, 12.0)).gives(Pass);
    let why = recovers(orders(cut(), 0..90, 12.0)).gives(Pass);
    assert!(why.contains("nothing to recover"), "{why}");
}

#[test]
fn a_recovery_that_was_not_seen_is_none() {
    let broken = || orders(orders(cut(), 0..26, 12.0), 26..41, 1.0);
    // Silent since, with the limit not over.
    recovers(broken()).gives(Inconclusive);
    recovers(orders(cut(), 0..26, 12.0)).gives(Inconclusive);
    // It held in time, and what came then is not known.
    recovers(orders(broken(), 42..60, 12.0)).gives(Inconclusive);
    recovers(orders(broken(), 42..89, 12.0)).gives(Pass);
    // Broken beyond the limit is enough, silent or not.
    recovers(orders(broken(), 50..53, 1.0)).gives(Fail);
    let unproven = drill().healthy();
    recovers(unproven).gives(Inconclusive);
    // Silent while the fault acted: it may have been broken, and hold since any time.
    let silent = |again: u32| orders(orders(cut(), 0..26, 12.0), again..89, 12.0);
    recovers(silent(42)).gives(Pass);
    recovers(silent(55)).gives(Inconclusive);
}

/// It must grow by so much in the phase `fault`, which is from 20 to 50 s.
fn grows(drill: Drill, limit: &str) -> Drill {
    let grows = Some(limit.parse().expect("a threshold"));
    let of = MetricExpectation { must: None, grows, phase: Some("fault".into()), ..expects(">= 0") };
    drill.expect(Expectation::Metric(of))
}

#[test]
fn what_a_counter_was_before_is_no_matter() {
    let rises = |from: u32| orders(orders(cut(), 0..from, 100.0), from..90, 103.0);
    let check = grows(rises(30), ">= 3").checked();
    assert_eq!((check.verdict, check.observed), (Pass, Some(3.0)), "{}", check.why);
    grows(rises(30), ">= 4").gives(Fail);
    grows(rises(30), "<= 0").gives(Fail);
    // Before the phase, or after it.
    for from in [10, 55] {
        grows(rises(from), ">= 1").gives(Fail);
        grows(rises(from), "<= 0").gives(Pass);
    }
    // Between the last look before it and the first in it.
    assert!(grows(rises(20), ">= 1").gives(Inconclusive).contains("edge"));
    grows(rises(20), "<= 0").gives(Inconclusive);
}

#[test]
fn growth_that_nobody_saw_is_not_known() {
    let silent = |rest| orders(orders(cut(), 0..30, 100.0), 35..90, rest);
    assert!(grows(silent(100.0), ">= 1").gives(Inconclusive).contains("did not tell"));
    grows(silent(100.0), "<= 0").gives(Inconclusive);
    // It grew, whatever else happened meanwhile.
    grows(silent(101.0), ">= 1").gives(Pass);
    grows(silent(101.0), "<= 0").gives(Fail);
    grows(cut(), "<= 0").gives(Inconclusive);
    grows(orders(cut(), 30..31, 100.0), "<= 0").gives(Inconclusive);
    grows(orders(cut(), 0..10, 100.0), "<= 0").gives(Inconclusive);
}

#[test]
fn a_counter_that_begins_anew_may_have_lost_some() {
    let anew = |rest| orders(orders(cut(), 0..30, 100.0), 30..90, rest);
    assert!(grows(anew(0.0), "<= 0").gives(Inconclusive).contains("began anew"));
    grows(anew(0.0), ">= 1").gives(Inconclusive);
    let grown = orders(orders(orders(cut(), 0..30, 100.0), 30..40, 0.0), 40..90, 2.0);
    grows(grown.clone(), ">= 2").gives(Pass);
    grows(grown, "<= 1").gives(Fail);
    // After the phase it does not matter.
    grows(orders(orders(cut(), 0..60, 100.0), 60..90, 0.0), "<= 0").gives(Pass);
}

#[test]
fn a_generator_that_was_late_is_not_the_services_failure() {
    let mut late = holds(orders(cut(), 0..90, 2.0));
    late.gives(Fail);
    late.lag_ms = 500;
    late.gives(Inconclusive);
}
