//! Counters and gauges, once a second, from every part of the lab. A sample
//! was taken between the two ends of its interval.

use std::net::SocketAddr;

use futures::future::join_all;
use indexmap::IndexMap;

use super::{
    Eyes, Look,
    prometheus::Exposition,
    source::{self, Source},
};
use crate::{
    chaos::proxy::api::LinkStatus,
    journal::event::Signal,
    units::{PodName, RunTime, Seen, series},
};

/// Samples the gateway, the proxy and every replica.
pub(super) struct Sampler<'a> {
    eyes: &'a Eyes,
    proxy: Source,
    replicas: IndexMap<PodName, Source>,
}

impl<'a> Sampler<'a> {
    pub(super) fn new(eyes: &'a Eyes) -> Self {
        Self { eyes, proxy: Source::expected("proxy"), replicas: IndexMap::new() }
    }
}

impl Look for Sampler<'_> {
    async fn look(&mut self) {
        let Self { eyes, proxy, replicas } = self;
        tokio::join!(gateway(eyes), links(eyes, proxy), pods(eyes, replicas));
    }
}

/// That the gateway and the controller answer is told by those who watch
/// their states.
async fn gateway(eyes: &Eyes) {
    let started = eyes.clock.now();
    if let Ok(metrics) = eyes.lab.metrics(eyes.lab.addresses().gateway).await {
        let values = values(&metrics, |name| name.starts_with("gateway_"));
        tell(eyes, "gateway", started, values);
    }
}

async fn links(eyes: &Eyes, proxy: &mut Source) {
    let started = eyes.clock.now();
    let links = eyes.lab.proxy().links().await;
    if let Some((links, _)) = proxy.heard(links, started, eyes.clock.now(), &eyes.sink) {
        tell(eyes, "proxy", started, links.iter().flat_map(of_link).collect());
    }
}

async fn pods(eyes: &Eyes, replicas: &mut IndexMap<PodName, Source>) {
    let Ok(pods) = eyes.lab.pods().await else { return };
    let listed: IndexMap<PodName, SocketAddr> =
        pods.into_iter().filter_map(|pod| Some((pod.name, pod.address?))).collect();
    replicas.retain(|name, _| listed.contains_key(name));
    for name in listed.keys().filter(|name| !replicas.contains_key(*name)).cloned().collect::<Vec<_>>() {
        let source = Source::new(name.as_str());
        replicas.insert(name, source);
    }
    join_all(replicas.iter_mut().map(async |(name, source)| {
        let Some(address) = listed.get(name) else { return };
        let started = eyes.clock.now();
        let metrics = eyes.lab.metrics(*address).await;
        if let Some((metrics, _)) = source.heard(metrics, started, eyes.clock.now(), &eyes.sink) {
            let ours = |name: &str| name.starts_with("vllm:") || name.starts_with("firedrill_lab_");
            tell(eyes, name.as_str(), started, values(&metrics, ours));
        }
    }))
    .await;
}

fn tell(eyes: &Eyes, source: &str, started: RunTime, values: IndexMap<String, f64>) {
    let seen = Seen { not_before: started, by: eyes.clock.now() };
    source::tell(&eyes.sink, seen, Signal::Sample { source: source.to_owned(), values });
}

/// Series worth keeping: a histogram's buckets are many and told by nobody,
/// and JSON has no words for what is not finite.
pub(super) fn values(metrics: &Exposition, wanted: impl Fn(&str) -> bool) -> IndexMap<String, f64> {
    let kept = metrics.samples.iter().filter(|sample| {
        wanted(&sample.name) && !sample.name.ends_with("_bucket") && sample.value.is_finite()
    });
    kept.map(|sample| (sample.key(), sample.value)).collect()
}

fn of_link(link: &LinkStatus) -> Vec<(String, f64)> {
    let figures = [
        ("link_connections", link.connections),
        ("link_bytes_up", link.bytes_up),
        ("link_bytes_down", link.bytes_down),
        ("link_toxics", link.toxics.len() as u64),
    ];
    let key = |name| series::key(name, [("pod", link.name.as_str())]);
    figures.into_iter().map(|(name, value)| (key(name), value as f64)).collect()
}
