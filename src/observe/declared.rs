//! The sources that a scenario declares, each looked at on the run's clock.

use std::{net::SocketAddr, time::Duration};

use futures::future::{BoxFuture, FutureExt as _};
use indexmap::IndexMap;
use tokio_util::sync::CancellationToken;

use super::{
    Look, SAMPLE,
    alerts::{self, Teller},
    breakers::Breakers,
    every,
    figures::{self, Asked},
    haproxy,
    prometheus::Exposition,
    sample, source,
    source::Source,
    systems::Reader,
    transitions::{Narrowed, Transitions},
    webhook,
};
use crate::{
    api_client,
    clock::Clock,
    journal::{
        Sink,
        event::{BreakerKind, Signal},
    },
    scenario::{
        metric::{MetricExpectation, say_which},
        observe::{Observed, System},
    },
    units::{RunTime, Seen},
};

/// Makes an exposition of a text.
type Read = fn(&str) -> Exposition;

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
        System::Prometheus(url) | System::Resilience4j(url) | System::Traefik(url) => {
            Way::Exposition(url.clone(), Exposition::parse)
        }
        System::Haproxy(url) => Way::Exposition(url.clone(), haproxy::read),
        System::Envoy(admin) => Way::Exposition(below(admin, "/stats/prometheus"), Exposition::parse),
        System::PrometheusQuery(query) => Way::Figures(Asked::Query(query.clone())),
        System::Redis(at) => Way::Figures(Asked::Redis(at.clone())),
        System::Nginx(url) => Way::Figures(Asked::Nginx(url.clone())),
        System::Varnish(instance) => Way::Figures(Asked::Varnish(instance.clone())),
        System::PrometheusAlerts(at) => Way::Alerts(Teller::Prometheus, below(at, "/api/v1/alerts")),
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
                every(period, &cancel, Watcher::new(observed, (url, read), http, clock, sink)).boxed()
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

