//! Objectives, the generator, the proof of faults.

use crate::{
    journal::{
        Event,
        event::{FaultStep, RunEnd},
        interval::Outcome,
    },
    plan::model::Subject,
    scenario::model::{Arrivals, Executor, Objective, Profile, Slo},
    units::Ratio,
    verdict::{
        model::Verdict::*,
        steady,
        testing::{Answers, Drill, drill, proof, some_fault},
    },
};

fn ttft(limit: &str) -> Objective {
    Objective::Ttft(limit.parse().expect("a threshold"))
}

fn availability(limit: &str) -> Objective {
    Objective::Availability(limit.parse().expect("a threshold"))
}

#[test]
fn an_objective_is_a_census_of_its_phase() {
    let broken_fault = drill()
        .load(0..20, Answers::ok(20))
        .load(20..50, Answers::ok(10).ttft(2000))
        .load(20..50, Answers::failed(10, Outcome::Reset))
        .load(50..90, Answers::ok(20));
    for (objective, unit) in [(ttft("p95 < 500ms"), "ms"), (availability(">= 99%"), "ratio")] {
        broken_fault.clone().slo(objective.clone(), "baseline").gives(Pass);
        broken_fault.clone().slo(objective.clone(), "recovery").gives(Pass);
        let check = broken_fault.clone().slo(objective, "fault").checked();
        assert_eq!((check.verdict, check.unit.as_str()), (Fail, unit));
    }
    let check = broken_fault.clone().slo(ttft("p95 < 5s"), "fault").checked();
    assert_eq!((check.verdict, check.observed), (Fail, None), "half of them failed");
    broken_fault.clone().slo(ttft("p50 < 3s"), "fault").gives(Pass);
    let good = Objective::Goodput(">= 50%".parse().expect("one"));
    assert_eq!(broken_fault.slo(good, "fault").checked().observed, Some(0.5));
}

#[test]
fn accuracy_is_of_the_golden_answers_that_came() {
    let accuracy = |limit: &str| Objective::Accuracy(limit.parse().expect("one"));
    let drill =
        drill().healthy().load(0..20, Answers::ok(19).golden()).load(0..20, Answers::ok(1).mismatch());
    let check = drill.clone().slo(accuracy(">= 95%"), "baseline").checked();
    assert_eq!((check.verdict, check.observed, check.title.as_str()), (Pass, Some(0.95), "accuracy"));
    drill.clone().slo(accuracy("> 95%"), "baseline").gives(Fail);
    // No answer is no wrong answer.
    let silent = drill
        .clone()
        .load(0..20, Answers::failed(50, Outcome::Http5xx).golden())
        .load(0..20, Answers::failed(50, Outcome::Truncated).golden());
    assert_eq!(silent.slo(accuracy(">= 95%"), "baseline").checked().observed, Some(0.95));
    assert!(drill.clone().slo(accuracy(">= 99.9%"), "baseline").gives(Inconclusive).contains("1000"));
    let why = drill.slo(accuracy(">= 95%"), "recovery").gives(Inconclusive);
    assert!(why.contains("no golden answer"), "{why}");
}

#[test]
fn without_tokens_there_is_no_first_token_to_judge() {
    let mut drill = drill().healthy();
    let text = "version: 1\nname: x\ntarget: lab\nworkloads:\n  \
        chat: { endpoint: { openai-embeddings: { model: m } }, prompts: { synthetic: { input-tokens: 8 } } }\n\
        load: [ { name: a, workload: chat, closed: { users: 1 } } ]\nphases: { baseline: 9s }\nslos: [ { ttft: \"p95 < 1s\" } ]\n";
    let none = |_: &str| Err(String::new());
    let loaded = crate::scenario::parse(text, std::path::Path::new("x.yaml"), &[], &none).expect("it reads");
    drill.plan.workloads = crate::plan::resolve(&loaded.scenario, 1).expect("a plan").workloads;
    let why = drill.clone().slo(ttft("p95 < 1s"), "baseline").gives(Inconclusive);
    assert!(why.contains("no tokens"), "{why}");
    drill.clone().slo(Objective::Itl("p95 < 1s".parse().expect("one")), "baseline").gives(Inconclusive);
    drill.slo(Objective::E2e("p95 < 1s".parse().expect("one")), "baseline").gives(Pass);
}

