//! What a cluster notes of its objects as Events: probes that fail, pods that
//! can't be placed, images that are not there.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Event;

use super::Change;
use crate::journal::event::Signal;

/// A message is not told at more length.
const LONGEST: usize = 240;

/// Events as they were last seen.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// By UID: how often it had happened.
    known: BTreeMap<String, i32>,
    /// Whether what was there before is known.
    began: bool,
}

impl Notes {
    /// Takes what was heard. What was there before the run is no news.
    pub(super) fn heard(&mut self, change: &Change<'_, Event>) -> Vec<Signal> {
        let (heard, all) = match change {
            Change::All(all) => (*all, true),
            Change::One(one) => (std::slice::from_ref(*one), false),
            // The API server forgets them after an hour.
            Change::Gone(_) => return vec![],
        };
        let mut news = Vec::new();
        for event in heard {
            let Some(uid) = event.metadata.uid.clone() else { continue };
            let count = count(event);
            let before = self.known.insert(uid, count);
            if self.began && before.is_none_or(|before| count > before) {
                news.push(told(event));
            }
        }
        self.began |= all;
        news
    }
}

fn count(event: &Event) -> i32 {
    let series = event.series.as_ref().and_then(|series| series.count);
    series.or(event.count).unwrap_or(1)
}

fn told(event: &Event) -> Signal {
    let object = &event.involved_object;
    let mut text = event.message.clone().unwrap_or_default();
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    Signal::Note {
        about: format!(
            "{} {}",
            object.kind.as_deref().unwrap_or("object").to_lowercase(),
            object.name.as_deref().unwrap_or("?")
        ),
        reason: event.reason.clone().unwrap_or_default(),
        text,
        warning: event.type_.as_deref() == Some("Warning"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(uid: &str, count: i32) -> Event {
        serde_json::from_value(json!({
            "metadata": { "name": uid, "uid": uid }, "count": count, "type": "Warning", "reason": "Unhealthy",
            "involvedObject": { "kind": "Pod", "name": "llm-1" }, "message": "Readiness probe failed: é".repeat(20),
        }))
        .expect("an Event")
    }

    #[test]
    fn what_was_there_before_is_no_news_and_what_happens_again_is() {
        let mut notes = Notes::default();
        assert_eq!(notes.heard(&Change::One(&event("a", 1))), [], "the watch may be first");
        assert_eq!(notes.heard(&Change::All(&[event("a", 1), event("b", 3)])), []);
        assert_eq!(notes.heard(&Change::One(&event("b", 3))), []);
        assert_eq!(notes.heard(&Change::One(&event("b", 4))).len(), 1);
        let news = notes.heard(&Change::All(&[event("a", 1), event("b", 4), event("c", 1)]));
        assert!(
            matches!(&news[..], [Signal::Note { about, warning: true, .. }] if about == "pod llm-1"),
            "{news:?}"
        );
    }
}
