//! All pods, and who owns them: names, replacements, graves.

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indexmap::IndexMap;
use tokio::sync::mpsc;

use super::{
    pod::{self, Order},
    publish::Published,
};
use crate::{
    journal::event::RolloutPhase,
    lab::{
        api::{ControllerProcessConfig, PodStatus, Role, RolloutStatus, Routing},
        config::{PodMode, VersionDefect},
    },
    units::{PodName, Version},
};

/// How long a pod that is gone can still be looked up.
const GRAVE_KEPT: Duration = Duration::from_secs(300);
/// What pods get to finish what they began when the lab ends.
const LAST_GRACE: Duration = Duration::from_secs(2);
/// Nodes that pods are spread over.
const NODES: usize = 3;
/// The version that the fallback's pods say they are.
const FALLBACK_VERSION: &str = "fallback";

/// What a pod is to be.
#[derive(Debug, Clone)]
pub(super) struct PodSpec {
    pub(super) name: PodName,
    pub(super) role: Role,
    pub(super) version: Version,
    pub(super) defect: VersionDefect,
    /// Time until it is warm: none for the lab's first pods.
    pub(super) cold_start: Duration,
}

/// A pod that is there.
#[derive(Debug)]
struct Pod {
    status: PodStatus,
    role: Role,
    orders: mpsc::Sender<Order>,
    /// When it was last seen to be ready.
    last_ready: Option<Instant>,
}

#[derive(Debug)]
pub(super) struct State {
    pods: IndexMap<PodName, Pod>,
    graves: Vec<(Instant, PodStatus)>,
    next_replica: usize,
    next_fallback: usize,
    next_standby: usize,
    defects: HashMap<Version, VersionDefect>,
    /// What the API says of the rollout.
    pub(super) rollout: RolloutStatus,
    /// What the gateway is told.
    pub(super) routing: Routing,
    /// A rollout's task is at work.
    pub(super) rolling: bool,
}

/// The controller.
#[derive(Debug)]
pub(super) struct Controller {
    pub(super) config: ControllerProcessConfig,
    pub(super) exe: PathBuf,
    pub(super) http: reqwest::Client,
    pub(super) published: tokio::sync::Mutex<Published>,
    state: Mutex<State>,
}

