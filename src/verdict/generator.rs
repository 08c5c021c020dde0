//! Whether the load generator can be believed.

use super::{
    facts::Facts,
    figures,
    finding::{Finding, counted, percent},
    model::{CheckKind, Verdict},
};
use crate::journal::event::RunEnd;

/// Share of arrivals that may have waited for a free user.
const STARVED: f64 = 0.001;
/// p99 of scheduled → sent that is still no lag, in ms.
const LAG_MS: f64 = 50.0;

/// Judges the generator: pass, or inconclusive with what was wrong.
pub(super) fn judge(facts: &Facts<'_>) -> Finding {
    let figures = figures::generator(facts);
    let lag = figures.lag_ms.get("p99").copied();
    let finding = match trouble(facts) {
        Some(trouble) => Finding::inconclusive(trouble),
        None => Finding::pass(format!(
            "{} sent on time: p99 of the lag {:.1} ms",
            counted(figures.sent, "request"),
            lag.unwrap_or_default()
        )),
    };
    let finding = match lag {
        Some(lag) => finding.observed(lag, "ms"),
        None => finding,
    };
    finding
        .on(
            "generator",
            format!(
                "{} due, {} sent, {} waited for a free user, {} records dropped",
                figures.due, figures.sent, figures.starved, figures.dropped
            ),
        )
        .on("wire", format!("{} with an outcome", counted(outcomes(facts), "request")))
}

/// A failure by a time, or of an objective, is the service's only if the load
/// was what the scenario says. Where the generator was late, it is not known
/// whose it is. What is wrong whenever it comes (a wrong answer, a mechanism
/// that never showed) stays a failure.
pub(super) fn doubt(facts: &Facts<'_>, kind: CheckKind, finding: Finding) -> Finding {
    let timed = kind == CheckKind::Slo || matches!(finding.unit, "ms" | "s");
    if finding.verdict != Verdict::Fail || !timed {
        return finding;
    }
    match late(facts).as_slice() {
        [] => finding,
        late => Finding {
            verdict: Verdict::Inconclusive,
            why: format!("{}, but it may not be the service's: {}", finding.why, late.join("; ")),
            ..finding
        },
    }
}

/// How late the generator was, if it was.
fn late(facts: &Facts<'_>) -> Vec<String> {
    let figures = figures::generator(facts);
    let lag = figures.lag_ms.get("p99").copied().unwrap_or_default();
    let mut late = Vec::new();
    if figures.starved as f64 > STARVED * figures.due as f64 {
        let share = percent(figures.starved as f64 / figures.due.max(1) as f64);
        late.push(format!("{share} of the arrivals waited for a free user"));
    }
    if lag > LAG_MS {
        late.push(format!("the generator lagged: p99 {lag:.0} ms behind schedule"));
    }
    late
}

/// What is wrong with the generator, if anything is.
fn trouble(facts: &Facts<'_>) -> Option<String> {
    let figures = figures::generator(facts);
    let whole = facts.run_end == Some(&RunEnd::Completed);
    let mut troubles = Vec::new();
    if figures.sent == 0 {
        troubles.push("nothing was sent".to_owned());
    }
    troubles.extend(late(facts));
    if figures.dropped > 0 {
        troubles.push(format!("{} of the journal dropped", counted(figures.dropped, "record")));
    }
    // Both of these are of the whole record, with the warm-up.
    let (due, sent) = facts.record.intervals.iter().fold((0u64, 0u64), |(due, sent), interval| {
        (due.saturating_add(interval.generator.due), sent.saturating_add(interval.generator.sent))
    });
    if whole && due != sent {
        troubles.push(format!("{due} arrivals were due, {sent} requests were sent"));
    }
    if whole && outcomes(facts) != sent {
        troubles.push(format!("{sent} requests were sent, {} have an outcome", outcomes(facts)));
    }
    (!troubles.is_empty()).then(|| troubles.join("; "))
}

/// Requests that have an outcome, with the warm-up's.
fn outcomes(facts: &Facts<'_>) -> u64 {
    facts.record.cells().fold(0, |sum, cell| sum.saturating_add(cell.count))
}
