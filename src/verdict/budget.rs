//! Error budgets: how fast each phase spends what an objective allows.
//!
//! The burn rate is the share of bad requests over the share that the
//! objective allows, as in Google's SRE workbook, chapter 5 ("Alerting on
//! SLOs"), from which the pages are, too.

use indexmap::IndexMap;

use super::{
    facts::Facts,
    finding::counted,
    model::{BudgetFigures, Burn, Page},
    slo::{self, Census},
};
use crate::{
    journal::event::RunEnd,
    plan::model::Subject,
    scenario::model::{Objective, Slo},
    units::{PhaseName, RatioThreshold, RunTime},
};

/// For how long a budget has to last: 30 days, in seconds.
const PERIOD: f64 = 30.0 * 24.0 * HOUR;
const HOUR: f64 = 3600.0;
/// Burn rates that page, and over which window: 2 % of a budget in an hour,
/// 5 % of it in six.
const PAGES: [(f64, f64); 2] = [(14.4, HOUR), (6.0, 6.0 * HOUR)];

/// What each phase spent of every budget that the objectives set.
pub(super) fn figures(facts: &Facts<'_>) -> Vec<BudgetFigures> {
    budgets(facts).into_iter().map(|slo| of_slo(facts, slo)).collect()
}

/// The objectives that set a budget: of each kind and workload the strictest,
/// since that is what its users were promised, whatever a phase with a fault
/// may do. Where that is 100 %, which allows nothing, also the next.
fn budgets<'a>(facts: &Facts<'a>) -> Vec<&'a Slo> {
    let mut found: IndexMap<String, [Option<&Slo>; 2]> = IndexMap::new();
    for check in &facts.plan.checks {
        let Subject::Slo { slo, .. } = &check.subject else { continue };
        let Some(limit) = floor(slo) else { continue };
        let [whole, strictest] = found.entry(slo::title(slo).0).or_default();
        if allowed(limit).is_none() {
            whole.get_or_insert(slo);
        } else if strictest.and_then(floor).is_none_or(|known| known.limit.0 < limit.limit.0) {
            *strictest = Some(slo);
        }
    }
    found.into_values().flatten().flatten().collect()
}

/// The limit of an objective that demands a share of good requests.
fn floor(slo: &Slo) -> Option<&RatioThreshold> {
    match &slo.objective {
        Objective::Availability(limit) | Objective::Goodput(limit) if !limit.op.is_ceiling() => Some(limit),
        Objective::Availability(_)
        | Objective::Goodput(_)
        | Objective::Accuracy(_)
        | Objective::Ttft(_)
        | Objective::Itl(_)
        | Objective::Tpot(_)
        | Objective::E2e(_) => None,
    }
}

/// The share of bad requests that a limit allows.
fn allowed(limit: &RatioThreshold) -> Option<f64> {
    Some(1.0 - limit.limit.0).filter(|allowed| *allowed > 0.0)
}

fn of_slo(facts: &Facts<'_>, slo: &Slo) -> BudgetFigures {
    let limit = floor(slo);
    let allowed = limit.and_then(allowed);
    let phases = allowed.map_or_else(Vec::new, |allowed| {
        let each = facts
            .plan
            .phases
            .iter()
            .filter_map(|phase| burn(facts, slo, allowed, Some(&phase.name), facts.phase(&phase.name)?));
        each.chain(burn(facts, slo, allowed, None, facts.judged())).collect()
    });
    BudgetFigures {
        slo: slo::title(slo).0,
        limit: limit.map_or_else(String::new, ToString::to_string),
        allowed,
        phases,
    }
}

fn burn(
    facts: &Facts<'_>,
    slo: &Slo,
    allowed: f64,
    phase: Option<&PhaseName>,
    (start, end): (RunTime, RunTime),
) -> Option<Burn> {
    let aborted = matches!(facts.run_end, Some(RunEnd::Aborted));
    let cells = facts.cells_in(phase).filter(|cell| slo::counts(facts.plan, cell, slo));
    let census = Census::of(cells, aborted);
    let good = match slo.objective {
        Objective::Goodput(_) => census.good,
        _ => census.ok,
    };
    let (requests, bad) = (census.attempted, census.attempted.saturating_sub(good));
    let rate = burn_rate(bad, requests, allowed)?;
    let seconds = end.since(start).as_secs_f64();
    let gone_after = (rate > 0.0).then(|| PERIOD / rate);
    let page = page(rate);
    Some(Burn {
        phase: phase.map_or("all", PhaseName::as_str).to_owned(),
        requests,
        bad,
        seconds,
        rate,
        spent: seconds / PERIOD * rate,
        gone_after,
        page,
        text: in_words(rate, (bad, requests), gone_after, page),
    })
}

/// Share of bad requests over the share that is allowed. None without
/// requests, or where nothing is allowed.
fn burn_rate(bad: u64, requests: u64, allowed: f64) -> Option<f64> {
    (requests > 0 && allowed > 0.0).then(|| bad as f64 / requests as f64 / allowed)
}

