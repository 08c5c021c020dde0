//! Alerts.

use crate::{
    journal::event::{NO_RULE, Signal},
    scenario::{
        alert::AlertExpectation,
        model::Expectation,
        observe::{Observed, System},
    },
    units::Span,
    verdict::{
        model::Verdict::*,
        testing::{Drill, drill},
    },
};

/// A fault from 25 to 40 s, and an alert that has been quiet so far.
fn cut() -> Drill {
    drill().healthy().fault("cut", 25.0, Some(40.0), &["replica-0"]).alert(1.0, "Errors", false)
}

fn expects(drill: Drill, e: AlertExpectation) -> Drill {
    let after = e.quiet_in.is_none().then(|| "cut".into());
    drill.expect(Expectation::Alert(AlertExpectation { name: "Errors".to_owned(), after, ..e }))
}

fn fires(drill: Drill) -> Drill {
    expects(drill, AlertExpectation { fires_within: Some(Span::secs(5)), ..Default::default() })
}

fn resolves(drill: Drill) -> Drill {
    expects(drill, AlertExpectation { resolves_within: Some(Span::secs(10)), ..Default::default() })
}

#[test]
fn it_has_to_fire_in_time() {
    let check = fires(cut().alert(28.0, "Errors", true)).checked();
    assert_eq!((check.verdict, check.observed), (Pass, Some(3.0)), "{}", check.why);
    fires(cut().alert(33.0, "Errors", true)).gives(Fail);
    fires(cut().alert(30.2, "Errors", true)).gives(Inconclusive);
    fires(cut()).gives(Fail);
    fires(cut().alert(28.0, "Latency", true)).gives(Fail);
    // It fired before anything was broken.
    fires(cut().alert(20.0, "Errors", true)).gives(Inconclusive);
    // Nobody tells of alerts.
    let silent = drill().healthy().fault("cut", 25.0, Some(40.0), &["replica-0"]);
    fires(silent).gives(Inconclusive);
}

#[test]
fn what_comes_after_the_next_act_may_be_its_doing() {
    let next = || cut().fault("next", 27.0, Some(60.0), &["replica-1"]);
    fires(next().alert(26.0, "Errors", true)).gives(Pass);
    fires(next().alert(28.0, "Errors", true)).gives(Inconclusive);
}

#[test]
fn an_alert_that_no_rule_has_is_neither_quiet_nor_resolved() {
    let typo = || {
        let (about, text) = ("prometheus".to_owned(), "Errors".to_owned());
        let note = Signal::Note { about, reason: NO_RULE.to_owned(), text, warning: true };
        drill().healthy().fault("cut", 25.0, Some(40.0), &["replica-0"]).signal(1.0, note)
    };
    assert!(fires(typo()).gives(Fail).contains("no rule `Errors`"));
    assert!(resolves(typo()).gives(Inconclusive).contains("no rule `Errors`"));
    let quiet = AlertExpectation { quiet_in: Some("baseline".into()), ..Default::default() };
    assert!(expects(typo(), quiet).gives(Inconclusive).contains("no rule `Errors`"));
}

#[test]
fn it_has_to_be_resolved_for_good() {
    let fired = || cut().alert(28.0, "Errors", true);
    resolves(fired().alert(45.0, "Errors", false)).gives(Pass);
    resolves(fired().alert(55.0, "Errors", false)).gives(Fail);
    resolves(fired()).gives(Fail);
    let again = fired().alert(43.0, "Errors", false).alert(48.0, "Errors", true).alert(56.0, "Errors", false);
    resolves(again).gives(Fail);
    resolves(cut()).gives(Inconclusive);
    // It has fired all the time.
    resolves(cut().alert(5.0, "Errors", true)).gives(Fail);
}

#[test]
fn what_it_did_while_nobody_looked_is_not_known() {
    let blind =
        |drill: Drill, from, to| drill.source(from, "prometheus", false).source(to, "prometheus", true);
    fires(blind(cut(), 26.0, 29.0)).gives(Inconclusive);
    fires(blind(cut(), 60.0, 70.0)).gives(Fail);
    fires(blind(cut().alert(28.0, "Errors", true), 26.0, 27.0)).gives(Pass);
    let fired = || cut().alert(28.0, "Errors", true);
    resolves(blind(fired().alert(45.0, "Errors", false), 60.0, 70.0)).gives(Inconclusive);
    resolves(blind(fired().alert(45.0, "Errors", false), 30.0, 33.0)).gives(Pass);
    resolves(blind(fired(), 45.0, 55.0)).gives(Inconclusive);
}

#[test]
fn it_has_to_be_quiet_where_nothing_is_wrong() {
    let quiet =
        |drill| expects(drill, AlertExpectation { quiet_in: Some("baseline".into()), ..Default::default() });
    let silent = |up: bool| Signal::Source { source: "prometheus".to_owned(), up, why: String::new() };
    quiet(cut().signal(8.0, silent(false)).signal(14.0, silent(true))).gives(Inconclusive);
    quiet(cut().signal(55.0, silent(false))).gives(Pass);
    quiet(cut().alert(28.0, "Errors", true)).gives(Pass);
    quiet(cut().alert(10.0, "Errors", true)).gives(Fail);
    quiet(cut().alert(0.5, "Errors", true).alert(60.0, "Errors", false)).gives(Fail);
    quiet(drill().healthy()).gives(Inconclusive);
}

#[test]
fn the_silence_of_a_webhook_proves_nothing_until_something_was_delivered() {
    let at = "127.0.0.1:9099".parse().expect("an address");
    let webhook =
        Observed { name: "prometheus".to_owned(), system: System::AlertWebhook(at), every: Span::secs(1) };
    let waiting = || {
        let mut drill = cut();
        drill.plan.observe = vec![webhook.clone()];
        drill
    };
    let delivered = |drill: Drill| {
        let signal = Signal::Source { source: "prometheus".to_owned(), up: true, why: String::new() };
        drill.signal(60.0, signal)
    };
    let quiet =
        |drill| expects(drill, AlertExpectation { quiet_in: Some("baseline".into()), ..Default::default() });
    let why = quiet(waiting()).gives(Inconclusive);
    assert!(why.contains("proves nothing"), "{why}");
    quiet(delivered(waiting())).gives(Pass);
    quiet(waiting().alert(10.0, "Errors", true)).gives(Fail);
    // Nobody was told in time, whatever the reason.
    fires(waiting()).gives(Fail);
    resolves(waiting()).gives(Inconclusive);
}
