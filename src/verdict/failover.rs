//! Failover: while something is down, something else serves in its place, and
//! those serve again that did before.

mod back;
mod roles;

use std::collections::BTreeSet;

use self::back::fails_back;
pub(super) use self::roles::Roles;
use super::{
    facts::Facts,
    finding::{Finding, counted, percent},
    judge::Title,
    model::{CheckKind, Verdict},
    strays::STRAYS,
    windows,
};
use crate::{
    journal::{Cell, interval::Outcome},
    scenario::{model::Slo, serving::FailoverExpectation},
    units::{PodName, RunTime, Seen, Span, WorkloadName},
};

/// Of whom so many answers would be due, and none came, has fallen silent.
const CERTAIN: f64 = 10.0;

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &FailoverExpectation) -> (Title, Finding) {
    let title = |title: &str, expected: String| Title::of(CheckKind::Failover, title, expected);
    let to = e.to.as_deref().map(|to| format!(" by {to}")).unwrap_or_default();
    let whose = e.workload.as_ref().map(|of| format!(" of `{of}`")).unwrap_or_default();
    if let Some(limit) = e.within {
        let expected = format!("served{to} in the baseline's SLOs within {limit}");
        (
            title(&format!("others serve in its place{whose}"), expected),
            fails_over(facts, e, limit).unwrap_or_else(|f| f),
        )
    } else if let Some(limit) = e.back_within {
        let expected = format!("within {limit} of the fault's end");
        (
            title(&format!("those serve again that did before{whose}"), expected),
            fails_back(facts, e, limit).unwrap_or_else(|f| f),
        )
    } else {
        (title("failover", String::new()), Finding::inconclusive("it demands nothing"))
    }
}

/// Answers from who really gave them: none of a cache's, with the time when
/// their second begins.
fn answers<'a>(facts: &Facts<'a>, whose: Option<&WorkloadName>) -> impl Iterator<Item = (RunTime, &'a Cell)> {
    let ok = facts.cells_in(None).filter(move |cell| {
        let cached = cell.key.served.cache.is_answer();
        let mine = whose.is_none_or(|workload| *workload == cell.key.workload);
        cell.key.outcome == Outcome::Ok && !cached && mine
    });
    ok.map(|cell| (cell.key.due(), cell))
}

/// Answers in an interval, by who gave them.
#[derive(Default)]
struct Counted {
    right: u64,
    wrong: u64,
    fallback: u64,
    nameless: u64,
    names: BTreeSet<String>,
    /// Of those that served before.
    still: BTreeSet<PodName>,
}

fn count(facts: &Facts<'_>, roles: &Roles<'_>, from: RunTime, to: RunTime) -> Counted {
    let mut counted = Counted::default();
    for (due, cell) in answers(facts, roles.whose) {
        if due < from || due >= to {
            continue;
        }
        match &cell.key.served.pod {
            _ if cell.key.served.fallback => counted.fallback += cell.count,
            None => counted.nameless += cell.count,
            Some(pod) if roles.stands_in(pod) => {
                counted.right += cell.count;
                counted.names.insert(pod.to_string());
            }
            Some(pod) => {
                counted.wrong += cell.count;
                counted.still.insert(pod.clone());
            }
        }
    }
    counted
}

fn fails_over(facts: &Facts<'_>, e: &FailoverExpectation, limit: Span) -> Result<Finding, Finding> {
    let after = e.after.as_ref();
    let (t0, end) = (facts.effect(after)?, facts.fault_end(after)?);
    let roles = Roles::of(facts, e)?;
    // Of one workload, what is demanded of all together counts, too.
    let own: Option<Vec<Slo>> = e.workload.as_ref().map(|workload| {
        let all = windows::baseline(facts).into_iter();
        let mine = all.filter(|slo| slo.workload.as_ref().is_none_or(|of| of == workload));
        mine.map(|slo| Slo { workload: Some(workload.clone()), ..slo.clone() }).collect()
    });
    let slos = own.as_ref().map_or_else(|| windows::baseline(facts), |own| own.iter().collect());
    if slos.is_empty() {
        return Err(Finding::inconclusive("the first phase has no SLOs to be in"));
    }
    let until = facts.undisturbed_until(t0.by, after);
    let until = if facts.lasts(after) { until.min(end.not_before) } else { until };
    let seen = windows::look(facts, &slos, (t0.not_before, until), "while the fault acts")?;
    let finding = seen.within(t0, until, limit, "others served in its place");
    let finding = match seen.held {
        Some(held) => by_whom(facts, &roles, held, until, finding),
        None => finding,
    };
    Ok(finding.on("wire", seen.shown("while it acts", &slos)))
}

/// Good service is a failover only if those gave it that should.
fn by_whom(facts: &Facts<'_>, roles: &Roles<'_>, held: Seen, until: RunTime, finding: Finding) -> Finding {
    let by = count(facts, roles, held.by, until);
    let named = by.right + by.wrong + by.fallback;
    let share = |part: u64| part as f64 / named.max(1) as f64;
    let nameless = by.nameless as f64 / (named + by.nameless).max(1) as f64;
    let strays = |n: u64| format!("{} ({})", counted(n, "answer"), percent(share(n)));
    let named_all: Vec<&str> = by.names.iter().map(String::as_str).collect();
    let shown = format!(
        "answers since {}: {} by {}, {} by others, {} by a fallback, {} that name nobody",
        held.by,
        by.right,
        if named_all.is_empty() { "who stands in".to_owned() } else { named_all.join(", ") },
        by.wrong,
        by.fallback,
        by.nameless
    );
    let judged = if named == 0 {
        Finding::inconclusive("no answer while the fault acts names who served (`x-served-by`)")
    } else if share(by.wrong) > STRAYS
        && finding.verdict == Verdict::Pass
        && let Some(silent) = roles.fell_silent(&by.still, named)
    {
        let from = strays(by.wrong);
        Finding::inconclusive(format!(
            "in SLO; {from} came from those that served before, and {silent} fell silent, which may be whom \
             the fault hit: say `to:`"
        ))
    } else if share(by.wrong) > STRAYS && finding.verdict != Verdict::Inconclusive {
        let whom = if roles.hit.is_empty() { "those that served before" } else { "whom the fault hit" };
        let whom = if roles.to.is_some() { "others" } else { whom };
        Finding::fail(format!("in SLO, but {} came from {whom}: nothing failed over", strays(by.wrong)))
    } else if share(by.fallback) > STRAYS && finding.verdict != Verdict::Inconclusive {
        Finding::fail(format!("in SLO, but {} came from a fallback", strays(by.fallback)))
    } else if nameless > STRAYS && finding.verdict == Verdict::Pass {
        let part = percent(nameless);
        Finding::inconclusive(format!("in SLO, but {part} of the answers name nobody (`x-served-by`)"))
    } else {
        finding
    };
    judged.on("wire", shown)
}
