//! Circuit breakers of systems that others wrote, from their own figures.

use indexmap::IndexMap;

use super::{
    breakers::{Entered, Known},
    deployments::Deployments,
    ejections::Ejections,
    prometheus::{Exposition, Sample},
};
use crate::{
    journal::event::{
        BreakerKind::{self, *},
        BreakerState,
    },
    scenario::observe::System,
};

/// Reads the breakers of one system, look by look.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// What was counted of each service up to the last look.
    services: IndexMap<String, Service>,
    deployments: Deployments,
    ejections: Ejections,
}

impl Reader {
    /// The breakers that the system shows. None: it is not known to have any.
    pub(super) fn breakers(
        &mut self,
        system: &System,
        metrics: &Exposition,
    ) -> Option<IndexMap<String, Known>> {
        match system {
            System::Prometheus(_)
            | System::PrometheusQuery(_)
            | System::Redis(_)
            | System::Nginx(_)
            | System::Varnish(_)
            | System::PrometheusAlerts(_)
            | System::Alertmanager(_)
            | System::AlertWebhook(_) => None,
            System::Envoy(_) => Some(self.envoy(metrics)),
            System::Haproxy(_) => Some(haproxy(metrics)),
            System::Resilience4j(_) => Some(resilience4j(metrics)),
            System::Traefik(_) => Some(self.traefik(metrics)),
            System::Litellm(_) => Some(self.deployments.breakers(metrics)),
        }
    }

    /// Outlier ejection and, beside it, the capacity breaker: it is open while
    /// its count of rejections grows. (Its gauges are back at 0 after a burst.)
    fn envoy(&mut self, metrics: &Exposition) -> IndexMap<String, Known> {
        let mut all = self.ejections.breakers(metrics);
        for sample in metrics.named("envoy_cluster_upstream_rq_pending_overflow") {
            let Some(name) = sample.label("envoy_cluster_name") else { continue };
            // Newer versions count apart what is too much at once, and what waits.
            let active = metrics.named("envoy_cluster_upstream_rq_active_overflow");
            let active = active.filter(|one| one.label("envoy_cluster_name") == Some(name));
            let rejected = sample.value + active.map(|one| one.value).sum::<f64>();
            let name = format!("{name} capacity");
            let before = self.services.get(&name).map_or(rejected, |service| service.rejected);
            let state = if rejected > before { BreakerState::Open } else { BreakerState::Closed };
            self.services.insert(name.clone(), Service { rejected, asked: 0.0, state });
            all.insert(name, known(Capacity, state, 0.0));
        }
        all
    }

    /// A breaker that has tripped answers 503 without asking the service, so
    /// the router counts what the service does not; one that recovers does so
    /// with some requests only.
    fn traefik(&mut self, metrics: &Exposition) -> IndexMap<String, Known> {
        let mut now: IndexMap<String, (f64, f64)> = IndexMap::new();
        let rejected = |sample: &&Sample| sample.label("code") == Some("503");
        for sample in metrics.named("traefik_router_requests_total").filter(rejected) {
            if let Some(name) = sample.label("service") {
                now.entry(name.to_owned()).or_default().0 += sample.value;
            }
        }
        for sample in metrics.named("traefik_service_requests_total") {
            if let Some(name) = sample.label("service") {
                let counted = now.entry(name.to_owned()).or_default();
                counted.1 += sample.value;
                if rejected(&sample) {
                    counted.0 -= sample.value;
                }
            }
        }
        let tell = |(name, (rejected, asked)): (String, (f64, f64))| {
            let before = self.services.get(&name).copied().unwrap_or_default();
            let state = match (rejected > before.rejected, asked > before.asked, before.state) {
                (true, false, _) | (true, true, BreakerState::Closed) => BreakerState::Open,
                (true, true, BreakerState::Open | BreakerState::HalfOpen) => BreakerState::HalfOpen,
                (false, true, _) => BreakerState::Closed,
                // Nobody asked.
                (false, false, state) => state,
            };
            self.services.insert(name.clone(), Service { rejected, asked, state });
            (name, known(StateMachine, state, 0.0))
        };
        now.into_iter().map(tell).collect()
    }
}

