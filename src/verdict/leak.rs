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
    /// Requests that were let in before and are counted at their end.
    begun: f64,
}

impl Traffic {
    /// Requests that the breaker had to stop.
    fn stopped(&self) -> f64 {
        self.usual.rate() * self.shut.seconds
    }

    /// Requests that came through, less those that may.
    fn leaked(&self, probes: u32) -> f64 {
        (self.shut.by - f64::from(probes) - self.begun).max(0.0)
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
    let mut shares: Vec<(f64, Counter, String)> = Vec::new();
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
            let (leaked, stopped) = (traffic.leaked(probes), traffic.stopped());
            let source = &traffic.source;
            shown.push(evidence(
                source.clone(),
                format!(
                    "{name}: {leaked:.1} of {stopped:.1} requests that its breaker had to stop in {:.1} s, without \
                     {probes} probes and {:.1} begun before",
                    traffic.shut.seconds, traffic.begun
                ),
            ));
            if stopped >= STOPPED {
                by.push(traffic.counter);
                shares.push((leaked / stopped, traffic.counter, format!("{name}, by {source}")));
            }
        }
        unsent |= !by.is_empty() && !by.contains(&Counter::Gateway);
    }
    let breaks = |share: f64| !limit.op.holds(share, limit.limit.0);
    let most = |wanted: &dyn Fn(Counter) -> bool| {
        let of = shares.iter().filter(|(_, counter, _)| wanted(*counter));
        of.max_by(|a, b| a.0.total_cmp(&b.0))
    };
    let said = |share: f64, whose: &str| {
        format!("{} of the usual traffic went past the open breaker of {whose}", percent(share))
    };
    let finding = if let Some((share, _, whose)) = most(&|counter| counter != Counter::Pod)
        && breaks(*share)
    {
        Finding::fail(format!("{}, not {limit}", said(*share, whose))).observed(*share, "ratio")
    } else if let Some((share, _, whose)) = most(&|counter| counter != Counter::Wire) {
        let said = said(*share, whose);
        match (breaks(*share), unsent) {
            (true, _) => Finding::inconclusive(format!("{said}, which neither gateway nor wire confirm")),
            (false, true) => Finding::inconclusive(format!("{said}, but nobody counted all that was sent")),
            (false, false) => Finding::pass(said),
        }
        .observed(*share, "ratio")
    } else if opened {
        Finding::inconclusive("open breakers had too little traffic to stop, or nothing counted it")
    } else {
        Finding::inconclusive("no breaker was open for longer than a second while the fault acted")
    };
    Ok(finding.with(shown))
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
    let time = mean_seconds(facts, before);
    let counted = |counter, counts: Counts, source: &str, (usual, shut): (Growth, Growth)| Traffic {
        counter,
        source: format!("{source} /metrics"),
        usual,
        shut,
        begun: match counts {
            Counts::Ended => usual.rate() * time,
            Counts::Sent => 0.0,
        },
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
    counted.then_some(Traffic { counter: Counter::Wire, source, usual, shut, begun: 0.0 })
}