impl Controller {
    pub(super) fn new(config: ControllerProcessConfig, exe: PathBuf) -> Result<Self, reqwest::Error> {
        // Only loopback is spoken to, whatever proxies the environment names.
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?;
        let stable = config.lab.version.clone();
        let rollout = RolloutStatus {
            phase: RolloutPhase::Stable,
            stable: stable.clone(),
            candidate: None,
            weight: 0.0,
            reason: "nothing is being rolled out".to_owned(),
        };
        let state = State {
            pods: IndexMap::new(),
            graves: Vec::new(),
            next_replica: 0,
            next_fallback: 0,
            next_standby: 0,
            defects: HashMap::new(),
            rollout,
            routing: Routing { stable, canary_weight: 0.0, purge: Vec::new() },
            rolling: false,
        };
        Ok(Self { config, exe, http, published: Default::default(), state: Mutex::new(state) })
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pod_mode(&self) -> PodMode {
        self.config.lab.gateway.pods
    }

    /// A pod of the lab's start, warm at once.
    pub(super) fn first_pod(self: &Arc<Self>, role: Role) {
        let stable = self.state().rollout.stable.clone();
        self.create(role, stable, Duration::ZERO);
    }

    /// A new pod, cold.
    pub(super) fn new_pod(self: &Arc<Self>, role: Role, version: Version) -> PodName {
        self.create(role, version, self.config.lab.cold_start.0)
    }

    fn create(self: &Arc<Self>, role: Role, version: Version, cold_start: Duration) -> PodName {
        let mut state = self.state();
        let (name, at, version) = match role {
            Role::Stable | Role::Canary => {
                state.next_replica += 1;
                (format!("replica-{}", state.next_replica - 1), state.next_replica - 1, version)
            }
            Role::Standby => {
                state.next_standby += 1;
                (format!("standby-{}", state.next_standby - 1), state.next_standby - 1, version)
            }
            Role::Fallback => {
                state.next_fallback += 1;
                let at = state.next_fallback - 1;
                (format!("fallback-{at}"), at, Version::from(FALLBACK_VERSION))
            }
        };
        let name = PodName::new(name);
        let defect = state.defects.get(&version).copied().unwrap_or_default();
        let (orders, inbox) = mpsc::channel(16);
        let status = status(&name, role, &version, at % NODES);
        state.pods.insert(name.clone(), Pod { status, role, orders, last_ready: None });
        drop(state);
        let spec = PodSpec { name: name.clone(), role, version, defect, cold_start };
        tokio::spawn(pod::run(Arc::clone(self), spec, inbox));
        name
    }

    /// What is wrong with a version, for pods of it that are made later.
    pub(super) fn remember_defect(&self, version: Version, defect: VersionDefect) {
        self.state().defects.insert(version, defect);
    }

    /// All pods that are there.
    pub(super) fn pods(&self) -> Vec<PodStatus> {
        self.state().pods.values().map(|pod| pod.status.clone()).collect()
    }

    /// All pods that are there, with their roles.
    pub(super) fn pods_by_role(&self) -> Vec<(Role, PodStatus)> {
        self.state().pods.values().map(|pod| (pod.role, pod.status.clone())).collect()
    }

    /// A pod, or one that was there not long ago.
    pub(super) fn pod(&self, name: &PodName) -> Option<PodStatus> {
        let state = self.state();
        let here = state.pods.get(name).map(|pod| pod.status.clone());
        here.or_else(|| {
            let grave = state.graves.iter().rev().find(|(_, status)| status.name == *name);
            grave.map(|(_, status)| status.clone())
        })
    }

    /// Where a pod's orders go. None: it is not there (any more).
    pub(super) fn orders(&self, name: &PodName) -> Option<mpsc::Sender<Order>> {
        self.state().pods.get(name).map(|pod| pod.orders.clone())
    }

    /// Changes what is said of a pod.
    pub(super) fn update(&self, name: &PodName, change: impl FnOnce(&mut PodStatus)) {
        if let Some(pod) = self.state().pods.get_mut(name) {
            if pod.status.ready {
                pod.last_ready = Some(Instant::now());
            }
            change(&mut pod.status);
        }
    }

    /// Whether a pod was ready not longer ago than this.
    pub(super) fn was_ready(&self, name: &PodName, ago: Duration) -> bool {
        let state = self.state();
        let last = state.pods.get(name).and_then(|pod| pod.last_ready);
        last.is_some_and(|last| last.elapsed() < ago)
    }

    /// A pod's role, which promotion changes.
    pub(super) fn promote_pods(&self, version: &Version) {
        for pod in self.state().pods.values_mut() {
            if pod.role == Role::Canary && pod.status.version == *version {
                pod.role = Role::Stable;
                pod.status.labels.insert("track".to_owned(), "stable".to_owned());
            }
        }
    }

    /// A pod is gone for good.
    pub(super) fn bury(&self, name: &PodName) {
        let mut state = self.state();
        state.graves.retain(|(since, _)| since.elapsed() < GRAVE_KEPT);
        if let Some(pod) = state.pods.shift_remove(name) {
            let status = PodStatus { ready: false, phase: "Failed".to_owned(), pid: None, ..pod.status };
            state.graves.push((Instant::now(), status));
        }
    }

    /// A pod died that its owner wants; a new one with another name takes its
    /// place, unless nobody replaces pods or its version was withdrawn.
    pub(super) fn replace(self: &Arc<Self>, name: &PodName) {
        match self.pod_mode() {
            PodMode::Off => return,
            PodMode::On | PodMode::ReadyBeforeWarm => {}
        }
        let (role, version) = {
            let state = self.state();
            let Some(pod) = state.pods.get(name) else { return };
            match pod.role {
                // The old version's pods are not brought back after a promotion.
                Role::Stable | Role::Standby => (pod.role, state.rollout.stable.clone()),
                Role::Canary if state.rollout.phase != RolloutPhase::Progressing => return,
                Role::Canary | Role::Fallback => (pod.role, pod.status.version.clone()),
            }
        };
        let new = self.new_pod(role, version);
        tracing::info!(%name, %new, "pod replaced");
    }

    /// Ends all pods, letting them finish what they began and their logs.
    pub(super) async fn shut_down(&self) {
        let pods: Vec<_> = self.state().pods.values().map(|pod| pod.orders.clone()).collect();
        let ends = pods.into_iter().map(|orders| pod::end(orders, LAST_GRACE));
        futures::future::join_all(ends).await;
    }

    /// The page of metrics that is there.
    pub(super) async fn metrics(&self, at: SocketAddr) -> Result<String, reqwest::Error> {
        self.http.get(url(at, "/metrics")).send().await?.error_for_status()?.text().await
    }

    /// The gateway's address with a path.
    pub(super) fn gateway_url(&self, path: &str) -> String {
        url(self.config.gateway, path)
    }

    /// The proxy's admin address with a path.
    pub(super) fn proxy_url(&self, path: &str) -> String {
        url(self.config.proxy, path)
    }
}

/// A URL on loopback.
pub(super) fn url(address: SocketAddr, path: &str) -> String {
    format!("http://{address}{path}")
}

/// What is said of a pod that was just made.
fn status(name: &PodName, role: Role, version: &Version, node: usize) -> PodStatus {
    let (namespace, app, track) = match role {
        Role::Stable => ("default", "llm", "stable"),
        Role::Canary => ("default", "llm", "canary"),
        Role::Standby => ("default", "llm", "standby"),
        Role::Fallback => ("fallback", "fallback", "stable"),
    };
    let labels = [("app", app), ("version", version.as_str()), ("track", track)];
    PodStatus {
        name: name.clone(),
        namespace: namespace.to_owned(),
        labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        annotations: IndexMap::new(),
        node: format!("node-{node}"),
        phase: "Pending".to_owned(),
        ready: false,
        version: version.clone(),
        restarts: 0,
        pid: None,
        address: None,
        link: None,
        last_exit: None,
    }
}
