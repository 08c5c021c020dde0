//! Traffic to pods that start: none of it before they are ready.

use std::time::Duration;

use super::{
    blind::GATEWAY,
    counters,
    facts::Facts,
    finding::{Finding, Rigour, counted, evidence, ratio},
    model::Verdict,
    probes::{GAP, WAITED, nameless_failures, of_pod, readiness},
    times::interval,
};
use crate::units::{PodName, RatioThreshold, RunTime, Seen};

/// How long a pod that has become ready is looked at.
const TRIAL: Duration = Duration::from_secs(5);

/// A pod's start, from where it was first listed (or its container was started
/// again) to where it was ready, was gone, or the load ended.
struct Start<'a> {
    pod: &'a PodName,
    listed: RunTime,
    ready: Seen,
}

fn starts<'a>(facts: &Facts<'a>, since: RunTime) -> Vec<Start<'a>> {
    let mut starts = Vec::new();
    for (pod, changes) in readiness(facts) {
        let mut cold: Option<RunTime> = None;
        let mut before: Option<(Option<bool>, u32)> = None;
        for &(seen, ready, restarts) in &changes {
            let new = before.is_none_or(|(was, earlier)| was.is_none() || restarts > earlier);
            match ready {
                Some(false) if new && seen.by >= since => drop(cold.get_or_insert(seen.not_before)),
                Some(false) => {}
                Some(true) | None => {
                    starts.extend(cold.take().map(|listed| Start { pod, listed, ready: seen }));
                }
            }
            before = Some((ready, restarts));
        }
        let end = Seen::at(facts.judged().1);
        starts.extend(cold.filter(|listed| *listed < end.by).map(|listed| Start { pod, listed, ready: end }));
    }
    starts
}

/// What is known of the requests that a pod got while it started.
struct Got {
    early: u64,
    all: u64,
    by: &'static str,
    /// Why that none were early can't be said.
    unseen: Option<String>,
}

/// Judges the share of new pods' first requests that came before they were ready.
pub(super) fn judge(
    facts: &Facts<'_>,
    since: Result<RunTime, Finding>,
    limit: &RatioThreshold,
) -> Result<Finding, Finding> {
    let starts = starts(facts, since?);
    if starts.is_empty() {
        return Err(Finding::inconclusive("no pod was seen to start and become ready"));
    }
    let (mut soon, mut all) = (0, 0);
    let (mut shown, mut unseen) = (Vec::new(), None);
    for start in &starts {
        let until = start.ready.by + TRIAL;
        let got = by_gateway(facts, start, until).unwrap_or_else(|| by_wire(facts, start, until));
        let (when, pod) = (interval(start.ready), start.pod);
        let what = format!("{pod}, ready at {when}: {} of {} until {until} came before", got.early, got.all);
        shown.push(evidence(got.by, what));
        soon += got.early;
        all += got.all;
        unseen = unseen.or(got.unseen);
    }
    let finding = match all {
        0 => Finding::inconclusive("nothing counted what new pods got, or they got nothing"),
        _ => ratio(soon, all, limit, "first request", Rigour::Reaction),
    };
    let finding = match (finding.verdict, unseen) {
        (Verdict::Pass, Some(why)) => Finding::inconclusive(why),
        _ => finding,
    };
    Ok(finding.with(shown))
}

/// By what the gateway counted. None: it counted nothing of this pod.
fn by_gateway(facts: &Facts<'_>, start: &Start<'_>, until: RunTime) -> Option<Got> {
    let samples = facts.samples_of("gateway");
    let mine = counters::attempts_at(start.pod);
    let all = counters::up_to(samples, start.listed, until, &mine).filter(|all| all.by > 0.0)?;
    let early = counters::up_to(samples, start.listed, start.ready.not_before, &mine);
    // Of the time until it was ready, the end is not seen.
    let last = samples.iter().map(|(seen, _)| seen.by).rfind(|by| *by <= start.ready.not_before);
    let cold = start.ready.not_before.since(start.listed);
    let seen = last.map_or(Duration::ZERO, |last| last.since(start.listed));
    let unseen = (early.is_none() || seen * 2 < cold || cold.saturating_sub(seen) > GAP)
        .then(|| format!("the gateway was not asked often enough while {} started", start.pod));
    // It counts attempts when they end: those that waited are known by their answers.
    let waited =
        of_pod(facts, start.pod.as_str()).filter(|cell| cell.key.due() + WAITED <= start.ready.not_before);
    let waited: u64 = waited.filter(|cell| cell.first_end > start.listed).map(|cell| cell.count).sum();
    let early = early.map_or(0, |early| early.by as u64).max(waited);
    Some(Got { early, all: (all.by as u64).max(early), by: "gateway /metrics", unseen })
}

/// By answers that name the pod. Failures name nobody: where there are some
/// while it starts, they may be its.
fn by_wire(facts: &Facts<'_>, start: &Start<'_>, until: RunTime) -> Got {
    let mine = of_pod(facts, start.pod.as_str()).filter(|cell| cell.first_end > start.listed);
    let (early, all) = mine.filter(|cell| cell.first_end <= until).fold((0, 0), |(early, all), cell| {
        let before = match (cell.first_end, cell.last_end) {
            (_, last) if last < start.ready.not_before => cell.count,
            // One of them at least.
            (first, _) if first < start.ready.not_before => 1,
            _ => 0,
        };
        (early + before, all + cell.count)
    });
    let failed = nameless_failures(facts, start.listed + WAITED, start.ready.not_before);
    // Who counts as a rule may have had more to say than the answers have.
    let blind = facts
        .was_down(GATEWAY, (start.listed, until))
        .then(|| format!("{GATEWAY} did not answer for a while as {} started", start.pod));
    let unseen = (failed > 0)
        .then(|| format!("{} while {} started, of whom is not known", counted(failed, "failure"), start.pod));
    Got { early, all, by: "wire", unseen: unseen.or(blind) }
}