/// A service behind a proxy.
#[derive(Debug, Clone, Copy)]
struct Service {
    /// Requests that were answered without asking it, so far.
    rejected: f64,
    /// Requests that it was asked, so far.
    asked: f64,
    state: BreakerState,
}

impl Default for Service {
    fn default() -> Self {
        Self { rejected: 0.0, asked: 0.0, state: BreakerState::Closed }
    }
}

fn known(kind: BreakerKind, state: BreakerState, opened: f64) -> Known {
    Known { kind, state, entered: Entered { open: opened as u64, ..Entered::default() } }
}

/// A server that is down gets nothing: its breaker is open.
fn haproxy(metrics: &Exposition) -> IndexMap<String, Known> {
    const STATUS: &str = "haproxy_server_status";
    const DOWNS: &str = "haproxy_server_check_up_down_total";
    let all = metrics.named(STATUS).filter(|sample| sample.value == 1.0).filter_map(|sample| {
        let (proxy, server) = (sample.label("proxy")?, sample.label("server")?);
        let state = match sample.label("state")? {
            "UP" => BreakerState::Closed,
            "DOWN" => BreakerState::Open,
            // A person did that, or nothing looks at it.
            _ => return None,
        };
        let its = |one: &&Sample| one.label("proxy") == Some(proxy) && one.label("server") == Some(server);
        let downs = metrics.named(DOWNS).find(its).map_or(0.0, |one| one.value);
        Some((format!("{proxy}/{server}"), known(Outlier, state, downs)))
    });
    all.collect()
}

/// One state of each breaker is 1. A bulkhead without a call left is open.
fn resilience4j(metrics: &Exposition) -> IndexMap<String, Known> {
    const STATE: &str = "resilience4j_circuitbreaker_state";
    const LEFT: &str = "resilience4j_bulkhead_available_concurrent_calls";
    let bulkheads = metrics.named(LEFT).filter_map(|sample| {
        let state = if sample.value > 0.0 { BreakerState::Closed } else { BreakerState::Open };
        Some((format!("{} bulkhead", sample.label("name")?), known(Capacity, state, 0.0)))
    });
    let all = metrics.named(STATE).filter(|sample| sample.value == 1.0).filter_map(|sample| {
        let state = match sample.label("state")? {
            "closed" => BreakerState::Closed,
            "open" | "forced_open" => BreakerState::Open,
            "half_open" => BreakerState::HalfOpen,
            // Switched off, it guards nothing.
            _ => return None,
        };
        Some((sample.label("name")?.to_owned(), known(StateMachine, state, 0.0)))
    });
    all.chain(bulkheads).collect()
}

#[cfg(test)]
mod tests {
    use super::{BreakerState::*, *};
    use crate::{journal::event::Signal, observe::breakers::Breakers};

