//! Whether an open breaker really lets nothing through: what its pod receives
//! while it is open, by everyone who counts it, beside what it received before.

use std::time::Duration;

use super::{
    breaker::guarding,
    counters::{self, Growth},
    facts::{Facts, Sample},
    finding::{Finding, evidence, percent},
    probes::of_pod,
    sent::{self, Counts},
};
use crate::{
    journal::{
        event::BreakerState,
        interval::{CacheUse, Outcome},
    },
    units::{FaultId, RatioThreshold, RunTime},
};

/// What was on its way when a breaker opened may still arrive.
const SETTLE: Duration = Duration::from_secs(1);
/// Requests that an open breaker must have had to stop for a leak to be judged.
const STOPPED: f64 = 8.0;

/// A time in which a breaker did not close: open, but for the probes that failed.
#[derive(Debug, Clone, Copy)]
struct Shut {
    from: RunTime,
    to: RunTime,
    /// How often it was half-open in between, each for a probe at least.
    probes: u32,
}

/// Who counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counter {
    /// The gateway, or whatever proxy or library has the breaker, what it sent:
    /// it can't well say more than it did.
    Gateway,
    /// The pod, what reached it: less than was sent, where the fault holds
    /// things back, and later.
    Pod,
    /// The answers that name the pod: none of them proves nothing.
    Wire,
}

/// One way of counting what a pod receives.
struct Traffic {
    counter: Counter,
    /// As the report names it.
    source: String,
    usual: Growth,
    shut: Growth,
    /// Requests that may have been let in before and are counted at their end.
    begun: f64,
    /// How long a request takes until it is counted, in seconds.
    lag: f64,
}

impl Traffic {
    /// Requests that the breaker had to stop, and that would have been counted.
    fn stopped(&self) -> f64 {
        self.usual.rate() * (self.shut.seconds - self.lag).max(0.0)
    }

    fn shown(&self, name: &str, probes: u32) -> String {
        let ((least, most), stopped) = (self.leaked(probes), self.stopped());
        let range =
            if most - least < 0.05 { format!("{most:.1}") } else { format!("{least:.1} to {most:.1}") };
        let begun = if self.begun > 0.0 {
            format!(" and up to {:.0} begun before", self.begun)
        } else {
            String::new()
        };
        format!(
            "{name}: {range} of {stopped:.1} requests that its breaker had to stop in {:.1} s, without {probes} \
             probes{begun}",
            self.shut.seconds
        )
    }

    /// Requests that came through, less those that may: as few and as many as it
    /// may have been.
    fn leaked(&self, probes: u32) -> (f64, f64) {
        let less = |begun: f64| (self.shut.by - f64::from(probes) - begun).max(0.0);
        (less(self.begun), less(0.0))
    }
}

/// Judges the share of its usual traffic that reaches a pod past its open
/// breaker. What the gateway says that it sent, or answers from the pod, show
/// a leak; what only the pod counted contradicts the gateway. That there is
/// none must be counted by who sends: what the fault holds back never reaches
/// the pod.
pub(super) fn judge(
    facts: &Facts<'_>,
    after: Option<&FaultId>,
    limit: &RatioThreshold,
) -> Result<Finding, Finding> {
    let (since, until) = acting(facts, after)?;
    let mut shares: Vec<Share> = Vec::new();
    let mut shown = Vec::new();
    let mut opened = false;
    // Whether of some only what arrived was counted.
    let mut unsent = false;
    for name in guarding(facts, after) {
        let shut = shut_times(facts, name, since, until);
        let Some(first) = shut.first() else { continue };
        opened = true;
        let probes = shut.iter().map(|shut| shut.probes).sum();
        let before = if after.is_some() { since } else { first.from - SETTLE };
        let mut by = Vec::new();
        for traffic in traffic(facts, name, before, &shut) {
            let ((least, most), stopped) = (traffic.leaked(probes), traffic.stopped());
            shown.push(evidence(traffic.source.clone(), traffic.shown(name, probes)));
            if stopped >= STOPPED {
                by.push(traffic.counter);
                shares.push(Share {
                    least: least / stopped,
                    most: most / stopped,
                    counter: traffic.counter,
                    whose: format!("{name}, by {}", traffic.source),
                });
            }
        }
        unsent |= !by.is_empty() && !by.contains(&Counter::Gateway);
    }
    let finding = match decide(&shares, limit, unsent) {
        Some(finding) => finding,
        None if opened => {
            Finding::inconclusive("open breakers had too little traffic to stop, or nothing counted it")
        }
        None => Finding::inconclusive("no breaker was open for longer than a second while the fault acted"),
    };
    Ok(finding.with(shown))
}

