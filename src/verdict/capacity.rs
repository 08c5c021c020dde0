//! A capacity search: each of its steps, and what they say together.

use super::{
    facts::Facts,
    finding::{Finding, counted, percent},
    generator,
    judge::Title,
    model::{CapacityFigures, CheckKind, StepFigures, Verdict},
    slo::{self, Census},
    stats,
};
use crate::{
    journal::{Distribution, Event, Interval, RunRecord, event::StepChange},
    plan::{
        Plan,
        capacity::{self, StepResult, Tried},
    },
    scenario::model::{Objective, Slo},
    units::{LatencyThreshold, Quantile, Rate, RunTime},
};

/// A step of a search: its rate, and which of its requests are judged.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// From 1.
    pub number: u32,
    /// Its rate.
    pub rate: Rate,
    /// Judged is what is due from here…
    pub judged_from: RunTime,
    /// …until before here, both whole seconds.
    pub judged_until: RunTime,
    /// How many requests these are.
    pub due: u64,
}

impl Step {
    fn covers(&self, second: u32) -> bool {
        (self.judged_from.second()..self.judged_until.second()).contains(&second)
    }

    /// Requests of the step that have an outcome.
    fn ended(&self, record: &RunRecord) -> u64 {
        record.cells().filter(|cell| self.covers(cell.key.second)).fold(0, |n, cell| n + cell.count)
    }

    /// Whether the record has all of it.
    pub fn is_written(&self, record: &RunRecord) -> bool {
        self.ended(record) >= self.due
            && record.intervals.last().is_some_and(|last| last.at > self.judged_until)
    }
}

/// A step, judged.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// How it came out.
    pub result: StepResult,
    /// Why, in words.
    pub why: String,
    /// The SLO that it broke, if it did.
    broke: Option<String>,
    census: Census,
}

/// Judges a step by the record so far. A step that repeats an earlier one of
/// the same rate is judged by the requests of both.
pub fn judge_step(slos: &[Slo], steps: &[Step], step: &Step, record: &RunRecord) -> Judged {
    let tries: Vec<&Step> =
        steps.iter().filter(|other| other.rate == step.rate && other.number <= step.number).collect();
    // Of one that was invalid nothing is used.
    let valid: Vec<&Step> = tries
        .into_iter()
        .filter(|other| other.number == step.number || trouble(other, record).is_none())
        .collect();
    let cells = || record.cells().filter(|cell| valid.iter().any(|step| step.covers(cell.key.second)));
    let census = Census::of(cells(), false);
    let of = |result, why, broke| Judged { result, why, broke, census: census.clone() };
    if let Some(trouble) = trouble(step, record) {
        return of(StepResult::Invalid, trouble, None);
    }
    let mut open = None;
    let mut holding = Vec::new();
    for slo in slos {
        let mine = cells().filter(|cell| slo.workload.as_ref().is_none_or(|w| w == &cell.key.workload));
        let level = slo.confidence.map_or(stats::LEVEL, |level| level.0);
        let finding = slo::judge_census(&Census::of(mine, false), &slo.objective, Some(level));
        let (name, _) = slo::title(slo);
        match finding.verdict {
            Verdict::Pass => holding.push(format!("{name}: {}", finding.why)),
            Verdict::Fail => {
                return of(StepResult::Breaks, format!("{name}: {}", finding.why), Some(slo_in_words(slo)));
            }
            Verdict::Inconclusive | Verdict::Aborted => {
                open.get_or_insert(format!("{name}: {}", finding.why));
            }
        }
    }
    match open {
        Some(why) => of(StepResult::Undecided, why, None),
        None => of(StepResult::Holds, holding.join("; "), None),
    }
}

/// Why a step says nothing of the target, if that is so.
fn trouble(step: &Step, record: &RunRecord) -> Option<String> {
    // An interval is written just after the second that it covers.
    let covered = |interval: &&Interval| step.covers(RunTime(interval.at.0.saturating_sub(500_000)).second());
    let (mut due, mut starved, mut lag) = (0u64, 0u64, Distribution::default());
    for interval in record.intervals.iter().filter(covered) {
        due = due.saturating_add(interval.generator.due);
        starved = starved.saturating_add(interval.generator.starved);
        lag.merge(&interval.generator.lag);
    }
    let ended = step.ended(record);
    let lag = lag.quantile(0.99, 0).map_or(0.0, |micros| micros as f64 / 1e3);
    if step.due == 0 {
        Some("nothing was due".to_owned())
    } else if starved as f64 > generator::STARVED * due as f64 {
        let share = percent(starved as f64 / due.max(1) as f64);
        Some(format!("the generator ran out of users: {share} of the arrivals waited for a free one"))
    } else if lag > generator::LAG_MS {
        Some(format!("the generator lagged: p99 {lag:.0} ms behind schedule"))
    } else if ended != step.due {
        Some(format!("{} were due, {ended} have an outcome", counted(step.due, "request")))
    } else {
        None
    }
}

