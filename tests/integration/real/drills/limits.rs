//! What sheds load, in a rush of eight times the usual.

use firedrill::verdict::model::Verdict::{self, Fail, Inconclusive, Pass};

use super::{Site, tell_apart};
use crate::real::servers::{Real, envoy, nginx_with, origin, origin_that_does};

/// What is judged, by the names of this table.
const CHECKS: [&str; 3] = ["shedding.rush.ratio", "shedding.rush.rejects", "shedding.rush.admitted"];

/// A service that can bear the rush, or one that does 120 requests a second.
fn service(strong: bool) -> Real {
    if strong { origin() } else { origin_that_does(120) }
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn nginx_that_sheds_at_once_and_marked_is_told_from_one_that_does_not() {
    let (well, strong, weak) = ("limit_req zone=all burst=5 nodelay; limit_req_status 429;", true, false);
    let cases = [
        (well, strong, [Pass, Pass, Pass, Pass]),
        (well, weak, [Pass, Pass, Pass, Pass]),
        // What is too much has to wait.
        ("limit_req zone=all burst=200; limit_req_status 429;", strong, [Pass, Pass, Fail, Fail]),
        // Its 503 looks like a crash.
        ("limit_req zone=all burst=5 nodelay;", strong, [Fail, Fail, Fail, Pass]),
        // No limit, and a service that can bear it: nothing is known. One that can't breaks down.
        ("", strong, [Inconclusive, Inconclusive, Inconclusive, Pass]),
        ("", weak, [Fail, Fail, Fail, Fail]),
    ];
    let start = |(limit, strong, _): &(&str, bool, [Verdict; 4])| {
        let http = "  limit_req_zone $binary_remote_addr zone=all:1m rate=40r/s;";
        let site = Site::before(service(*strong), "nginx-limit.yaml", |upstream| {
            let status = "location = /status { stub_status; }";
            nginx_with(
                http,
                &format!("    {status}\n    location / {{ {limit} proxy_pass http://{upstream}; }}"),
            )
        });
        let status = format!("{}/status", site.url());
        site.set("observe.edge.nginx", status)
    };
    tell_apart(&cases, start, |(limit, strong, verdicts), told| {
        let checks = CHECKS.into_iter().chain(["metric.edge.in.rush"]);
        let wanted: Vec<_> = checks.zip(*verdicts).collect();
        told.must(&format!("{limit} strong: {strong}"), &wanted);
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
    let (strong, weak) = (true, false);
    let cases = [
        (&well, strong, [Pass, Pass, Pass]),
        (&well, weak, [Pass, Pass, Pass]),
        (&counts, strong, [Inconclusive, Inconclusive, Inconclusive]),
        (&counts, weak, [Fail, Fail, Fail]),
        (&crash, strong, [Fail, Fail, Fail]),
    ];
    let start = |(filter, strong, _): &(&String, bool, [Verdict; 3])| {
        let front = |upstream: &str| envoy(upstream, "", "", filter);
        Site::before(service(*strong), "envoy-rate-limit.yaml", front)
    };
    tell_apart(&cases, start, |(filter, strong, verdicts), told| {
        let wanted: Vec<_> = CHECKS.into_iter().zip(*verdicts).collect();
        told.must(&format!("{filter} strong: {strong}"), &wanted);
    });
}
