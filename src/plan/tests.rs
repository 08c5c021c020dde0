//! Plans of whole scenarios.

use std::path::Path;

use super::{
    model::{Plan, PlannedAction, Subject},
    *,
};
use crate::{
    scenario::{self, model::Target},
    units::{RunTime, Span},
};

const HEAD: &str = "
version: 1
name: test
target: lab
workloads:
  chat: { endpoint: { openai-chat: { model: demo } }, prompts: { synthetic: { input-tokens: 8, output-tokens: 8 } } }
";

const USERS: &str = "load: [ { name: users, workload: chat, arrivals: { constant: { rate: 10/s } } } ]\n";
const PHASES: &str = "warm-up: 5s\nphases: { baseline: 20s, fault: 30s, recovery: 10s }\n";

fn scenario(parts: &[&str]) -> scenario::Scenario {
    let text = parts.concat();
    let none = |name: &str| Err(format!("no file {name}"));
    scenario::parse(&text, Path::new("test.yaml"), &[], &none).unwrap_or_else(|e| panic!("{e}")).scenario
}

fn planned(rest: &str) -> Plan {
    resolve(&scenario(&[HEAD, USERS, PHASES, rest]), 7).unwrap_or_else(|e| panic!("{e:?}"))
}

fn manifest(kind: &str, spec: &str) -> String {
    format!("{{ apiVersion: chaos-mesh.org/v1alpha1, kind: {kind}, spec: {spec} }}")
}

fn kill() -> String {
    manifest("PodChaos", "{ action: pod-kill, mode: one, selector: {} }")
}

fn delay(duration: &str) -> String {
    let spec = format!("{{ action: delay, mode: all, selector: {{}}, delay: {{ latency: 1s }}{duration} }}");
    manifest("NetworkChaos", &spec)
}

fn seconds(time: RunTime) -> f64 {
    time.as_secs_f64()
}

#[test]
fn phases_follow_the_warm_up_without_gaps() {
    let plan = planned("slos: [ { ttft: \"p95 < 1s\" } ]\n");
    let phases: Vec<_> =
        plan.phases.iter().map(|p| (p.name.as_str(), seconds(p.start), seconds(p.end))).collect();
    assert_eq!(phases, [("baseline", 5.0, 25.0), ("fault", 25.0, 55.0), ("recovery", 55.0, 65.0)]);
    assert_eq!((plan.seed, plan.load[0].planned_arrivals), (7, Some(600)));
}

#[test]
fn without_phases_the_load_says_how_long() {
    let stages = "load: [ { name: a, workload: chat, arrivals: { poisson: { stages: [ { to: 5/s, over: 4s }, { hold: 6s } ] } } } ]\n";
    let plan =
        resolve(&scenario(&[HEAD, stages, "slos: [ { availability: \">= 90%\" } ]\n"]), 1).expect("a plan");
    let [phase] = plan.phases.as_slice() else { panic!("{:?}", plan.phases) };
    assert_eq!((phase.name.as_str(), seconds(phase.end)), ("load", 10.0));
    let closed = "load: [ { name: a, workload: chat, closed: { users: 2, requests: 9 } } ]\n";
    let plan =
        resolve(&scenario(&[HEAD, closed, "slos: [ { availability: \">= 90%\" } ]\n"]), 1).expect("a plan");
    assert_eq!(seconds(plan.phases[0].end), 600.0);
    let mut endless = scenario(&[HEAD, USERS, PHASES, "slos: [ { availability: \">= 90%\" } ]\n"]);
    endless.phases.clear();
    assert_eq!(resolve(&endless, 1), Err(vec![PlanError::Endless]));
}

#[test]
fn a_good_request_keeps_its_phases_limits() {
    let plan = planned(
        "slos:\n- { ttft: \"p50 < 200ms\" }\n- { ttft: \"p99 < 1s\" }\n- { ttft: \"p99 < 3s\", in: fault }\n- { e2e: \"p95 < 9s\", in: baseline }\n",
    );
    let limits: Vec<_> = plan.phases.iter().map(|phase| (phase.good.ttft, phase.good.e2e)).collect();
    let (one, nine) = (Some(Span::secs(1)), Some(Span::secs(9)));
    assert_eq!(
        limits,
        [(one, nine), (one, nine), (one, nine)],
        "the tighter of two p99; e2e from the first phase"
    );
}

