//! The sources that a scenario declares, each looked at on the run's clock.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{
    Look, SAMPLE, alerts, breakers::Breakers, every, prometheus::Exposition, sample, source, source::Source,
    systems::Reader,
};
use crate::{
    api_client,
    clock::Clock,
    journal::{Sink, event::Signal},
    scenario::observe::Observed,
    units::RunTime,
};

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Looks at all of them until `cancel`, then a last time. `alerts`: the names of
/// those that matter.
pub async fn watch(
    all: Vec<Observed>,
    alerts: Vec<String>,
    clock: Clock,
    sink: Sink,
    cancel: CancellationToken,
) {
    let (tell, show): (Vec<_>, Vec<_>) = all.into_iter().partition(|one| one.system.has_alerts());
    let tellers = tell.into_iter().filter_map(|observed| {
        let period = observed.every.0;
        let watcher = alerts::Watcher::new(observed, &alerts, client().ok()?, clock, sink.clone());
        Some(every(period, &cancel, watcher))
    });
    let watchers = show.into_iter().filter_map(|observed| {
        let http = client().ok()?;
        let period = observed.every.0;
        let source = Source::expected(&observed.name);
        let watcher = Watcher {
            observed,
            http,
            clock,
            sink: sink.clone(),
            source,
            reader: Reader::default(),
            breakers: Breakers::default(),
            sampled: None,
        };
        Some(every(period, &cancel, watcher))
    });
    let (tellers, watchers) = (futures::future::join_all(tellers), futures::future::join_all(watchers));
    tokio::join!(tellers, watchers);
}

/// What is wrong with them, in words.
pub async fn preflight(all: &[Observed]) -> Vec<String> {
    let mut problems = Vec::new();
    for observed in all {
        let name = &observed.name;
        let found = match client() {
            Ok(http) => text(&http, observed).await,
            Err(error) => Err(error),
        };
        if observed.system.has_alerts() {
            let found = found.and_then(|text| alerts::firing(&observed.system, &text));
            problems.extend(found.err().map(|why| format!("signals: {name}: {why}")));
            continue;
        }
        let found = found.map(|text| Exposition::parse(&text));
        match found {
            Err(why) => problems.push(format!("signals: {name}: {why}")),
            Ok(metrics) if metrics.samples.is_empty() => {
                let url = observed.system.url();
                problems.push(format!("signals: {name}: {url} shows nothing in Prometheus' text format"));
            }
            // Without a breaker there is none to be seen: the verdict says so.
            Ok(_) => {}
        }
    }
    problems
}

fn client() -> Result<reqwest::Client, String> {
    api_client::http(PATIENCE)
}

async fn ask(http: &reqwest::Client, observed: &Observed) -> Result<Exposition, String> {
    text(http, observed).await.map(|text| Exposition::parse(&text))
}

/// What a source answers. The error is in words.
pub(super) async fn text(http: &reqwest::Client, observed: &Observed) -> Result<String, String> {
    let url = observed.system.url();
    let answer = http.get(&url).send().await.and_then(reqwest::Response::error_for_status);
    let text = match answer {
        Ok(answer) => answer.text().await,
        Err(error) => Err(error),
    };
    text.map_err(|error| format!("{url}: {error}"))
}

struct Watcher {
    observed: Observed,
    http: reqwest::Client,
    clock: Clock,
    sink: Sink,
    source: Source,
    reader: Reader,
    breakers: Breakers,
    sampled: Option<RunTime>,
}

impl Look for Watcher {
    async fn look(&mut self) {
        let started = self.clock.now();
        let metrics = ask(&self.http, &self.observed).await;
        let now = self.clock.now();
        let Some((metrics, seen)) = self.source.heard(metrics, started, now, &self.sink) else { return };
        if let Some(found) = self.reader.breakers(&self.observed.system, &metrics) {
            let told = self.breakers.told(found).into_iter();
            told.for_each(|signal| source::tell(&self.sink, seen, signal));
        }
        // States are looked at more often than counters have to be kept.
        if self.sampled.is_none_or(|last| started.since(last) >= SAMPLE) {
            self.sampled = Some(started);
            let values = sample::values(&metrics, |_| true);
            let signal = Signal::Sample { source: self.observed.name.clone(), values };
            source::tell(&self.sink, seen, signal);
        }
    }
}
