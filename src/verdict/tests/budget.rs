//! Error budgets: what each phase spends.

use crate::{
    journal::interval::Outcome,
    plan::model::Subject,
    scenario::model::{Objective, Slo},
    verdict::{
        model::{BudgetFigures, Burn, RunVerdict},
        testing::{Answers, Drill, drill},
    },
};

fn availability(drill: Drill, limit: &str, phase: &str) -> Drill {
    drill.slo(Objective::Availability(limit.parse().expect("a threshold")), phase)
}

/// One of ten fails while the fault acts.
fn hurt() -> Drill {
    drill()
        .load(0..20, Answers::ok(20))
        .load(20..50, Answers::ok(18))
        .load(20..50, Answers::failed(2, Outcome::Reset))
        .load(50..90, Answers::ok(20))
}

fn only(mut budget: Vec<BudgetFigures>) -> BudgetFigures {
    assert_eq!(budget.len(), 1, "{budget:?}");
    budget.remove(0)
}

fn near(burn: &Burn, rate: f64) -> bool {
    (burn.rate - rate).abs() < 1e-9
}

#[test]
fn every_phase_is_held_against_the_strictest_limit() {
    // A drill may allow more while it breaks things; the promise stays.
    let run = availability(availability(hurt(), ">= 80%", "fault"), ">= 99%", "baseline").judged();
    let budget = only(run.budget);
    assert_eq!((budget.slo.as_str(), budget.limit.as_str()), ("availability", ">= 99%"));
    let [baseline, fault, recovery, all] = budget.phases.as_slice() else { panic!("{:?}", budget.phases) };
    assert!(near(baseline, 0.0) && near(fault, 10.0) && near(recovery, 0.0));
    assert!(near(all, 60.0 / 1800.0 / 0.01));
    assert_eq!((fault.requests, fault.bad, fault.seconds), (600, 60, 30.0));
    // 30 s at ten times the rate that takes 30 days.
    assert!((fault.spent - 30.0 * 10.0 / (30.0 * 86_400.0)).abs() < 1e-12);
    assert_eq!(fault.gone_after.map(f64::round), Some(3.0 * 86_400.0));
    assert_eq!(fault.page.map(|page| (page.rate, page.after.round())), Some((6.0, 3.6 * 3600.0)));
    assert_eq!((baseline.gone_after, baseline.page), (None, None));
    assert!(fault.text.starts_with("burns 10× its budget (60 of 600 requests bad)"), "{}", fault.text);
}

#[test]
fn what_allows_nothing_has_no_budget() {
    let run = availability(hurt(), ">= 100%", "fault").judged();
    let budget = only(run.budget);
    assert_eq!((budget.allowed, budget.phases.len()), (None, 0));
    let both = availability(availability(hurt(), ">= 100%", "baseline"), "> 95%", "fault").judged();
    let limits: Vec<&str> = both.budget.iter().map(|budget| budget.limit.as_str()).collect();
    assert_eq!(limits, [">= 100%", "> 95%"]);
}

#[test]
fn a_ceiling_or_a_latency_sets_no_budget() {
    let run = availability(hurt(), "<= 50%", "fault")
        .slo(Objective::Ttft("p95 < 500ms".parse().expect("a threshold")), "baseline")
        .judged();
    assert_eq!(run.budget, Vec::new());
}

#[test]
fn good_requests_have_a_budget_of_their_own() {
    let slow = hurt().slo(Objective::Goodput(">= 90%".parse().expect("a threshold")), "fault");
    let budget = only(slow.judged().budget);
    assert!(budget.slo == "goodput" && near(&budget.phases[1], 1.0), "{budget:?}");
    assert_eq!(budget.phases[1].page, None);
}

#[test]
fn without_requests_there_is_no_figure() {
    let run = availability(drill().load(0..20, Answers::ok(20)), ">= 99%", "fault").judged();
    let phases: Vec<&str> = run.budget[0].phases.iter().map(|burn| burn.phase.as_str()).collect();
    assert_eq!(phases, ["baseline", "all"]);
    let of_nobody = Slo {
        objective: Objective::Availability(">= 99%".parse().expect("a threshold")),
        phase: None,
        workload: Some("nobody".into()),
        confidence: None,
    };
    let run = hurt().check(Subject::Slo { slo: of_nobody, phase: "fault".into() }).judged();
    let budget = only(run.budget);
    assert!(budget.slo == "availability of nobody" && budget.phases.is_empty(), "{budget:?}");
}

#[test]
fn verdicts_from_before_budgets_are_read() {
    let run = availability(hurt(), ">= 99%", "fault").judged();
    let mut old = serde_json::to_value(&run).expect("JSON");
    let fields = old.as_object_mut().expect("an object");
    assert!(fields.remove("budget").is_some());
    fields.remove("findings");
    let read: RunVerdict = serde_json::from_value(old).expect("still one");
    assert_eq!((read.budget.len(), read.findings.len(), read.checks), (0, 0, run.checks));
}