/// What went past an open breaker, as a share of its usual traffic.
struct Share {
    least: f64,
    most: f64,
    counter: Counter,
    whose: String,
}

/// None: nothing was counted.
fn decide(shares: &[Share], limit: &RatioThreshold, unsent: bool) -> Option<Finding> {
    let breaks = |share: f64| !limit.op.holds(share, limit.limit.0);
    let said = |share: f64, whose: &str| {
        format!("{} of the usual traffic went past the open breaker of {whose}", percent(share))
    };
    let of = |wanted: &dyn Fn(Counter) -> bool, by: &dyn Fn(&Share) -> f64| {
        let of = shares.iter().filter(|share| wanted(share.counter));
        of.max_by(|a, b| by(a).total_cmp(&by(b))).map(|share| (by(share), &share.whose))
    };
    let least = of(&|counter| counter != Counter::Pod, &|share| share.least);
    if let Some((share, whose)) = least.filter(|(share, _)| breaks(*share)) {
        let why = format!("{}, not {limit}", said(share, whose));
        return Some(Finding::fail(why).observed(share, "ratio"));
    }
    let (share, whose) = of(&|counter| counter != Counter::Wire, &|share| share.least)?;
    if breaks(share) {
        let why = format!("{}, which neither gateway nor wire confirm", said(share, whose));
        return Some(Finding::inconclusive(why).observed(share, "ratio"));
    }
    let (share, whose) = of(&|counter| counter != Counter::Wire, &|share| share.most)?;
    let said = said(share, whose);
    let finding = match (breaks(share), unsent) {
        (true, _) => Finding::inconclusive(format!("{said}, unless they had begun before it opened")),
        (false, true) => Finding::inconclusive(format!("{said}, but nobody counted all that was sent")),
        (false, false) => Finding::pass(said),
    };
    Some(finding.observed(share, "ratio"))
}

/// From when until when a leak is one: while the fault acts. What it held
/// back may arrive when it ends.
fn acting(facts: &Facts<'_>, after: Option<&FaultId>) -> Result<(RunTime, RunTime), Finding> {
    let (start, end) = facts.judged();
    if after.is_none() {
        return Ok((start, end));
    }
    let effect = facts.effect(after)?;
    let over = match facts.fault_end(after) {
        Ok(over) if facts.lasts(after) => over.not_before,
        Ok(_) | Err(_) => facts.undisturbed_until(effect.by, after),
    };
    Ok((effect.not_before, over.min(end)))
}

/// When a breaker did not close. Successful probes come before it closes, so
/// the last half-open time before a closing is left out.
fn shut_times(facts: &Facts<'_>, name: &str, since: RunTime, until: RunTime) -> Vec<Shut> {
    let over = facts.gone(name).map_or(until, |seen| seen.not_before).min(until);
    let mut times = Vec::new();
    let mut current: Option<Shut> = None;
    let mut half_open: Option<RunTime> = None;
    for (seen, state) in &facts.breakers[name] {
        match (state, &mut current) {
            (BreakerState::Open, None) if seen.by >= since => {
                current = Some(Shut { from: seen.by + SETTLE, to: over, probes: 0 });
            }
            (BreakerState::Open, Some(shut)) => shut.probes += u32::from(half_open.take().is_some()),
            (BreakerState::HalfOpen, Some(_)) => half_open = Some(seen.not_before),
            (BreakerState::Closed, Some(shut)) => {
                let to = half_open.take().unwrap_or(seen.not_before).min(over);
                times.push(Shut { to, ..*shut });
                current = None;
            }
            (BreakerState::Open | BreakerState::HalfOpen | BreakerState::Closed, None) => {}
        }
    }
    times.extend(current.map(|shut| Shut { to: half_open.unwrap_or(over).min(over), ..shut }));
    times.retain(|shut| shut.from < shut.to);
    times
}

