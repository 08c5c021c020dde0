//! What sheds load, in a rush of eight times the usual.

use firedrill::verdict::model::Verdict::{self, Fail, Inconclusive, Pass};

use super::{Site, tell_apart};
use crate::real::servers::{Real, envoy, nginx_with};

/// What is judged, by the names of this table.
const CHECKS: [&str; 3] = ["shedding.rush.ratio", "shedding.rush.rejects", "shedding.rush.admitted"];

type Case<'a> = (&'a str, [Verdict; 3]);

fn told_apart(scenario: &'static str, cases: &[Case<'_>], front: impl Fn(&str, &str) -> Real) {
    let start = |(set_up, _): &Case<'_>| Site::before_origin(scenario, |upstream| front(upstream, set_up));
    tell_apart(cases, start, |(set_up, verdicts), told| {
        let wanted: Vec<_> = CHECKS.into_iter().zip(*verdicts).collect();
        told.must(set_up, &wanted);
    });
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn nginx_that_sheds_at_once_and_marked_is_told_from_one_that_does_not() {
    let cases = [
        ("limit_req zone=all burst=5 nodelay; limit_req_status 429;", [Pass, Pass, Pass, Pass]),
        // What is too much has to wait.
        ("limit_req zone=all burst=200; limit_req_status 429;", [Pass, Pass, Fail, Fail]),
        // Its 503 looks like a crash.
        ("limit_req zone=all burst=5 nodelay;", [Fail, Fail, Fail, Pass]),
        // No limit, and a service that can bear it: nothing is known.
        ("", [Inconclusive, Inconclusive, Inconclusive, Pass]),
    ];
    let start = |(limit, _): &(&str, [Verdict; 4])| {
        let http = "  limit_req_zone $binary_remote_addr zone=all:1m rate=40r/s;";
        let site = Site::before_origin("nginx-limit.yaml", |upstream| {
            let status = "location = /status { stub_status; }";
            nginx_with(
                http,
                &format!("    {status}\n    location / {{ {limit} proxy_pass http://{upstream}; }}"),
            )
        });
        let status = format!("{}/status", site.url());
        site.set("observe.edge.nginx", status)
    };
    tell_apart(&cases, start, |(limit, verdicts), told| {
        let checks = CHECKS.into_iter().chain(["metric.edge.in.rush"]);
        let wanted: Vec<_> = checks.zip(*verdicts).collect();
        told.must(limit, &wanted);
    });
}

/// Envoy's local rate limit: so many tokens a second, enforced for so many
/// per cent, with this status.
fn local(tokens: u32, enforced: u32, status: u32) -> String {
    let share = |key: &str, percent: u32| {
        format!(
            "{key}: {{ runtime_key: {key}, default_value: {{ numerator: {percent}, denominator: HUNDRED }} }}"
        )
    };
    format!(
        "- {{ name: envoy.filters.http.local_ratelimit, typed_config: {{ \"@type\": \
         type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit, stat_prefix: limit, \
         status: {{ code: {status} }}, token_bucket: {{ max_tokens: {tokens}, tokens_per_fill: {tokens}, fill_interval: 1s }}, {}, {} }} }}",
        share("filter_enabled", 100),
        share("filter_enforced", enforced)
    )
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn envoy_that_enforces_its_limit_is_told_from_one_that_only_counts() {
    let (well, counts, crash) = (local(40, 100, 429), local(40, 0, 429), local(40, 100, 503));
    let cases = [
        (well.as_str(), [Pass, Pass, Pass]),
        (&counts, [Inconclusive, Inconclusive, Inconclusive]),
        (&crash, [Fail, Fail, Fail]),
    ];
    told_apart("envoy-rate-limit.yaml", &cases, |upstream, filter| envoy(upstream, "", "", filter));
}
