//! Which alerts fire, by a Prometheus server (`/api/v1/alerts`) or an
//! Alertmanager (`/api/v2/alerts`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Look,
    source::{self, Source},
};
use crate::{
    clock::Clock,
    journal::{Sink, event::Signal},
};

/// Who tells of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Teller {
    Prometheus,
    Alertmanager,
}

/// The names of the alerts that fire, from what a server answered. An alert
/// that is silenced or inhibited fires all the same; a pending one does not yet.
pub(super) fn firing(teller: Teller, text: &str) -> Result<BTreeSet<String>, String> {
    let answer: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let (all, state, fires): (_, _, &[&str]) = match teller {
        Teller::Alertmanager => (&answer, "/status/state", &["active", "suppressed"]),
        Teller::Prometheus => (&answer["data"]["alerts"], "/state", &["firing"]),
    };
    let all = all.as_array().ok_or("it is no list of alerts")?;
    let fire = all.iter().filter(|alert| {
        alert.pointer(state).and_then(Value::as_str).is_some_and(|state| fires.contains(&state))
    });
    Ok(fire.filter_map(|alert| Some(alert["labels"]["alertname"].as_str()?.to_owned())).collect())
}

/// Watches the alerts of these names at one source.
pub(super) struct Watcher {
    name: String,
    teller: Teller,
    url: String,
    http: reqwest::Client,
    clock: Clock,
    sink: Sink,
    source: Source,
    known: BTreeMap<String, Option<bool>>,
}

impl Watcher {
    pub(super) fn new(
        name: String,
        (teller, url): (Teller, String),
        names: &[String],
        http: reqwest::Client,
        clock: Clock,
        sink: Sink,
    ) -> Self {
        let source = Source::expected(&name);
        let known = names.iter().map(|name| (name.clone(), None)).collect();
        Self { name, teller, url, http, clock, sink, source, known }
    }
}

impl Look for Watcher {
    async fn look(&mut self) {
        let started = self.clock.now();
        let answer = super::declared::text(&self.http, &self.url).await;
        let found = answer.and_then(|text| firing(self.teller, &text));
        let now = self.clock.now();
        let Some((firing, seen)) = self.source.heard(found, started, now, &self.sink) else { return };
        for (name, known) in &mut self.known {
            let fires = firing.contains(name);
            if *known != Some(fires) {
                *known = Some(fires);
                let source = self.name.clone();
                source::tell(&self.sink, seen, Signal::Alert { source, name: name.clone(), firing: fires });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pending_alert_does_not_fire_yet() {
        let text = r#"{"status":"success","data":{"alerts":[
            {"labels":{"alertname":"Errors","severity":"page"},"state":"firing","activeAt":"2026-01-01T00:00:00Z","value":"1"},
            {"labels":{"alertname":"Latency"},"state":"pending"}]}}"#;
        assert_eq!(firing(Teller::Prometheus, text), Ok(BTreeSet::from(["Errors".to_owned()])));
        let text = r#"[{"labels":{"alertname":"Errors"},"status":{"state":"suppressed"}},
            {"labels":{"alertname":"Latency"},"status":{"state":"unprocessed"}}]"#;
        assert_eq!(firing(Teller::Alertmanager, text), Ok(BTreeSet::from(["Errors".to_owned()])));
        assert!(firing(Teller::Alertmanager, "{}").is_err() && firing(Teller::Prometheus, "<html>").is_err());
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(text in ".{0,200}") {
            let _ = firing(Teller::Prometheus, &text);
            let _ = firing(Teller::Alertmanager, &text);
        }
    }
}
