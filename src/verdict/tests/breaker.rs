//! Circuit breakers.

use crate::{
    journal::{
        event::{BreakerState::*, FaultStep},
        interval::{CacheUse, Outcome},
    },
    scenario::model::{BreakerExpectation, Expectation},
    units::Span,
    verdict::{
        model::Verdict::*,
        testing::{Answers, Drill, drill, proof, some_fault},
    },
};

pub(super) fn slow() -> Drill {
    drill()
        .healthy()
        .fault("slow", 25.0, Some(40.0), &["replica-0"])
        .breaker(1.0, "replica-0", Closed)
        .breaker(1.0, "replica-1", Closed)
}

pub(super) fn expects(drill: Drill, e: BreakerExpectation) -> Drill {
    let e = BreakerExpectation { after: Some("slow".into()), ..e };
    drill.expect(Expectation::CircuitBreaker(e))
}

fn opens(drill: Drill) -> Drill {
    expects(drill, BreakerExpectation { opens_within: Some(Span::secs(5)), ..Default::default() })
}

#[test]
fn it_opens_in_time() {
    let check = opens(slow().breaker(28.0, "replica-0", Open)).checked();
    assert_eq!((check.verdict, check.observed, check.error), (Pass, Some(3.0), Some((2.5, Some(3.0)))));
    opens(slow().breaker(33.0, "replica-0", Open)).gives(Fail);
    opens(slow().breaker(30.2, "replica-0", Open)).gives(Inconclusive);
    assert!(opens(slow()).gives(Fail).contains("not observed"));
}

#[test]
fn what_it_did_while_nobody_looked_is_not_known() {
    let blind = |from, to| slow().source(from, "gateway", false).source(to, "gateway", true);
    opens(blind(26.0, 29.0)).gives(Inconclusive);
    opens(blind(60.0, 62.0)).gives(Fail);
    opens(blind(26.0, 29.0).breaker(28.0, "replica-0", Open)).gives(Pass);
    // A pod that was killed tells of no breaker.
    opens(slow().source(26.0, "replica-0", false)).gives(Fail);
    let closes = |drill: Drill| {
        let drill = drill.breaker(28.0, "replica-0", Open).breaker(42.0, "replica-0", Closed);
        expects(drill, BreakerExpectation { closes_within: Some(Span::secs(5)), ..Default::default() })
    };
    closes(slow()).gives(Pass);
    closes(blind(30.0, 33.0)).gives(Pass);
    closes(blind(60.0, 62.0)).gives(Inconclusive);
    // It says that it is closed, and goes on to reject.
    let rejects = slow().load(60..62, Answers::failed(3, Outcome::Shed).breaker_open());
    assert!(closes(rejects).gives(Inconclusive).contains("6 requests due after that"));
    let quiet = |drill: Drill| {
        let e = BreakerExpectation { quiet_in: Some("recovery".into()), ..Default::default() };
        expects(drill, e)
    };
    quiet(slow()).gives(Pass);
    quiet(blind(30.0, 33.0)).gives(Pass);
    quiet(blind(60.0, 62.0)).gives(Inconclusive);
}

#[test]
fn who_is_closed_by_its_own_word_rejects_nobody() {
    let rejected = slow().load(27..28, Answers::failed(3, Outcome::Shed).breaker_open());
    let why = opens(rejected.clone()).gives(Inconclusive);
    assert!(why.contains("replica-0 says that it stayed closed"), "{why}");
    // Nobody looked at that time.
    opens(rejected.source(26.0, "gateway", false).source(29.0, "gateway", true)).gives(Pass);
}

#[test]
fn only_the_targets_breaker_counts_where_it_has_one() {
    opens(slow().breaker(27.0, "replica-1", Open)).gives(Fail);
    let other_names = drill().healthy().fault("slow", 25.0, Some(40.0), &["replica-0"]);
    opens(other_names.breaker(1.0, "cluster_a", Closed).breaker(27.0, "cluster_a", Open)).gives(Pass);
}

