//! How fast each mechanism reacted, as a table.

use serde::Serialize;

use crate::{
    report::{Input, reactions},
    verdict::model::{ReactionFigures, Timing},
};

/// Every reaction.
#[derive(Debug, Serialize)]
pub(super) struct ReactionTable {
    columns: Vec<(&'static str, &'static str)>,
    legend: &'static str,
    rows: Vec<ReactionRow>,
}

#[derive(Debug, Serialize)]
struct ReactionRow {
    mechanism: String,
    cause: String,
    times: Vec<Cell>,
    text: String,
}

/// A time; of one that is missing, why.
#[derive(Debug, Serialize)]
struct Cell {
    shown: String,
    why: Option<String>,
    /// Nobody saw it, though it was waited for.
    never: bool,
}

/// The reactions. None: nothing had to react.
pub(super) fn table(input: &Input<'_>) -> Option<ReactionTable> {
    let rows: Vec<ReactionRow> = input.verdict.reactions.iter().map(row).collect();
    let columns = reactions::COLUMNS.to_vec();
    (!rows.is_empty()).then_some(ReactionTable { columns, legend: reactions::LEGEND, rows })
}

fn row(reaction: &ReactionFigures) -> ReactionRow {
    let cell = |timing: &Timing| Cell {
        shown: reactions::short(timing),
        why: reactions::why(timing),
        never: reactions::is_never(timing),
    };
    ReactionRow {
        mechanism: reactions::mechanism(reaction),
        cause: reaction.cause.as_str().to_owned(),
        times: reactions::times(reaction).into_iter().map(cell).collect(),
        text: reaction.text.replace('`', ""),
    }
}