/// The page that comes first at this burn rate, all being well before: over
/// its window the rate is measured as `rate` × elapsed ÷ window.
fn page(rate: f64) -> Option<Page> {
    let firing = PAGES.into_iter().filter(|(from, _)| rate >= *from);
    let pages = firing.map(|(from, window)| Page { rate: from, window, after: window * from / rate });
    pages.min_by(|a, b| a.after.total_cmp(&b.after))
}

fn in_words(rate: f64, (bad, requests): (u64, u64), gone_after: Option<f64>, page: Option<Page>) -> String {
    let of = format!("{bad} of {} bad", counted(requests, "request"));
    let Some(gone_after) = gone_after else {
        return format!("spends nothing of its budget: {of}");
    };
    let gone = if rate > 1.0 {
        format!("at this rate a month's budget is gone in {}", lasting(gone_after))
    } else {
        "within what it allows".to_owned()
    };
    let page = page.map_or_else(String::new, |page| {
        format!(
            "; a page at {}× over {} would come after {}",
            page.rate,
            lasting(page.window),
            lasting(page.after)
        )
    });
    format!("burns {} its budget ({of}): {gone}{page}", times(rate))
}

/// A factor with two digits or so: `0.35×`, `3.1×`, `31×`.
pub(crate) fn times(factor: f64) -> String {
    let digits = match factor {
        f if f < 0.995 => 2,
        f if f < 9.95 => 1,
        _ => 0,
    };
    let text = format!("{factor:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{}×", if text == "0" && factor > 0.0 { "<0.01" } else { text })
}

/// A long time in its largest unit that leaves two digits: `28 min`, `23 h`.
pub(crate) fn lasting(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < HOUR => format!("{:.0} min", s / 60.0),
        s if s < 48.0 * HOUR => format!("{:.0} h", s / HOUR),
        s => format!("{:.0} days", s / HOUR / 24.0),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The workbook's own table: 14.4 spends 2 % in an hour, 6 spends 5 % in
    /// six, and 1 all of it in the period.
    #[test]
    fn rates_spend_what_the_workbook_says() {
        for (rate, seconds, spent) in [(14.4, HOUR, 0.02), (6.0, 6.0 * HOUR, 0.05), (1.0, PERIOD, 1.0)] {
            assert!((seconds / PERIOD * rate - spent).abs() < 1e-12, "{rate}");
        }
        assert_eq!(burn_rate(5, 100, 0.01).map(f64::round), Some(5.0));
        assert_eq!(burn_rate(0, 0, 0.01), None, "nothing is known without requests");
        assert_eq!(burn_rate(0, 10, 0.0), None, "there is no budget to spend");
    }

    #[test]
    fn the_page_that_comes_first_is_told() {
        assert_eq!(page(5.9), None);
        let at = |rate: f64| page(rate).map(|page| (page.rate, page.after / HOUR));
        assert_eq!(at(6.0), Some((6.0, 6.0)));
        assert_eq!(at(12.0), Some((6.0, 3.0)));
        assert_eq!(at(14.4), Some((14.4, 1.0)));
        assert_eq!(at(28.8), Some((14.4, 0.5)));
    }

    #[test]
    fn a_burn_is_told_in_words() {
        assert_eq!(
            [0.0, 0.001, 0.35, 3.0, 3.26, 31.4].map(times),
            ["0×", "<0.01×", "0.35×", "3×", "3.3×", "31×"]
        );
        let told = |bad, requests| {
            let rate = burn_rate(bad, requests, 0.005).unwrap_or_default();
            in_words(rate, (bad, requests), (rate > 0.0).then(|| PERIOD / rate), page(rate))
        };
        assert_eq!(told(0, 1), "spends nothing of its budget: 0 of 1 request bad");
        assert_eq!(
            told(155, 1000),
            "burns 31× its budget (155 of 1000 requests bad): at this rate a month's budget is gone in 23 h; \
             a page at 14.4× over 1 h would come after 28 min"
        );
        assert_eq!(told(1, 1000), "burns 0.2× its budget (1 of 1000 requests bad): within what it allows");
    }

    proptest! {
        #[test]
        fn more_bad_requests_burn_faster_and_page_no_later(bad in 0u64..1000, more in 1u64..1000, allowed in 1e-5..1.0f64) {
            let (less, more) = (burn_rate(bad, 2000, allowed), burn_rate(bad + more, 2000, allowed));
            prop_assert!(less < more);
            let after = |rate: Option<f64>| rate.and_then(page).map_or(f64::INFINITY, |page| page.after);
            prop_assert!(after(more) <= after(less));
            prop_assert!(more.is_some_and(|rate| rate <= 1.0 / allowed + 1e-9), "not all can be worse than bad");
        }
    }
}
