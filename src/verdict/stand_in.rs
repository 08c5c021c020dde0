//! Whether a fallback is the model that it should be, by the name that its
//! answers have.

use std::collections::BTreeMap;

use super::{
    facts::Facts,
    fallback::{answers, nobody, since},
    finding::{Finding, counted},
};
use crate::units::FaultId;

/// Judges that every answer of the fallback is of `model`. One that names no
/// model is no proof, neither for nor against.
pub(super) fn judge(facts: &Facts<'_>, after: Option<&FaultId>, model: &str) -> Result<Finding, Finding> {
    let t0 = since(facts, after)?;
    let mut by_model: BTreeMap<Option<&str>, u64> = BTreeMap::new();
    for cell in answers(facts, t0.not_before) {
        *by_model.entry(cell.key.served.model.as_deref()).or_default() += cell.count;
    }
    let all: u64 = by_model.values().sum();
    if all == 0 {
        return Err(nobody(facts, after, t0));
    }
    let right = by_model.get(&Some(model)).copied().unwrap_or(0);
    let unnamed = by_model.get(&None).copied().unwrap_or(0);
    let wrong = all - right - unnamed;
    let names = by_model.iter().map(|(name, count)| format!("{count} of {}", name.unwrap_or("no name")));
    let shown = format!("answers from a fallback: {}", names.collect::<Vec<_>>().join(", "));
    let finding = if wrong > 0 {
        let others = by_model.keys().flatten().filter(|name| **name != model);
        let others: Vec<&str> = others.copied().collect();
        Finding::fail(format!("{wrong} of {} were of {}", counted(all, "answer"), others.join(", ")))
    } else if unnamed > 0 {
        let said = format!("{unnamed} of {} do not name their model", counted(all, "answer"));
        return Err(Finding::inconclusive(said).on("wire", shown));
    } else {
        Finding::pass(format!("{} of {model}", counted(right, "answer")))
    };
    Ok(finding.observed(wrong as f64, "count").on("wire", shown))
}
