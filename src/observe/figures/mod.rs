//! Sources that show figures alone, each in its own way.

mod nginx;
mod query;
mod redis;
mod varnish;

use std::time::Duration;

use indexmap::IndexMap;

use super::{
    Look,
    source::{self, Source},
};
use crate::{
    clock::Clock,
    journal::{Sink, event::Signal},
    scenario::observe::{HostPort, PromQuery},
    units::Seen,
};

/// How long one look may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// What one answer may be long, in bytes.
const LONGEST: usize = 4 << 20;

/// Where the figures are, and how they are asked for.
#[derive(Debug, Clone)]
pub(super) enum Asked {
    Query(PromQuery),
    Redis(HostPort),
    Nginx(String),
    Varnish(String),
}

/// What one look showed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Shown {
    /// Finite figures by their series.
    pub(super) values: IndexMap<String, f64>,
    /// What is another after each start of the system, where it shows that.
    start: Option<String>,
}

impl Shown {
    fn of(values: IndexMap<String, f64>) -> Self {
        Self { values, start: None }
    }
}

impl Asked {
    /// One look; `name` is the source's own. The error is in words.
    pub(super) async fn look(&self, http: &reqwest::Client, name: &str) -> Result<Shown, String> {
        match self {
            Self::Query(query) => query::ask(http, query, name).await.map(Shown::of),
            Self::Redis(at) => redis::ask(at).await,
            Self::Nginx(url) => nginx::ask(http, url).await.map(Shown::of),
            Self::Varnish(instance) => varnish::ask(instance).await.map(Shown::of),
        }
    }

    fn system(&self) -> &'static str {
        match self {
            Self::Query(_) => "Prometheus",
            Self::Redis(_) => "Redis",
            Self::Nginx(_) => "nginx",
            Self::Varnish(_) => "Varnish",
        }
    }
}

/// The text of an answer, if it is none too long.
async fn text(mut answer: reqwest::Response) -> Result<String, String> {
    let mut all = Vec::new();
    while let Some(part) = answer.chunk().await.map_err(|error| error.to_string())? {
        all.extend_from_slice(&part);
        if all.len() > LONGEST {
            return Err(format!("its answer is longer than {} MiB", LONGEST >> 20));
        }
    }
    String::from_utf8(all).map_err(|_| "its answer is no text".to_owned())
}

/// Watches the figures of one source.
pub(super) struct Watcher {
    name: String,
    asked: Asked,
    http: reqwest::Client,
    clock: Clock,
    sink: Sink,
    source: Source,
    start: Option<String>,
}

impl Watcher {
    pub(super) fn new(name: String, asked: Asked, http: reqwest::Client, clock: Clock, sink: Sink) -> Self {
        let source = Source::expected(&name);
        Self { name, asked, http, clock, sink, source, start: None }
    }

    /// That the system is another than at the last look.
    fn restarted(&mut self, start: Option<String>) -> Option<Signal> {
        let start = start?;
        let before = self.start.replace(start.clone());
        before.filter(|before| *before != start).map(|_| Signal::Note {
            about: self.name.clone(),
            reason: "Restarted".to_owned(),
            text: format!("{} was restarted", self.asked.system()),
            warning: true,
        })
    }
}

impl Look for Watcher {
    async fn look(&mut self) {
        let started = self.clock.now();
        let found = self.asked.look(&self.http, &self.name).await;
        let now = self.clock.now();
        let Some((shown, seen)) = self.source.heard(found, started, now, &self.sink) else { return };
        if let Some(note) = self.restarted(shown.start) {
            source::tell(&self.sink, seen, note);
        }
        let signal = Signal::Sample { source: self.name.clone(), values: shown.values };
        source::tell(&self.sink, Seen { not_before: started, by: now }, signal);
    }
}