/// What the pod behind a breaker received before `before` and while it was
/// shut, by everyone who counted it.
fn traffic(facts: &Facts<'_>, pod: &str, before: RunTime, shut: &[Shut]) -> Vec<Traffic> {
    let start = facts.judged().0;
    let growth = |source: &str, matches: &dyn Fn(&str) -> bool| {
        let samples: &[Sample<'_>] = facts.samples_of(source);
        let usual = counters::inside(samples, start, before, matches).filter(|usual| usual.by > 0.0)?;
        let shut = shut.iter().filter_map(|shut| counters::inside(samples, shut.from, shut.to, matches));
        Some((usual, shut.reduce(|a, b| a + b)?))
    };
    let names_pod = |series: &str| counters::label(series, "pod").as_deref() == Some(pod);
    let attempts =
        growth("gateway", &|series| counters::name(series) == counters::UPSTREAM && names_pod(series));
    let received = growth(pod, &|series| counters::name(series) == "firedrill_lab_requests_total");
    // What counts a request at its end counts those that had begun before.
    let (time, under_way) = (mean_seconds(facts, before), under_way(facts, shut));
    let shut_often = shut.len() as f64;
    let counted = |counter, counts: Counts, source: &str, (usual, shut): (Growth, Growth)| Traffic {
        counter,
        source: format!("{source} /metrics"),
        usual,
        shut,
        begun: if counts == Counts::Ended { under_way.max(usual.rate() * time) } else { 0.0 },
        lag: if counts == Counts::Ended { time * shut_often } else { 0.0 },
    };
    let others = sent::sources(facts, pod).into_iter().filter_map(|(source, counts)| {
        let within =
            |sample: &&Sample<'_>| shut.iter().any(|shut| shut.from <= sample.0.by && sample.0.by <= shut.to);
        let all = facts.samples_of(source).iter().filter(within).all(|sample| sent::all_shut(sample, pod));
        let both = growth(source, &|series| sent::tells(series, pod).is_some()).filter(|_| all)?;
        Some(counted(Counter::Gateway, counts, source, both))
    });
    [
        attempts.map(|both| counted(Counter::Gateway, Counts::Ended, "gateway", both)),
        received.map(|both| counted(Counter::Pod, Counts::Ended, pod, both)),
        by_wire(facts, pod, (start, before), shut),
    ]
    .into_iter()
    .flatten()
    .chain(others)
    .collect()
}

/// Requests that were due before a breaker opened and may have ended while it was
/// shut: of a cell, only the first and the last end are known. Others than its own
/// may be among them.
fn under_way(facts: &Facts<'_>, shut: &[Shut]) -> f64 {
    let cells = facts.cells_in(None).filter(|cell| {
        let while_shut = |shut: &Shut| {
            cell.key.due() + SETTLE <= shut.from && cell.first_end <= shut.to && cell.last_end >= shut.from
        };
        cell.key.served.is_own() && shut.iter().any(while_shut)
    });
    cells.map(|cell| cell.count as f64).sum()
}

/// How long requests usually take, in seconds.
fn mean_seconds(facts: &Facts<'_>, before: RunTime) -> f64 {
    let mut latencies = crate::journal::Distribution::default();
    let usual = facts.cells_in(None).filter(|cell| {
        cell.key.outcome == Outcome::Ok && cell.key.served.cache != CacheUse::Hit && cell.last_end <= before
    });
    usual.for_each(|cell| latencies.merge(&cell.service_e2e));
    latencies.mean().unwrap_or_default() / 1e6
}

/// The same by the answers that name the pod, by when they were due: what is
/// due while a breaker is open is not for its pod.
fn by_wire(facts: &Facts<'_>, pod: &str, before: (RunTime, RunTime), shut: &[Shut]) -> Option<Traffic> {
    let count = |from: RunTime, to: RunTime| {
        let first = from.0.div_ceil(1_000_000);
        let end = (to.0 / 1_000_000).max(first);
        let cells = of_pod(facts, pod).filter(|cell| (first..end).contains(&u64::from(cell.key.second)));
        Growth { by: cells.map(|cell| cell.count as f64).sum(), seconds: (end - first) as f64 }
    };
    let usual = count(before.0, before.1);
    let shut = shut.iter().map(|shut| count(shut.from, shut.to)).fold(Growth::default(), |a, b| a + b);
    let counted = usual.by > 0.0 && shut.seconds > 0.0;
    let source = "wire".to_owned();
    counted.then_some(Traffic { counter: Counter::Wire, source, usual, shut, begun: 0.0, lag: 0.0 })
}
