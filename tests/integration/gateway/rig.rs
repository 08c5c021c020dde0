//! A gateway process in front of stubs, and a client.

use std::time::{Duration, Instant};

use firedrill::{
    journal::event::BreakerState,
    lab::{
        api::{GatewayProcessConfig, Listening, Role, Routing, UpstreamStatus, command},
        config::GatewayConfig,
    },
    process::{self, Child},
    units::Version,
};
use reqwest::header::HeaderMap;
use serde_json::json;

use super::stub::Stub;
use crate::support::exe;

/// How long a thing may take that must happen at all.
const PATIENCE: Duration = Duration::from_secs(20);

/// A gateway, and the upstreams that it was told of.
pub(super) struct Rig {
    pub(super) child: Child,
    pub(super) stubs: Vec<Stub>,
    http: reqwest::Client,
    base: String,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// None: the connection broke before the body's end.
    pub(super) body: Option<String>,
}

impl Reply {
    /// A header's text, empty if it is not there.
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }

    /// The body of a whole answer.
    pub(super) fn text(&self) -> &str {
        self.body.as_deref().expect("a whole body")
    }
}

impl Rig {
    /// A gateway before `count` stable replicas, `replica-0`…
    pub(super) async fn start(count: usize, config: GatewayConfig) -> Self {
        let mut stubs = Vec::new();
        for n in 0..count {
            stubs.push(Stub::start(&format!("replica-{n}"), "v1", Role::Stable).await);
        }
        let config = GatewayProcessConfig { gateway: config, seed: 7, port: None };
        let (child, Listening { listening }) =
            process::spawn(exe(), command::GATEWAY, &config, None).await.expect("the gateway starts");
        let rig = Self { child, stubs, http: reqwest::Client::new(), base: format!("http://{listening}") };
        rig.announce().await;
        rig
    }

    /// Adds an upstream.
    pub(super) async fn add(&mut self, pod: &str, version: &str, role: Role) {
        self.stubs.push(Stub::start(pod, version, role).await);
        self.announce().await;
    }

    /// Tells the gateway of the stubs.
    pub(super) async fn announce(&self) {
        let list: Vec<_> = self.stubs.iter().map(Stub::upstream).collect();
        let url = format!("{}/admin/upstreams", self.base);
        let answer = self.http.put(url).json(&list).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// Tells the gateway the routing.
    pub(super) async fn route(&self, canary_weight: f64, purge: &[&str]) {
        let purge = purge.iter().map(|version| Version::from(*version)).collect();
        let routing = Routing { stable: "v1".into(), canary_weight, purge };
        let url = format!("{}/admin/routing", self.base);
        let answer = self.http.put(url).json(&routing).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{answer:?}");
    }

    /// A streaming request that is not sent yet.
    pub(super) fn ask(&self, prompt: &str) -> reqwest::RequestBuilder {
        let body = json!({
            "model": "demo", "stream": true, "max_tokens": 4,
            "messages": [{"role": "user", "content": prompt}],
        });
        self.http.post(format!("{}/v1/chat/completions", self.base)).json(&body)
    }

    /// A streaming request whose answer has begun.
    pub(super) async fn begin(&self, prompt: &str) -> reqwest::Response {
        soon("an answer's head", self.ask(prompt).send()).await.expect("an answer")
    }

    /// A streaming request, its answer read to its end.
    pub(super) async fn chat(&self, prompt: &str) -> Reply {
        self.finish(self.ask(prompt)).await
    }

    /// Sends a request and reads the answer to its end.
    pub(super) async fn finish(&self, request: reqwest::RequestBuilder) -> Reply {
        let answer = soon("an answer's head", request.send()).await.expect("an answer");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = soon("an answer's end", answer.text()).await.ok();
        Reply { status, headers, body }
    }

    /// `/metrics`.
    pub(super) async fn metrics(&self) -> String {
        let answer = self.http.get(format!("{}/metrics", self.base)).send().await.expect("an answer");
        answer.text().await.expect("text")
    }

    /// A sample of `/metrics`, by its name and labels as they are written; 0
    /// if it is not there.
    pub(super) async fn metric(&self, series: &str) -> f64 {
        let text = self.metrics().await;
        let value = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map_or(0.0, |value| value.parse().expect("a number"))
    }

    /// The sum of all samples of a family.
    pub(super) async fn total(&self, family: &str) -> f64 {
        sum(&self.metrics().await, family)
    }

    /// The state of a pod's breaker.
    pub(super) async fn breaker(&self, pod: &str) -> Option<BreakerState> {
        let url = format!("{}/admin/upstreams", self.base);
        let answer = self.http.get(url).send().await.expect("an answer");
        let list: Vec<UpstreamStatus> = answer.json().await.expect("a list");
        list.into_iter().find(|status| status.upstream.pod.as_str() == pod).and_then(|status| status.breaker)
    }

    /// Waits until a sample of `/metrics` has this value.
    pub(super) async fn until_metric(&self, series: &str, value: f64) {
        until_so(&format!("{series} is {value}"), async || self.metric(series).await == value).await;
    }
}

/// The sum of all samples of a family in a page of metrics.
pub(super) fn sum(metrics: &str, family: &str) -> f64 {
    let samples = metrics.lines().filter_map(|line| line.strip_prefix(family)?.strip_prefix('{'));
    samples.map(|rest| rest.rsplit(' ').next().expect("a value").parse::<f64>().expect("a number")).sum()
}

/// Waits until something is so.
pub(super) async fn until(what: &str, is_so: impl Fn() -> bool) {
    until_so(what, async || is_so()).await;
}

/// Waits until something is so.
pub(super) async fn until_so(what: &str, is_so: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What must happen at all.
pub(super) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"))
}
