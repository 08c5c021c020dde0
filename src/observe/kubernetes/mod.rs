//! Watches a cluster: its pods by UID, the endpoints of its Service, what its
//! controllers say of workloads, autoscalers and nodes, and its Events.
//!
//! A watch tells at once what has changed, but not that nothing has; so the
//! same is listed as well: every second what times are judged by, the rest
//! every five. A change lies between the start of the last list that did not
//! show it and the moment when it was heard of. After a lost connection or a
//! forgotten version (410) the watch lists anew by itself.

mod gauges;
mod notes;
mod rollouts;
mod state;

use std::{fmt::Debug, pin::pin, time::Duration};

use futures::{StreamExt, future::join_all};
use k8s_openapi::api::{
    apps::v1::{Deployment, ReplicaSet, StatefulSet},
    autoscaling::v2::HorizontalPodAutoscaler,
    core::v1::{Event as Note, Node, Pod},
    discovery::v1::EndpointSlice,
};
use kube::{
    Api, Resource,
    api::ListParams,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use self::{
    gauges::{Figured, Gauges},
    notes::Notes,
    state::{Endpoints, Pods},
};
use super::source::{Source, tell};
use crate::{
    clock::Clock,
    cluster::{Cluster, ClusterError, SERVICE_NAME_LABEL, call},
    journal::{Sink, event::Signal},
    scenario::{kubernetes::KubernetesTarget, model::Deploy},
};

/// Between two lists of what times are judged by.
const OFTEN: Duration = Duration::from_secs(1);
/// Between two lists of the rest, of which a cluster may have thousands.
const SELDOM: Duration = Duration::from_secs(5);

/// What is watched, and for whom.
#[derive(Debug, Clone)]
pub struct Watched {
    /// The cluster.
    pub cluster: Cluster,
    /// The Service.
    pub target: KubernetesTarget,
    /// Namespaces whose pods are watched.
    pub namespaces: Vec<String>,
    /// Whether nodes are.
    pub nodes: bool,
    /// What the drill deploys.
    pub deploys: Vec<Deploy>,
}

/// Watches until `cancel`, then looks a last time.
pub async fn watch(watched: Watched, clock: Clock, sink: Sink, cancel: CancellationToken) {
    let Watched { cluster, target, namespaces, nodes, deploys } = watched;
    let pods = join_all(namespaces.iter().map(|namespace| {
        let mut pods = Pods::default();
        let watch = Watch {
            api: Api::<Pod>::namespaced(cluster.client(), namespace),
            every: OFTEN,
            labels: None,
            source: Source::expected(&format!("pods in {namespace}")),
            clock,
            sink: &sink,
        };
        watch.run(&cancel, move |change| match change {
            Change::All(all) => pods.all(all),
            Change::One(pod) => pods.one(pod).into_iter().collect(),
            Change::Gone(pod) => pods.gone(pod).into_iter().collect(),
        })
    }));
    let service = target.service.clone();
    let mut endpoints = Endpoints::default();
    let slices = Watch {
        api: Api::<EndpointSlice>::namespaced(cluster.client(), &target.namespace),
        every: OFTEN,
        labels: Some(format!("{SERVICE_NAME_LABEL}={service}")),
        source: Source::expected(&format!("endpoints of {}/{service}", target.namespace)),
        clock,
        sink: &sink,
    };
    let slices = slices.run(&cancel, move |change| {
        let told = match change {
            Change::All(all) => endpoints.all(&service, all),
            Change::One(slice) => endpoints.one(&service, slice),
            Change::Gone(slice) => endpoints.gone(&service, slice),
        };
        told.into_iter().collect()
    });
    let about =
        join_all(namespaces.iter().map(|namespace| about(&cluster, namespace, clock, &sink, &cancel)));
    let nodes = async {
        if nodes {
            let api = Api::<Node>::all(cluster.client());
            gauges("nodes".to_owned(), api, clock, &sink, &cancel).await;
        }
    };
    let rollouts = rollouts::watch(&cluster, &target.namespace, &deploys, clock, &sink, &cancel);
    tokio::join!(pods, slices, about, nodes, rollouts);
}

/// What is said of a namespace's workloads, and noted of its objects.
async fn about(cluster: &Cluster, namespace: &str, clock: Clock, sink: &Sink, cancel: &CancellationToken) {
    let what = |kind: &str| format!("{kind} in {namespace}");
    let client = || cluster.client();
    let mut heard = Notes::default();
    let notes = Watch {
        api: Api::<Note>::namespaced(client(), namespace),
        every: SELDOM,
        labels: None,
        source: Source::expected(&what("events")),
        clock,
        sink,
    };
    tokio::join!(
        gauges(what("deployments"), Api::<Deployment>::namespaced(client(), namespace), clock, sink, cancel),
        gauges(what("replicasets"), Api::<ReplicaSet>::namespaced(client(), namespace), clock, sink, cancel),
        gauges(
            what("statefulsets"),
            Api::<StatefulSet>::namespaced(client(), namespace),
            clock,
            sink,
            cancel
        ),
        gauges(
            what("horizontalpodautoscalers"),
            Api::<HorizontalPodAutoscaler>::namespaced(client(), namespace),
            clock,
            sink,
            cancel
        ),
        notes.run(cancel, move |change| heard.heard(&change)),
    );
}

/// Watches the figures of one kind of objects.
async fn gauges<K>(what: String, api: Api<K>, clock: Clock, sink: &Sink, cancel: &CancellationToken)
where
    K: Figured + Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut gauges = Gauges::new(&format!("kubernetes {what}"));
    let watch = Watch { api, every: SELDOM, labels: None, source: Source::expected(&what), clock, sink };
    watch.run(cancel, move |change| gauges.heard(change).into_iter().collect()).await;
}

