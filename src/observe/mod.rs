//! Watchers that turn what the target shows into signals.
//!
//! Every signal has the interval in which it came true: from the start of the
//! last look that did not show it to the end of the one that did. A look that
//! fails widens the next interval; nothing is filled in.

mod alerts;
mod breakers;
pub mod declared;
mod deployments;
mod ejected;
mod ejections;
mod exposed;
mod figures;
mod haproxy;
pub mod kubernetes;
mod platform;
pub mod prometheus;
pub mod registry;
mod sample;
mod source;
mod standing;
mod systems;
mod transitions;
mod webhook;

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use self::{breakers::Breakers, platform::Platform, sample::Sampler, source::Source};
use crate::{
    clock::Clock,
    journal::Sink,
    lab::{api::Addresses, client::LabClient},
};

/// Between two looks at states.
const LOOK: Duration = Duration::from_millis(200);
/// Between two samples of counters.
const SAMPLE: Duration = Duration::from_secs(1);

/// Watches a lab until `cancel`, then looks a last time. Nothing is known of
/// other targets' insides, so without a lab it returns at once.
pub async fn watch(lab: Option<Addresses>, clock: Clock, sink: Sink, cancel: CancellationToken) {
    let Some(lab) = lab.and_then(|at| LabClient::new(at).ok()) else { return };
    let eyes = Eyes { lab, clock, sink };
    tokio::join!(
        every(LOOK, &cancel, Gate::new(&eyes)),
        every(LOOK, &cancel, Pods::new(&eyes)),
        every(SAMPLE, &cancel, Sampler::new(&eyes)),
    );
}

/// What is wrong with the lab's sources of signals, in words.
pub async fn preflight(lab: Option<Addresses>) -> Vec<String> {
    let Some(at) = lab else { return vec![] };
    let lab = match LabClient::new(at) {
        Ok(lab) => lab,
        Err(error) => return vec![format!("signals: {error}")],
    };
    let proxy = lab.proxy();
    let (gateway, pods, rollout, links) =
        tokio::join!(lab.metrics(at.gateway), lab.pods(), lab.rollout(), proxy.links());
    let mut problems: Vec<String> = [
        gateway.as_ref().err().map(|error| format!("signals: gateway metrics: {error}")),
        pods.as_ref().err().map(|error| format!("signals: pods: {error}")),
        rollout.err().map(|error| format!("signals: rollout: {error}")),
        links.err().map(|error| format!("signals: proxy: {error}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if let Ok(metrics) = gateway
        && let Some(line) = metrics.malformed.first()
    {
        problems.push(format!("signals: gateway metrics: line {line} is not in Prometheus' text format"));
    }
    for pod in pods.into_iter().flatten().filter(|pod| pod.ready) {
        if let Some(address) = pod.address
            && let Err(error) = lab.metrics(address).await
        {
            problems.push(format!("signals: metrics of {}: {error}", pod.name));
        }
    }
    problems
}

/// What every watcher needs.
#[derive(Debug)]
struct Eyes {
    lab: LabClient,
    clock: Clock,
    sink: Sink,
}

/// Something that can be looked at again and again.
trait Look {
    async fn look(&mut self);
}

async fn every(period: Duration, cancel: &CancellationToken, mut watcher: impl Look) {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let last = tokio::select! {
            biased;
            () = cancel.cancelled() => true,
            _ = ticks.tick() => false,
        };
        watcher.look().await;
        if last {
            return;
        }
    }
}

/// Watches the gateway's breakers.
struct Gate<'a> {
    eyes: &'a Eyes,
    source: Source,
    breakers: Breakers,
}

impl<'a> Gate<'a> {
    fn new(eyes: &'a Eyes) -> Self {
        Self { eyes, source: Source::expected("gateway"), breakers: Breakers::default() }
    }
}

impl Look for Gate<'_> {
    async fn look(&mut self) {
        let Eyes { lab, clock, sink } = self.eyes;
        let started = clock.now();
        let metrics = lab.metrics(lab.addresses().gateway).await;
        if let Some((metrics, seen)) = self.source.heard(metrics, started, clock.now(), sink) {
            self.breakers.changes(&metrics).into_iter().for_each(|signal| source::tell(sink, seen, signal));
        }
    }
}

/// Watches the controller's pods and its rollout.
struct Pods<'a> {
    eyes: &'a Eyes,
    source: Source,
    platform: Platform,
}

impl<'a> Pods<'a> {
    fn new(eyes: &'a Eyes) -> Self {
        Self { eyes, source: Source::expected("controller"), platform: Platform::default() }
    }
}

impl Look for Pods<'_> {
    async fn look(&mut self) {
        let Eyes { lab, clock, sink } = self.eyes;
        let started = clock.now();
        let both = tokio::try_join!(lab.pods(), lab.rollout());
        if let Some(((pods, rollout), seen)) = self.source.heard(both, started, clock.now(), sink) {
            self.platform
                .changes(pods, rollout)
                .into_iter()
                .for_each(|signal| source::tell(sink, seen, signal));
        }
    }
}