/// The steps of a record that were judged when it was written.
fn steps(record: &RunRecord) -> Vec<Step> {
    let judged = |wanted: u32| {
        record.events.iter().any(|line| {
            matches!(&line.event, Event::Step { number, change: StepChange::Judged { .. }, .. } if *number == wanted)
        })
    };
    let started = record.events.iter().filter_map(|line| match &line.event {
        Event::Step { number, rate, change: StepChange::Started { judged_from, judged_until, due } } => {
            Some(Step {
                number: *number,
                rate: *rate,
                judged_from: *judged_from,
                judged_until: *judged_until,
                due: *due,
            })
        }
        _ => None,
    });
    started.filter(|step| judged(step.number)).collect()
}

/// Every step, judged again from the record.
fn judged(slos: &[Slo], record: &RunRecord) -> Vec<(Step, Judged)> {
    let steps = steps(record);
    steps.iter().map(|step| (*step, judge_step(slos, &steps, step, record))).collect()
}

fn tried(judged: &[(Step, Judged)]) -> Vec<Tried> {
    judged.iter().map(|(step, judged)| Tried { rate: step.rate, result: judged.result }).collect()
}

/// Judges the search as a whole.
pub(super) fn judge(facts: &Facts<'_>, slos: &[Slo]) -> (Title, Finding) {
    let Some((_, search)) = facts.plan.search() else {
        let title = Title::of(CheckKind::Capacity, "capacity", String::new());
        return (title, Finding::inconclusive("the plan has no search"));
    };
    let expected = search.at_least.map_or_else(|| "found".to_owned(), |rate| format!("at least {rate}"));
    let title = Title::of(CheckKind::Capacity, "highest rate within the SLOs", expected);
    let judged = judged(slos, facts.record);
    let tried = tried(&judged);
    let bracket = capacity::bracket(&tried);
    // The last word on a rate is that of its repetition.
    let why_at = |rate: Rate| {
        judged.iter().rev().find(|(step, _)| step.rate == rate).map_or("", |(_, judged)| judged.why.as_str())
    };
    let held = bracket.holds.map(|rate| format!("{rate} holds"));
    let broke = bracket.breaks.map(|rate| format!("{rate} breaks: {}", why_at(rate)));
    let knee = [held.clone(), broke].into_iter().flatten().collect::<Vec<_>>().join(", ");
    let finding = match (search.at_least, bracket.holds, bracket.breaks) {
        _ if tried.is_empty() => Finding::inconclusive("no step was judged"),
        (Some(wanted), Some(holds), _) if holds >= wanted => Finding::pass(knee),
        (Some(wanted), _, Some(breaks)) if breaks <= wanted => Finding::fail(knee),
        (None, None, Some(breaks)) if breaks <= search.from => {
            Finding::fail(format!("it breaks at the lowest rate of the search already: {knee}"))
        }
        _ if bracket.invalid.is_some() => Finding::inconclusive(generator_limit(&bracket, held, why_at)),
        _ if capacity::next(search, &tried).is_some() => {
            let so_far = if knee.is_empty() { "nothing is known".to_owned() } else { knee };
            Finding::inconclusive(format!("the search did not come to its end; so far, {so_far}"))
        }
        (None, Some(_), Some(_)) => Finding::pass(knee),
        (None, Some(holds), None) => Finding::inconclusive(format!(
            "it holds up to {holds}, where the search ends, so its limit is not known: raise `to`"
        )),
        (_, None, _) => Finding::inconclusive(format!(
            "no step shows that the SLOs hold: judge more requests with a longer `hold`{}",
            if knee.is_empty() { String::new() } else { format!(" ({knee})") }
        )),
        (Some(wanted), Some(_), _) => Finding::inconclusive(format!(
            "{wanted} lies between what holds and what breaks: more halvings (`refine`) or a longer `hold` would settle it ({knee})"
        )),
    };
    let finding = match (bracket.holds, bracket.breaks) {
        (Some(holds), breaks) => finding.observed(holds.0, "/s").error(holds.0, breaks.map(|rate| rate.0)),
        (None, _) => finding,
    };
    let evidence = judged.iter().map(|(step, judged)| {
        let result = in_words(judged.result);
        super::finding::evidence(
            "wire",
            format!("step {} at {}: {result} ({})", step.number, step.rate, judged.why),
        )
    });
    (title, finding.with(evidence))
}

