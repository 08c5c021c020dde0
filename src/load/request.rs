//! A request that has ended, and whether it was good.

use super::{misses::Company, origin::Compared};
use crate::{
    journal::{
        Feature,
        interval::{Outcome, Served},
    },
    plan::model::GoodLimits,
    units::{RunTime, Span},
};

/// A request that has ended, on the run's clock.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Index of its workload in the plan.
    pub(crate) workload: u16,
    /// When it was due.
    pub(crate) scheduled: RunTime,
    /// When it was sent.
    pub(crate) sent: RunTime,
    /// When it ended.
    pub(crate) ended: RunTime,
    /// Its first token.
    pub(crate) first: Option<RunTime>,
    /// Its last token.
    pub(crate) last: Option<RunTime>,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// Who answered.
    pub(crate) served: Served,
    /// Whether its right answer is known.
    pub(crate) golden: bool,
    /// Whether its endpoint gives tokens, so that it has a TTFT.
    pub(crate) generates: bool,
    /// Whether the model decides how many tokens its answer has.
    pub(crate) free: bool,
    /// Gaps between content chunks (µs).
    pub(crate) gaps: Vec<u64>,
    /// Output tokens delivered.
    pub(crate) tokens: u64,
    /// A feature of each of its outputs, where it is no text.
    pub(crate) features: Vec<Feature>,
    /// How often it was sent.
    pub(crate) sendings: u32,
    /// Its age in seconds, if a cache gave it and says so.
    pub(crate) age: Option<u32>,
    /// Upstream attempts, if stated.
    pub(crate) attempts: Option<u64>,
    /// Of a miss that others could have had company of: whether it had.
    pub(crate) miss: Option<Company>,
    /// Hits that its answer makes comparable with the origin's.
    pub(crate) compared: Compared,
}

impl Ended {
    /// Mean time per output token after the first (µs).
    pub(crate) fn tpot(&self) -> Option<u64> {
        let (first, last) = (self.first?, self.last?);
        // One chunk that holds all tokens says nothing about their pace.
        (self.tokens > 1 && !self.gaps.is_empty()).then(|| last.0.saturating_sub(first.0) / (self.tokens - 1))
    }

    /// Whether it is `ok` and within every limit that applies to it.
    pub(crate) fn is_good(&self, limits: GoodLimits) -> bool {
        let since = |at: RunTime| at.0.saturating_sub(self.scheduled.0);
        let within = |limit: Option<Span>, value: Option<u64>, missing: bool| match (limit, value) {
            (None, _) => true,
            (Some(limit), Some(value)) => value <= limit.micros(),
            (Some(_), None) => missing,
        };
        self.outcome == Outcome::Ok
            && within(limits.ttft, self.first.map(since), !self.generates)
            && within(limits.e2e, Some(since(self.last.unwrap_or(self.ended))), false)
            // A single token has no pace.
            && within(limits.tpot, self.tpot(), true)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// One token each 20 ms, the first after 22 ms.
    pub(crate) fn request(outcome: Outcome) -> Ended {
        Ended {
            workload: 0,
            scheduled: RunTime(1_000),
            sent: RunTime(3_000),
            ended: RunTime(103_500),
            first: Some(RunTime(23_000)),
            last: Some(RunTime(103_000)),
            outcome,
            served: Served::default(),
            golden: false,
            generates: true,
            free: true,
            age: None,
            gaps: vec![40_000, 40_000],
            tokens: 5,
            features: Vec::new(),
            sendings: 1,
            attempts: Some(2),
            miss: None,
            compared: Compared::default(),
        }
    }

    #[test]
    fn good_is_ok_within_every_limit() {
        let limits = |ttft, tpot, e2e| GoodLimits { ttft: Some(ttft), tpot: Some(tpot), e2e: Some(e2e) };
        let ms = Span::millis;
        assert!(request(Outcome::Ok).is_good(limits(ms(22), ms(20), ms(102))));
        assert!(!request(Outcome::Ok).is_good(limits(ms(21), ms(20), ms(102))), "scheduled TTFT is 22 ms");
        assert!(!request(Outcome::Ok).is_good(limits(ms(22), ms(19), ms(102))), "TPOT is 20 ms");
        assert!(!request(Outcome::Ok).is_good(limits(ms(22), ms(20), ms(101))), "E2E is 102 ms");
        assert!(!request(Outcome::Short).is_good(GoodLimits::default()));
        let silent = Ended { first: None, last: None, gaps: Vec::new(), ..request(Outcome::Ok) };
        assert!(!silent.is_good(GoodLimits { ttft: Some(ms(1000)), ..GoodLimits::default() }));
        let embedding = Ended { generates: false, ..request(Outcome::Ok) };
        let embedding = Ended { first: None, last: None, gaps: Vec::new(), ..embedding };
        assert!(embedding.is_good(limits(ms(1), ms(1), ms(1000))), "it can have no first token");
        assert!(!embedding.is_good(GoodLimits { e2e: Some(ms(1)), ..GoodLimits::default() }));
        assert!(silent.is_good(GoodLimits { tpot: Some(ms(1)), ..GoodLimits::default() }));
    }
}