/// What is wrong with the sources of signals on a cluster, in words.
pub async fn preflight(watched: &Watched) -> Vec<String> {
    let Watched { cluster, target, namespaces, .. } = watched;
    let mut problems = Vec::new();
    for namespace in namespaces {
        let pods: Api<Pod> = Api::namespaced(cluster.client(), namespace);
        if let Err(error) =
            call(format!("list pods in {namespace}"), pods.list(&ListParams::default().limit(1))).await
        {
            problems.push(format!("signals: {error}"));
        }
    }
    let slices: Api<EndpointSlice> = Api::namespaced(cluster.client(), &target.namespace);
    let what = format!("list endpointslices in {}", target.namespace);
    if let Err(error) = call(what, slices.list(&ListParams::default().limit(1))).await {
        problems.push(format!("signals: {error}"));
    }
    problems
}

/// What was heard.
enum Change<'a, K> {
    /// These are all that there are.
    All(&'a [K]),
    /// This one is new or has changed.
    One(&'a K),
    /// This one is gone.
    Gone(&'a K),
}

struct Watch<'a, K> {
    api: Api<K>,
    /// Between two lists.
    every: Duration,
    labels: Option<String>,
    source: Source,
    clock: Clock,
    sink: &'a Sink,
}

impl<K> Watch<'_, K>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    async fn run(mut self, cancel: &CancellationToken, mut news: impl FnMut(Change<'_, K>) -> Vec<Signal>) {
        let config =
            self.labels.iter().fold(watcher::Config::default(), |config, labels| config.labels(labels));
        let mut events = pin!(watcher(self.api.clone(), config).default_backoff());
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => {
                    self.list(&mut news).await;
                    return;
                }
                event = events.next() => {
                    let signals = match event {
                        Some(Ok(Event::Apply(one) | Event::InitApply(one))) => news(Change::One(&one)),
                        Some(Ok(Event::Delete(one))) => news(Change::Gone(&one)),
                        // What a new list of its does not name is gone: the
                        // next one of ours says so.
                        Some(Ok(Event::Init | Event::InitDone)) | None => vec![],
                        // It tries again by itself; that nothing is heard is
                        // told by the lists.
                        Some(Err(error)) => {
                            tracing::debug!("watch: {error}");
                            vec![]
                        }
                    };
                    let seen = self.source.since(self.clock.now());
                    signals.into_iter().for_each(|signal| tell(self.sink, seen, signal));
                }
                _ = ticks.tick() => self.list(&mut news).await,
            }
        }
    }

    /// Lists, which also says from when on nothing was missed.
    async fn list(&mut self, news: &mut impl FnMut(Change<'_, K>) -> Vec<Signal>) {
        let labels = self.labels.as_deref();
        let how = labels.iter().fold(ListParams::default(), |how, labels| how.labels(labels));
        let started = self.clock.now();
        let listed: Result<_, ClusterError> = call("list", self.api.list(&how)).await;
        if let Some((all, seen)) = self.source.heard(listed, started, self.clock.now(), self.sink) {
            news(Change::All(&all.items)).into_iter().for_each(|signal| tell(self.sink, seen, signal));
        }
    }
}
