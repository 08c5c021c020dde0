//! Alerts of a real Prometheus and a real Alertmanager, while the way to a
//! service's upstream is cut.

use firedrill::verdict::model::Verdict::{Fail, Inconclusive, Pass};

use super::{Site, tell_apart};
use crate::real::{
    child::free_ports,
    servers::{alertmanager, alertmanager_with, haproxy, prometheus, prometheus_telling},
};

/// Who is asked whether an alert fires.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Asked {
    Prometheus,
    /// And the Alertmanager that it tells.
    Both,
    /// That Alertmanager alone, which tells nobody as something else fires.
    Inhibited,
    /// An Alertmanager alone, which is not told.
    Untold,
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn an_alert_that_fires_and_is_resolved_is_told_from_one_that_does_not() {
    let many = "expr: \"sum(rate(haproxy_frontend_http_responses_total{code='5xx'}[3s])) > 1\"";
    let cases = [
        (many.to_owned(), Asked::Both, [Pass, Pass, Pass]),
        // It waits for longer than the errors last.
        (format!("{many}, for: 1m"), Asked::Prometheus, [Fail, Inconclusive, Pass]),
        // Whoever is called stays called.
        (format!("{many}, keep_firing_for: 1m"), Asked::Prometheus, [Pass, Fail, Pass]),
        // Nobody heeds what is always there.
        ("expr: \"vector(1)\"".to_owned(), Asked::Prometheus, [Inconclusive, Fail, Fail]),
        // It fires all the same.
        (format!("{many} }}, {{ alert: Watchdog, expr: \"vector(1)\""), Asked::Inhibited, [Pass, Pass, Pass]),
        (many.to_owned(), Asked::Untold, [Fail, Inconclusive, Pass]),
    ];
    let inhibits = "inhibit_rules: [{ source_matchers: ['alertname=\"Watchdog\"'], target_matchers: ['alertname=\"HighErrorRate\"'] }]\n";
    let start = |(rule, asked, _): &(String, Asked, _)| {
        let mut metrics = 0;
        let site = Site::cut_off("prometheus-alert.yaml", |upstream| {
            let front = haproxy(upstream, "");
            metrics = front.beside;
            front
        });
        if *asked == Asked::Prometheus {
            let watcher = prometheus(metrics, rule);
            let at = watcher.url.clone();
            return site.with(watcher).set("observe.prometheus.prometheus-alerts", at);
        }
        let [nobody] = free_ports();
        let more = if *asked == Asked::Inhibited { inhibits } else { "" };
        let manager = alertmanager_with(nobody, ", group_wait: 0s", "", more);
        let watcher = match asked {
            Asked::Untold => prometheus(metrics, rule),
            _ => prometheus_telling(metrics, rule, &manager),
        };
        let by_prometheus = format!("{{ name: prometheus, prometheus-alerts: \"{}\" }}", watcher.url);
        let by_manager = format!("{{ name: manager, alertmanager: \"{}\" }}", manager.url);
        let observed = match asked {
            Asked::Both => format!("[{by_prometheus}, {by_manager}]"),
            _ => format!("[{by_manager}]"),
        };
        site.with(watcher).with(manager).set("observe", observed)
    };
    tell_apart(&cases, start, |(rule, asked, verdicts), told| {
        let checks = [
            "alert.cut.HighErrorRate.fires-within",
            "alert.cut.HighErrorRate.resolves-within",
            "alert.HighErrorRate.quiet-in.baseline",
        ];
        let wanted: Vec<_> = checks.into_iter().zip(*verdicts).collect();
        told.must(&format!("{asked:?}: {rule}"), &wanted);
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
