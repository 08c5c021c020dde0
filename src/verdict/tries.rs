//! How often requests were sent upstream, as answers state it and by the counters
//! of who sent them.

use std::collections::BTreeSet;

use super::{
    blind::GATEWAY,
    counters,
    facts::Facts,
    sent::{ENVOY_AGAIN, ENVOY_SENT},
};
use crate::{
    journal::{Cell, interval::Outcome},
    scenario::model::RetryExpectation,
    units::{RatioThreshold, RunTime},
};

/// Requests without which nothing is judged.
pub(super) const ENOUGH: u64 = 20;

/// Share of the requests that may state no attempts.
const SILENT: f64 = 0.1;

/// Upstream attempts, as answers state them.
#[derive(Default)]
pub(super) struct Attempts {
    pub(super) made: u64,
    /// Answers that state them, and went upstream.
    pub(super) stated: u64,
    /// Requests that state none.
    pub(super) silent: u64,
}

impl Attempts {
    /// Hits and rejections went nowhere; an answer that states no attempt did.
    pub(super) fn of<'c>(cells: impl Iterator<Item = &'c Cell>) -> Self {
        let mut all = Self::default();
        for cell in cells.filter(|cell| !cell.key.served.cache.is_answer()) {
            if cell.attempts > 0 {
                all.made += cell.attempts;
                all.stated += cell.attempts_stated;
            }
            if cell.key.outcome != Outcome::Shed {
                all.silent += cell.count.saturating_sub(cell.attempts_stated);
            }
        }
        all
    }

    /// Attempts a request.
    pub(super) fn each(&self) -> f64 {
        self.made as f64 / self.stated.max(1) as f64
    }

    /// Those that say nothing may have been tried most often: who gives up first
    /// hears of no attempt.
    pub(super) fn is_known(&self) -> bool {
        self.silent as f64 <= SILENT * (self.stated + self.silent) as f64
    }
}

/// What counters tell.
pub(super) enum Told {
    Counted(Counted),
    /// Nobody counts.
    Nobody,
    /// Who is meant, in words, is not clear.
    Unclear(String),
}

pub(super) struct Counted {
    /// Attempts a request.
    pub(super) figure: f64,
    pub(super) attempts: f64,
    pub(super) requests: u64,
    /// Who shows it.
    pub(super) source: String,
    /// Who sent them, in words.
    pub(super) whose: String,
    /// What is known of these requests, in words.
    pub(super) which: String,
}

/// Attempts a request, in words.
pub(super) fn factor(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// By the lab's gateway, or else by Envoy's clusters.
pub(super) fn told(facts: &Facts<'_>, e: &RetryExpectation, limit: &RatioThreshold) -> Told {
    let times = match &e.phase {
        Some(phase) => facts.phase(phase),
        None => Some((facts.judged().0, facts.end)),
    };
    let Some((start, end)) = times else { return Told::Nobody };
    let upstream = |series: &str| counters::name(series) == counters::UPSTREAM;
    let growth = counters::around(facts.samples_of(GATEWAY), start, end, upstream);
    let Some(growth) = growth.filter(|_| e.name.is_none()) else {
        return by_envoy(facts, e.name.as_deref(), limit, (start, end));
    };
    let requests = facts
        .cells_in(e.phase.as_ref())
        .filter(|cell| {
            let from_cache = cell.key.served.cache.is_answer();
            let went_nowhere = cell.attempts == 0 && cell.attempts_stated == cell.count;
            let rejected = cell.key.outcome == Outcome::Shed && cell.attempts == 0;
            !from_cache && !went_nowhere && !rejected
        })
        .map(|cell| cell.count)
        .sum::<u64>();
    if requests < ENOUGH || growth.by == 0.0 {
        return Told::Nobody;
    }
    Told::Counted(Counted {
        figure: growth.by / requests as f64,
        attempts: growth.by,
        requests,
        source: GATEWAY.to_owned(),
        whose: "the gateway".to_owned(),
        which: "that missed the cache".to_owned(),
    })
}

/// Envoy counts what it sent to each cluster, and how much of that was tried
/// again. Which of them serves the load nobody says: where it matters, the
/// scenario has to.
fn by_envoy(
    facts: &Facts<'_>,
    name: Option<&str>,
    limit: &RatioThreshold,
    times: (RunTime, RunTime),
) -> Told {
    let mut clusters: BTreeSet<(&str, String)> = BTreeSet::new();
    for (source, samples) in &facts.samples {
        let series = samples.last().into_iter().flat_map(|(_, values)| values.keys());
        let again = series.filter(|series| counters::name(series) == ENVOY_AGAIN);
        let of = again.filter_map(|series| counters::label(series, "envoy_cluster_name"));
        let meant = of.filter(|cluster| name.is_none_or(|name| name == &**cluster));
        clusters.extend(meant.map(|cluster| (*source, cluster.into_owned())));
    }
    let all: Vec<Counted> =
        clusters.iter().filter_map(|(source, cluster)| of_cluster(facts, source, cluster, times)).collect();
    let holds = |one: &Counted| limit.op.holds(one.figure, limit.limit.0);
    let most = all.iter().enumerate().max_by(|(_, a), (_, b)| a.attempts.total_cmp(&b.attempts));
    let Some((most, meant)) = most else {
        return match name {
            Some(name) => {
                Told::Unclear(format!("nobody counted {ENOUGH} requests that were sent to cluster {name}"))
            }
            None => Told::Nobody,
        };
    };
    if let Some(other) = all.iter().find(|other| holds(other) != holds(meant)) {
        return Told::Unclear(format!(
            "{} has {} attempts a request, {} has {}, and nothing says which serves the load: `name:` does",
            meant.whose,
            factor(meant.figure),
            other.whose,
            factor(other.figure)
        ));
    }
    all.into_iter().nth(most).map_or(Told::Nobody, Told::Counted)
}

/// None: it counted too little.
fn of_cluster(
    facts: &Facts<'_>,
    source: &str,
    cluster: &str,
    (start, end): (RunTime, RunTime),
) -> Option<Counted> {
    let grew = |metric: &str| {
        counters::around(facts.samples_of(source), start, end, |series| {
            counters::name(series) == metric
                && counters::label(series, "envoy_cluster_name").as_deref() == Some(cluster)
        })
    };
    let (sent, again) = (grew(ENVOY_SENT)?, grew(ENVOY_AGAIN)?);
    let requests = (sent.by - again.by).max(0.0);
    let counted = Counted {
        figure: sent.by / requests.max(1.0),
        attempts: sent.by,
        requests: requests as u64,
        source: source.to_owned(),
        whose: format!("cluster {cluster} of {source}"),
        which: format!("to cluster {cluster}"),
    };
    (counted.requests >= ENOUGH).then_some(counted)
}
