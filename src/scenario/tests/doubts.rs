//! What can be run, and perhaps not as it was meant; and what is taken as it
//! stands.

use super::*;

#[test]
fn doubts_are_warnings() {
    let warnings = |spec: &str| {
        let text = format!("apiVersion: chaos-mesh.org/v1alpha1\nkind: {spec}");
        let read = |_: &str| Ok((PathBuf::from("m.yaml"), text.clone()));
        let loaded = parse(&applying(Path::new("m.yaml")), Path::new("x.yaml"), &[], &read);
        let loaded = loaded.unwrap_or_else(|e| panic!("{e}"));
        loaded.warnings.items().iter().map(|item| item.message.clone()).collect::<Vec<_>>().join("\n")
    };
    let network = |rest: &str| {
        warnings(&format!("NetworkChaos\nspec: {{ mode: all, selector: {{}}, duration: 5s, {rest} }}"))
    };
    for (warnings, part) in [
        (
            warnings("PodChaos\nspec: { action: pod-kill, mode: one, selector: {}, duration: 5s }"),
            "ignores its duration",
        ),
        (warnings("PodChaos\nspec: { action: pod-kill, mode: fixed, value: 2, selector: {} }"), "in quotes"),
        (
            warnings("PodChaos\nspec: { action: pod-kill, mode: one, value: \"2\", selector: {} }"),
            "has no value",
        ),
        (
            warnings(
                "PodChaos\nspec: { action: pod-kill, mode: one, selector: { pods: { a: [b] }, nodes: [c] } }",
            ),
            "overrides",
        ),
        (network("action: delay, delay: { latency: 1s }, direction: both"), "without a `target`"),
        (network("action: delay, delay: { latency: 1s, correlation: 25 }"), "in quotes"),
        (network("action: partition, delay: { latency: 1s }"), "does not use `delay`"),
        (network("action: bandwidth, bandwidth: { rate: 8kbit, limit: 1, buffer: 1 }"), "the unit `kbit`"),
        (
            warnings(
                "Schedule\nspec: { schedule: \"* * * * *\", type: PodChaos, podChaos: { action: pod-kill, mode: one, selector: {} } }",
            ),
            "midnight",
        ),
    ] {
        assert!(warnings.contains(part) && warnings.lines().count() == 1, "{part} in {warnings}");
    }
}

#[test]
fn names_that_others_gave_are_taken_as_they_are() {
    let text = applying(Path::new("m.yaml"));
    let (head, _) = text.split_once("phases:").expect("phases");
    let cut = "{ id: cut, at: fault, duration: 5s, command: { run: [x], undo: [x], proof: [x] } }";
    let text = format!(
        "{head}phases: {{ baseline: 10s, fault: 20s }}\n\
         chaos: [ {cut}, {{ id: new, at: fault, deploy: {{ version: \"2024-01-02+build.3\" }} }} ]\n\
         observe: [ {{ name: a, alertmanager: \"http://h:1\" }} ]\n\
         expect: [ {{ alert: {{ name: \"High error rate\", fires-within: 5s }} }}, {{ rollback: {{ to: \"registry.io/ai:v1\" }} }}, \
                   {{ failover: {{ to: \"10.0.0.2:80\", within: 5s }} }}, {{ failover: {{ to: \"[::1]:80\", within: 5s }} }} ]\n"
    );
    let loaded = parse(&text, Path::new("x.yaml"), &[], &|_| Err("none".to_owned()));
    let loaded = loaded.unwrap_or_else(|e| panic!("{e}"));
    assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    let plan = crate::plan::resolve(&loaded.scenario, 1).expect("a plan");
    let alert = plan.checks.iter().find(|check| check.id.as_str().starts_with("alert."));
    assert_eq!(alert.map(|check| check.id.as_str()), Some("alert.cut.High-error-rate.fires-within"));
}

#[test]
fn a_proxy_before_all_of_a_target_is_a_doubt() {
    let doubts = |proxy: &str, expect: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/valid/through-a-proxy.yaml");
        let text = fs::read_to_string(path).expect("it reads");
        let text = text.replace("proxy: on", &format!("proxy: {proxy}"));
        let loaded = parse(&format!("{text}expect: [ {expect} ]\n"), Path::new("x.yaml"), &[], &|_| {
            Err("none".to_owned())
        });
        loaded.unwrap_or_else(|e| panic!("{e}")).warnings.to_string()
    };
    let breaker = "{ circuit-breaker: { after: slow, opens-within: 1s } }";
    assert!(
        doubts("on", breaker).contains("with `proxy: on` a circuit breaker of the target notices no fault")
    );
    assert_eq!(doubts("\"127.0.0.1:9001\"", breaker), "");
    assert_eq!(doubts("on", "{ recovery: { after: slow, within: 1s } }"), "");
}

#[test]
fn a_limit_that_nothing_can_break_is_a_doubt() {
    let warnings = |chaos: &str, expect: &str| {
        let text = applying(Path::new("m.yaml"));
        let (head, _) = text.split_once("phases:").expect("phases");
        let text = format!(
            "{head}phases: {{ baseline: 10s, fault: 20s, after: 30s }}\nchaos: [ {chaos} ]\nexpect: [ {expect} ]\n\
             observe: [ {{ name: a, alertmanager: \"http://h:1\" }} ]\n"
        );
        let loaded = parse(&text, Path::new("x.yaml"), &[], &|_| Err("none".to_owned()));
        let loaded = loaded.unwrap_or_else(|e| panic!("{e}"));
        loaded.warnings.items().iter().map(|item| item.message.clone()).collect::<Vec<_>>()
    };
    let cut = "{ id: cut, at: fault + 5s, duration: 10s, command: { run: [x], undo: [x], proof: [x] } }";
    let new = "{ id: new, at: fault + 5s, deploy: { version: v2 } }";
    let lasting = "{ id: cut, at: fault + 5s, command: { run: [x], undo: [x], proof: [x] } }";
    for (chaos, expect, told) in [
        (cut, "circuit-breaker: { opens-within: 45s }", None),
        (
            cut,
            "circuit-breaker: { opens-within: 46s }",
            Some("only 45s of the run are left after `cut` begins"),
        ),
        (cut, "circuit-breaker: { closes-within: 35s }", None),
        (cut, "circuit-breaker: { after: cut, closes-within: 36s }", Some("only 35s of the run")),
        (cut, "alert: { name: x, resolves-within: 1m }", Some("after `cut` ends")),
        (cut, "recovery: { within: 36s }", Some("only 35s of the run")),
        (lasting, "recovery: { after: cut, within: 1s }", Some("only 0s of the run")),
        (new, "rollback: { completes-within: 20m }", Some("`completes-within: 20m` can never fail")),
        (new, "autoscaling: { in: fault, scales-in-within: 30s }", None),
        (new, "autoscaling: { in: fault, scales-in-within: 31s }", Some("after `fault` ends")),
    ] {
        let found = warnings(chaos, &format!("{{ {expect} }}"));
        let right = match told {
            Some(part) => found.len() == 1 && found[0].contains(part),
            None => found.is_empty(),
        };
        assert!(right, "{expect}: {found:?}");
    }
}
