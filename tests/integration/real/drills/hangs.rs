//! Envoy's capacity breaker and retries, while its upstream does not answer
//! for five seconds.

use firedrill::verdict::model::Verdict::{Fail, Inconclusive, Pass};

use super::{Site, tell_apart};
use crate::real::servers::{LITELLM_KEY, envoy, litellm_of_two, llama, origin, resilience4j, way};

/// Sites whose breaker lets so many requests at once through, told apart.
fn capacities_told_apart(start: impl Fn(u32) -> Site) {
    let (opens, closes) = ("circuit-breaker.hang.opens-within", "circuit-breaker.hang.closes-within");
    let (quiet, fast) = ("circuit-breaker.quiet-in.baseline", "circuit-breaker.hang.fails-fast");
    let usual = "{ constant: { rate: 30/s } }";
    let cases = [
        (12, usual, vec![(opens, Pass), (closes, Pass), (quiet, Pass), (fast, Pass)]),
        (1000, usual, vec![(opens, Fail), (closes, Inconclusive)]),
        // Two requests at once are usual, and it rejects the second.
        (1, "{ poisson: { rate: 150/s } }", vec![(quiet, Fail)]),
    ];
    let start = |(most, arrivals, _): &(u32, &str, _)| {
        start(*most).set("load.users.arrivals", *arrivals).set("unless-steady", "continue")
    };
    tell_apart(&cases, start, |(most, _, wanted), told| told.must(&format!("{most} at once"), wanted));
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn envoy_that_rejects_what_would_pile_up_is_told_from_one_that_does_not() {
    capacities_told_apart(|most| {
        let cluster = format!(
            "circuit_breakers: {{ thresholds: [{{ max_requests: {most}, max_pending_requests: {most} }}] }}"
        );
        let site = Site::cut_off("envoy-capacity.yaml", |upstream| envoy(upstream, &cluster, "", ""));
        let admin = site.beside();
        site.set("observe.front.envoy", admin)
    });
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn resilience4j_whose_bulkhead_is_full_is_told_from_one_that_has_none() {
    capacities_told_apart(|most| {
        let settings = format!("breaker=off bulkhead={most}");
        let site = Site::cut_off("resilience4j-bulkhead.yaml", |upstream| resilience4j(upstream, &settings));
        let metrics = format!("{}/actuator/prometheus", site.url());
        site.set("observe.front.resilience4j", metrics)
    });
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn litellm_that_leaves_what_hangs_alone_is_told_from_one_that_asks_again() {
    let checks = ["slo.availability.fault", "slo.e2e.fault", "circuit-breaker.hang.opens-within"];
    let cases = [
        ("num_retries: 2, allowed_fails: 1, cooldown_time: 30", [Pass, Pass, Pass]),
        // Each second request waits first.
        ("num_retries: 2, disable_cooldowns: true", [Pass, Fail, Fail]),
        // It waits, and fails.
        ("num_retries: 0, disable_cooldowns: true", [Fail, Fail, Fail]),
    ];
    let start = |(router, _): &(&str, _)| {
        let (hangs, well) = (llama(), llama());
        let way = way(&hangs);
        let front = litellm_of_two(way.address(), well.address(), router);
        let site = Site::behind("litellm-cooldown.yaml", front, way).with(hangs).with(well);
        let metrics = format!("{}/metrics", site.url());
        site.env("LITELLM_KEY", LITELLM_KEY).set("observe.front.litellm", metrics)
    };
    tell_apart(&cases, start, |(router, verdicts), told| {
        let wanted: Vec<_> = checks.into_iter().zip(*verdicts).collect();
        told.must(router, &wanted);
    });
}

/// Envoy's retry policy, with so many retries.
fn again(n: u32) -> String {
    format!(
        "retry_policy: {{ retry_on: \"reset,connect-failure,5xx\", num_retries: {n}, per_try_timeout: 0.3s }}"
    )
}

/// So many retries as there are.
const FREE: &str = "circuit_breakers: { thresholds: [{ max_retries: 1000 }] }";

#[test]
#[ignore = "needs scripts/real-servers"]
fn envoy_whose_retries_have_a_budget_is_told_from_one_that_storms() {
    let budget = "circuit_breakers: { thresholds: [{ retry_budget: { budget_percent: { value: 10 }, min_retry_concurrency: 1 } }] }";
    let cases = [(again(2), budget, Pass), (again(2), FREE, Fail), (again(5), FREE, Fail)];
    let start = |(route, cluster, _): &(String, &str, _)| {
        let site = Site::cut_off("envoy-retries.yaml", |upstream| envoy(upstream, cluster, route, ""));
        let admin = site.beside();
        site.set("observe.front.envoy", admin)
    };
    tell_apart(&cases, start, |(route, cluster, verdict), told| {
        told.must(&format!("{route} {cluster}"), &[("retries.fault.amplification", *verdict)]);
    });
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn envoy_with_two_clusters_is_judged_by_the_one_that_is_meant() {
    let amplification = "retries.fault.amplification";
    let cases = [(None, Inconclusive), (Some("llm"), Fail), (Some("calm"), Inconclusive)];
    let start = |(name, _): &(Option<&str>, _)| {
        let origin = origin();
        let way = way(&origin);
        // Gets a copy of each request, and answers all of them.
        let port = origin.address().rsplit(':').next().expect("an address has a port");
        let address = format!("{{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}");
        let endpoints = format!("[{{ lb_endpoints: [{{ endpoint: {{ address: {address} }} }}] }}]");
        let calm = format!(
            "{{ name: calm, type: STATIC, load_assignment: {{ cluster_name: calm, endpoints: {endpoints} }} }}"
        );
        let route = format!("request_mirror_policies: [{{ cluster: calm }}], {}", again(2));
        let front = envoy(way.address(), &format!("{FREE}\n  - {calm}"), &route, "");
        let site = Site::behind("envoy-retries.yaml", front, way).with(origin);
        let admin = site.beside();
        let site = site.set("observe.front.envoy", admin);
        match name {
            Some(name) => site.set("expect.0.retries.name", *name),
            None => site,
        }
    };
    tell_apart(&cases, start, |(name, verdict), told| {
        told.must(&format!("{name:?}"), &[(amplification, *verdict)]);
    });
}
