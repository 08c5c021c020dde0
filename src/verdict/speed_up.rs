//! What a cache is good for: how much longer a miss takes than a hit of the
//! same workload.

use super::{
    cache::{Uses, absent},
    facts::Facts,
    finding::{Finding, counted, ms},
    stats,
    times::rank,
};
use crate::{
    journal::{
        Distribution,
        interval::{CacheUse, Outcome},
    },
    units::{RatioThreshold, WorkloadName},
};

/// As it is titled.
pub(super) fn expected(limit: &RatioThreshold) -> String {
    format!("a miss takes {} {}x as long as a hit", limit.op, limit.limit.0)
}

/// Both latencies of a workload.
struct Compared<'a> {
    workload: &'a WorkloadName,
    hits: Distribution,
    misses: Distribution,
}

/// How often the median hit goes into the median miss, and the ends between
/// which that surely is.
#[derive(Debug, Clone, Copy)]
struct Factor {
    figure: f64,
    low: f64,
    high: f64,
}

impl Compared<'_> {
    /// None: there are not both. The two intervals are such that both hold with
    /// the usual level (Bonferroni).
    fn factor(&self) -> Option<Factor> {
        let of = |latencies: &Distribution| {
            let n = latencies.len();
            let (low, high) = stats::quantile_ranks(n, 0.5, 1.0 - (1.0 - stats::LEVEL) / 2.0);
            let bound = |rank: u64| latencies.at_rank(rank).map(|micros| micros.max(1) as f64);
            let low = if low == 0 { None } else { bound(low) };
            Some((latencies.quantile(0.5, 0)?.max(1) as f64, low, bound(high)))
        };
        let ((hit, hit_low, hit_high), (miss, miss_low, miss_high)) = (of(&self.hits)?, of(&self.misses)?);
        let figure = miss / hit;
        let low = miss_low.zip(hit_high).map_or(0.0, |(miss, hit)| miss / hit);
        let high = miss_high.zip(hit_low).map_or(f64::INFINITY, |(miss, hit)| miss / hit);
        Some(Factor { figure, low: low.min(figure), high: high.max(figure) })
    }

    fn judge(&self, factor: Factor, limit: &RatioThreshold) -> Finding {
        let median = |latencies: &Distribution| latencies.quantile(0.5, 0).map_or_else(String::new, ms);
        let shown = format!(
            "{}: the median of {} takes {}, of {} {}: {:.1}x",
            self.workload,
            counted(self.misses.len(), "miss"),
            median(&self.misses),
            counted(self.hits.len(), "hit"),
            median(&self.hits),
            factor.figure
        );
        let holds = |factor: f64| limit.op.holds(factor, limit.limit.0);
        let finding = match (holds(factor.low), holds(factor.high)) {
            (true, true) => Finding::pass(shown),
            (false, false) => Finding::fail(format!("{shown}, not {} {}x", limit.op, limit.limit.0)),
            (true, false) | (false, true) => Finding::inconclusive(format!(
                "{shown}, but with so few it may be {:.1}x to {}",
                factor.low,
                if factor.high.is_finite() { format!("{:.1}x", factor.high) } else { "any".to_owned() }
            )),
        };
        let high = factor.high.is_finite().then_some(factor.high);
        finding.observed(factor.figure, "x").error(factor.low, high)
    }
}

/// Judges the workload in which the cache is worth least.
pub(super) fn judge(facts: &Facts<'_>, limit: &RatioThreshold) -> Finding {
    let uses = Uses::of(facts.cells_in(None));
    if uses.absent() {
        return absent(&uses);
    }
    let mut all: Vec<Compared<'_>> = Vec::new();
    for cell in facts.cells_in(None).filter(|cell| cell.key.outcome == Outcome::Ok) {
        let workload = &cell.key.workload;
        let at = all.iter().position(|one| one.workload == workload).unwrap_or_else(|| {
            all.push(Compared { workload, hits: Distribution::default(), misses: Distribution::default() });
            all.len() - 1
        });
        match cell.key.served.cache {
            CacheUse::Hit => all[at].hits.merge(&cell.service_e2e),
            // A fallback is another model: how long it takes says nothing.
            CacheUse::Miss if !cell.key.served.fallback => all[at].misses.merge(&cell.service_e2e),
            CacheUse::Miss | CacheUse::Unknown | CacheUse::Collapsed | CacheUse::Bypass => {}
        }
    }
    let judged = all.iter().filter_map(|one| Some(one.judge(one.factor()?, limit)));
    let figure = |finding: &Finding| finding.observed.unwrap_or(f64::INFINITY);
    let worst =
        judged.min_by(|a, b| rank(b.verdict).cmp(&rank(a.verdict)).then(figure(a).total_cmp(&figure(b))));
    let nothing = || Finding::inconclusive("no workload had both hits and misses that ended well");
    worst.unwrap_or_else(nothing).with([uses.evidence()])
}
