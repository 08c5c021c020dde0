//! Alerts as they reach people: the run is a receiver of an Alertmanager, and
//! listens for its webhook.
//!
//! Until something arrives, every alert is told not to fire: nobody was told.
//! Whether the way works at all shows the first notification, of whatever
//! alert: the source answers from then on. A silence without one proves
//! nothing, and the verdict says so.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{Method, StatusCode},
};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::source::tell;
use crate::{
    clock::Clock,
    journal::{Sink, event::Signal},
    units::Seen,
};

/// What a notification may be long, in bytes.
const LONGEST: usize = 1 << 20;
/// How long one that has begun may take when the run ends.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// The port is the run's, or it is said whose it isn't.
pub(super) async fn listen(at: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(at).await.map_err(|error| format!("nobody can listen at {at}: {error}"))
}

/// Listens until `cancel`. `alerts`: the names of those that matter.
pub(super) async fn watch(
    source: String,
    at: SocketAddr,
    alerts: Vec<String>,
    clock: Clock,
    sink: Sink,
    cancel: CancellationToken,
) {
    let listener = match listen(at).await {
        Ok(listener) => listener,
        Err(why) => return tell(&sink, Seen::at(clock.now()), Signal::Source { source, up: false, why }),
    };
    let pager = Arc::new(Pager::new(source, &alerts, clock, sink));
    let router = Router::new().fallback(delivered).layer(DefaultBodyLimit::max(LONGEST)).with_state(pager);
    let over = cancel.clone();
    let server = axum::serve(listener, router).with_graceful_shutdown(over.cancelled_owned());
    let late = async {
        cancel.cancelled().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    tokio::select! {
        // It only ends when it is told to.
        _ = server => {}
        () = late => {}
    }
}

async fn delivered(
    State(pager): State<Arc<Pager>>,
    method: Method,
    body: Bytes,
) -> Result<StatusCode, (StatusCode, String)> {
    if method != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "an Alertmanager's webhook is a POST\n".to_owned()));
    }
    let told = announced(&body).map_err(|why| (StatusCode::BAD_REQUEST, format!("{why}\n")))?;
    pager.hears(&told);
    Ok(StatusCode::OK)
}

type Labels = BTreeMap<String, String>;

/// What a notification says of one alert.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Announced {
    name: String,
    /// Which of this name: all of its labels.
    which: Labels,
    firing: bool,
}

/// Reads a notification (version 4). The error is in words.
fn announced(body: &[u8]) -> Result<Vec<Announced>, String> {
    let page: Value = serde_json::from_slice(body).map_err(|error| format!("it is no JSON: {error}"))?;
    if page["version"] != "4" {
        return Err("it is no notification of version 4".to_owned());
    }
    let alerts = page["alerts"].as_array().ok_or("`alerts` is no list")?;
    let mut all = Vec::new();
    for alert in alerts {
        let firing = match alert["status"].as_str() {
            Some("firing") => true,
            Some("resolved") => false,
            Some(_) | None => return Err("an alert is neither `firing` nor `resolved`".to_owned()),
        };
        let labels = alert["labels"].as_object().ok_or("an alert has no labels")?;
        // One without a name is nobody's here.
        let Some(name) = labels.get("alertname").and_then(Value::as_str) else { continue };
        let which = labels.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        all.push(Announced { name: name.to_owned(), which: which.collect(), firing });
    }
    Ok(all)
}

/// What has been heard.
#[derive(Debug)]
struct Pager {
    source: String,
    clock: Clock,
    sink: Sink,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    /// Whether anything was delivered.
    any: bool,
    /// Those that fire, of each name that matters.
    firing: BTreeMap<String, BTreeSet<Labels>>,
}

impl Pager {
    /// Nobody was told of anything yet.
    fn new(source: String, alerts: &[String], clock: Clock, sink: Sink) -> Self {
        let now = Seen::at(clock.now());
        for name in alerts {
            tell(&sink, now, Signal::Alert { source: source.clone(), name: name.clone(), firing: false });
        }
        let firing = alerts.iter().map(|name| (name.clone(), BTreeSet::new())).collect();
        Self { source, clock, sink, heard: Mutex::new(Heard { any: false, firing }) }
    }

    fn hears(&self, all: &[Announced]) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Seen::at(self.clock.now());
        let Heard { any, firing } = &mut *heard;
        if !std::mem::replace(any, true) {
            let signal = Signal::Source { source: self.source.clone(), up: true, why: String::new() };
            tell(&self.sink, now, signal);
        }
        for (name, which) in firing {
            let before = !which.is_empty();
            for one in all.iter().filter(|one| one.name == *name) {
                if one.firing {
                    which.insert(one.which.clone());
                } else {
                    which.remove(&one.which);
                }
            }
            let firing = !which.is_empty();
            if firing != before {
                let (source, name) = (self.source.clone(), name.clone());
                tell(&self.sink, now, Signal::Alert { source, name, firing });
            }
        }
    }
}

#[cfg(test)]
mod tests;
