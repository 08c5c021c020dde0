//! Failover: while something is down, something else serves in its place, and
//! those serve again that did before.

use std::collections::BTreeSet;

use super::{
    facts::Facts,
    finding::{Finding, counted, percent},
    judge::Title,
    model::{CheckKind, Verdict},
    times::{interval, within},
    windows,
};
use crate::{
    journal::{Cell, interval::Outcome},
    scenario::{model::Slo, serving::FailoverExpectation},
    units::{PodName, RunTime, Seen, Span, WorkloadName},
};

/// Share of the answers in which others may be met that should not serve.
const STRAYS: f64 = 0.01;
/// Who serves again must do so until so long before the end.
const LATELY: std::time::Duration = std::time::Duration::from_secs(3);

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

/// Who is who.
pub(super) struct Roles<'a> {
    /// Whom the fault hits, as answers name them; nobody, where answers name
    /// others than the fault does.
    hit: Vec<&'a PodName>,
    /// Who served before.
    before: BTreeSet<&'a PodName>,
    to: Option<&'a str>,
    /// Of this workload's answers. None: of all.
    whose: Option<&'a WorkloadName>,
}

impl<'a> Roles<'a> {
    pub(super) fn of(facts: &Facts<'a>, e: &'a FailoverExpectation) -> Result<Self, Finding> {
        let effect = facts.effect(e.after.as_ref())?;
        let targets = e.after.as_ref().and_then(|id| facts.faults.get(id));
        let targets = targets.map_or(&[][..], |history| history.targets);
        let whose = e.workload.as_ref();
        let before: BTreeSet<&PodName> = answers(facts, whose)
            .filter(|(_, cell)| cell.last_end < effect.not_before && !cell.key.served.fallback)
            .filter_map(|(_, cell)| cell.key.served.pod.as_ref())
            .collect();
        if before.is_empty() {
            let why = "no answer before the fault names who served (`x-served-by`)";
            return Err(Finding::inconclusive(why));
        }
        // Answers and the fault name the same things: then all that it hits are
        // meant, also those that stood by.
        let same = targets.iter().any(|pod| before.contains(pod));
        let hit = if same { targets.iter().collect() } else { Vec::new() };
        Ok(Self { hit, before, to: e.to.as_deref(), whose })
    }

    /// Whether a pod may serve in the place of what is down.
    pub(super) fn stands_in(&self, pod: &PodName) -> bool {
        match self.to {
            Some(to) => pod.as_str().starts_with(to),
            None if self.hit.is_empty() => !self.before.contains(pod),
            None => !self.hit.contains(&pod),
        }
    }
}

/// Answers in an interval, by who gave them.
#[derive(Default)]
struct Counted {
    right: u64,
    wrong: u64,
    fallback: u64,
    nameless: u64,
    names: BTreeSet<String>,
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
            Some(_) => counted.wrong += cell.count,
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

fn fails_back(facts: &Facts<'_>, e: &FailoverExpectation, limit: Span) -> Result<Finding, Finding> {
    let after = e.after.as_ref();
    let (t0, end) = (facts.effect(after)?, facts.fault_end(after)?);
    if !facts.lasts(after) {
        return Err(Finding::inconclusive("what is gone for good does not serve again"));
    }
    let roles = Roles::of(facts, e)?;
    let until = facts.undisturbed_until(end.by, after);
    let meanwhile = count(facts, &roles, t0.by, end.not_before);
    if meanwhile.right == 0 {
        return Err(Finding::inconclusive("nobody had served in its place, so nothing had to go back"));
    }
    // What was due before may have waited for the end.
    let since = RunTime(end.not_before.0 / 1_000_000 * 1_000_000);
    let mine = |back: &dyn Fn(&PodName) -> bool| -> Vec<Seen> {
        let those = answers(facts, roles.whose).filter(|(due, cell)| {
            *due >= since
                && *due < until
                && cell.first_end > end.not_before
                && !cell.key.served.fallback
                && cell.key.served.pod.as_ref().is_some_and(back)
        });
        those.map(|(due, cell)| Seen { not_before: due.min(cell.first_end), by: cell.first_end }).collect()
    };
    let returned = mine(&|pod| {
        let served = roles.hit.contains(&pod) || (roles.hit.is_empty() && roles.before.contains(pod));
        served && !(roles.to.is_some() && roles.stands_in(pod))
    });
    let first = returned.iter().copied().min_by_key(|seen| seen.by);
    // Where others had to stand in that did not serve before, they have to go.
    let standing = roles.hit.is_empty() || roles.to.is_some();
    let strangers = mine(&|pod| standing && roles.stands_in(pod) && !roles.before.contains(pod));
    let last = strangers.iter().copied().max_by_key(|seen| seen.by);
    let (seen, what) = match (first, last) {
        (None, _) => (None, "those served again that did before"),
        (Some(first), Some(last)) if last.by > first.by => (Some(last), "nobody else served any more"),
        (Some(first), _) => (Some(first), "those served again that did before"),
    };
    // One that came back for a moment only is not back.
    let lately = until.0.saturating_sub(LATELY.as_micros() as u64);
    let still = returned.iter().any(|seen| seen.by.0 >= lately);
    let for_good = still && seen.is_none_or(|seen| seen.by + std::time::Duration::from_secs(1) < until);
    let finding = match for_good {
        true => within(end, seen, until, limit, what),
        false => within(end, None, until, limit, what),
    };
    Ok(match seen {
        Some(seen) => finding.on("wire", format!("{what}, at {}", interval(seen))),
        None => finding.on("wire", "none of them answered after the fault's end"),
    })
}
