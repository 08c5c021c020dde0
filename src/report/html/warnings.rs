//! Warnings that the target's own platform gave meanwhile, and restarts that
//! sources show.

use indexmap::IndexMap;
use serde::Serialize;

use crate::{
    journal::{Event, event::Signal},
    report::{Input, text},
};

/// Rows that are shown.
const MOST: usize = 40;

/// One warning, however often it came.
#[derive(Debug, Serialize)]
pub(super) struct WarningRow {
    first: String,
    times: usize,
    about: String,
    reason: String,
    text: String,
}

/// Warnings in the order in which they first came, each object and reason
/// once, and how many more there are.
pub(super) fn warnings(input: &Input<'_>) -> (Vec<WarningRow>, usize) {
    let mut rows: IndexMap<(&str, &str), WarningRow> = IndexMap::new();
    for record in &input.record.events {
        let Event::Signal { signal: Signal::Note { about, reason, text, warning: true }, seen } =
            &record.event
        else {
            continue;
        };
        let row = rows.entry((about, reason)).or_insert_with(|| WarningRow {
            first: text::secs(seen.by.as_secs_f64()),
            times: 0,
            about: about.clone(),
            reason: reason.clone(),
            text: text.clone(),
        });
        row.times += 1;
    }
    let left = rows.len().saturating_sub(MOST);
    (rows.into_values().take(MOST).collect(), left)
}
