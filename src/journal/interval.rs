//! What the load measured, second by second (`intervals.jsonl`).

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Distribution, Features};
use crate::{
    scenario::breaker::BreakerKind,
    units::{PhaseName, PodName, RunTime, Version, WorkloadName},
};

/// How a request ended. Classified once, by the load; everything else
/// consumes the class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As asked, completely.
    Ok,
    /// Nobody listens, or the name does not resolve.
    ConnectRefused,
    /// No connection in time.
    ConnectTimeout,
    /// 4xx other than a shed request.
    #[serde(rename = "http-4xx")]
    Http4xx,
    /// 5xx other than a shed request.
    #[serde(rename = "http-5xx")]
    Http5xx,
    /// 429, or 503 with `Retry-After` or a breaker's mark.
    Shed,
    /// Still open at its deadline.
    Timeout,
    /// The connection broke.
    Reset,
    /// The stream ended with neither a finish reason nor `[DONE]`, or the
    /// body was shorter than promised.
    Truncated,
    /// `data: {"error": …}` under HTTP 200.
    InBandError,
    /// No chunk for the idle limit.
    Stalled,
    /// Fewer tokens than were asked for.
    Short,
    /// Numbered tokens lost, repeated or out of order.
    Discontinuous,
    /// Not the protocol.
    Malformed,
    /// The wrong answer to a golden prompt.
    Mismatch,
    /// Given up by the harness (the run was stopped).
    Cancelled,
}

impl Outcome {
    /// Every class, in the order of reports.
    pub const ALL: [Self; 16] = [
        Self::Ok,
        Self::Shed,
        Self::Http4xx,
        Self::Http5xx,
        Self::ConnectRefused,
        Self::ConnectTimeout,
        Self::Reset,
        Self::Timeout,
        Self::Stalled,
        Self::Truncated,
        Self::InBandError,
        Self::Short,
        Self::Discontinuous,
        Self::Malformed,
        Self::Mismatch,
        Self::Cancelled,
    ];

    /// Its name, as in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::ConnectRefused => "connect-refused",
            Self::ConnectTimeout => "connect-timeout",
            Self::Http4xx => "http-4xx",
            Self::Http5xx => "http-5xx",
            Self::Shed => "shed",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Truncated => "truncated",
            Self::InBandError => "in-band-error",
            Self::Stalled => "stalled",
            Self::Short => "short",
            Self::Discontinuous => "discontinuous",
            Self::Malformed => "malformed",
            Self::Mismatch => "mismatch",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What a cache did with a request, by the answer's headers.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CacheUse {
    /// No cache showed itself.
    #[default]
    Unknown,
    /// Answered from the cache.
    Hit,
    /// Forwarded upstream.
    Miss,
    /// Waited for another request's answer.
    Collapsed,
    /// The cache was not asked.
    Bypass,
}

impl CacheUse {
    /// Whether the answer is a cache's, and not that of who is behind it: kept,
    /// or read along with another's.
    pub fn is_answer(self) -> bool {
        matches!(self, Self::Hit | Self::Collapsed)
    }
}

/// Whether a cache's answer had outlived its time (RFC 9111, 4.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Freshness {
    /// It had not, or the origin said that it still holds.
    Fresh,
    /// It had.
    Stale,
}

/// What an answer's headers and body said about who gave it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Served {
    /// The model version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// The pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodName>,
    /// The cache.
    pub cache: CacheUse,
    /// Of a hit: whether it was fresh, where that is said. None in journals that
    /// did not keep it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub freshness: Option<Freshness>,
    /// It came from a fallback.
    pub fallback: bool,
    /// Of a fallback's answer: the model that gave it, by its own word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// It was rejected by an open breaker.
    pub breaker_open: bool,
    /// Of which kind, where the answer's marks tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker_kind: Option<BreakerKind>,
}

impl Served {
    /// Whether it came from who was asked, and not from a cache or a fallback.
    pub fn is_own(&self) -> bool {
        !self.fallback && !self.cache.is_answer()
    }
}

/// What a cell counts apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct CellKey {
    /// The second of the run's clock in which the requests were due.
    pub second: u32,
    /// The phase in which they were due. None: warm-up.
    pub phase: Option<PhaseName>,
    /// The workload.
    pub workload: WorkloadName,
    /// How they ended.
    pub outcome: Outcome,
    /// Who answered.
    pub served: Served,
    /// Whether their right answer is known.
    pub golden: bool,
}

impl CellKey {
    /// When the second began in which they were due.
    pub fn due(&self) -> RunTime {
        RunTime(u64::from(self.second) * 1_000_000)
    }
}

