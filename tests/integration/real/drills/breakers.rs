//! Circuit breakers, while the way to their upstream is cut for six seconds.

use firedrill::verdict::model::Verdict::{self, Fail, Inconclusive, Pass};

use super::{Site, tell_apart};
use crate::real::servers::{envoy, haproxy, resilience4j, traefik};

const LEAKS: &str = "circuit-breaker.cut.leaks";

/// A set-up, with whether its breaker opens and closes in time.
type Case<'a> = (&'a str, Verdict, Verdict);

/// Drills each, and holds what was told against the table. One that does both
/// has to reject fast and to be quiet before, too.
fn told_apart(cases: &[Case<'_>], start: impl Fn(&str) -> Site) {
    tell_apart(
        cases,
        |(set_up, ..)| start(set_up),
        |(set_up, opens, closes), told| {
            let found = [
                ("circuit-breaker.cut.opens-within", *opens),
                ("circuit-breaker.cut.closes-within", *closes),
            ];
            told.must(set_up, &found);
            if (*opens, *closes) == (Pass, Pass) {
                let well =
                    [("circuit-breaker.cut.fails-fast", Pass), ("circuit-breaker.quiet-in.baseline", Pass)];
                told.must(set_up, &well);
                // Nobody counts what Traefik sends while it is open: that it is
                // open is known by that alone.
                if told.judged.checks.iter().any(|check| check.id.as_str() == LEAKS) {
                    told.must(set_up, &[(LEAKS, Pass)]);
                }
            }
        },
    );
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn haproxy_that_takes_a_broken_server_out_and_back_is_told_from_one_that_does_not() {
    let well = "check inter 300ms fall 2 rise 2 observe layer7 error-limit 3 on-error mark-down";
    let cases = [
        (well, Pass, Pass),
        // It comes back, but not in time.
        (
            "check inter 300ms downinter 30s fall 2 rise 2 observe layer7 error-limit 3 on-error mark-down",
            Pass,
            Fail,
        ),
        // Nobody counts errors, and the check comes too late.
        ("check inter 60s", Fail, Inconclusive),
    ];
    told_apart(&cases, |server| {
        let site = Site::cut_off("haproxy.yaml", |upstream| haproxy(upstream, server));
        // Its exporter and its page as CSV tell the same.
        let page = if server == well { "stats;csv" } else { "metrics" };
        let page = format!("{}/{page}", site.beside());
        site.set("observe.front.haproxy", page)
    });
}

/// Envoy's outlier detection: so many errors eject a host, for so long.
fn outliers(errors: u32, ejected: &str) -> String {
    format!(
        "outlier_detection: {{ consecutive_5xx: {errors}, consecutive_gateway_failure: {errors}, \
         enforcing_consecutive_gateway_failure: 100, interval: 0.5s, base_ejection_time: {ejected}, \
         max_ejection_time: {ejected}, max_ejection_percent: 100 }}"
    )
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn envoy_that_ejects_and_lets_back_is_told_from_one_that_does_not() {
    // Three seconds hold a whole one, however they lie on the run's clock.
    let (well, long, never) = (outliers(3, "3s"), outliers(3, "60s"), outliers(10_000, "3s"));
    let cases = [
        (well.as_str(), Pass, Pass),
        (&long, Pass, Fail),
        (&never, Fail, Inconclusive),
        // None at all: there is no breaker, and so none that opened.
        ("", Fail, Inconclusive),
    ];
    told_apart(&cases, |cluster| {
        let site = Site::cut_off("envoy-outliers.yaml", |upstream| envoy(upstream, cluster, "", ""));
        let admin = site.beside();
        site.set("observe.front.envoy", admin)
    });
}

/// Whether it is open is told right, and requests pass all the same.
#[test]
#[ignore = "needs scripts/real-servers"]
fn breakers_that_are_open_and_let_requests_through_are_told() {
    // Envoy's usual panic threshold: where half of the hosts are ejected, all
    // of them get requests.
    let panic = format!("{}\n    common_lb_config: {{}}", outliers(3, "3s"));
    let site = Site::cut_off("envoy-outliers.yaml", |upstream| envoy(upstream, &panic, "", ""));
    let admin = site.beside();
    let told = site.set("observe.front.envoy", admin).drill();
    told.must("panics", &[("circuit-breaker.cut.opens-within", Pass), (LEAKS, Fail)]);
    // A rule names the server, and `option persist` keeps to it while it is down.
    let persists = "check inter 300ms fall 2 rise 2 observe layer7 error-limit 3 on-error mark-down\n  \
                    option persist\n  use-server s1 if { always_true }";
    let site = Site::cut_off("haproxy.yaml", |upstream| haproxy(upstream, persists));
    let metrics = format!("{}/metrics", site.beside());
    let told = site.set("observe.front.haproxy", metrics).drill();
    told.must("persists", &[("circuit-breaker.cut.opens-within", Pass), (LEAKS, Fail)]);
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn traefik_that_trips_and_recovers_is_told_from_one_that_does_not() {
    let cases = [
        (
            "circuitBreaker: { expression: \"NetworkErrorRatio() > 0.1\", checkPeriod: 100ms, fallbackDuration: 3s, recoveryDuration: 1s }",
            Pass,
            Pass,
        ),
        (
            "circuitBreaker: { expression: \"NetworkErrorRatio() > 0.1\", checkPeriod: 100ms, fallbackDuration: 60s, recoveryDuration: 1s }",
            Pass,
            Fail,
        ),
        // A cut is no answer of the upstream.
        (
            "circuitBreaker: { expression: \"ResponseCodeRatio(500, 501, 0, 600) > 0.3\", checkPeriod: 100ms, fallbackDuration: 2s, recoveryDuration: 1s }",
            Fail,
            Inconclusive,
        ),
        ("compress: {}", Fail, Inconclusive),
    ];
    told_apart(&cases, |middleware| {
        let site = Site::cut_off("traefik.yaml", |upstream| traefik(upstream, middleware));
        let metrics = format!("{}/metrics", site.beside());
        site.set("observe.front.traefik", metrics)
    });
}

#[test]
#[ignore = "needs scripts/real-servers"]
fn resilience4j_that_opens_and_closes_is_told_from_one_that_does_not() {
    let cases = [
        ("window=10 rate=50 wait=1s", Pass, Pass),
        ("window=10 rate=50 wait=60s", Pass, Fail),
        ("window=10000", Fail, Inconclusive),
    ];
    told_apart(&cases, |settings| {
        let site = Site::cut_off("resilience4j.yaml", |upstream| resilience4j(upstream, settings));
        let metrics = format!("{}/actuator/prometheus", site.url());
        site.set("observe.front.resilience4j", metrics)
    });
}
