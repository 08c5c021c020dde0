//! The upstreams that the controller named, and which of them gets a
//! request: the one with the fewest open requests among those whose breaker
//! permits it.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use super::{
    breaker::{self, Breaker, CallEnd, Permit, STATES},
    metrics::Text,
};
use crate::{
    journal::event::BreakerState,
    lab::{
        api::{Role, Routing, Upstream, UpstreamStatus},
        config::BreakerMode,
    },
    units::{PodName, Version},
};

/// How long slow rejections take.
const SLOW: Duration = Duration::from_secs(2);

/// What is kept about a pod as long as it is listed.
#[derive(Debug)]
struct Guard {
    // None: there are no breakers.
    breaker: Option<Mutex<Breaker>>,
    outstanding: AtomicU32,
}

impl Guard {
    fn breaker(&self) -> Option<MutexGuard<'_, Breaker>> {
        self.breaker.as_ref().map(|breaker| breaker.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn permits(&self, now: Instant) -> bool {
        self.breaker().is_none_or(|mut breaker| breaker.permits(now))
    }
}

/// An upstream.
#[derive(Debug, Clone)]
struct Replica {
    upstream: Arc<Upstream>,
    guard: Arc<Guard>,
}

#[derive(Debug)]
struct Inner {
    replicas: Vec<Replica>,
    routing: Option<Routing>,
    // Where the search among equals starts.
    cursor: usize,
}

/// All upstreams.
#[derive(Debug)]
pub(super) struct Fleet {
    mode: BreakerMode,
    open_for: Duration,
    inner: Mutex<Inner>,
}

/// Where a request is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    /// Stable or canary.
    pub(super) role: Role,
    /// The version that is to answer; none while there are no upstreams.
    pub(super) version: Option<Version>,
}

/// What became of the search for an upstream.
#[derive(Debug)]
pub(super) enum Pick {
    /// This one.
    Taken(Ticket),
    /// There are some, and their breakers permit none.
    Refused,
    /// There are none (left).
    Nobody,
}

/// The right to one attempt on an upstream. Dropped unused, it says nothing
/// about the upstream.
#[derive(Debug)]
pub(super) struct Ticket {
    replica: Replica,
    permit: Option<Permit>,
}

impl Ticket {
    /// Where the attempt goes.
    pub(super) fn upstream(&self) -> &Arc<Upstream> {
        &self.replica.upstream
    }

    /// The attempt has ended.
    pub(super) fn end(mut self, end: CallEnd) {
        self.give_back(end);
    }