/// Requests with one key. The same key may occur in several intervals (slow
/// requests end later): cells with equal keys add up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Cell {
    /// What they have in common.
    pub key: CellKey,
    /// How many.
    pub count: u64,
    /// How many were `ok` within every limit of their phase.
    pub good: u64,
    /// When the first of them ended.
    pub first_end: RunTime,
    /// When the last of them ended.
    pub last_end: RunTime,
    /// Scheduled time → first token.
    pub ttft: Distribution,
    /// Sent → first token.
    pub service_ttft: Distribution,
    /// Scheduled time → last content (or the end, where there was none).
    pub e2e: Distribution,
    /// Sent → the same.
    pub service_e2e: Distribution,
    /// Gaps between content chunks.
    pub itl: Distribution,
    /// Mean time per output token after the first.
    pub tpot: Distribution,
    /// Output tokens delivered in `ok` answers.
    pub tokens: u64,
    /// Output tokens delivered in answers that ended otherwise.
    pub wasted_tokens: u64,
    /// Output tokens (not µs) of each `ok` answer whose length its model decides:
    /// not of those that were to have exactly so many. Empty in journals that
    /// did not keep it.
    #[serde(default, skip_serializing_if = "Distribution::is_empty")]
    pub lengths: Distribution,
    /// A feature of each output of the `ok` answers that are no text: the
    /// class that it names (by name or index), or its value (in the model's
    /// unit). An answer to a batch has several outputs. Empty in journals that
    /// did not keep it.
    #[serde(default, skip_serializing_if = "Features::is_empty")]
    pub features: Features,
    /// How often they were sent: more than `count` where the load sends again
    /// what failed. 0 in journals that did not count it.
    #[serde(default)]
    pub sendings: u64,
    /// Sum of upstream attempts that answers stated.
    pub attempts: u64,
    /// How many answers stated them.
    pub attempts_stated: u64,
    /// The oldest answer from a cache, in seconds as `Age` has it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub oldest_hit: u32,
    /// How many answers from a cache stated their age.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ages_stated: u64,
    /// Misses that were forwarded while one for the same prompt was under way.
    pub overlapping_misses: u64,
    /// Misses of prompts that may be asked again, so that they could be found to
    /// overlap. 0 in journals that did not count them.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub comparable_misses: u64,
    /// Hits that were found to be what the origin answers to the same request, told
    /// with the answer that showed it: the hit itself, or the origin's.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hits_alike: u64,
    /// Hits that were found not to be.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub hits_unlike: u64,
}

/// Journals are long: what is seldom there is left out.
fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

impl Cell {
    /// A cell with nothing in it yet.
    pub fn new(key: CellKey, first_end: RunTime) -> Self {
        Self {
            key,
            count: 0,
            good: 0,
            first_end,
            last_end: first_end,
            ttft: Distribution::default(),
            service_ttft: Distribution::default(),
            e2e: Distribution::default(),
            service_e2e: Distribution::default(),
            itl: Distribution::default(),
            tpot: Distribution::default(),
            tokens: 0,
            wasted_tokens: 0,
            lengths: Distribution::default(),
            features: Features::default(),
            sendings: 0,
            attempts: 0,
            attempts_stated: 0,
            oldest_hit: 0,
            ages_stated: 0,
            overlapping_misses: 0,
            comparable_misses: 0,
            hits_alike: 0,
            hits_unlike: 0,
        }
    }

    /// Adds a cell with the same key.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.good += other.good;
        self.first_end = self.first_end.min(other.first_end);
        self.last_end = self.last_end.max(other.last_end);
        self.ttft.merge(&other.ttft);
        self.service_ttft.merge(&other.service_ttft);
        self.e2e.merge(&other.e2e);
        self.service_e2e.merge(&other.service_e2e);
        self.itl.merge(&other.itl);
        self.tpot.merge(&other.tpot);
        self.tokens += other.tokens;
        self.wasted_tokens += other.wasted_tokens;
        self.lengths.merge(&other.lengths);
        self.features.merge(&other.features);
        self.sendings += other.sendings;
        self.attempts += other.attempts;
        self.attempts_stated += other.attempts_stated;
        self.oldest_hit = self.oldest_hit.max(other.oldest_hit);
        self.ages_stated += other.ages_stated;
        self.overlapping_misses += other.overlapping_misses;
        self.comparable_misses += other.comparable_misses;
        self.hits_alike += other.hits_alike;
        self.hits_unlike += other.hits_unlike;
    }
}

/// One line of `intervals.jsonl`: what ended in one second of the clock.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// When it was written.
    pub at: RunTime,
    /// What ended since the last one.
    pub cells: Vec<Cell>,
    /// How the generator itself did since the last one.
    pub generator: Generator,
}

/// How the generator did in one interval.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Generator {
    /// Arrivals that were due.
    pub due: u64,
    /// Requests that were sent.
    pub sent: u64,
    /// Arrivals that had to wait for a free user.
    pub starved: u64,
    /// Scheduled time → sent, for those sent.
    pub lag: Distribution,
    /// Requests open at the end of the interval.
    pub in_flight: u64,
    /// Arrivals that had to wait, by load stream; only where there are any.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    pub starved_by_load: IndexMap<String, u64>,
}