#[test]
fn acts_have_their_times_in_order() {
    let plan = planned(&format!(
        "chaos:\n- {{ id: late, at: recovery, apply: {} }}\n- {{ id: lasting, at: fault + 2s, apply: {} }}\n- {{ id: own, at: fault + 3s, apply: {} }}\n- {{ id: over, at: fault + 4s, duration: 1s, apply: {} }}\n- {{ id: new, at: baseline, deploy: {{ version: v2 }} }}\n",
        kill(),
        delay(""),
        delay(", duration: 500s"),
        delay(", duration: 500s"),
    ));
    let acts: Vec<_> =
        plan.timeline.iter().map(|act| (act.id.as_str(), seconds(act.at), act.until.map(seconds))).collect();
    assert_eq!(
        acts,
        [
            ("new", 5.0, None),
            ("lasting", 27.0, Some(65.0)),
            ("own", 28.0, Some(65.0)),
            ("over", 29.0, Some(30.0)),
            ("late", 55.0, None),
        ]
    );
}

fn scheduled(spec: &str) -> Vec<f64> {
    let plan = planned(&format!("chaos:\n- {{ id: s, at: fault, apply: {} }}\n", manifest("Schedule", spec)));
    for (n, act) in plan.timeline.iter().enumerate() {
        assert_eq!(act.id.0, format!("s#{}", n + 1));
        assert!(matches!(&act.action, PlannedAction::Fault(manifest) if manifest.chaos.kind() != "Schedule"));
    }
    plan.timeline.iter().map(|act| seconds(act.at)).collect()
}

#[test]
fn a_schedule_is_unrolled_until_the_end() {
    let kill = "podChaos: { action: pod-kill, mode: one, selector: {} }";
    let every = |policy: &str, rest: &str| format!("{{ schedule: \"@every 10s\", {policy} {rest} }}");
    assert_eq!(scheduled(&every("type: PodChaos,", kill)), [35.0, 45.0, 55.0]);
    let slow =
        "networkChaos: { action: delay, mode: all, selector: {}, delay: { latency: 1s }, duration: 15s }";
    assert_eq!(scheduled(&every("type: NetworkChaos,", slow)), [35.0, 55.0], "not while the last one lasts");
    assert_eq!(scheduled(&every("type: NetworkChaos, concurrencyPolicy: Allow,", slow)), [35.0, 45.0, 55.0]);
}

#[test]
fn a_schedule_that_never_acts_is_an_error() {
    let spec = "{ schedule: \"@every 2m\", type: PodChaos, podChaos: { action: pod-kill, mode: one, selector: {} } }";
    let text = format!("chaos:\n- {{ id: s, at: fault, apply: {} }}\n", manifest("Schedule", spec));
    let errors = resolve(&scenario(&[HEAD, USERS, PHASES, &text]), 1).expect_err("it never acts");
    assert_eq!(errors, [PlanError::NeverActs("s".into())]);
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.checks.iter().map(|check| check.id.as_str()).collect()
}