#[test]
fn an_unproven_fault_decides_nothing() {
    let unproven = drill().healthy().planned("slow", 25.0, Some(40.0), some_fault()).step(
        "slow",
        41.0,
        FaultStep::Unproven { why: "no traffic".into(), proof: proof() },
    );
    let why = opens(unproven.breaker(27.0, "replica-0", Open)).gives(Inconclusive);
    assert!(why.contains("not proven"), "{why}");
}

#[test]
fn a_breaker_that_never_showed_itself_is_missing_where_its_source_answered() {
    let bare = || drill().healthy().fault("slow", 25.0, Some(40.0), &["replica-0"]);
    assert!(opens(bare().sample(1.0, "gateway", &[("up", 1.0)])).gives(Fail).contains("showed itself"));
    opens(bare()).gives(Inconclusive);
    let rejected = bare().load(27..28, Answers::failed(3, Outcome::Shed).breaker_open());
    opens(rejected).gives(Pass);
}

#[test]
fn a_breaker_that_was_open_before_says_nothing() {
    opens(slow().breaker(20.0, "replica-0", Open)).gives(Inconclusive);
}

#[test]
fn it_fails_fast() {
    let fails_fast = |ms| {
        let rejections = Answers::failed(10, Outcome::Shed).breaker_open().e2e(ms);
        let limit = "p95 < 50ms".parse().expect("a threshold");
        let e = BreakerExpectation { fails_fast: Some(limit), ..Default::default() };
        expects(slow().load(28..38, rejections), e)
    };
    fails_fast(3).gives(Pass);
    fails_fast(900).gives(Fail);
    let none =
        BreakerExpectation { fails_fast: Some("p95 < 50ms".parse().expect("one")), ..Default::default() };
    assert!(expects(slow(), none).gives(Inconclusive).contains("no request is known to have been rejected"));
}

#[test]
fn failures_while_a_breaker_says_that_it_is_open_are_its_rejections() {
    let limit =
        || BreakerExpectation { fails_fast: Some("p95 < 50ms".parse().expect("one")), ..Default::default() };
    let open = || slow().breaker(28.0, "replica-0", Open).breaker(38.0, "replica-0", Closed);
    let failing = |seconds: std::ops::Range<u32>, ms| {
        expects(open().load(seconds, Answers::failed(10, Outcome::Http5xx).e2e(ms)), limit())
    };
    let check = failing(29..37, 3).checked();
    assert!(
        check.verdict == Pass && check.evidence.iter().any(|one| one.what.contains("inferred")),
        "{check:?}"
    );
    failing(29..37, 900).gives(Fail);
    // Before it opened, and when it may have closed already.
    failing(26..28, 3).gives(Inconclusive);
    failing(38..39, 3).gives(Inconclusive);
    // Cells of the journal are whole seconds: none of this opening's is.
    let short = slow().breaker(28.7, "replica-0", Open).breaker(30.2, "replica-0", Closed);
    let failed = short.load(28..30, Answers::failed(10, Outcome::Http5xx).e2e(3));
    let why = expects(failed, limit()).gives(Inconclusive);
    assert!(why.contains("never for the whole of a second"), "{why}");
}

fn lets_through(drill: Drill) -> Drill {
    expects(drill, BreakerExpectation { leaks: Some("<= 20%".parse().expect("one")), ..Default::default() })
}

/// replica-0's breaker opens at 27 s and closes at 38 s; two probes fail.
fn shut() -> Drill {
    shut_as(slow(), "replica-0")
}

fn shut_as(drill: Drill, name: &str) -> Drill {
    drill
        .breaker(27.0, name, Open)
        .breaker(30.0, name, HalfOpen)
        .breaker(30.5, name, Open)
        .breaker(33.5, name, HalfOpen)
        .breaker(34.0, name, Open)
        .breaker(37.5, name, HalfOpen)
        .breaker(38.0, name, Closed)
}

/// `source` counts 5 requests a second, `leaked` a second while the breaker
/// is shut, and `begun` more that were on their way.
fn counted(drill: Drill, (source, series): (&str, &str), leaked: f64, begun: f64) -> Drill {
    let mut total = 0.0;
    (0..90).fold(drill, |drill, second| {
        let before = total;
        total += if (27..38).contains(&second) { leaked } else { 5.0 };
        total += if second == 29 { begun } else { 0.0 };
        drill.sample(f64::from(second), source, &[(series, before)])
    })
}

