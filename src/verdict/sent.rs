//! What systems that others wrote say that they sent to what a breaker guards.

use super::{
    counters,
    facts::{Facts, Sample},
};

/// Whether a counter tells what a proxy or a library sent past this breaker.
pub(super) fn tells(series: &str, breaker: &str) -> bool {
    let label = |name: &str| counters::label(series, name);
    match counters::name(series) {
        "haproxy_server_sessions_total" => label("proxy")
            .zip(label("server"))
            .is_some_and(|(proxy, server)| breaker.split_once('/') == Some((proxy, server))),
        "envoy_cluster_upstream_rq_total" => label("envoy_cluster_name") == Some(breaker),
        "resilience4j_circuitbreaker_calls_seconds_count" => {
            label("name") == Some(breaker)
                && label("kind").is_some_and(|kind| matches!(kind, "successful" | "failed" | "ignored"))
        }
        _ => false,
    }
}

/// Whether it counts a request when it ends, and not when it is sent.
pub(super) fn at_end(breaker: &str, facts: &Facts<'_>, source: &str) -> bool {
    let last = facts.samples_of(source).last();
    let ends = |series: &String| {
        tells(series, breaker) && counters::name(series) == "resilience4j_circuitbreaker_calls_seconds_count"
    };
    last.is_some_and(|(_, values)| values.keys().any(ends))
}

/// Sources whose counters tell of this breaker.
pub(super) fn sources<'f>(facts: &'f Facts<'_>, breaker: &str) -> Vec<&'f str> {
    let told = facts.samples.iter().filter(|(_, samples)| {
        let last = samples.last();
        last.is_some_and(|(_, values)| values.keys().any(|series| tells(series, breaker)))
    });
    told.map(|(source, _)| *source).collect()
}

/// Whether a sample was taken while all that the breaker guards was shut off. Of
/// a cluster of Envoy's some hosts may serve on, and what it sent them is no leak.
pub(super) fn all_shut(sample: &Sample<'_>, breaker: &str) -> bool {
    let healthy = sample.1.iter().find(|(series, _)| {
        counters::name(series) == "envoy_cluster_membership_healthy"
            && counters::label(series, "envoy_cluster_name") == Some(breaker)
    });
    healthy.is_none_or(|(_, healthy)| *healthy == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_three_systems_are_known() {
        for (series, breaker, told) in [
            (r#"haproxy_server_sessions_total{proxy="back",server="s1"}"#, "back/s1", true),
            (r#"haproxy_server_sessions_total{proxy="back",server="s2"}"#, "back/s1", false),
            (r#"envoy_cluster_upstream_rq_total{envoy_cluster_name="up"}"#, "up", true),
            (r#"envoy_cluster_upstream_rq_total{envoy_cluster_name="up"}"#, "up capacity", false),
            (r#"resilience4j_circuitbreaker_calls_seconds_count{kind="failed",name="llm"}"#, "llm", true),
            (
                r#"resilience4j_circuitbreaker_calls_seconds_count{kind="not_permitted",name="llm"}"#,
                "llm",
                false,
            ),
            (r#"up{name="llm"}"#, "llm", false),
        ] {
            assert_eq!(tells(series, breaker), told, "{series}");
        }
    }
}
