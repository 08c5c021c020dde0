//! What steps in while something is gone: another server, another model, an
//! answer that is kept ready.

use firedrill::verdict::model::Verdict::{Fail, Inconclusive, Pass};

use super::{Site, tell_apart};
use crate::real::servers::{LITELLM_KEY, litellm_before, llama, nginx_with, origin, resilience4j, way};

#[test]
#[ignore = "needs scripts/real-servers"]
fn nginx_that_passes_a_silent_server_by_is_told_from_one_that_does_not() {
    let next = "proxy_next_upstream error timeout; proxy_next_upstream_tries 2;";
    let cases = [
        ("max_fails=1 fail_timeout=2s", next, [Pass, Pass, Pass, Pass]),
        // Each second request waits for it first, and is sent twice.
        ("max_fails=0", next, [Pass, Fail, Pass, Fail]),
        // Who meets it fails.
        ("max_fails=0", "proxy_next_upstream off;", [Fail, Fail, Fail, Pass]),
    ];
    let start = |(server, next, _): &(&str, &str, _)| {
        let spare = origin();
        let site = Site::cut_off("nginx-failover.yaml", |upstream| {
            let http = format!(
                "  upstream llm {{ server {upstream} {server}; server {} {server}; }}",
                spare.address()
            );
            let location = format!(
                "    location / {{ proxy_pass http://llm; proxy_connect_timeout 300ms; proxy_read_timeout 300ms; {next}\n      \
                 add_header X-Upstream-Status $upstream_status always;\n      add_header X-Upstream-Addr $upstream_addr always; }}"
            );
            nginx_with(&http, &location)
        });
        site.with(spare)
    };
    let checks =
        ["slo.availability.fault", "slo.e2e.fault", "retries.hang.absorbs", "retries.fault.amplification"];
    tell_apart(&cases, start, |(server, next, verdicts), told| {
        let wanted: Vec<_> = checks.into_iter().zip(*verdicts).collect();
        told.must(&format!("{server} {next}"), &wanted);
    });
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn resilience4j_that_falls_back_is_told_from_one_that_does_not() {
    let guard = "timelimit=300ms window=10";
    let cases = [
        (format!("{guard} wait=1s fallback=on"), [Pass, Pass, Pass]),
        (format!("{guard} wait=1s fallback=off"), [Fail, Inconclusive, Fail]),
        // It steps in, and stays.
        (format!("{guard} wait=60s fallback=on"), [Pass, Fail, Pass]),
    ];
    let start = |(settings, _): &(String, _)| {
        Site::cut_off("resilience4j-fallback.yaml", |upstream| resilience4j(upstream, settings))
    };
    tell_apart(&cases, start, |(settings, [engages, disengages, availability]), told| {
        let wanted = [
            ("fallback.hang.engages-within", *engages),
            ("fallback.hang.disengages-within", *disengages),
            ("slo.availability.fault", *availability),
        ];
        told.must(settings, &wanted);
    });
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn resilience4j_that_limits_time_is_told_from_one_that_waits() {
    let (availability, fast, steps_in) =
        ("slo.availability.fault", "slo.e2e.fault", "fallback.hang.engages-within");
    let cases = [
        ("timelimit=300ms", vec![(availability, Pass), (fast, Pass), (steps_in, Pass)]),
        // Everybody is answered, and waits for it.
        ("timelimit=1500ms", vec![(availability, Pass), (fast, Fail)]),
        // Users give up first.
        ("timelimit=10s", vec![(availability, Fail), (fast, Fail), (steps_in, Fail)]),
        ("timelimit=none", vec![(availability, Fail), (fast, Fail), (steps_in, Fail)]),
    ];
    let start = |(limit, _): &(&str, _)| {
        let settings = format!("breaker=off {limit} fallback=on");
        Site::cut_off("resilience4j-time-limit.yaml", |upstream| resilience4j(upstream, &settings))
    };
    tell_apart(&cases, start, |(limit, wanted), told| told.must(limit, wanted));
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn litellm_that_falls_back_is_told_from_one_that_does_not() {
    let cases = [("[{ large: [small] }]", Pass), ("[]", Fail), ("[{ large: [gone] }]", Fail)];
    let start = |(fallbacks, _): &(&str, _)| {
        let large = llama();
        let way = way(&large);
        let small = llama();
        let front = litellm_before(way.address(), small.address(), fallbacks);
        let site = Site::behind("litellm-fallback.yaml", front, way).with(large).with(small);
        site.env("LITELLM_KEY", LITELLM_KEY)
    };
    tell_apart(&cases, start, |(fallbacks, engages), told| {
        told.must(fallbacks, &[("fallback.cut.engages-within", *engages)]);
        if *engages == Pass {
            told.must(fallbacks, &[("fallback.cut.disengages-within", Pass)]);
        }
    });
}
