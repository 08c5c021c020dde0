//! Alerts of a real Prometheus, while the way to a service's upstream is cut.

use firedrill::verdict::model::Verdict::{Fail, Inconclusive, Pass};

use super::{Site, tell_apart};
use crate::real::{
    child::free_ports,
    servers::{alertmanager, haproxy, prometheus, prometheus_telling},
};

#[test]
#[ignore = "needs scripts/real-servers"]
fn an_alert_that_fires_and_is_resolved_is_told_from_one_that_does_not() {
    let many = "expr: \"sum(rate(haproxy_frontend_http_responses_total{code='5xx'}[3s])) > 1\"";
    let cases = [
        (many.to_owned(), [Pass, Pass, Pass]),
        // It waits for longer than the errors last.
        (format!("{many}, for: 1m"), [Fail, Inconclusive, Pass]),
        // Whoever is called stays called.
        (format!("{many}, keep_firing_for: 1m"), [Pass, Fail, Pass]),
        // Nobody heeds what is always there.
        ("expr: \"vector(1)\"".to_owned(), [Inconclusive, Fail, Fail]),
    ];
    let start = |(rule, _): &(String, _)| {
        let mut metrics = 0;
        let site = Site::cut_off("prometheus-alert.yaml", |upstream| {
            let front = haproxy(upstream, "");
            metrics = front.beside;
            front
        });
        let watcher = prometheus(metrics, rule);
        let at = watcher.url.clone();
        site.with(watcher).set("observe.prometheus.prometheus-alerts", at)
    };
    tell_apart(&cases, start, |(rule, verdicts), told| {
        let checks = [
            "alert.cut.HighErrorRate.fires-within",
            "alert.cut.HighErrorRate.resolves-within",
            "alert.HighErrorRate.quiet-in.baseline",
        ];
        let wanted: Vec<_> = checks.into_iter().zip(*verdicts).collect();
        told.must(rule, &wanted);
    });
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn people_who_are_told_are_told_from_those_who_are_not() {
    let rule = "expr: \"sum(rate(haproxy_frontend_http_responses_total{code='5xx'}[3s])) > 1\"";
    let at_once = ", group_wait: 0s";
    let cases = [
        (at_once, "", [Pass, Pass, Pass]),
        // Whoever is called is never told that it is over.
        (at_once, ", send_resolved: false", [Pass, Fail, Pass]),
        (", group_wait: 1m", "", [Fail, Inconclusive, Inconclusive]),
        // The way ends elsewhere: that nothing comes in the baseline says nothing.
        (
            ", routes: [{ receiver: nobody, matchers: ['severity=\"\"'] }]",
            "",
            [Fail, Inconclusive, Inconclusive],
        ),
    ];
    let start = |(route, hook, _): &(&str, &str, _)| {
        let mut metrics = 0;
        let site = Site::cut_off("alert-webhook.yaml", |upstream| {
            let front = haproxy(upstream, "");
            metrics = front.beside;
            front
        });
        let [port] = free_ports();
        let manager = alertmanager(port, route, hook);
        let watcher = prometheus_telling(metrics, rule, &manager);
        site.with(watcher).with(manager).set("observe.pager.alert-webhook", format!("127.0.0.1:{port}"))
    };
    tell_apart(&cases, start, |(route, hook, verdicts), told| {
        let checks = [
            "alert.cut.HighErrorRate.fires-within",
            "alert.cut.HighErrorRate.resolves-within",
            "alert.HighErrorRate.quiet-in.baseline",
        ];
        let wanted: Vec<_> = checks.into_iter().zip(*verdicts).collect();
        told.must(&format!("{route} {hook}"), &wanted);
    });
    // Somebody else has the port.
    let taken = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let at = taken.local_addr().expect("an address").to_string();
    let site = start(&cases[0]).set("observe.pager.alert-webhook", at);
    let why = site.refused();
    assert!(why.contains("nobody can listen"), "{why}");
}
