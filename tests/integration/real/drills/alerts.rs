//! Alerts of a real Prometheus, while the way to a service's upstream is cut.

use firedrill::verdict::model::Verdict::{Fail, Inconclusive, Pass};

use super::{Site, tell_apart};
use crate::real::servers::{haproxy, prometheus};

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