    fn told(
        (reader, breakers): &mut (Reader, Breakers),
        system: &System,
        text: &str,
    ) -> Vec<(String, BreakerState)> {
        let found = reader.breakers(system, &Exposition::parse(text)).expect("it has breakers");
        let signals = breakers.told(found).into_iter();
        signals
            .map(|signal| match signal {
                Signal::Breaker { name, state, .. } => (name, state),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn envoy_rejects_what_is_too_much() {
        let system = System::Envoy(String::new());
        let text = |n: u32| {
            format!(
                "envoy_cluster_upstream_rq_pending_overflow{{envoy_cluster_name=\"llm\"}} 1\n\
                 envoy_cluster_upstream_rq_active_overflow{{envoy_cluster_name=\"llm\"}} {n}\n"
            )
        };
        let mut breakers = <(Reader, Breakers)>::default();
        let llm = |state| ("llm capacity".to_owned(), state);
        assert_eq!(told(&mut breakers, &system, &text(4)), [llm(Closed)], "long ago");
        assert_eq!(told(&mut breakers, &system, &text(9)), [llm(Open)]);
        assert_eq!(told(&mut breakers, &system, &text(9)), [llm(Closed)]);
    }

    #[test]
    fn a_server_of_haproxy_that_is_down_is_open() {
        let system = System::Haproxy(String::new());
        let text = |up: u8, downs: u32| {
            let down = 1 - up;
            format!(
                "haproxy_server_status{{proxy=\"llm\",server=\"s1\",state=\"UP\"}} {up}\n\
                 haproxy_server_status{{proxy=\"llm\",server=\"s1\",state=\"DOWN\"}} {down}\n\
                 haproxy_server_status{{proxy=\"llm\",server=\"s2\",state=\"MAINT\"}} 1\n\
                 haproxy_server_check_up_down_total{{proxy=\"llm\",server=\"s1\"}} {downs}\n"
            )
        };
        let mut breakers = <(Reader, Breakers)>::default();
        let s1 = |state| ("llm/s1".to_owned(), state);
        assert_eq!(told(&mut breakers, &system, &text(1, 0)), [s1(Closed)]);
        assert_eq!(told(&mut breakers, &system, &text(0, 1)), [s1(Open)]);
        assert_eq!(told(&mut breakers, &system, &text(1, 1)), [s1(Closed)]);
        assert_eq!(told(&mut breakers, &system, &text(1, 2)), [s1(Open), s1(Closed)], "between two looks");
        // A slot that is filled has counted since long ago.
        let filled = "haproxy_server_status{proxy=\"llm\",server=\"s2\",state=\"UP\"} 1\n\
                      haproxy_server_check_up_down_total{proxy=\"llm\",server=\"s2\"} 7\n";
        assert_eq!(told(&mut breakers, &system, filled), [("llm/s2".to_owned(), Closed)]);
    }

    #[test]
    fn resilience4j_tells_the_state_that_is_one() {
        let system = System::Resilience4j(String::new());
        let text = |state: &str| {
            format!("resilience4j_circuitbreaker_state{{name=\"llm\",state=\"{state}\"}} 1.0\n")
        };
        let mut breakers = <(Reader, Breakers)>::default();
        let llm = |state| ("llm".to_owned(), state);
        assert_eq!(told(&mut breakers, &system, &text("closed")), [llm(Closed)]);
        assert_eq!(told(&mut breakers, &system, &text("half_open")), [llm(HalfOpen)]);
        assert_eq!(told(&mut breakers, &system, &text("disabled")), []);
        let bulkhead = |left: u32| {
            format!("resilience4j_bulkhead_available_concurrent_calls{{name=\"llm\"}} {left}.0\n")
        };
        let mut bulkheads = <(Reader, Breakers)>::default();
        let llm = |state| ("llm bulkhead".to_owned(), state);
        assert_eq!(told(&mut bulkheads, &system, &bulkhead(4)), [llm(Closed)]);
        assert_eq!(told(&mut bulkheads, &system, &bulkhead(0)), [llm(Open)]);
        assert_eq!(told(&mut bulkheads, &system, &bulkhead(1)), [llm(Closed)]);
    }

    #[test]
    fn traefik_rejects_what_its_service_is_not_asked() {
        let system = System::Traefik(String::new());
        let text = |rejected: u32, asked: u32, unwell: u32| {
            format!(
                "traefik_router_requests_total{{code=\"503\",router=\"llm@file\",service=\"llm@file\"}} {}\n\
                 traefik_service_requests_total{{code=\"200\",service=\"llm@file\"}} {asked}\n\
                 traefik_service_requests_total{{code=\"503\",service=\"llm@file\"}} {unwell}\n",
                rejected + unwell
            )
        };
        let mut breakers = <(Reader, Breakers)>::default();
        let llm = |state| ("llm@file".to_owned(), state);
        assert_eq!(told(&mut breakers, &system, &text(0, 9, 0)), [llm(Closed)]);
        // The service itself answers 503: that is no breaker's.
        assert_eq!(told(&mut breakers, &system, &text(0, 9, 7)), []);
        assert_eq!(told(&mut breakers, &system, &text(2, 10, 7)), [llm(Open)]);
        assert_eq!(told(&mut breakers, &system, &text(5, 10, 7)), []);
        assert_eq!(told(&mut breakers, &system, &text(5, 10, 7)), [], "nobody asked");
        assert_eq!(told(&mut breakers, &system, &text(6, 11, 7)), [llm(HalfOpen)]);
        assert_eq!(told(&mut breakers, &system, &text(6, 14, 7)), [llm(Closed)]);
    }
}