    fn give_back(&mut self, end: CallEnd) {
        if let Some(permit) = self.permit.take()
            && let Some(mut breaker) = self.replica.guard.breaker()
        {
            breaker.record(permit, end, Instant::now());
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.give_back(CallEnd::Neither);
        self.replica.guard.outstanding.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Fleet {
    /// None yet.
    pub(super) fn new(mode: BreakerMode, open_for: Duration) -> Self {
        let inner = Inner { replicas: Vec::new(), routing: None, cursor: 0 };
        Self { mode, open_for, inner: Mutex::new(inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the list. A pod that stays keeps its breaker.
    pub(super) fn replace(&self, upstreams: Vec<Upstream>) {
        let mut inner = self.lock();
        let known = std::mem::take(&mut inner.replicas);
        inner.replicas = upstreams
            .into_iter()
            .map(|upstream| {
                let guard = known.iter().find(|replica| replica.upstream.pod == upstream.pod);
                let guard = guard.map_or_else(|| self.guard(), |replica| Arc::clone(&replica.guard));
                Replica { upstream: Arc::new(upstream), guard }
            })
            .collect();
    }

    fn guard(&self) -> Arc<Guard> {
        let breaker = match self.mode {
            BreakerMode::Off => None,
            mode => Some(Mutex::new(Breaker::new(mode, self.open_for, Instant::now()))),
        };
        Arc::new(Guard { breaker, outstanding: AtomicU32::new(0) })
    }

    /// Takes over the routing.
    pub(super) fn set_routing(&self, routing: Routing) {
        self.lock().routing = Some(routing);
    }

    /// The routing in force.
    pub(super) fn routing(&self) -> Option<Routing> {
        self.lock().routing.clone()
    }

    /// Where a request goes whose lot, uniform in [0, 1), is `lot`.
    pub(super) fn route(&self, lot: f64) -> Route {
        let now = Instant::now();
        let inner = self.lock();
        let of = |role| inner.replicas.iter().filter(move |replica| replica.upstream.role == role);
        let weight = inner.routing.as_ref().map_or(0.0, |routing| routing.canary_weight);
        if lot < weight
            && let Some(canary) = of(Role::Canary).find(|canary| canary.guard.permits(now))
        {
            return Route { role: Role::Canary, version: Some(canary.upstream.version.clone()) };
        }
        let named = inner.routing.as_ref().map(|routing| routing.stable.clone());
        let first = || of(Role::Stable).next().map(|replica| replica.upstream.version.clone());
        Route { role: Role::Stable, version: named.or_else(first) }
    }

    /// An upstream for `role` that is not among `tried`.
    pub(super) fn pick(&self, role: Role, tried: &[PodName]) -> Pick {
        let now = Instant::now();
        let mut inner = self.lock();
        let count = inner.replicas.len();
        let mut best: Option<(usize, u32)> = None;
        let mut refused = false;
        for step in 0..count {
            let at = (inner.cursor + step) % count;
            let Replica { upstream, guard } = &inner.replicas[at];
            if upstream.role != role || tried.contains(&upstream.pod) {
                continue;
            }
            if !guard.permits(now) {
                refused = true;
                if let Some(mut breaker) = guard.breaker() {
                    breaker.reject();
                }
                continue;
            }
            let outstanding = guard.outstanding.load(Ordering::Relaxed);
            if best.is_none_or(|(_, least)| outstanding < least) {
                best = Some((at, outstanding));
            }
        }
        let Some((at, _)) = best else {
            return if refused { Pick::Refused } else { Pick::Nobody };
        };
        // A retry doesn't take a turn: else the replica that failed would have
        // the next one again.
        if tried.is_empty() {
            inner.cursor = at + 1;
        }
        let replica = inner.replicas[at].clone();
        let permit = replica.guard.breaker().map(|mut breaker| breaker.admit());
        replica.guard.outstanding.fetch_add(1, Ordering::Relaxed);
        Pick::Taken(Ticket { replica, permit })
    }

    /// How long a request waits for its rejection.
    pub(super) fn rejects_after(&self) -> Duration {
        if matches!(self.mode, BreakerMode::SlowRejections) { SLOW } else { Duration::ZERO }
    }

    /// The list as it is.
    pub(super) fn status(&self) -> Vec<UpstreamStatus> {
        let now = Instant::now();
        let inner = self.lock();
        let status = |replica: &Replica| UpstreamStatus {
            upstream: Upstream::clone(&replica.upstream),
            breaker: replica.guard.breaker().map(|mut breaker| breaker.state(now)),
            outstanding: replica.guard.outstanding.load(Ordering::Relaxed),
        };
        inner.replicas.iter().map(status).collect()
    }

    /// The breakers and the canary's weight, in Prometheus' text form.
    pub(super) fn render(&self, text: &mut Text) {
        const STATE: &str = "gateway_circuit_breaker_state";
        const TRANSITIONS: &str = "gateway_circuit_breaker_transitions_total";
        const PROBES: &str = "gateway_circuit_breaker_probes_total";
        const NOT_PERMITTED: &str = "gateway_circuit_breaker_not_permitted_total";
        let now = Instant::now();
        let inner = self.lock();
        // Read at one instant: the three families must not contradict each other.
        let breakers: Vec<(&str, BreakerState, [u64; 3], [u64; 2])> = inner
            .replicas
            .iter()
            .filter_map(|replica| {
                let mut breaker = replica.guard.breaker()?;
                let state = breaker.state(now);
                let transitions = STATES.map(|state| breaker.transitions(state));
                let calls = [breaker.let_in_half_open(), breaker.not_permitted()];
                Some((replica.upstream.pod.as_str(), state, transitions, calls))
            })
            .collect();
        if !matches!(self.mode, BreakerMode::Off) {
            text.family(STATE, "gauge", "1 for the state that the breaker is in.");
            for (pod, state, ..) in &breakers {
                for each in STATES {
                    let labels = [("name", *pod), ("state", breaker::name(each))];
                    text.sample(STATE, &labels, u8::from(*state == each));
                }
            }
            text.family(TRANSITIONS, "counter", "Changes of the breaker's state.");
            for (pod, _, transitions, _) in &breakers {
                for (to, count) in STATES.iter().zip(transitions) {
                    text.sample(TRANSITIONS, &[("name", *pod), ("to", breaker::name(*to))], count);
                }
            }
            text.family(PROBES, "counter", "Requests that the breaker let through while it was half-open.");
            for (pod, _, _, [count, _]) in &breakers {
                text.sample(PROBES, &[("name", *pod)], count);
            }
            text.family(NOT_PERMITTED, "counter", "Requests that the breaker kept from the upstream.");
            for (pod, _, _, [_, count]) in &breakers {
                text.sample(NOT_PERMITTED, &[("name", *pod)], count);
            }
        }
        const WEIGHT: &str = "gateway_canary_weight";
        text.family(WEIGHT, "gauge", "Share of the requests for a version under trial, 0 to 1.");
        let canary = inner.replicas.iter().find(|replica| replica.upstream.role == Role::Canary);
        if let (Some(canary), Some(routing)) = (canary, &inner.routing) {
            text.sample(WEIGHT, &[("version", canary.upstream.version.as_str())], routing.canary_weight);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, net::Ipv4Addr};

    use super::*;

    fn upstream(pod: &str, version: &str, role: Role) -> Upstream {
        let address = (Ipv4Addr::LOCALHOST, 1).into();
        Upstream { pod: pod.into(), address, version: version.into(), role }
    }

    fn fleet(mode: BreakerMode) -> Fleet {
        let fleet = Fleet::new(mode, Duration::from_secs(3));
        let names = ["r-0", "r-1", "r-2"];
        fleet.replace(names.map(|name| upstream(name, "v1", Role::Stable)).to_vec());
        fleet
    }

    fn taken(pick: Pick) -> Ticket {
        match pick {
            Pick::Taken(ticket) => ticket,
            other => panic!("{other:?}"),
        }
    }

    fn pod(ticket: &Ticket) -> String {
        ticket.upstream().pod.to_string()
    }

    /// Opens the breaker of `name`.
    fn break_open(fleet: &Fleet, name: &str) {
        let others: Vec<PodName> =
            fleet.status().into_iter().map(|s| s.upstream.pod).filter(|pod| pod.as_str() != name).collect();
        for _ in 0..5 {
            taken(fleet.pick(Role::Stable, &others)).end(CallEnd::Failure);
        }
    }

    #[test]
    fn the_least_busy_gets_it_and_equals_take_turns() {
        let fleet = fleet(BreakerMode::On);
        let mut turns = BTreeMap::<String, u32>::new();
        for _ in 0..9 {
            *turns.entry(pod(&taken(fleet.pick(Role::Stable, &[])))).or_default() += 1;
        }
        assert!(turns.values().all(|n| *n == 3), "{turns:?}");
        let open: Vec<Ticket> = (0..3).map(|_| taken(fleet.pick(Role::Stable, &[]))).collect();
        let free = pod(&open[1]);
        let [a, b, c] = <[Ticket; 3]>::try_from(open).expect("three");
        drop(b);
        assert_eq!(pod(&taken(fleet.pick(Role::Stable, &[]))), free);
        drop((a, c));
        assert!(fleet.status().iter().all(|status| status.outstanding == 0));
    }

    #[test]
    fn a_retry_takes_no_turn() {
        let fleet = fleet(BreakerMode::On);
        let first = pod(&taken(fleet.pick(Role::Stable, &[])));
        assert_ne!(pod(&taken(fleet.pick(Role::Stable, &[first.as_str().into()]))), first);
        assert_ne!(pod(&taken(fleet.pick(Role::Stable, &[]))), first);
        assert_ne!(pod(&taken(fleet.pick(Role::Stable, &[]))), first);
        assert_eq!(pod(&taken(fleet.pick(Role::Stable, &[]))), first);
    }

    #[test]
    fn an_open_breaker_takes_its_pod_out_and_all_open_refuse() {
        let fleet = fleet(BreakerMode::On);
        break_open(&fleet, "r-1");
        for _ in 0..6 {
            assert_ne!(pod(&taken(fleet.pick(Role::Stable, &[]))), "r-1");
        }
        break_open(&fleet, "r-0");
        break_open(&fleet, "r-2");
        assert!(matches!(fleet.pick(Role::Stable, &[]), Pick::Refused));
        assert!(matches!(fleet.pick(Role::Canary, &[]), Pick::Nobody));
    }

    #[test]
    fn defect_slow_rejections() {
        for mode in BreakerMode::ALL {
            let slow = *mode == BreakerMode::SlowRejections;
            assert_eq!(fleet(*mode).rejects_after(), if slow { SLOW } else { Duration::ZERO }, "{mode:?}");
        }
    }

    #[test]
    fn a_pod_keeps_its_breaker_until_it_leaves_the_list() {
        let fleet = fleet(BreakerMode::On);
        break_open(&fleet, "r-1");
        let state =
            || fleet.status().into_iter().find(|s| s.upstream.pod.as_str() == "r-1").map(|s| s.breaker);
        fleet.replace(vec![upstream("r-1", "v1", Role::Stable), upstream("r-9", "v1", Role::Stable)]);
        assert_eq!(state(), Some(Some(BreakerState::Open)));
        fleet.replace(vec![upstream("r-9", "v1", Role::Stable)]);
        fleet.replace(vec![upstream("r-1", "v1", Role::Stable)]);
        assert_eq!(state(), Some(Some(BreakerState::Closed)));
    }

    #[test]
    fn without_breakers_nothing_is_refused_and_nothing_is_said_of_them() {
        let fleet = fleet(BreakerMode::Off);
        break_open(&fleet, "r-1");
        break_open(&fleet, "r-1");
        let mut text = Text::default();
        fleet.render(&mut text);
        assert!(!text.finish().contains("circuit_breaker"));
    }

    #[test]
    fn the_lot_decides_between_canary_and_stable() {
        let fleet = fleet(BreakerMode::On);
        assert_eq!(fleet.route(0.0).version, Some("v1".into()), "from the list, before any routing");
        fleet.set_routing(Routing { stable: "v1".into(), canary_weight: 0.25, purge: Vec::new() });
        assert_eq!(fleet.route(0.0).role, Role::Stable, "no canary is there");
        let mut list: Vec<Upstream> = fleet.status().into_iter().map(|status| status.upstream).collect();
        list.push(upstream("c-0", "v2", Role::Canary));
        fleet.replace(list);
        assert_eq!(fleet.route(0.24), Route { role: Role::Canary, version: Some("v2".into()) });
        assert_eq!(fleet.route(0.25), Route { role: Role::Stable, version: Some("v1".into()) });
        for _ in 0..5 {
            taken(fleet.pick(Role::Canary, &[])).end(CallEnd::Failure);
        }
        assert_eq!(fleet.route(0.0).role, Role::Stable, "its breaker is open");
    }

    #[test]
    fn the_states_are_one_hot() {
        let fleet = fleet(BreakerMode::On);
        break_open(&fleet, "r-1");
        let _ = fleet.pick(Role::Stable, &["r-0".into(), "r-2".into()]);
        let mut text = Text::default();
        fleet.render(&mut text);
        let text = text.finish();
        for line in [
            "gateway_circuit_breaker_state{name=\"r-1\",state=\"closed\"} 0",
            "gateway_circuit_breaker_state{name=\"r-1\",state=\"open\"} 1",
            "gateway_circuit_breaker_state{name=\"r-1\",state=\"half_open\"} 0",
            "gateway_circuit_breaker_state{name=\"r-0\",state=\"closed\"} 1",
            "gateway_circuit_breaker_transitions_total{name=\"r-1\",to=\"open\"} 1",
            "gateway_circuit_breaker_not_permitted_total{name=\"r-1\"} 1",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} in {text}");
        }
    }
}
