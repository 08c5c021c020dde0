//! The times of each reaction as people read them; the same in every format.

use super::text;
use crate::verdict::model::{Absence, ReactionFigures, Timing};

/// The four times: the column's head, and what it says to somebody who does not
/// know the abbreviation.
pub(super) const COLUMNS: [(&str, &str); 4] =
    [("impact", "users felt"), ("TTD", "noticed"), ("TTM", "users fine"), ("TTR", "all normal")];

/// The abbreviations, once, in words.
pub(super) const LEGEND: &str = "Impact: from the fault's effect until users felt it. TTD (time to detect): until the mechanism \
     noticed. TTM (time to mitigate): until users were fine again, within the limits agreed for such a case. TTR (time to \
     recover): from the fault's end until all was back to normal.";

/// The times in the columns' order.
pub(super) fn times(reaction: &ReactionFigures) -> [&Timing; 4] {
    [&reaction.impact, &reaction.ttd, &reaction.ttm, &reaction.ttr]
}

/// A time with its sampling error, or in a word why there is none.
pub(super) fn short(timing: &Timing) -> String {
    match timing {
        Timing::Took { low, high } => {
            let (middle, error) = ((low + high) / 2.0, (high - low) / 2.0);
            // Whoever needs hundredths of these finds them in verdict.json.
            match (middle, error) {
                (120.0.., _) => text::secs(middle),
                (_, 0.05..) => format!("{} ± {} s", text::trimmed(middle, 1), text::trimmed(error, 1)),
                (_, 0.005..) => format!("{} ± 0.1 s", text::trimmed(middle, 1)),
                _ => format!("{} s", text::trimmed(middle, 2)),
            }
        }
        Timing::Missing(absence) => word(absence).to_owned(),
    }
}

/// Why there is no time, in a word or two.
fn word(absence: &Absence) -> &'static str {
    match absence {
        Absence::NotDegraded => "no harm",
        Absence::DegradedBefore => "bad before",
        Absence::Never { .. } => "never",
        Absence::Unsignalled => "no signal",
        Absence::NoObjectives => "no SLO",
        Absence::NotProven => "no proof",
        Absence::NotOver => "no end",
        Absence::NotReached => "not reached",
        Absence::TooFew => "too few",
        Absence::LateLoad => "late load",
        Absence::Unclear { .. } => "unclear",
    }
}

/// Whether it was waited for, and did not come.
pub(super) fn is_never(timing: &Timing) -> bool {
    matches!(timing, Timing::Missing(Absence::Never { .. }))
}

/// Why there is no time, in full.
pub(super) fn why(timing: &Timing) -> Option<String> {
    match timing {
        Timing::Took { .. } => None,
        Timing::Missing(absence) => Some(absence.in_words()),
    }
}

/// `Circuit breaker`, `Alert Errors`.
pub(super) fn mechanism(reaction: &ReactionFigures) -> String {
    let name = reaction.name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
    format!("{}{name}", text::kind(reaction.mechanism))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_its_error_and_a_missing_one_its_reason() {
        let told = |low, high| short(&Timing::Took { low, high });
        assert_eq!(told(2.0, 3.0), "2.5 ± 0.5 s");
        assert_eq!(told(0.37, 0.37), "0.37 s");
        assert_eq!(told(12.0, 12.02), "12 ± 0.1 s");
        let missing = Timing::Missing(Absence::Never { watched: 12.3 });
        assert_eq!(short(&missing), "never");
        assert_eq!(why(&missing).as_deref(), Some("not seen in the 12.3 s that it could be watched"));
    }
}
