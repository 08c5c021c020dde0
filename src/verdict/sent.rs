//! What systems that others wrote say that they sent to what a breaker guards.

use super::{
    counters,
    facts::{Facts, Sample},
};

const HAPROXY: &str = "haproxy_server_sessions_total";
/// What Envoy sent to each cluster, and how much of that again.
pub(super) const ENVOY_SENT: &str = "envoy_cluster_upstream_rq_total";
pub(super) const ENVOY_AGAIN: &str = "envoy_cluster_upstream_rq_retry";
const RESILIENCE4J: &str = "resilience4j_circuitbreaker_calls_seconds_count";

/// Whether a series, whatever its labels, is such a counter.
pub(crate) fn is_counter(series: &str) -> bool {
    matches!(counters::name(series), HAPROXY | ENVOY_SENT | ENVOY_AGAIN | RESILIENCE4J)
}

/// When a counter counts a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    /// When it is sent.
    Sent,
    /// When it ends.
    Ended,
}

/// Whether a counter tells what a proxy or a library sent past this breaker, and
/// when it counts that.
pub(super) fn tells(series: &str, breaker: &str) -> Option<Counts> {
    let label = |name: &str| counters::label(series, name);
    let (its, counts) = match counters::name(series) {
        HAPROXY => {
            let its = label("proxy")
                .zip(label("server"))
                .is_some_and(|(proxy, server)| breaker.split_once('/') == Some((&*proxy, &*server)));
            (its, Counts::Sent)
        }
        ENVOY_SENT => (label("envoy_cluster_name").as_deref() == Some(breaker), Counts::Sent),
        RESILIENCE4J => {
            let let_in = matches!(label("kind").as_deref(), Some("successful" | "failed" | "ignored"));
            (label("name").as_deref() == Some(breaker) && let_in, Counts::Ended)
        }
        _ => return None,
    };
    its.then_some(counts)
}

/// Sources whose counters tell of this breaker.
pub(super) fn sources<'f>(facts: &'f Facts<'_>, breaker: &str) -> Vec<(&'f str, Counts)> {
    let told = facts.samples.iter().filter_map(|(source, samples)| {
        let (_, values) = samples.last()?;
        Some((*source, values.keys().find_map(|series| tells(series, breaker))?))
    });
    told.collect()
}

/// Whether a sample was taken while all that the breaker guards was shut off. Of
/// a cluster of Envoy's some hosts may serve on, and what it sent them is no leak.
pub(super) fn all_shut(sample: &Sample<'_>, breaker: &str) -> bool {
    let healthy = sample.1.iter().find(|(series, _)| {
        counters::name(series) == "envoy_cluster_membership_healthy"
            && counters::label(series, "envoy_cluster_name").as_deref() == Some(breaker)
    });
    healthy.is_none_or(|(_, healthy)| *healthy == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_three_systems_are_known() {
        for (series, breaker, told) in [
            (r#"haproxy_server_sessions_total{proxy="back",server="s1"}"#, "back/s1", Some(Counts::Sent)),
            (r#"haproxy_server_sessions_total{proxy="back",server="s2"}"#, "back/s1", None),
            (r#"envoy_cluster_upstream_rq_total{envoy_cluster_name="up"}"#, "up", Some(Counts::Sent)),
            (r#"envoy_cluster_upstream_rq_total{envoy_cluster_name="up"}"#, "up capacity", None),
            (
                r#"resilience4j_circuitbreaker_calls_seconds_count{kind="failed",name="llm"}"#,
                "llm",
                Some(Counts::Ended),
            ),
            (
                r#"resilience4j_circuitbreaker_calls_seconds_count{kind="not_permitted",name="llm"}"#,
                "llm",
                None,
            ),
            (r#"up{name="llm"}"#, "llm", None),
        ] {
            assert_eq!(tells(series, breaker), told, "{series}");
            assert_eq!(is_counter(series), series != r#"up{name="llm"}"#, "{series}");
        }
        assert!(is_counter(r#"envoy_cluster_upstream_rq_retry{envoy_cluster_name="up"}"#));
    }
}
