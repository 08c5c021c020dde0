//! A system that is looked at as a whole: its breakers, and samples of its
//! figures.

use super::{
    Look, SAMPLE,
    breakers::Breakers,
    declared::text,
    ejected::Hosts,
    prometheus::Exposition,
    sample,
    source::{self, Source},
    systems::Reader,
    transitions::{Narrowed, Transitions},
};
use crate::{
    clock::Clock,
    journal::{
        Sink,
        event::{BreakerKind, Signal},
    },
    scenario::observe::Observed,
    units::{RunTime, Seen},
};

/// Makes an exposition of a text.
pub(super) type Read = fn(&str) -> Exposition;

/// Watches an exposition.
pub(super) struct Watcher {
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
    /// None: it does not tell of hosts.
    hosts: Option<Hosts>,
    sampled: Option<RunTime>,
}

impl Watcher {
    pub(super) fn new(
        observed: Observed,
        (url, read): (String, Read),
        http: reqwest::Client,
        clock: Clock,
        sink: Sink,
    ) -> Self {
        let source = Source::expected(&observed.name);
        let (reader, breakers) = (Reader::default(), Breakers::default());
        let transitions = Transitions::of(&observed.system);
        let hosts = Hosts::of(&observed.system, &observed.name);
        Self {
            observed,
            url,
            read,
            http,
            clock,
            sink,
            source,
            reader,
            breakers,
            transitions,
            hosts,
            sampled: None,
        }
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
        if let Some(hosts) = &mut self.hosts
            && hosts.changed(&metrics)
        {
            let answer = text(&self.http, &hosts.url).await;
            let seen = Seen { by: self.clock.now(), ..seen };
            hosts.notes(answer).into_iter().for_each(|note| source::tell(&self.sink, seen, note));
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
    use std::{
        net::SocketAddr,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use axum::{Router, extract::State, routing::get};
    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        journal::{Event, Record, sink::Line},
        observe::declared::client,
        scenario::observe::System,
    };

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