const ATTEMPTS: (&str, &str) =
    ("gateway", r#"gateway_upstream_requests_total{pod="replica-0",outcome="ok"}"#);
const RECEIVED: (&str, &str) = ("replica-0", r#"firedrill_lab_requests_total{status="200"}"#);

#[test]
fn it_lets_nothing_through() {
    lets_through(counted(shut(), ATTEMPTS, 0.0, 0.0)).gives(Pass);
    assert!(lets_through(counted(shut(), ATTEMPTS, 5.0, 0.0)).gives(Fail).contains("replica-0, by gateway"));
    lets_through(counted(shut(), ATTEMPTS, 2.5, 0.0)).gives(Fail);
    lets_through(shut()).gives(Inconclusive);
    lets_through(slow()).gives(Inconclusive);
    let rare = |drill| {
        (0..90).fold(drill, |drill: Drill, second| {
            drill.sample(f64::from(second), "gateway", &[(ATTEMPTS.1, f64::from(second.min(27)) / 5.0)])
        })
    };
    lets_through(rare(shut())).gives(Inconclusive);
}

#[test]
fn probes_and_what_had_begun_are_no_leak() {
    lets_through(counted(shut(), ATTEMPTS, 0.0, 10.0)).gives(Pass);
    // Some of them may have begun before, and need not.
    let why = lets_through(counted(shut(), ATTEMPTS, 0.0, 12.0)).gives(Inconclusive);
    assert!(why.contains("unless they had begun"), "{why}");
    lets_through(counted(shut(), ATTEMPTS, 0.0, 15.0)).gives(Fail);
    // Answers show that as many were under way.
    let under_way = shut().load(25..27, Answers::ok(10).delayed(3.0));
    lets_through(counted(under_way, ATTEMPTS, 0.0, 15.0)).gives(Inconclusive);
}

#[test]
fn what_is_counted_when_it_is_sent_had_not_begun_before() {
    let sessions = ("front", r#"haproxy_server_sessions_total{proxy="back",server="s1"}"#);
    let calls = ("app", r#"resilience4j_circuitbreaker_calls_seconds_count{name="back/s1",kind="failed"}"#);
    let cut = || drill().load(0..90, Answers::ok(20).e2e(3000)).fault("slow", 25.0, Some(40.0), &["way"]);
    let long = || shut_as(cut().breaker(1.0, "back/s1", Closed), "back/s1");
    lets_through(counted(long(), sessions, 0.0, 0.0)).gives(Pass);
    // As many as had begun, had they been counted at their end.
    lets_through(counted(long(), sessions, 1.5, 0.0)).gives(Fail);
    lets_through(counted(long(), calls, 1.5, 0.0)).gives(Inconclusive);
    lets_through(counted(long(), calls, 0.0, 0.0)).gives(Pass);
}

#[test]
fn what_only_the_pod_counted_contradicts_the_gateway() {
    // What the fault holds back does not arrive, whoever sends it.
    lets_through(counted(shut(), RECEIVED, 0.0, 0.0)).gives(Inconclusive);
    lets_through(counted(shut(), RECEIVED, 5.0, 0.0)).gives(Inconclusive);
    let both =
        |gateway, pod| lets_through(counted(counted(shut(), ATTEMPTS, gateway, 0.0), RECEIVED, pod, 0.0));
    both(0.0, 0.0).gives(Pass);
    both(5.0, 5.0).gives(Fail);
    both(5.0, 0.0).gives(Fail);
    both(0.0, 5.0).gives(Inconclusive);
}

#[test]
fn what_a_fault_held_back_arrives_at_its_end() {
    let never_closed = slow().breaker(27.0, "replica-0", Open);
    let released = |second| {
        let counted = |second| if second < 28 { f64::from(second) * 5.0 } else { 140.0 };
        (0..90).fold(never_closed.clone(), |drill, now| {
            let held = if now > second { 40.0 } else { 0.0 };
            drill.sample(f64::from(now), "gateway", &[(ATTEMPTS.1, counted(now) + held)])
        })
    };
    lets_through(released(40)).gives(Pass);
    lets_through(released(35)).gives(Fail);
}

#[test]
fn answers_from_a_pod_behind_an_open_breaker_are_a_leak() {
    let answers = || Answers::ok(5).pod("replica-0");
    let before = || counted(shut(), ATTEMPTS, 0.0, 0.0).load(0..25, answers());
    lets_through(before().load(28..37, answers())).gives(Fail);
    lets_through(before()).gives(Pass);
    lets_through(before().load(28..37, answers().cache(CacheUse::Hit))).gives(Pass);
    lets_through(shut().load(0..25, answers())).gives(Inconclusive);
}

fn closes(drill: Drill) -> Drill {
    expects(drill, BreakerExpectation { closes_within: Some(Span::secs(10)), ..Default::default() })
}

#[test]
fn it_closes_again_and_stays_closed() {
    let open = || slow().breaker(28.0, "replica-0", Open);
    closes(open().breaker(45.0, "replica-0", Closed)).gives(Pass);
    closes(open().breaker(51.0, "replica-0", Closed)).gives(Fail);
    closes(open()).gives(Fail);
    closes(open().breaker(39.0, "replica-0", Closed)).gives(Pass);
    let flapping = open().breaker(45.0, "replica-0", Closed).breaker(60.0, "replica-0", Open);
    closes(flapping.clone()).gives(Fail);
    closes(flapping.fault("next", 59.0, Some(80.0), &["replica-0"])).gives(Pass);
    closes(slow()).gives(Inconclusive);
}

#[test]
fn a_pod_that_is_gone_has_no_breaker_to_close() {
    let open = || slow().breaker(28.0, "replica-0", Open);
    closes(open().gone(42.0, "replica-0")).gives(Inconclusive);
}

#[test]
fn it_stays_closed_where_nothing_is_wrong() {
    let quiet = |drill: Drill| {
        drill.expect(Expectation::CircuitBreaker(BreakerExpectation {
            quiet_in: Some("baseline".into()),
            ..Default::default()
        }))
    };
    quiet(slow().breaker(28.0, "replica-0", Open)).gives(Pass);
    quiet(slow().breaker(10.0, "replica-1", Open).breaker(13.0, "replica-1", Closed)).gives(Fail);
    quiet(slow().breaker(20.2, "replica-1", Open)).gives(Inconclusive);
    quiet(drill().healthy()).gives(Inconclusive);
}

#[test]
fn what_takes_longer_than_the_breaker_is_open_is_not_counted_by_then() {
    let calls = ("app", r#"resilience4j_circuitbreaker_calls_seconds_count{name="replica-0",kind="ok"}"#);
    let calls = (calls.0, calls.1.replace("ok", "successful"));
    let bare = || drill().load(0..90, Answers::ok(20).e2e(12_000));
    let long = || bare().fault("slow", 25.0, Some(40.0), &["replica-0"]).breaker(1.0, "replica-0", Closed);
    let open = |drill: Drill| drill.breaker(27.0, "replica-0", Open).breaker(38.0, "replica-0", Closed);
    lets_through(counted(open(long()), (calls.0, &calls.1), 0.0, 0.0)).gives(Inconclusive);
    lets_through(counted(open(slow()), (calls.0, &calls.1), 0.0, 0.0)).gives(Pass);
}

#[test]
fn a_breaker_that_opens_without_a_cause_says_nothing_by_opening() {
    let flaps = slow().breaker(22.0, "replica-0", Open).breaker(23.0, "replica-0", Closed);
    let why = opens(flaps.breaker(28.0, "replica-0", Open)).gives(Inconclusive);
    assert!(why.contains("or just before"), "{why}");
    // It was half-open, and goes back.
    let half = slow().breaker(10.0, "replica-0", Open).breaker(24.0, "replica-0", HalfOpen);
    opens(half.breaker(28.0, "replica-0", Open)).gives(Inconclusive);
    // Another one's is its own matter.
    let other = slow().breaker(22.0, "replica-1", Open).breaker(23.0, "replica-1", Closed);
    opens(other.breaker(28.0, "replica-0", Open)).gives(Pass);
    // By the wire alone.
    let bare = || drill().healthy().fault("slow", 25.0, Some(40.0), &["replica-0"]);
    let rejects =
        |drill: Drill, seconds| drill.load(seconds, Answers::failed(3, Outcome::Shed).breaker_open());
    opens(rejects(bare(), 27..28)).gives(Pass);
    let why = opens(rejects(rejects(bare(), 22..23), 27..28)).gives(Inconclusive);
    assert!(why.contains("already"), "{why}");
}

#[test]
fn what_comes_after_the_next_act_may_be_its_doing() {
    let next = || slow().fault("next", 27.0, Some(60.0), &["replica-1"]);
    opens(next().breaker(26.0, "replica-0", Open)).gives(Pass);
    let why = opens(next().breaker(28.0, "replica-0", Open)).gives(Inconclusive);
    assert!(why.contains("`next` acts from"), "{why}");
    opens(next()).gives(Inconclusive);
    // It was late before that.
    let later = || slow().fault("next", 32.0, Some(60.0), &["replica-1"]);
    opens(later()).gives(Fail);
    opens(later().breaker(33.0, "replica-0", Open)).gives(Fail);
    // Both at once are one cause.
    let at_once = slow().fault("both", 25.0, Some(60.0), &["replica-1"]);
    opens(at_once.breaker(28.0, "replica-0", Open)).gives(Pass);
}

#[test]
fn who_can_not_come_back_while_another_fault_acts_is_not_blamed() {
    let open = || slow().breaker(28.0, "replica-0", Open);
    let other = |until| open().fault("other", 30.0, Some(until), &["replica-0"]);
    let why = closes(other(80.0)).gives(Inconclusive);
    assert!(why.contains("`other` acts until"), "{why}");
    // It had its time after that, too.
    closes(other(45.0)).gives(Fail);
    closes(other(45.0).breaker(54.0, "replica-0", Closed)).gives(Inconclusive);
    closes(other(45.0).breaker(57.0, "replica-0", Closed)).gives(Fail);
    closes(other(80.0).breaker(44.0, "replica-0", Closed)).gives(Pass);
    // The next one comes before it is late.
    let next = open().fault("next", 45.0, Some(60.0), &["replica-0"]);
    closes(next.breaker(61.0, "replica-0", Closed)).gives(Inconclusive);
}

#[test]
fn only_what_a_breaker_may_have_rejected_shows_how_fast_it_is() {
    let limit =
        || BreakerExpectation { fails_fast: Some("p95 < 50ms".parse().expect("one")), ..Default::default() };
    let failed = || Answers::failed(10, Outcome::Http5xx).e2e(3);
    let open = |drill: Drill| drill.breaker(28.0, "replica-0", Open).breaker(38.0, "replica-0", Closed);
    let with = |answers| expects(open(slow()).load(29..37, failed()).load(29..37, answers), limit());
    // Wrong, cut or somebody else's: none of it was rejected.
    for answers in [
        Answers::ok(9).mismatch().e2e(1500),
        Answers::failed(9, Outcome::Truncated).e2e(1500),
        Answers::failed(9, Outcome::Http5xx).fallback().e2e(1500),
    ] {
        with(answers).gives(Pass);
    }
    with(Answers::failed(9, Outcome::Timeout).e2e(1500)).gives(Fail);
    // Another server of its backend serves on: these are its failures.
    let backend = |other: f64| {
        let drill = drill().healthy().fault("slow", 25.0, Some(40.0), &["way"]);
        let drill = drill.breaker(1.0, "llm/s1", Closed).breaker(1.0, "llm/s2", Closed);
        let drill = drill.breaker(28.0, "llm/s1", Open).breaker(other, "llm/s2", Open);
        expects(drill.load(30..40, failed()), limit())
    };
    backend(28.5).gives(Pass);
    backend(60.0).gives(Inconclusive);
}