#[test]
fn gaps_and_mean_times_are_pooled_over_those_that_have_them() {
    let drill = drill().healthy().load(0..20, Answers::failed(5, Outcome::Http5xx));
    let check = drill.clone().slo(Objective::Itl("p95 < 20ms".parse().expect("one")), "baseline").checked();
    assert_eq!(check.verdict, Pass);
    assert!(check.evidence.iter().any(|e| e.what.contains("100 http-5xx")), "{:?}", check.evidence);
    drill.slo(Objective::Tpot("p95 < 10ms".parse().expect("one")), "baseline").gives(Fail);
}

#[test]
fn too_few_and_none_are_inconclusive() {
    let few = drill().load(0..19, Answers::ok(5));
    assert!(few.clone().slo(ttft("p95 < 500ms"), "baseline").gives(Inconclusive).contains("100"));
    few.clone().slo(ttft("p90 < 500ms"), "baseline").gives(Pass);
    few.clone().slo(availability(">= 99%"), "baseline").gives(Inconclusive);
    assert!(few.slo(availability(">= 99%"), "recovery").gives(Inconclusive).contains("no request"));
}

#[test]
fn another_workload_does_not_count() {
    let slo = Slo {
        objective: availability(">= 99%"),
        phase: None,
        workload: Some("batch".into()),
        confidence: None,
    };
    drill().healthy().check(Subject::Slo { slo, phase: "baseline".into() }).gives(Inconclusive);
}

#[test]
fn confidence_wants_the_whole_interval() {
    let slo =
        |level| Slo { objective: availability(">= 99%"), phase: None, workload: None, confidence: level };
    let drill = drill().healthy().load(0..1, Answers::failed(2, Outcome::Reset));
    let subject = |level| Subject::Slo { slo: slo(level), phase: "baseline".into() };
    drill.clone().check(subject(None)).gives(Pass);
    drill.check(subject(Some(Ratio(0.95)))).gives(Inconclusive);
}

#[test]
fn what_an_abort_cancelled_is_not_the_targets() {
    let mut aborted = drill().healthy().load(20..50, Answers::failed(5, Outcome::Cancelled));
    let check = |drill: &Drill| drill.clone().slo(availability(">= 99%"), "fault").checked().verdict;
    assert_eq!(check(&aborted), Fail);
    aborted.end = Some(RunEnd::Aborted);
    assert_eq!(check(&aborted), Pass);
}

#[test]
fn a_generator_that_kept_up_passes() {
    let drill = drill().healthy().check(Subject::Generator);
    drill.gives(Pass);
}

#[test]
fn a_generator_that_did_not_is_inconclusive() {
    let kept_up = drill().healthy().check(Subject::Generator);
    let mut lagging = kept_up.clone();
    lagging.lag_ms = 80;
    assert!(lagging.gives(Inconclusive).contains("lagged"));
    let mut starved = kept_up.clone();
    starved.starved = 1;
    assert!(starved.gives(Inconclusive).contains("waited"));
    let dropped = kept_up.clone().event(50.0, Event::Dropped { records: 3 });
    assert!(dropped.gives(Inconclusive).contains("dropped"));
    assert!(drill().check(Subject::Generator).gives(Inconclusive).contains("nothing was sent"));
    let changes: [fn(&mut crate::journal::interval::Generator); 2] =
        [|g| g.due += 1, |g| (g.due, g.sent) = (g.due + 1, g.sent + 1)];
    for change in changes {
        let mut record = kept_up.record();
        change(&mut record.intervals[30].generator);
        assert_eq!(crate::verdict::judge(&kept_up.plan, &record).checks[0].verdict, Inconclusive);
    }
}

