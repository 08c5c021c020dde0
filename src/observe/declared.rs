//! The sources that a scenario declares, each looked at on the run's clock.

use std::{net::SocketAddr, time::Duration};

use futures::future::{BoxFuture, FutureExt as _};
use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;

use super::{
    alerts::{self, Teller},
    every,
    exposed::{self, Read},
    figures::{self, Asked},
    haproxy,
    prometheus::Exposition,
    sample, webhook,
};
use crate::{
    api_client,
    clock::Clock,
    journal::Sink,
    scenario::{
        metric::{MetricExpectation, say_which},
        observe::{Observed, System},
    },
};

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// How a source is looked at.
enum Way {
    /// A text at this URL, and who reads it.
    Exposition(String, Read),
    Figures(Asked),
    Alerts(Teller, String),
    /// Nobody is asked: the run listens there.
    Webhook(SocketAddr),
}

fn way(system: &System) -> Way {
    let below = |at: &str, path: &str| format!("{}{path}", at.trim_end_matches('/'));
    match system {
        System::Prometheus(url) | System::Resilience4j(url) | System::Traefik(url) | System::Litellm(url) => {
            Way::Exposition(url.clone(), Exposition::parse)
        }
        System::Haproxy(url) => Way::Exposition(url.clone(), haproxy::read),
        System::Envoy(admin) => Way::Exposition(below(admin, "/stats/prometheus"), Exposition::parse),
        System::PrometheusQuery(query) => Way::Figures(Asked::Query(query.clone())),
        System::Redis(at) => Way::Figures(Asked::Redis(at.clone())),
        System::Nginx(url) => Way::Figures(Asked::Nginx(url.clone())),
        System::Varnish(instance) => Way::Figures(Asked::Varnish(instance.clone())),
        System::PrometheusAlerts(at) => {
            Way::Alerts(Teller::Prometheus, below(at, "/api/v1/rules?type=alert"))
        }
        System::Alertmanager(at) => Way::Alerts(Teller::Alertmanager, below(at, "/api/v2/alerts")),
        System::AlertWebhook(at) => Way::Webhook(*at),
    }
}

/// Looks at all of them until `cancel`, then a last time. `alerts`: the names of
/// those that matter.
pub async fn watch(
    all: Vec<Observed>,
    alerts: Vec<String>,
    clock: Clock,
    sink: Sink,
    cancel: CancellationToken,
) {
    let watchers = all.into_iter().filter_map(|observed| -> Option<BoxFuture<'_, ()>> {
        let (period, name, sink) = (observed.every.0, observed.name.clone(), sink.clone());
        let http = client().ok()?;
        Some(match way(&observed.system) {
            Way::Exposition(url, read) => {
                every(period, &cancel, exposed::Watcher::new(observed, (url, read), http, clock, sink))
                    .boxed()
            }
            Way::Figures(asked) => {
                every(period, &cancel, figures::Watcher::new(name, asked, http, clock, sink)).boxed()
            }
            Way::Alerts(teller, url) => {
                let of = (teller, url);
                every(period, &cancel, alerts::Watcher::new(name, of, &alerts, http, clock, sink)).boxed()
            }
            Way::Webhook(at) => webhook::watch(name, at, alerts.clone(), clock, sink, cancel.clone()).boxed(),
        })
    });
    futures::future::join_all(watchers).await;
}

/// What is wrong with them, in words. `metrics`: what is demanded of their
/// figures.
pub async fn preflight(all: &[Observed], metrics: &[&MetricExpectation]) -> Vec<String> {
    let mut problems = Vec::new();
    // Each is kept, so that no port is taken twice.
    let mut ports = Vec::new();
    for observed in all {
        let name = &observed.name;
        let found = match way(&observed.system) {
            Way::Exposition(url, read) => {
                exposition(&url, read).await.map(|metrics| sample::values(&metrics, |_| true))
            }
            Way::Figures(asked) => figures(&asked, name).await,
            Way::Alerts(teller, url) => firing(teller, &url).await,
            Way::Webhook(at) => webhook::listen(at).await.map(|port| {
                ports.push(port);
                IndexMap::new()
            }),
        };
        let shown = match &found {
            Ok(values) => values.keys().map(String::as_str).collect(),
            Err(why) => {
                problems.push(format!("signals: {name}: {why}"));
                continue;
            }
        };
        // One that is not there yet may come.
        let unclear = metrics.iter().filter(|e| e.source == *name).map(|e| e.meant(&shown));
        let unclear = unclear.filter(|meant| meant.len() > 1).map(|meant| say_which(name, &meant));
        let mut unclear: Vec<String> = unclear.map(|why| format!("signals: {why}")).collect();
        unclear.dedup();
        problems.extend(unclear);
    }
    problems
}

pub(super) fn client() -> Result<reqwest::Client, String> {
    api_client::http(PATIENCE)
}

/// An exposition that shows something. Without a breaker there is none to be
/// seen: the verdict says so.
async fn exposition(url: &str, read: Read) -> Result<Exposition, String> {
    let metrics = read(&text(&client()?, url).await?);
    if metrics.samples.is_empty() {
        return Err(format!("{url} shows nothing in Prometheus' text format"));
    }
    Ok(metrics)
}

async fn figures(asked: &Asked, name: &str) -> Result<IndexMap<String, f64>, String> {
    asked.look(&client()?, name).await.map(|shown| shown.values)
}

/// Alerts are no figures.
async fn firing(teller: Teller, url: &str) -> Result<IndexMap<String, f64>, String> {
    let text = text(&client()?, url).await?;
    alerts::read(teller, &text).map(|_| IndexMap::new())
}

/// What a source answers. The error is in words.
pub(super) async fn text(http: &reqwest::Client, url: &str) -> Result<String, String> {
    let answer = http.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let text = match answer {
        Ok(answer) => answer.text().await,
        Err(error) => Err(error),
    };
    text.map_err(|error| format!("{url}: {error}"))
}