/// What to do where the generator, not the target, was at its end.
fn generator_limit<'w>(
    bracket: &capacity::Bracket,
    held: Option<String>,
    why_at: impl Fn(Rate) -> &'w str,
) -> String {
    let rate = bracket.invalid.unwrap_or_default();
    let why = why_at(rate);
    let what = if why.contains("users") {
        "give the load more `users:`, or a shorter `timeout:` to its workload"
    } else {
        "drive from a faster machine, or end the search below with `to:`"
    };
    let held = held.map_or_else(String::new, |held| format!("{held}; "));
    format!(
        "{held}at {rate} it was the generator that did not keep up, so the target's limit is not known: {why}; {what}"
    )
}

fn in_words(result: StepResult) -> &'static str {
    match result {
        StepResult::Holds => "holds",
        StepResult::Breaks => "breaks",
        StepResult::Undecided => "undecided",
        StepResult::Invalid => "invalid",
    }
}

fn slo_in_words(slo: &Slo) -> String {
    let (name, limit) = slo::title(slo);
    match &slo.objective {
        // The quantile is in both.
        Objective::Ttft(t) | Objective::Itl(t) | Objective::Tpot(t) | Objective::E2e(t) => {
            format!("{name} {} {}", t.op, t.limit)
        }
        Objective::Availability(_) | Objective::Goodput(_) | Objective::Accuracy(_) => {
            format!("{name} {limit}")
        }
    }
}

/// The latencies of a census, and how many further requests are endless.
type Pick = fn(&Census) -> (&Distribution, u64);

/// The latency that a search is drawn by.
struct Measure {
    name: String,
    quantile: Quantile,
    limit: Option<LatencyThreshold>,
    pick: Pick,
}

impl Measure {
    /// That of the first latency objective, or else the p95 of the TTFT.
    fn of(slos: &[Slo]) -> Self {
        let first = slos.iter().find_map(|slo| -> Option<(&str, LatencyThreshold, Pick)> {
            match &slo.objective {
                Objective::Ttft(limit) => Some(("TTFT", *limit, |census| (&census.ttft, census.failed()))),
                Objective::E2e(limit) => Some(("E2E", *limit, |census| (&census.e2e, census.failed()))),
                Objective::Tpot(limit) => Some(("TPOT", *limit, |census| (&census.tpot, 0))),
                Objective::Itl(limit) => Some(("ITL", *limit, |census| (&census.itl, 0))),
                Objective::Availability(_) | Objective::Goodput(_) | Objective::Accuracy(_) => None,
            }
        });
        match first {
            Some((name, limit, pick)) => {
                let quantile = limit.quantile;
                Self { name: format!("{name} {quantile}"), quantile, limit: Some(limit), pick }
            }
            None => Self {
                name: "TTFT p95".to_owned(),
                quantile: Quantile(0.95),
                limit: None,
                pick: |census| (&census.ttft, census.failed()),
            },
        }
    }
}

/// The search in figures, if the plan has one.
pub(super) fn figures(plan: &Plan, record: &RunRecord) -> Option<CapacityFigures> {
    let (load, search) = plan.search()?;
    let slos = plan.checks.iter().find_map(|check| match &check.subject {
        crate::plan::model::Subject::Capacity { slos, .. } => Some(slos.as_slice()),
        _ => None,
    })?;
    let judged = judged(slos, record);
    let bracket = capacity::bracket(&tried(&judged));
    let measure = Measure::of(slos);
    let broke = judged.iter().rev().find(|(step, _)| Some(step.rate) == bracket.breaks);
    Some(CapacityFigures {
        load: load.name.clone(),
        holds: bracket.holds.map(|rate| rate.0),
        breaks: bracket.breaks.map(|rate| rate.0),
        invalid: bracket.invalid.map(|rate| rate.0),
        at_least: search.at_least.map(|rate| rate.0),
        broke: broke.and_then(|(_, judged)| judged.broke.clone()),
        measure: measure.name,
        limit_ms: measure.limit.map(|limit| limit.limit.as_secs_f64() * 1e3),
        steps: judged
            .into_iter()
            .map(|(step, judged)| {
                let (latencies, failures) = (measure.pick)(&judged.census);
                let attempted = judged.census.attempted;
                let share = |part: u64| (attempted > 0).then(|| part as f64 / attempted as f64);
                StepFigures {
                    number: step.number,
                    rate: step.rate.0,
                    start: step.judged_from.as_secs_f64(),
                    end: step.judged_until.as_secs_f64(),
                    requests: attempted,
                    latency_ms: latencies
                        .quantile(measure.quantile.0, failures)
                        .map(|micros| micros as f64 / 1e3),
                    goodput: share(judged.census.good),
                    availability: share(judged.census.ok),
                    result: judged.result,
                    why: judged.why,
                }
            })
            .collect(),
    })
}