#[test]
fn a_generator_that_did_not_keep_up_says_what_to_do() {
    let mut starved = drill().healthy().check(Subject::Generator);
    starved.plan.load.push(crate::plan::model::PlannedLoad {
        name: "rush".into(),
        workload: "chat".into(),
        start: crate::units::RunTime::ZERO,
        end: starved.plan.end(),
        users: 4,
        executor: Executor::Arrivals(Arrivals::Constant(Profile::Rate(crate::units::Rate(20.0)))),
        planned_arrivals: Some(1800),
    });
    (starved.starved, starved.starved_load) = (2, Some("rush".to_owned()));
    let why = starved.gives(Inconclusive);
    // 90 s; each takes 0.4 s, so 4 users carry 10 a second; 20 a second need 8, and some room.
    assert!(why.contains("`rush`: 180 arrivals found its 4 users busy"), "{why}");
    assert!(why.contains("0.40 s on average") && why.contains("about 10/s of its up to 20/s"), "{why}");
    assert!(why.contains("`users: 10`"), "{why}");
    starved.plan.load[0].users = 64;
    let why = starved.gives(Inconclusive);
    assert!(why.contains("a slow machine") && !why.contains("give it more"), "{why}");
    (starved.starved, starved.lag_ms) = (0, 80);
    let why = starved.gives(Inconclusive);
    assert!(why.contains("lower the rates of `rush`"), "{why}");
}

#[test]
fn what_fails_under_a_lagging_generator_may_not_be_the_services() {
    let objectives = [ttft("p95 < 50ms"), availability(">= 99%")];
    for objective in objectives {
        let broken = drill().healthy().load(0..20, Answers::failed(5, Outcome::Reset));
        let mut lagging = broken.slo(objective, "baseline");
        lagging.gives(Fail);
        lagging.lag_ms = 80;
        assert!(lagging.gives(Inconclusive).contains("lagged"));
    }
    let mut holds = drill().healthy().slo(ttft("p95 < 5s"), "baseline");
    holds.lag_ms = 80;
    holds.gives(Pass);
}

fn acts(drill: Drill) -> Drill {
    drill.healthy().check(Subject::Fault("cut".into()))
}

#[test]
fn a_fault_needs_its_proof_and_its_end() {
    acts(drill().fault("cut", 25.0, Some(40.0), &["replica-0"])).gives(Pass);
    acts(drill().fault("cut", 25.0, None, &["replica-0"])).gives(Pass);
    let planned = || drill().planned("cut", 25.0, Some(40.0), some_fault());
    assert!(acts(planned()).gives(Inconclusive).contains("never asked for"));
    let requested = || planned().step("cut", 25.0, FaultStep::Requested { targets: Vec::new() });
    acts(requested().step("cut", 25.0, FaultStep::Skipped { why: "no target is left".into() }))
        .gives(Inconclusive);
    let unproven = FaultStep::Unproven { why: "no traffic".into(), proof: proof() };
    assert!(acts(requested().step("cut", 40.0, unproven)).gives(Inconclusive).contains("no traffic"));
    let proven = FaultStep::Proven {
        effect: crate::units::Seen::at(crate::units::RunTime(26_000_000)),
        proof: proof(),
    };
    let endless = requested().step("cut", 27.0, proven);
    assert!(acts(endless.clone()).gives(Inconclusive).contains("never seen to end"));
    let stuck = endless.step("cut", 40.0, FaultStep::RecoveryFailed { why: "the proxy is gone".into() });
    acts(stuck.clone()).gives(Fail);
    assert_eq!(acts(stuck.clone()).judged().exit_code, 5);
    acts(stuck.step("cut", 45.0, FaultStep::Recovered { proof: proof() })).gives(Pass);
}

#[test]
fn a_steady_state_needs_samples() {
    let drill = drill().slo(ttft("p95 < 500ms"), "baseline").slo(ttft("p95 < 1ms"), "fault");
    let broken = |drill: &Drill| steady(&drill.plan, drill.record().cells());
    assert_eq!(broken(&drill.clone().healthy()), Vec::<String>::new());
    let slow = broken(&drill.clone().load(0..20, Answers::ok(20).ttft(900)));
    assert!(slow.len() == 1 && slow[0].contains("900ms"), "{slow:?}");
    let few = broken(&drill.load(0..2, Answers::ok(20)));
    assert!(few.len() == 1 && few[0].contains("too few"), "{few:?}");
}
