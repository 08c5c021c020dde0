//! Whether an open breaker really lets nothing through: what its pod receives
//! while it is open, by everyone who counts it, beside what it received before.

use std::time::Duration;

use super::{
    breaker::guarding,
    counters::{self, Growth},
    facts::{Facts, Sample},
    finding::{Finding, evidence, percent},
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

/// One way of counting what a pod receives.
struct Traffic {
    source: String,
    usual: Growth,
    shut: Growth,
    /// What one request counts.
    each: f64,
    /// Requests that were let in before and are counted at their end.
    begun: f64,
}

impl Traffic {
    /// Requests that the breaker had to stop.
    fn stopped(&self) -> f64 {
        self.usual.rate() * self.shut.seconds / self.each
    }

    /// Requests that came through, less those that may.
    fn leaked(&self, probes: u32) -> f64 {
        (self.shut.by / self.each - f64::from(probes) - self.begun).max(0.0)
    }
}

/// Judges the share of its usual traffic that reaches a pod past its open
/// breaker, by the source that counted most.
pub(super) fn judge(
    facts: &Facts<'_>,
    after: Option<&FaultId>,
    limit: &RatioThreshold,
) -> Result<Finding, Finding> {
    let since = match after {
        Some(_) => facts.effect(after)?.not_before,
        None => facts.judged().0,
    };
    let mut worst: Option<(f64, String)> = None;
    let mut shown = Vec::new();
    let mut opened = false;
    for name in guarding(facts, after) {
        let shut = shut_times(facts, name, since);
        let Some(first) = shut.first() else { continue };
        opened = true;
        let probes = shut.iter().map(|shut| shut.probes).sum();
        let before = if after.is_some() { since } else { first.from - SETTLE };
        for traffic in traffic(facts, name, before, &shut) {
            let (leaked, stopped) = (traffic.leaked(probes), traffic.stopped());
            shown.push(evidence(
                traffic.source.clone(),
                format!(
                    "{name}: {leaked:.1} of {stopped:.1} requests that its breaker had to stop in {:.1} s, without \
                     {probes} probes and {:.1} begun before",
                    traffic.shut.seconds, traffic.begun
                ),
            ));
            let share = leaked / stopped.max(f64::MIN_POSITIVE);
            if stopped >= STOPPED && worst.as_ref().is_none_or(|(most, _)| share > *most) {
                worst = Some((share, format!("{name}, by {}", traffic.source)));
            }
        }
    }
    let Some((share, whose)) = worst else {
        let why = if opened {
            "open breakers had too little traffic to stop, or nothing counted it"
        } else {
            "no breaker was open for longer than a second"
        };
        return Err(Finding::inconclusive(why).with(shown));
    };
    let said = format!("{} of the usual traffic went past the open breaker of {whose}", percent(share));
    let finding = match limit.op.holds(share, limit.limit.0) {
        true => Finding::pass(said),
        false => Finding::fail(format!("{said}, not {limit}")),
    };
    Ok(finding.observed(share, "ratio").with(shown))
}

/// When a breaker did not close. Successful probes come before it closes, so
/// the last half-open time before a closing is left out.
fn shut_times(facts: &Facts<'_>, name: &str, since: RunTime) -> Vec<Shut> {
    let over = facts.gone(name).map_or(facts.end, |seen| seen.not_before).min(facts.judged().1);
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
    let of_pod = |series: &str| counters::label(series, "pod") == Some(pod);
    let attempts = growth("gateway", &|series| {
        counters::name(series) == "gateway_upstream_requests_total" && of_pod(series)
    });
    let received = growth(pod, &|series| counters::name(series) == "firedrill_lab_requests_total");
    let bytes = growth("proxy", &|series| counters::name(series) == "link_bytes_up" && of_pod(series));
    // Those that count a request at its end count what had begun before.
    let time = mean_seconds(facts, before);
    let by_ends = |source: &str, (usual, shut): (Growth, Growth)| Traffic {
        source: format!("{source} /metrics"),
        usual,
        shut,
        each: 1.0,
        begun: usual.rate() * time,
    };
    // Bytes are counted as they pass; how many a request has is known where
    // the attempts are.
    let by_bytes = bytes.zip(attempts).map(|((usual, shut), (requests, _))| {
        let each = (usual.rate() / requests.rate()).max(1.0);
        Traffic { source: "proxy".to_owned(), usual, shut, each, begun: 0.0 }
    });
    [attempts.map(|both| by_ends("gateway", both)), received.map(|both| by_ends(pod, both)), by_bytes]
        .into_iter()
        .flatten()
        .chain(by_wire(facts, pod, (start, before), shut))
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
        let cells = facts.cells_in(None).filter(|cell| {
            cell.key.served.pod.as_ref().is_some_and(|name| name.as_str() == pod)
                && !matches!(cell.key.served.cache, CacheUse::Hit | CacheUse::Collapsed)
                && (first..end).contains(&u64::from(cell.key.second))
        });
        Growth { by: cells.map(|cell| cell.count as f64).sum(), seconds: (end - first) as f64 }
    };
    let usual = count(before.0, before.1);
    let shut = shut.iter().map(|shut| count(shut.from, shut.to)).fold(Growth::default(), |a, b| a + b);
    (usual.by > 0.0 && shut.seconds > 0.0).then(|| Traffic {
        source: "wire".to_owned(),
        usual,
        shut,
        each: 1.0,
        begun: 0.0,
    })
}
