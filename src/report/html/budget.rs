//! The error budgets as a table with bars.

use serde::Serialize;

use crate::{
    report::{Input, text},
    verdict::{lasting, model::Burn, times},
};

/// The burn rate at which the bars begin, and the least at which they end.
const SCALE: (f64, f64) = (0.1, 100.0);

/// Where the bars have marks: where a budget lasts just as long as it has to,
/// and from where somebody is paged within the hour.
const MARKS: [f64; 2] = [1.0, 14.4];

/// Every budget.
#[derive(Debug, Serialize)]
pub(super) struct BudgetTable {
    rows: Vec<BudgetRow>,
    /// Where the bars have marks, in percent.
    marks: Vec<Mark>,
}

#[derive(Debug, Serialize)]
struct Mark {
    at: f64,
    label: String,
}

/// A phase of a budget; of what has no budget the only row.
#[derive(Debug, Serialize)]
struct BudgetRow {
    /// The objective and its limit, on the first of its rows.
    slo: Option<(String, String)>,
    /// How many rows it has.
    span: usize,
    burn: Option<BurnRow>,
}

#[derive(Debug, Serialize)]
struct BurnRow {
    phase: String,
    bad: String,
    rate: String,
    /// Length of its bar, in percent.
    bar: f64,
    tone: &'static str,
    word: String,
    lasts: String,
    spent: String,
    text: String,
}

/// The budgets. None: no objective sets one.
pub(super) fn table(input: &Input<'_>) -> Option<BudgetTable> {
    let budgets = &input.verdict.budget;
    let highest =
        budgets.iter().flat_map(|budget| &budget.phases).map(|burn| burn.rate).fold(SCALE.1, f64::max);
    let at = |rate: f64| {
        let share = (rate / SCALE.0).log10() / (highest / SCALE.0).log10();
        if rate > 0.0 { (share * 1000.0).round().clamp(5.0, 1000.0) / 10.0 } else { 0.0 }
    };
    let mut rows = Vec::new();
    for budget in budgets {
        let slo = (budget.slo.clone(), budget.limit.clone());
        let mut burns: Vec<Option<BurnRow>> =
            budget.phases.iter().map(|burn| Some(burn_row(burn, at(burn.rate)))).collect();
        if budget.allowed.is_none() {
            burns.push(None);
        }
        let span = burns.len();
        let mut slo = Some(slo);
        rows.extend(burns.into_iter().map(|burn| BudgetRow { slo: slo.take(), span, burn }));
    }
    let marks = MARKS.map(|rate| Mark { at: at(rate), label: format!("{rate}×") });
    (!rows.is_empty()).then(|| BudgetTable { rows, marks: marks.into() })
}

fn burn_row(burn: &Burn, bar: f64) -> BurnRow {
    let (tone, word) = match (burn.page, burn.rate) {
        (Some(page), _) => ("vermillion", format!("pages after {}", lasting(page.after))),
        (None, rate) if rate > 1.0 => ("orange", "over budget".to_owned()),
        (None, _) => ("blue", "within budget".to_owned()),
    };
    BurnRow {
        phase: burn.phase.clone(),
        bad: format!("{} of {}", text::count(burn.bad), text::count(burn.requests)),
        rate: times(burn.rate),
        bar,
        tone,
        word,
        lasts: burn.gone_after.map_or("∞".to_owned(), lasting),
        spent: text::tiny_percent(burn.spent),
        text: burn.text.clone(),
    }
}