fn client() -> Result<reqwest::Client, String> {
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
    alerts::firing(teller, &text).map(|_| IndexMap::new())
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

/// Watches an exposition.
struct Watcher {
    observed: Observed,
    url: String,
    read: Read,
    http: reqwest::Client,
    clock: Clock,
    sink: Sink,
    source: Source,
    reader: Reader,
    breakers: Breakers,
    /// None: the system writes down none.
    transitions: Option<Transitions>,
    sampled: Option<RunTime>,
}

impl Watcher {
    fn new(
        observed: Observed,
        (url, read): (String, Read),
        http: reqwest::Client,
        clock: Clock,
        sink: Sink,
    ) -> Self {
        let source = Source::expected(&observed.name);
        let (reader, breakers) = (Reader::default(), Breakers::default());
        let transitions = Transitions::of(&observed.system);
        Self { observed, url, read, http, clock, sink, source, reader, breakers, transitions, sampled: None }
    }

    /// A change of a breaker, as exactly as the system itself tells when it was.
    async fn tell(&mut self, seen: Seen, signal: Signal) {
        let (Signal::Breaker { name, state, kind: Some(BreakerKind::StateMachine) }, Some(transitions)) =
            (&signal, &mut self.transitions)
        else {
            return source::tell(&self.sink, seen, signal);
        };
        // The state at the first look is no change.
        if seen.not_before == RunTime::ZERO {
            return source::tell(&self.sink, seen, signal);
        }
        let record = match transitions.url(name) {
            Some(url) => text(&self.http, &url).await,
            None => Err(format!("the record of breaker {name} has no address")),
        };
        let narrowed =
            record.and_then(|record| transitions.narrow(&record, self.clock, (name, *state), seen));
        let note = |reason: &str, text: String| Signal::Note {
            about: self.observed.name.clone(),
            reason: reason.to_owned(),
            text,
            warning: true,
        };
        match narrowed {
            Ok(Narrowed::To(all)) => {
                for (seen, state) in all {
                    let kind = Some(BreakerKind::StateMachine);
                    source::tell(&self.sink, seen, Signal::Breaker { name: name.clone(), state, kind });
                }
                return;
            }
            Ok(Narrowed::Unknown) => {}
            Ok(Narrowed::Elsewhere(why)) => {
                let text = format!("breaker {name}: {why}: another clock, and the times of the looks stand");
                source::tell(&self.sink, seen, note("ClockSkew", text));
            }
            Err(why) if transitions.missing() => {
                let text = format!("breakers' own times are not told, and those of the looks stand: {why}");
                source::tell(&self.sink, seen, note("NoRecord", text));
            }
            Err(_) => {}
        }
        source::tell(&self.sink, seen, signal);
    }
}

impl Look for Watcher {
    async fn look(&mut self) {
        let started = self.clock.now();
        let metrics = text(&self.http, &self.url).await.map(|text| (self.read)(&text));
        let now = self.clock.now();
        let Some((metrics, seen)) = self.source.heard(metrics, started, now, &self.sink) else { return };
        let was_shut = self.breakers.any_shut();
        if let Some(found) = self.reader.breakers(&self.observed.system, &metrics) {
            for signal in self.breakers.told(found) {
                self.tell(seen, signal).await;
            }
        }
        // States are looked at more often than counters have to be kept, but for
        // what passes a breaker that is open, which may be so for a short time.
        let shut = was_shut || self.breakers.any_shut();
        if shut || self.sampled.is_none_or(|last| started.since(last) >= SAMPLE) {
            self.sampled = Some(started);
            let values = sample::values(&metrics, |_| true);
            let signal = Signal::Sample { source: self.observed.name.clone(), values };
            // The figures are of this look, not of any time since the last.
            source::tell(&self.sink, Seen { not_before: started, by: now }, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::{Router, extract::State, routing::get};
    use tokio::net::TcpListener;

    use super::*;
    use crate::journal::{Event, Record, sink::Line};

    /// An Envoy with one cluster, of which so many hosts are ejected.
    async fn envoy(ejected: Arc<Mutex<u32>>) -> SocketAddr {
        let stats = async |State(ejected): State<Arc<Mutex<u32>>>| {
            let ejected = ejected.lock().expect("no panic");
            format!(
                "envoy_cluster_outlier_detection_ejections_active{{envoy_cluster_name=\"llm\"}} {ejected}\n"
            )
        };
        let router = Router::new().route("/stats", get(stats)).with_state(ejected);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    #[tokio::test]
    async fn every_look_at_an_open_breaker_is_kept() {
        let ejected = Arc::new(Mutex::new(0));
        let url = format!("http://{}/stats", envoy(Arc::clone(&ejected)).await);
        let clock = Clock::start();
        let (sink, mut lines) = Sink::new(clock);
        let observed = Observed {
            name: "front".to_owned(),
            system: System::Envoy(url.clone()),
            every: crate::units::Span(Duration::from_millis(250)),
        };
        let mut watcher =
            Watcher::new(observed, (url, Exposition::parse), client().expect("a client"), clock, sink);
        let mut kept = Vec::new();
        // One look while it is closed, and one when it has closed again.
        for now in [0, 0, 1, 1, 1, 0, 0] {
            *ejected.lock().expect("no panic") = now;
            // As if a sample had been kept just now: the machine may be slow.
            watcher.sampled = watcher.sampled.map(|_| clock.now());
            watcher.look().await;
            let mut samples = 0;
            while let Ok(line) = lines.try_recv() {
                let sampled = matches!(
                    line,
                    Line::Event(Record { event: Event::Signal { signal: Signal::Sample { .. }, .. }, .. })
                );
                samples += u32::from(sampled);
            }
            kept.push(samples);
        }
        assert_eq!(kept, [1, 0, 1, 1, 1, 1, 0]);
    }
}
