//! Circuit breakers of systems that others wrote, from their own figures.

use indexmap::IndexMap;

use super::{
    breakers::{Entered, Known},
    prometheus::Exposition,
};
use crate::{journal::event::BreakerState, scenario::observe::System};

/// The breakers that a system shows. None: it is not known to have any.
pub(super) fn breakers(system: &System, metrics: &Exposition) -> Option<IndexMap<String, Known>> {
    match system {
        System::Prometheus(_) => None,
        System::Envoy(_) => Some(envoy(metrics)),
        System::Haproxy(_) => Some(haproxy(metrics)),
        System::Resilience4j(_) => Some(resilience4j(metrics)),
    }
}

fn known(state: BreakerState, opened: f64) -> Known {
    Known { state, entered: Entered { open: opened as u64, ..Entered::default() } }
}

/// A cluster with ejected hosts is open, whatever it does with the others.
fn envoy(metrics: &Exposition) -> IndexMap<String, Known> {
    const ACTIVE: &str = "envoy_cluster_outlier_detection_ejections_active";
    const TOTAL: &str = "envoy_cluster_outlier_detection_ejections_enforced_total";
    let all = metrics.named(ACTIVE).filter_map(|sample| {
        let name = sample.label("envoy_cluster_name")?;
        let total = metrics.named(TOTAL).find(|one| one.label("envoy_cluster_name") == Some(name));
        let total = total.map_or(0.0, |one| one.value);
        let state = if sample.value > 0.0 { BreakerState::Open } else { BreakerState::Closed };
        Some((name.to_owned(), known(state, total)))
    });
    all.collect()
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
        let its = |one: &&super::prometheus::Sample| {
            one.label("proxy") == Some(proxy) && one.label("server") == Some(server)
        };
        let downs = metrics.named(DOWNS).find(its).map_or(0.0, |one| one.value);
        Some((format!("{proxy}/{server}"), known(state, downs)))
    });
    all.collect()
}

/// One state of each breaker is 1.
fn resilience4j(metrics: &Exposition) -> IndexMap<String, Known> {
    const STATE: &str = "resilience4j_circuitbreaker_state";
    let all = metrics.named(STATE).filter(|sample| sample.value == 1.0).filter_map(|sample| {
        let state = match sample.label("state")? {
            "closed" => BreakerState::Closed,
            "open" | "forced_open" => BreakerState::Open,
            "half_open" => BreakerState::HalfOpen,
            // Switched off, it guards nothing.
            _ => return None,
        };
        Some((sample.label("name")?.to_owned(), known(state, 0.0)))
    });
    all.collect()
}

#[cfg(test)]
mod tests {
    use super::{BreakerState::*, *};
    use crate::{journal::event::Signal, observe::breakers::Breakers};

    fn told(breakers: &mut Breakers, system: &System, text: &str) -> Vec<(String, BreakerState)> {
        let found = super::breakers(system, &Exposition::parse(text)).expect("it has breakers");
        let signals = breakers.told(found).into_iter();
        signals
            .map(|signal| match signal {
                Signal::Breaker { name, state } => (name, state),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn envoy_ejects_and_lets_back_between_two_looks() {
        let system = System::Envoy(String::new());
        let text = |active: u32, total: u32| {
            format!(
                "envoy_cluster_outlier_detection_ejections_active{{envoy_cluster_name=\"llm\"}} {active}\n\
                 envoy_cluster_outlier_detection_ejections_enforced_total{{envoy_cluster_name=\"llm\"}} {total}\n"
            )
        };
        let mut breakers = Breakers::default();
        let llm = |state| ("llm".to_owned(), state);
        assert_eq!(told(&mut breakers, &system, &text(0, 3)), [llm(Closed)]);
        assert_eq!(told(&mut breakers, &system, &text(1, 4)), [llm(Open)]);
        assert_eq!(told(&mut breakers, &system, &text(0, 4)), [llm(Closed)]);
        assert_eq!(told(&mut breakers, &system, &text(0, 5)), [llm(Open), llm(Closed)]);
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
        let mut breakers = Breakers::default();
        let s1 = |state| ("llm/s1".to_owned(), state);
        assert_eq!(told(&mut breakers, &system, &text(1, 0)), [s1(Closed)]);
        assert_eq!(told(&mut breakers, &system, &text(0, 1)), [s1(Open)]);
        assert_eq!(told(&mut breakers, &system, &text(1, 1)), [s1(Closed)]);
        assert_eq!(told(&mut breakers, &system, &text(1, 2)), [s1(Open), s1(Closed)], "between two looks");
    }

    #[test]
    fn resilience4j_tells_the_state_that_is_one() {
        let system = System::Resilience4j(String::new());
        let text = |state: &str| {
            format!("resilience4j_circuitbreaker_state{{name=\"llm\",state=\"{state}\"}} 1.0\n")
        };
        let mut breakers = Breakers::default();
        let llm = |state| ("llm".to_owned(), state);
        assert_eq!(told(&mut breakers, &system, &text("closed")), [llm(Closed)]);
        assert_eq!(told(&mut breakers, &system, &text("half_open")), [llm(HalfOpen)]);
        assert_eq!(told(&mut breakers, &system, &text("disabled")), []);
    }
}
