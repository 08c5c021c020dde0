//! On a cluster nobody tells the gateway its upstreams: it watches the
//! EndpointSlices of its Services for who is ready, and the lab's pods for
//! which version they are.

use std::{collections::BTreeSet, sync::Arc};

use futures::{Stream, StreamExt as _, stream};
use k8s_openapi::api::{core::v1::Pod, discovery::v1::EndpointSlice};
use kube::{
    Api, Client, Config,
    runtime::{
        WatchStreamExt as _, reflector,
        reflector::Store,
        watcher::{self, Event, watcher},
    },
};

use super::{
    Gateway, admin,
    roster::{Roster, Services, roster},
};
use crate::{
    cluster::SERVICE_NAME_LABEL,
    lab::{
        api::Routing,
        kubernetes::{self, PodError, environment::GatewayPod},
    },
    units::Version,
};

/// The watches, not yet begun.
pub(super) struct Discovery {
    slices: Api<EndpointSlice>,
    pods: Api<Pod>,
    services: Services,
}

/// What one of the two watches said.
#[derive(Debug, Clone, Copy)]
enum News {
    Slices { complete: bool },
    Pods { complete: bool },
}

impl Discovery {
    /// As the pod's ServiceAccount, in the pod's namespace.
    pub(super) fn new(pod: &GatewayPod) -> Result<Self, PodError> {
        let config = Config::incluster().map_err(|why| PodError::Cluster(why.to_string()))?;
        let client = Client::try_from(config).map_err(|why| PodError::Cluster(why.to_string()))?;
        let services = Services { replicas: pod.service.clone(), fallback: pod.fallback_service.clone() };
        Ok(Self {
            slices: Api::default_namespaced(client.clone()),
            pods: Api::default_namespaced(client),
            services,
        })
    }

    /// Keeps the gateway informed, for ever. Where the API server does not
    /// answer, what was known last stays.
    pub(super) async fn run(self, gateway: Arc<Gateway>) {
        let of_services =
            format!("{SERVICE_NAME_LABEL} in ({},{})", self.services.replicas, self.services.fallback);
        let (slices, writer) = reflector::store();
        let watch = watcher(self.slices, watcher::Config::default().labels(&of_services));
        let slice_news = reflector(writer, watch.default_backoff())
            .map(news("EndpointSlices", |complete| News::Slices { complete }));
        let (pods, writer) = reflector::store();
        let watch = watcher(self.pods, watcher::Config::default().labels(&kubernetes::selector()));
        let pod_news =
            reflector(writer, watch.default_backoff()).map(news("pods", |complete| News::Pods { complete }));
        let both = stream::select(slice_news, pod_news).filter_map(async |news| news);
        follow(&gateway, &self.services, &slices, &pods, both).await;
    }
}

/// Turns what a watch says into whether its first list is complete.
fn news<K>(
    what: &'static str,
    of: impl Fn(bool) -> News,
) -> impl FnMut(Result<Event<K>, watcher::Error>) -> Option<News> {
    move |event| match event {
        Ok(Event::InitDone) => Some(of(true)),
        Ok(Event::Apply(_) | Event::Delete(_)) => Some(of(false)),
        // Nothing is known until the list is complete.
        Ok(Event::Init | Event::InitApply(_)) => None,
        Err(error) => {
            tracing::warn!(%error, "watch of {what}");
            None
        }
    }
}

async fn follow(
    gateway: &Gateway,
    services: &Services,
    slices: &Store<EndpointSlice>,
    pods: &Store<Pod>,
    news: impl Stream<Item = News>,
) {
    let mut news = std::pin::pin!(news);
    let (mut slices_known, mut pods_known) = (false, false);
    let mut last: Option<Roster> = None;
    while let Some(news) = news.next().await {
        match news {
            News::Slices { complete } => slices_known |= complete,
            News::Pods { complete } => pods_known |= complete,
        }
        if !(slices_known && pods_known) {
            continue;
        }
        let now = roster(services, &slices.state(), &pods.state());
        if last.as_ref() != Some(&now) {
            tell(gateway, last.as_ref(), &now);
            last = Some(now);
        }
    }
}

/// Takes over what is new. With no replica left, the routing stays: cached
/// answers of the version in force are still good.
fn tell(gateway: &Gateway, last: Option<&Roster>, now: &Roster) {
    admin::take_upstreams(gateway, now.upstreams.clone());
    let Some(stable) = &now.stable else { return };
    let versions = |roster: &Roster| roster.versions().cloned().collect::<BTreeSet<Version>>();
    let here = versions(now);
    let purge = last.map(versions).unwrap_or_default().into_iter().filter(|v| !here.contains(v)).collect();
    let routing = Routing { stable: stable.clone(), canary_weight: now.canary_weight, purge };
    let before = gateway.fleet.routing();
    let same = before.is_some_and(|before| {
        before.stable == routing.stable
            && before.canary_weight == routing.canary_weight
            && routing.purge.is_empty()
    });
    if !same {
        admin::take_routing(gateway, routing);
    }
}
