//! A reaction in one sentence that needs no knowledge of the mechanism: what
//! was done, who noticed, what users felt. Times are the longest that they may
//! have been, rounded up.

use super::{mechanism::Mechanism, nouns, users::Users};
use crate::verdict::{
    facts::Facts,
    model::{Absence, Cause, Timing},
};

impl Absence {
    /// Why there is no time, in words.
    pub fn in_words(&self) -> String {
        match self {
            Self::NotProven => "the fault was not proven".to_owned(),
            Self::NotOver => "the fault was never seen to end".to_owned(),
            Self::NotReached => "the phase was not reached".to_owned(),
            Self::NotDegraded => "not degraded: nothing to recover from".to_owned(),
            Self::DegradedBefore => "degraded already when it began".to_owned(),
            Self::NoObjectives => "no SLO to be judged by".to_owned(),
            Self::Unsignalled => "nobody signals it".to_owned(),
            Self::Never { watched } => format!("not seen in the {} that it could be watched", time(*watched)),
            Self::TooFew => "too few requests or windows to tell".to_owned(),
            Self::LateLoad => "the load generator was late: it is not known whose fault it is".to_owned(),
            Self::Unclear { reason } => reason.clone(),
        }
    }
}

/// Seconds, rounded up to a tenth; minutes to a second.
fn time(seconds: f64) -> String {
    if seconds >= 120.0 {
        let whole = seconds.ceil();
        return format!("{:.0} min {:02.0} s", (whole / 60.0).floor(), whole % 60.0);
    }
    let tenths = (seconds * 10.0 - 1e-6).ceil().max(0.0) + 0.0;
    let text = format!("{:.1}", tenths / 10.0);
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// `within 2.1 s`, `at once`.
fn within(high: f64) -> String {
    if high < 0.05 { "at once".to_owned() } else { format!("within {}", time(high)) }
}

pub(super) fn sentence(
    facts: &Facts<'_>,
    mechanism: Mechanism<'_>,
    cause: &Cause,
    ttd: &Timing,
    users: &Users,
) -> String {
    let what = nouns::cause(facts, cause);
    let (who, _, _) = mechanism.deed();
    match ttd {
        Timing::Missing(Absence::NotProven) => {
            return format!(
                "That {what} had any effect was not proven, so it is not known how {who} reacted."
            );
        }
        Timing::Missing(Absence::NotReached) => {
            return format!(
                "{}, so {who} had nothing to react to.",
                capital(&format!("{what} was not reached"))
            );
        }
        Timing::Took { .. } | Timing::Missing(_) => {}
    }
    let clauses = [noticed(mechanism, ttd), Some(felt(facts, cause, users))];
    let clauses: Vec<String> = clauses.into_iter().flatten().collect();
    format!("After {what}, {}.", clauses.join("; "))
}

/// What the mechanism did. None: it has no sign of its own.
fn noticed(mechanism: Mechanism<'_>, ttd: &Timing) -> Option<String> {
    let (who, did, to_do) = mechanism.deed();
    Some(match ttd {
        Timing::Took { high, .. } => format!("{who} {did} {}", within(*high)),
        Timing::Missing(Absence::Unsignalled) if matches!(mechanism, Mechanism::Recovery(_)) => return None,
        Timing::Missing(Absence::Never { watched }) => {
            format!("{who} was not seen to {to_do} in {}", time(*watched))
        }
        Timing::Missing(absence) => format!("when {who} {did} is not known ({})", absence.in_words()),
    })
}

/// What users felt.
fn felt(facts: &Facts<'_>, cause: &Cause, users: &Users) -> String {
    use Absence::{LateLoad, NoObjectives, NotDegraded};
    let Users { impact, ttm, relapsed, ttr, .. } = users;
    let missing = |timing: &Timing, wanted: &Absence| matches!(timing, Timing::Missing(a) if a == wanted);
    if missing(impact, &LateLoad) {
        return "what users felt is not known, since the load generator was late".to_owned();
    }
    if missing(impact, &NoObjectives) {
        return "what users felt is not known, since no SLO says what they may expect".to_owned();
    }
    let kept = |timing| missing(timing, &NotDegraded) || missing(timing, &NoObjectives);
    if missing(impact, &NotDegraded) && kept(ttm) && kept(ttr) {
        return "users stayed within the agreed limits all the time".to_owned();
    }
    let mut parts = vec![match impact {
        Timing::Took { high, .. } => format!("users felt it {}", within(*high)),
        Timing::Missing(NotDegraded) => "users did not feel it at first".to_owned(),
        Timing::Missing(Absence::DegradedBefore) => {
            "users were outside the agreed limits before it began".to_owned()
        }
        Timing::Missing(absence) => format!("when users first felt it is not known ({})", absence.in_words()),
    }];
    parts.extend(mitigated(ttm, *relapsed));
    parts.extend(recovered(ttr, nouns::ends(facts, cause)));
    match parts.as_slice() {
        [rest @ .., last] if !rest.is_empty() => format!("{}, and {last}", rest.join(", ")),
        _ => parts.concat(),
    }
}

fn mitigated(ttm: &Timing, relapsed: bool) -> Option<String> {
    let limits = "within the limits agreed for such a case";
    Some(match ttm {
        Timing::Took { high, .. } => {
            let for_good = if relapsed { ", though not for good" } else { "" };
            format!("were {limits} again after {}{for_good}", time(*high))
        }
        Timing::Missing(Absence::NotDegraded) => format!("stayed {limits}"),
        Timing::Missing(Absence::Never { watched }) => {
            format!("were not {limits} again in the {} that were watched", time(*watched))
        }
        // Nobody agreed on any, or it was said before.
        Timing::Missing(Absence::NoObjectives | Absence::DegradedBefore) => return None,
        Timing::Missing(absence) => {
            format!("when they were {limits} again is not known ({})", absence.in_words())
        }
    })
}

/// `ended`: what came to an end, in words; None of what has none.
fn recovered(ttr: &Timing, ended: Option<&str>) -> Option<String> {
    Some(match (ttr, ended) {
        (Timing::Took { high, .. }, Some(ended)) if *high < 0.05 => {
            format!("all was back to normal as soon as {ended} ended")
        }
        (Timing::Took { high, .. }, Some(ended)) => {
            format!("all was back to normal {} after {ended} ended", time(*high))
        }
        (Timing::Took { high, .. }, None) if *high < 0.05 => "all was back to normal at once".to_owned(),
        (Timing::Took { high, .. }, None) => format!("all was back to normal after {}", time(*high)),
        (Timing::Missing(Absence::Never { watched }), Some(ended)) => {
            format!("all was not back to normal in the {} after {ended} ended", time(*watched))
        }
        (Timing::Missing(Absence::Never { watched }), None) => {
            format!("all was not back to normal in {}", time(*watched))
        }
        (Timing::Missing(Absence::NoObjectives | Absence::NotDegraded), _) => return None,
        (Timing::Missing(absence), _) => {
            format!("when all was back to normal is not known ({})", absence.in_words())
        }
    })
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_never_shorter_than_they_were() {
        let told = [0.0, 0.04, 2.0, 2.04, 2.1, 119.99, 150.0].map(time);
        assert_eq!(told, ["0 s", "0.1 s", "2 s", "2.1 s", "2.1 s", "120 s", "2 min 30 s"]);
        assert_eq!([0.02, 3.0].map(within), ["at once", "within 3 s"]);
    }
}
