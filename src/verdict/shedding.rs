//! Load shedding: it happens under overload, is marked, fast, and protects
//! what is admitted.

use super::{
    facts::Facts,
    finding::{Finding, Rigour, counted, evidence, latency, ms, percent, ratio},
    judge::Title,
    model::{CheckKind, Verdict},
};
use crate::{
    journal::{Cell, Distribution, event::Evidence, interval::Outcome},
    plan::model::Subject,
    scenario::model::{Expectation, SheddingExpectation, Target},
    units::{LatencyThreshold, PhaseName},
};

/// Share of requests that end in a 5xx or a timeout from which the service is
/// overloaded.
const FAILING: f64 = 0.01;
/// TTFT p95 over the first phase's from which it is…
const SLOWER: u64 = 5;
/// …if it is this many microseconds more, too: from five milliseconds to thirty
/// nobody queues.
const SLOWER_BY: u64 = 100_000;

/// Judges the one demand that is set; with none, that there is shedding.
pub(super) fn judge(facts: &Facts<'_>, e: &SheddingExpectation) -> (Title, Finding) {
    let phase = e.phase.as_ref();
    let title = |title: &str, expected: String| Title {
        phase: e.phase.clone(),
        ..Title::of(CheckKind::Shedding, title, expected)
    };
    let load = Load::of(facts.cells_in(phase));
    let judge = |judged: &dyn Fn() -> Finding| match load.attempted {
        0 => Finding::inconclusive("no request was due in this phase"),
        _ if load.shed == 0 => nothing_shed(facts, &load, phase),
        _ => judged(),
    };
    let (title, finding) = if let Some(limit) = &e.ratio {
        let judged = || ratio(load.shed, load.attempted, limit, "request", Rigour::Reaction);
        (title("load is shed", format!("{limit} of the requests")), judge(&judged))
    } else if let Some(limit) = &e.rejects {
        let judged = || latency(&load.rejections, 0, limit, "rejection", Rigour::Reaction);
        (title("shedding is fast", limit.to_string()), judge(&judged))
    } else if let Some(limit) = &e.admitted {
        // What is let in and then fails is not served well, however fast.
        let unserved = load.late + load.errors;
        let judged = || latency(&load.admitted, unserved, limit, "admitted request", Rigour::Reaction);
        (title("shedding protects what is admitted", format!("TTFT {limit}")), judge(&judged))
    } else {
        let judged = || {
            Finding::pass(format!("{} shed", counted(load.shed, "request")))
                .observed(load.shed as f64, "count")
        };
        (title("load is shed", "some under overload".to_owned()), judge(&judged))
    };
    (title, finding.with([load.evidence()]))
}

/// A phase's requests as shedding sees them.
#[derive(Default)]
struct Load {
    attempted: u64,
    /// Shed for load, not by a breaker.
    shed: u64,
    /// Latencies of these, from sent.
    rejections: Distribution,
    /// TTFT (E2E, where there are no tokens) of admitted requests that ended
    /// `ok`, from the scheduled time.
    admitted: Distribution,
    /// Admitted requests that got no answer in time, or no connection. Those
    /// that broke in the middle are not shedding's.
    late: u64,
    /// Requests that ended in a 5xx.
    errors: u64,
}

impl Load {
    fn of<'c>(cells: impl Iterator<Item = &'c Cell>) -> Self {
        let mut load = Self::default();
        for cell in cells {
            load.attempted += cell.count;
            match cell.key.outcome {
                Outcome::Shed if cell.key.served.breaker_open => {}
                Outcome::Shed => {
                    load.shed += cell.count;
                    load.rejections.merge(&cell.service_e2e);
                }
                // Where there are no tokens, the whole answer has to do.
                Outcome::Ok if cell.ttft.is_empty() => load.admitted.merge(&cell.e2e),
                Outcome::Ok => load.admitted.merge(&cell.ttft),
                Outcome::Timeout | Outcome::Stalled | Outcome::ConnectTimeout | Outcome::ConnectRefused => {
                    load.late += cell.count;
                }
                Outcome::Http5xx => load.errors += cell.count,
                Outcome::Http4xx
                | Outcome::Reset
                | Outcome::Truncated
                | Outcome::InBandError
                | Outcome::Short
                | Outcome::Discontinuous
                | Outcome::Malformed
                | Outcome::Mismatch
                | Outcome::Cancelled => {}
            }
        }
        load
    }

    fn evidence(&self) -> Evidence {
        evidence(
            "wire",
            format!(
                "{}: {} shed, {} http-5xx, {} without an answer in time",
                counted(self.attempted, "request"),
                self.shed,
                self.errors,
                self.late
            ),
        )
    }
}

/// Nothing was shed: a failure if there was overload, by any sign of it.
fn nothing_shed(facts: &Facts<'_>, load: &Load, phase: Option<&PhaseName>) -> Finding {
    match overload(facts, load, phase) {
        Some(sign) => {
            Finding::fail(format!("nothing was shed under overload: {sign}")).observed(0.0, "count")
        }
        None => Finding::inconclusive("nothing was shed, and no overload was seen").observed(0.0, "count"),
    }
}

/// The first sign of overload.
fn overload(facts: &Facts<'_>, load: &Load, phase: Option<&PhaseName>) -> Option<String> {
    let failing = load.errors + load.late;
    if failing as f64 >= FAILING * load.attempted as f64 && failing > 0 {
        return Some(format!(
            "{} unmarked, by 5xx or timeout, of {}",
            counted(failing, "request"),
            load.attempted
        ));
    }
    if let Some(limit) = admitted_limit(facts, phase)
        && latency(&load.admitted, load.late, limit, "admitted request", Rigour::Reaction).verdict
            == Verdict::Fail
    {
        return Some(format!("what was admitted broke TTFT {limit}"));
    }
    let first = facts.plan.phases.first().map(|phase| &phase.name);
    if first != phase {
        let usual = Load::of(facts.cells_in(first)).admitted.quantile(0.95, 0);
        if let (Some(usual), Some(now)) = (usual, load.admitted.quantile(0.95, load.late))
            && now >= usual.saturating_mul(SLOWER)
            && now >= usual.saturating_add(SLOWER_BY)
        {
            return Some(format!("TTFT p95 rose from {} to {}", ms(usual), ms(now)));
        }
    }
    in_flight(facts, phase)
}

/// The lab's own limit, and what the generator had open at once.
fn in_flight(facts: &Facts<'_>, phase: Option<&PhaseName>) -> Option<String> {
    let Target::Lab(lab) = &facts.plan.target else { return None };
    let (start, end) = match phase {
        Some(phase) => facts.phase(phase)?,
        None => facts.judged(),
    };
    let limit = u64::from(lab.gateway.max_in_flight);
    let open =
        facts.record.intervals.iter().filter(|i| i.at >= start && i.at <= end).map(|i| i.generator.in_flight);
    let most = open.max()?;
    (most > limit).then(|| {
        format!(
            "{most} requests were open at once, {} of the limit",
            percent(most as f64 / limit.max(1) as f64)
        )
    })
}

/// What the scenario asks of admitted requests in this phase.
fn admitted_limit<'a>(facts: &Facts<'a>, phase: Option<&PhaseName>) -> Option<&'a LatencyThreshold> {
    facts.plan.checks.iter().find_map(|check| match &check.subject {
        Subject::Expectation(Expectation::Shedding(e)) if e.phase.as_ref() == phase => e.admitted.as_ref(),
        _ => None,
    })
}
