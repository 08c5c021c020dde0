//! Objectives: a census of a phase's requests.

use super::{
    facts::Facts,
    finding::{Finding, Rigour, counted, evidence, latency, ms, percent, ratio},
    model::Verdict,
    stats,
};
use crate::{
    journal::{
        Cell, Distribution,
        event::{Evidence, RunEnd},
        interval::Outcome,
    },
    plan::{Plan, model::Subject},
    scenario::model::{Objective, Slo},
    units::{PhaseName, WorkloadName},
};

/// All requests of a phase, added up.
#[derive(Debug, Clone, Default)]
pub(super) struct Census {
    /// Requests, without those that an abort cancelled.
    pub(super) attempted: u64,
    pub(super) ok: u64,
    pub(super) good: u64,
    /// Requests that an abort cancelled.
    pub(super) cancelled: u64,
    pub(super) tokens: u64,
    /// Of `ok` requests.
    pub(super) ttft: Distribution,
    pub(super) service_ttft: Distribution,
    pub(super) e2e: Distribution,
    pub(super) service_e2e: Distribution,
    pub(super) tpot: Distribution,
    /// Of all requests that have any.
    pub(super) itl: Distribution,
    /// How many ended otherwise than `ok`, by class.
    pub(super) failures: std::collections::BTreeMap<Outcome, u64>,
}

impl Census {
    /// Adds up cells. An aborted run's cancelled requests are not its target's.
    pub(super) fn of<'c>(cells: impl IntoIterator<Item = &'c Cell>, aborted: bool) -> Self {
        let mut census = Self::default();
        for cell in cells {
            census.add(cell, aborted);
        }
        census
    }

    fn add(&mut self, cell: &Cell, aborted: bool) {
        if aborted && cell.key.outcome == Outcome::Cancelled {
            self.cancelled = self.cancelled.saturating_add(cell.count);
            return;
        }
        self.attempted = self.attempted.saturating_add(cell.count);
        self.good = self.good.saturating_add(cell.good);
        self.itl.merge(&cell.itl);
        if cell.key.outcome == Outcome::Ok {
            self.ok = self.ok.saturating_add(cell.count);
            self.tokens = self.tokens.saturating_add(cell.tokens);
            self.ttft.merge(&cell.ttft);
            self.service_ttft.merge(&cell.service_ttft);
            self.e2e.merge(&cell.e2e);
            self.service_e2e.merge(&cell.service_e2e);
            self.tpot.merge(&cell.tpot);
        } else {
            *self.failures.entry(cell.key.outcome).or_default() += cell.count;
        }
    }

    /// Requests that ended otherwise than `ok`.
    pub(super) fn failed(&self) -> u64 {
        self.attempted.saturating_sub(self.ok)
    }

    /// Failures by class, in words.
    pub(super) fn failures_in_words(&self) -> String {
        let parts: Vec<String> =
            self.failures.iter().map(|(outcome, n)| format!("{n} {}", outcome.as_str())).collect();
        if parts.is_empty() { "none failed".to_owned() } else { parts.join(", ") }
    }
}

/// Whether a cell counts for a phase, and for a workload if one is named.
fn applies(cell: &Cell, phase: &PhaseName, workload: Option<&WorkloadName>) -> bool {
    cell.key.phase.as_ref() == Some(phase) && workload.is_none_or(|workload| &cell.key.workload == workload)
}

/// Judges an objective in its phase.
pub(super) fn judge(facts: &Facts<'_>, slo: &Slo, phase: &PhaseName) -> Finding {
    let aborted = matches!(facts.run_end, Some(RunEnd::Aborted));
    let cells = facts.record.cells().filter(|cell| applies(cell, phase, slo.workload.as_ref()));
    let census = Census::of(cells, aborted);
    if census.attempted == 0 {
        let reached = facts.phase(phase).is_some();
        let why = if reached { "no request was due in this phase" } else { "the phase was not reached" };
        return Finding::inconclusive(why);
    }
    let mut finding = judge_census(&census, &slo.objective, slo.confidence.map(|level| level.0));
    if facts.plan.phases.iter().any(|p| &p.name == phase && facts.end < p.end)
        && facts.run_end != Some(&RunEnd::Completed)
    {
        finding.why = format!("{} (the run ended during this phase)", finding.why);
    }
    finding
}

