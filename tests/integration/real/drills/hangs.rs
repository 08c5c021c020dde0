//! Envoy's capacity breaker and retries, while its upstream does not answer
//! for five seconds.

use firedrill::verdict::model::Verdict::{Fail, Inconclusive, Pass};

use super::{Site, tell_apart};
use crate::real::servers::envoy;

#[test]
#[ignore = "needs scripts/real-servers"]
fn envoy_that_rejects_what_would_pile_up_is_told_from_one_that_does_not() {
    let most = |requests: u32| {
        format!(
            "circuit_breakers: {{ thresholds: [{{ max_requests: {requests}, max_pending_requests: {requests} }}] }}"
        )
    };
    let (well, wide, narrow) = (most(12), most(1000), most(0));
    let cases = [
        (well.as_str(), [Pass, Pass, Pass]),
        (&wide, [Fail, Inconclusive, Pass]),
        // It rejects always: also when nothing is wrong.
        (&narrow, [Inconclusive, Fail, Fail]),
    ];
    let start = |(cluster, _): &(&str, _)| {
        let site = Site::cut_off("envoy-capacity.yaml", |upstream| envoy(upstream, cluster, "", ""));
        let admin = site.beside();
        site.set("observe.front.envoy", admin).set("unless-steady", "continue")
    };
    tell_apart(&cases, start, |(cluster, [opens, closes, quiet]), told| {
        let wanted = [
            ("circuit-breaker.hang.opens-within", *opens),
            ("circuit-breaker.hang.closes-within", *closes),
            ("circuit-breaker.quiet-in.baseline", *quiet),
        ];
        told.must(cluster, &wanted);
        if *opens == Pass {
            told.must(cluster, &[("circuit-breaker.hang.fails-fast", Pass)]);
        }
    });
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn envoy_whose_retries_have_a_budget_is_told_from_one_that_storms() {
    let retries = |n: u32| {
        format!(
            "retry_policy: {{ retry_on: \"reset,connect-failure,5xx\", num_retries: {n}, per_try_timeout: 0.3s }}"
        )
    };
    let budget = "circuit_breakers: { thresholds: [{ retry_budget: { budget_percent: { value: 10 }, min_retry_concurrency: 1 } }] }";
    let free = "circuit_breakers: { thresholds: [{ max_retries: 1000 }] }";
    let cases = [(retries(2), budget, Pass), (retries(2), free, Fail), (retries(5), free, Fail)];
    let start = |(route, cluster, _): &(String, &str, _)| {
        Site::cut_off("envoy-retries.yaml", |upstream| envoy(upstream, cluster, route, ""))
    };
    tell_apart(&cases, start, |(route, cluster, verdict), told| {
        told.must(&format!("{route} {cluster}"), &[("retries.fault.amplification", *verdict)]);
    });
}
