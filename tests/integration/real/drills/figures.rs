//! Figures of real systems: a query to Prometheus, Redis' own.

use firedrill::verdict::model::Verdict::{Fail, Inconclusive, Pass};

use super::{Site, tell_apart};
use crate::real::servers::{haproxy, origin, prometheus, redis, redis_filler, redis_tools, redis_with};

#[test]
#[ignore = "needs scripts/real-servers"]
fn what_a_query_shows_is_told_from_what_it_should() {
    let soon = "check inter 300ms fastinter 200ms rise 1 observe layer7 error-limit 3 on-error mark-down";
    let good = "sum(rate(haproxy_frontend_http_responses_total{code=\"2xx\",proxy=\"front\"}[3s]))";
    let cases = [
        (soon.to_owned(), good.to_owned(), [Pass, Pass]),
        // The upstream is back, and its server is not asked.
        (format!("{soon} downinter 30s"), good.to_owned(), [Pass, Fail]),
        // It earns too little all the time.
        (soon.to_owned(), format!("0.1 * {good}"), [Fail, Fail]),
        // Nobody counts.
        (soon.to_owned(), good.replace("haproxy", "shop"), [Inconclusive, Inconclusive]),
    ];
    let start = |(server, query, _): &(String, String, _)| {
        let mut metrics = 0;
        let site = Site::cut_off("promql.yaml", |upstream| {
            let front = haproxy(upstream, server);
            metrics = front.beside;
            front
        });
        let watcher = prometheus(metrics, "expr: \"vector(1)\"");
        let at = watcher.url.clone();
        let query = serde_json::to_string(query).expect("JSON");
        // It begins to scrape up to six seconds after it is ready, and `rate` looks back three.
        let site = site.set("warm-up", "9s");
        site.with(watcher).set("observe.business.prometheus-query", at).set("observe.business.query", query)
    };
    tell_apart(&cases, start, |(server, query, verdicts), told| {
        let checks = ["metric.business.in.baseline", "metric.cut.business.recovers-within"];
        let wanted: Vec<_> = checks.into_iter().zip(*verdicts).collect();
        told.must(&format!("{server} {query}"), &wanted);
    });
    // What Prometheus says of a query is shown before anything is broken.
    let why = start(&(soon.to_owned(), "sum(rate(".to_owned(), [Pass, Pass])).refused();
    assert!(why.contains("unclosed left parenthesis"), "{why}");
    let two = "label_replace(vector(1), 'a', '1', '', '') or label_replace(vector(1), 'a', '2', '', '')";
    let why = start(&(soon.to_owned(), two.to_owned(), [Pass, Pass])).refused();
    assert!(why.contains("say which in `series:`"), "{why}");
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn a_redis_that_keeps_what_it_holds_is_told_from_one_that_does_not() {
    let small = "--maxmemory 4mb --maxmemory-policy allkeys-lru";
    let cases = [
        ("", redis_filler as fn(&_) -> _, Pass),
        (small, redis_filler, Fail),
        ("", redis_tools, Inconclusive),
    ];
    let start = |(options, tools, _): &(&str, fn(&_) -> String, _)| {
        let store = redis_with(options);
        let (at, tools) = (store.address().to_owned(), tools(&store));
        let site = Site::new("redis-full.yaml", origin()).with(store);
        site.set("observe.store.redis", at).set("chaos.filled.command", tools)
    };
    tell_apart(&cases, start, |(options, _, verdict), told| {
        let wanted = [
            ("metric.store.grows.baseline", Pass),
            ("metric.store.grows.fault", *verdict),
            ("fault.filled", Pass),
        ];
        told.must(options, &wanted);
        let restarted = told.events.1.iter().any(|event| event["reason"] == "Restarted");
        assert_eq!(restarted, *verdict == Inconclusive, "{told}");
    });
    let why = start(&("--requirepass secret", redis_filler, Pass)).refused();
    assert!(why.contains("it wants a password"), "{why}");
    // Nobody is there.
    let gone = redis().address().to_owned();
    let why = start(&("", redis_filler, Pass)).set("observe.store.redis", gone).refused();
    assert!(why.contains("signals: store"), "{why}");
}
