//! Which alerts fire, by the rules of a Prometheus server (`/api/v1/rules`) or by
//! an Alertmanager (`/api/v2/alerts`), which knows of no rules.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::{
    Look,
    source::{self, Source},
};
use crate::{
    clock::Clock,
    journal::{
        Sink,
        event::{NO_RULE, Signal},
    },
};

/// Who tells of alerts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Teller {
    Prometheus,
    Alertmanager,
}

/// What a server told of alerts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// The names of those that fire.
    firing: BTreeSet<String>,
    /// The names of all that could. None: it does not know.
    rules: Option<BTreeSet<String>>,
}

/// What a server answered. An alert that is silenced or inhibited fires all the
/// same; a pending one does not yet.
pub(super) fn read(teller: Teller, text: &str) -> Result<Told, String> {
    let answer: Value = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"))?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    match teller {
        Teller::Alertmanager => {
            let all = answer.as_array().ok_or("it is no list of alerts")?;
            let fire = all
                .iter()
                .filter(|alert| matches!(alert["status"]["state"].as_str(), Some("active" | "suppressed")));
            let firing = fire.filter_map(|alert| text(&alert["labels"]["alertname"])).collect();
            Ok(Told { firing, rules: None })
        }
        Teller::Prometheus => {
            let groups = answer["data"]["groups"].as_array().ok_or("it is no list of groups of rules")?;
            let all = groups.iter().flat_map(|group| group["rules"].as_array().into_iter().flatten());
            let all: Vec<&Value> = all.filter(|rule| rule["type"] == "alerting").collect();
            let firing = all.iter().filter(|rule| rule["state"] == "firing");
            Ok(Told {
                firing: firing.filter_map(|rule| text(&rule["name"])).collect(),
                rules: Some(all.iter().filter_map(|rule| text(&rule["name"])).collect()),
            })
        }
    }
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
    known: BTreeMap<String, Option<State>>,
}

/// Of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Firing,
    Quiet,
    /// There is no rule of this name.
    Missing,
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
        let found = answer.and_then(|text| read(self.teller, &text));
        let now = self.clock.now();
        let Some((told, seen)) = self.source.heard(found, started, now, &self.sink) else { return };
        for (name, known) in &mut self.known {
            let state = match told.rules.as_ref() {
                _ if told.firing.contains(name) => State::Firing,
                Some(rules) if !rules.contains(name) => State::Missing,
                Some(_) | None => State::Quiet,
            };
            if *known == Some(state) {
                continue;
            }
            *known = Some(state);
            let (source, name) = (self.name.clone(), name.clone());
            let signal = match state {
                State::Firing => Signal::Alert { source, name, firing: true },
                State::Quiet => Signal::Alert { source, name, firing: false },
                State::Missing => {
                    Signal::Note { about: source, reason: NO_RULE.to_owned(), text: name, warning: true }
                }
            };
            source::tell(&self.sink, seen, signal);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pending_alert_does_not_fire_yet() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<BTreeSet<_>>();
        let text = r#"{"status":"success","data":{"groups":[{"name":"llm","rules":[
            {"type":"alerting","name":"Errors","state":"firing","query":"vector(1) > 0","alerts":[]},
            {"type":"recording","name":"errors:rate","query":"vector(1)"}]},
            {"name":"more","rules":[{"type":"alerting","name":"Latency","state":"pending"}]}]}}"#;
        let (firing, rules) = (names(&["Errors"]), Some(names(&["Errors", "Latency"])));
        assert_eq!(read(Teller::Prometheus, text), Ok(Told { firing, rules }));
        let text = r#"[{"labels":{"alertname":"Errors"},"status":{"state":"suppressed"}},
            {"labels":{"alertname":"Latency"},"status":{"state":"unprocessed"}}]"#;
        assert_eq!(read(Teller::Alertmanager, text), Ok(Told { firing: names(&["Errors"]), rules: None }));
        assert!(read(Teller::Alertmanager, "{}").is_err() && read(Teller::Prometheus, "<html>").is_err());
        assert!(read(Teller::Prometheus, r#"{"data":{"alerts":[]}}"#).is_err());
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(text in ".{0,200}") {
            let _ = read(Teller::Prometheus, &text);
            let _ = read(Teller::Alertmanager, &text);
        }
    }
}