#[test]
fn there_is_one_check_for_each_thing_to_judge() {
    let plan = planned(&format!(
        "chaos: [ {{ id: kill, at: fault, apply: {} }}, {{ id: bad, at: fault + 9s, deploy: {{ version: v2 }} }} ]\n\
         slos:\n- {{ availability: \">= 99%\", in: baseline }}\n- {{ ttft: \"p95 < 1s\", workload: chat }}\n- {{ ttft: \"p50 < 1s\", workload: chat, in: fault }}\n\
         expect:\n- pods: {{ replaced-within: 9s, cold-failures: \"<= 5%\" }}\n- rollback: {{ to: v1 }}\n- circuit-breaker: {{ after: kill, opens-within: 2s, fails-fast: \"p99 < 1s\", quiet-in: baseline }}\n\
         - cache: {{ hit: \"p95 < 20ms\", fresh-after: bad }}\n- shedding: {{ in: fault }}\n- retries: {{ amplification: \"<= 2\", absorbs: \">= 90%\" }}\n- recovery: {{ within: 9s }}\n- fallback: {{ ttft: \"p95 < 1s\" }}\n",
        kill()
    ));
    let expected = [
        "slo.availability.baseline",
        "slo.ttft.baseline.chat",
        "slo.ttft.fault.chat",
        "slo.ttft.recovery.chat",
        "slo.ttft.fault.chat#2",
        "pods.kill.replaced-within",
        "pods.kill.cold-failures",
        "rollback.bad.to",
        "circuit-breaker.kill.opens-within",
        "circuit-breaker.kill.fails-fast",
        "circuit-breaker.quiet-in.baseline",
        "cache.hit",
        "cache.fresh-after.bad",
        "shedding.fault",
        "retries.kill.absorbs",
        "retries.amplification",
        "recovery.bad.within",
        "fallback.ttft",
        "fault.kill",
        "fault.bad",
        "generator",
    ];
    assert_eq!(ids(&plan), expected);
    for check in &plan.checks {
        let Subject::Expectation(expectation) = &check.subject else { continue };
        let value = serde_json::to_value(expectation).expect("JSON");
        let inner = value.as_object().and_then(|outer| outer.values().next()).and_then(|v| v.as_object());
        let demands = inner.expect("an object").keys().filter(|key| !["after", "in"].contains(&key.as_str()));
        assert!(demands.count() <= 1, "one demand each: {value}");
    }
}

#[test]
fn an_expectation_means_a_schedules_first_act_and_recovery_its_last() {
    let spec = "{ schedule: \"@every 10s\", type: PodChaos, podChaos: { action: pod-kill, mode: one, selector: {} } }";
    let plan = planned(&format!(
        "chaos: [ {{ id: s, at: fault, apply: {} }} ]\nexpect: [ pods: {{ replaced-within: 9s }}, recovery: {{ after: s, within: 9s }} ]\n",
        manifest("Schedule", spec)
    ));
    let after: Vec<_> = plan
        .checks
        .iter()
        .filter_map(|check| match &check.subject {
            Subject::Expectation(e) => serde_json::to_value(e).ok(),
            _ => None,
        })
        .map(|value| value.as_object().expect("an object").values().next().expect("one")["after"].clone())
        .collect();
    assert_eq!(after, ["s#1", "s#3"]);
    assert_eq!(ids(&plan)[..2], ["pods.s.replaced-within", "recovery.s.within"]);
}

#[test]
fn a_plan_reads_back_as_written() {
    let plan = planned(&format!("chaos: [ {{ id: kill, at: fault, apply: {} }} ]\n", kill()));
    let text = serde_json::to_string(&plan).expect("JSON");
    assert_eq!(serde_json::from_str::<Plan>(&text).expect("a plan"), plan);
}

#[test]
fn the_rendered_plan_says_who_is_hit() {
    let text = |rest: &str, pods: bool| {
        let plan = planned(rest);
        let Target::Lab(lab) = &plan.target else { panic!("the lab") };
        render_text(&plan, pods.then(|| lab_pods(lab)).as_deref())
    };
    let chaos = |manifest: &str| format!("chaos: [ {{ id: x, at: fault + 3s, apply: {manifest} }} ]\n");
    let shown = text(&chaos(&delay(", duration: 4s")), true);
    for part in [
        "28.0s  x",
        "for 4s",
        "fault + 3s",
        "hits all of 3: replica-0, replica-1, replica-2",
        "3/3 (100%)",
        "fault.x",
        "10/s |####",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    let nobody =
        manifest("PodChaos", "{ action: pod-kill, mode: one, selector: { namespaces: [elsewhere] } }");
    assert!(text(&chaos(&nobody), true).contains("selects nothing"));
    assert!(
        !text(&chaos(&nobody), false).contains("selects nothing"),
        "nothing is said of pods that are not known"
    );
}