fn judge_census(census: &Census, objective: &Objective, level: Option<f64>) -> Finding {
    let rigour = Rigour::Objective(level);
    let failed = census.failed();
    let wire = evidence(
        "wire",
        format!("{}: {} ok, {}", counted(census.attempted, "request"), census.ok, census.failures_in_words()),
    );
    let finding = match objective {
        Objective::Ttft(limit) if census.ok > 0 && census.ttft.is_empty() => unmeasured("first token", limit),
        Objective::E2e(limit) if census.ok > 0 && census.e2e.is_empty() => unmeasured("end", limit),
        Objective::Ttft(limit) => latency(&census.ttft, failed, limit, "request", rigour),
        Objective::E2e(limit) => latency(&census.e2e, failed, limit, "request", rigour),
        // Gaps and mean times have no +∞ to pool: a request that failed has
        // the gaps that it has, and the evidence says how many failed.
        Objective::Itl(limit) => latency(&census.itl, 0, limit, "gap", rigour),
        Objective::Tpot(limit) => latency(&census.tpot, 0, limit, "request", rigour),
        Objective::Availability(limit) => ratio(census.ok, census.attempted, limit, "request", rigour),
        Objective::Goodput(limit) => ratio(census.good, census.attempted, limit, "request", rigour),
    };
    let finding = finding.with([wire]);
    let interval = match objective {
        Objective::Availability(_) | Objective::Goodput(_) => "Wilson's score interval",
        _ => "order statistics (exact binomial)",
    };
    match finding.error {
        Some(_) => {
            finding.on("interval", format!("{interval} at {}", percent(level.unwrap_or(stats::LEVEL))))
        }
        None => finding,
    }
    .with(successes(census, objective))
}

fn unmeasured(what: &str, limit: &crate::units::LatencyThreshold) -> Finding {
    Finding::inconclusive(format!("no {what} was measured, so {limit} can't be judged"))
}

/// The same quantile of successes only, where failures count as endless.
fn successes(census: &Census, objective: &Objective) -> Option<Evidence> {
    let (latencies, limit) = match objective {
        Objective::Ttft(limit) => (&census.ttft, limit),
        Objective::E2e(limit) => (&census.e2e, limit),
        Objective::Itl(_) | Objective::Tpot(_) | Objective::Availability(_) | Objective::Goodput(_) => {
            return None;
        }
    };
    let figure = latencies.quantile(limit.quantile.0, 0)?;
    Some(evidence("wire", format!("{} of successes alone: {}", limit.quantile, ms(figure))))
}

/// The first phase's objectives, judged on the cells so far: those that do
/// not hold, in words. Too few samples is not holding.
pub(super) fn steady<'c>(plan: &Plan, cells: impl IntoIterator<Item = &'c Cell>) -> Vec<String> {
    let Some(first) = plan.phases.first() else { return Vec::new() };
    let cells: Vec<&Cell> = cells.into_iter().collect();
    let judged = plan.checks.iter().filter_map(|check| match &check.subject {
        Subject::Slo { slo, phase } if phase == &first.name => Some((&check.id, slo)),
        _ => None,
    });
    judged
        .filter_map(|(id, slo)| {
            let mine = cells.iter().copied().filter(|cell| applies(cell, &first.name, slo.workload.as_ref()));
            let census = Census::of(mine, false);
            let finding = judge_census(&census, &slo.objective, slo.confidence.map(|level| level.0));
            match finding.verdict {
                Verdict::Pass => None,
                _ => Some(format!("{id}: {}", finding.why)),
            }
        })
        .collect()
}

/// What an objective is called, and what it demands.
pub(super) fn title(slo: &Slo) -> (String, String) {
    let (name, limit) = match &slo.objective {
        Objective::Ttft(limit) => (format!("TTFT {}", limit.quantile), limit.to_string()),
        Objective::Itl(limit) => (format!("ITL {}", limit.quantile), limit.to_string()),
        Objective::Tpot(limit) => (format!("TPOT {}", limit.quantile), limit.to_string()),
        Objective::E2e(limit) => (format!("E2E {}", limit.quantile), limit.to_string()),
        Objective::Availability(limit) => ("availability".to_owned(), limit.to_string()),
        Objective::Goodput(limit) => ("goodput".to_owned(), limit.to_string()),
    };
    let name = match &slo.workload {
        Some(workload) => format!("{name} of {workload}"),
        None => name,
    };
    match slo.confidence {
        Some(level) => (name, format!("{limit} with {level} confidence")),
        None => (name, limit),
    }
}
