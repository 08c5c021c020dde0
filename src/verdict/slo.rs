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
#[derive(Debug, Clone, Default, PartialEq)]
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
    /// Golden prompts that were answered rightly.
    pub(super) right: u64,
    /// Golden prompts that were answered wrongly. What did not come, or not
    /// whole, is neither.
    pub(super) wrong: u64,
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
        if cell.key.golden {
            match cell.key.outcome {
                Outcome::Ok => self.right = self.right.saturating_add(cell.count),
                Outcome::Mismatch => self.wrong = self.wrong.saturating_add(cell.count),
                Outcome::Shed
                | Outcome::Http4xx
                | Outcome::Http5xx
                | Outcome::ConnectRefused
                | Outcome::ConnectTimeout
                | Outcome::Reset
                | Outcome::Timeout
                | Outcome::Stalled
                | Outcome::Truncated
                | Outcome::InBandError
                | Outcome::Short
                | Outcome::Discontinuous
                | Outcome::Malformed
                | Outcome::Cancelled => {}
            }
        }
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

    /// Answers to golden prompts.
    pub(super) fn golden(&self) -> u64 {
        self.right.saturating_add(self.wrong)
    }

    /// Right answers among those to golden prompts. None: there are none.
    pub(super) fn accuracy(&self) -> Option<f64> {
        (self.golden() > 0).then(|| self.right as f64 / self.golden() as f64)
    }

    /// Failures by class, in words.
    pub(super) fn failures_in_words(&self) -> String {
        let parts: Vec<String> =
            self.failures.iter().map(|(outcome, n)| format!("{n} {}", outcome.as_str())).collect();
        if parts.is_empty() { "none failed".to_owned() } else { parts.join(", ") }
    }
}

/// Whether a cell counts for an objective, be its phase what it may: it is of
/// the named workload, and of one whose answers have what is measured.
pub(super) fn counts(plan: &Plan, cell: &Cell, slo: &Slo) -> bool {
    let workload = &cell.key.workload;
    slo.workload.as_ref().is_none_or(|named| named == workload)
        && (!needs_tokens(&slo.objective) || generates(plan, workload))
}

fn generates(plan: &Plan, name: &WorkloadName) -> bool {
    let workload = plan.workloads.iter().find(|planned| &planned.name == name);
    workload.is_none_or(|planned| planned.workload.endpoint.generates())
}

/// Whether only answers that are made of tokens have it.
fn needs_tokens(objective: &Objective) -> bool {
    match objective {
        Objective::Ttft(_) | Objective::Itl(_) | Objective::Tpot(_) => true,
        Objective::E2e(_) | Objective::Availability(_) | Objective::Goodput(_) | Objective::Accuracy(_) => {
            false
        }
    }
}

/// Why an objective can't be judged, whatever happens: none of the workloads
/// that it is about has tokens.
fn never_measured(plan: &Plan, slo: &Slo) -> Option<Finding> {
    let mut mine = plan
        .workloads
        .iter()
        .map(|w| &w.name)
        .filter(|name| slo.workload.as_ref().is_none_or(|w| w == *name));
    let none = !plan.workloads.is_empty() && !mine.any(|name| generates(plan, name));
    (needs_tokens(&slo.objective) && none).then(|| {
        let (name, limit) = title(slo);
        Finding::inconclusive(format!("these answers have no tokens, so {name} {limit} can't be judged"))
    })
}

/// Judges an objective in its phase.
pub(super) fn judge(facts: &Facts<'_>, slo: &Slo, phase: &PhaseName) -> Finding {
    let aborted = matches!(facts.run_end, Some(RunEnd::Aborted));
    if let Some(finding) = never_measured(facts.plan, slo) {
        return finding;
    }
    let cells = facts.cells_in(Some(phase)).filter(|cell| counts(facts.plan, cell, slo));
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

pub(super) fn judge_census(census: &Census, objective: &Objective, level: Option<f64>) -> Finding {
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
        Objective::Accuracy(limit) => ratio(census.right, census.golden(), limit, "golden answer", rigour)
            .on("wire", format!("golden prompts answered: {} right, {} wrong", census.right, census.wrong)),
    };
    let finding = finding.with([wire]);
    let interval = match objective {
        Objective::Availability(_) | Objective::Goodput(_) | Objective::Accuracy(_) => {
            "Wilson's score interval"
        }
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
        Objective::Itl(_)
        | Objective::Tpot(_)
        | Objective::Availability(_)
        | Objective::Goodput(_)
        | Objective::Accuracy(_) => {
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
            let in_phase = |cell: &Cell| cell.key.phase.as_ref() == Some(&first.name);
            let mine = cells.iter().copied().filter(|cell| in_phase(cell) && counts(plan, cell, slo));
            let census = Census::of(mine, false);
            let finding = never_measured(plan, slo).unwrap_or_else(|| {
                judge_census(&census, &slo.objective, slo.confidence.map(|level| level.0))
            });
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
        Objective::Accuracy(limit) => ("accuracy".to_owned(), limit.to_string()),
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
