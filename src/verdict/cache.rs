//! Caches: they serve, fast, the right answer, of the right version, and do
//! not stampede.

mod age;
mod during;
mod fresh;
mod stampede;
mod uses;

pub(super) use self::uses::{Uses, absent};
use self::{age::age, during::serves, fresh::fresh, stampede::stampede};
use super::{
    facts::Facts,
    finding::{Finding, Rigour, latency, ratio},
    judge::Title,
    likeness,
    model::CheckKind,
    speed_up, stale,
};
use crate::{
    journal::{
        Cell, Distribution,
        interval::{CacheUse, Outcome},
    },
    scenario::model::CacheExpectation,
    units::{LatencyThreshold, RatioThreshold, Version},
};

/// Judges the one demand that is set.
pub(super) fn judge(facts: &Facts<'_>, e: &CacheExpectation) -> (Title, Finding) {
    let title = |title: &str, expected: String| Title::of(CheckKind::Cache, title, expected);
    if let Some(limit) = &e.hit_ratio {
        (title("cache hit ratio", limit.to_string()), hit_ratio(facts, limit))
    } else if let Some(limit) = &e.hit {
        (title("cache hits are fast", limit.to_string()), hit_latency(facts, limit))
    } else if let Some(limit) = &e.speed_up {
        (title("cache is worth it", speed_up::expected(limit)), speed_up::judge(facts, limit))
    } else if let Some(limit) = &e.stale {
        let title = title("cache serves what is fresh", format!("{limit} of the hits are stale"));
        (Title { phase: e.phase.clone(), ..title }, stale::judge(facts, limit, e.phase.as_ref()))
    } else if let Some(phase) = &e.serves_during {
        let title = title("cache serves", format!("hits in {phase}"));
        (Title { phase: Some(phase.clone()), ..title }, serves(facts, phase))
    } else if let Some(limit) = &e.wrong {
        (title("cache serves the right answer", format!("{limit} wrong")), wrong(facts, limit))
    } else if let Some(limit) = &e.differs {
        let expected = format!("{limit} of the hits are not what the origin answers");
        (title("cache answers as its origin does", expected), likeness::judge(facts, limit))
    } else if let Some(limit) = e.max_age {
        (title("cache forgets in time", format!("no hit is older than {limit}")), age(facts, limit))
    } else if let Some(id) = &e.fresh_after {
        let expected = format!("no hit of the version that `{id}` withdrew");
        (title("cache is fresh after the rollback", expected), fresh(facts, id).unwrap_or_else(|f| f))
    } else if let Some(limit) = &e.overlapping_misses {
        (title("cache does not stampede", format!("{limit} of the misses overlap")), stampede(facts, limit))
    } else {
        (title("cache", String::new()), Finding::inconclusive("it demands nothing"))
    }
}

fn hit_ratio(facts: &Facts<'_>, limit: &RatioThreshold) -> Finding {
    let uses = Uses::of(facts.cells_in(None));
    if uses.absent() {
        return absent(&uses);
    }
    ratio(uses.hits, uses.asked(), limit, "cacheable request", Rigour::Reaction).with([uses.evidence()])
}

fn hit_latency(facts: &Facts<'_>, limit: &LatencyThreshold) -> Finding {
    let uses = Uses::of(facts.cells_in(None));
    if uses.absent() {
        return absent(&uses);
    }
    let mut latencies = Distribution::default();
    let hits = facts.cells_in(None).filter(|cell| cell.key.served.cache == CacheUse::Hit);
    hits.filter(|cell| cell.key.outcome == Outcome::Ok).for_each(|cell| latencies.merge(&cell.service_e2e));
    latency(&latencies, 0, limit, "hit", Rigour::Reaction).with([uses.evidence()])
}

/// Right and wrong answers to golden prompts.
fn golden<'c>(cells: impl Iterator<Item = &'c Cell>) -> (u64, u64) {
    cells.filter(|cell| cell.key.golden).fold((0, 0), |(ok, wrong), cell| match cell.key.outcome {
        Outcome::Ok => (ok + cell.count, wrong),
        Outcome::Mismatch => (ok, wrong + cell.count),
        _ => (ok, wrong),
    })
}

fn wrong(facts: &Facts<'_>, limit: &RatioThreshold) -> Finding {
    // What a version answers wrongly by itself is not the cache's fault.
    let faithful = |version: Option<&Version>| {
        let (_, wrong) = golden(facts.cells_in(None).filter(|cell| {
            let served = &cell.key.served;
            served.is_own() && served.version.as_ref() == version
        }));
        wrong == 0
    };
    let hits = || facts.cells_in(None).filter(|cell| cell.key.served.cache == CacheUse::Hit);
    let (ok, bad) = golden(hits().filter(|cell| faithful(cell.key.served.version.as_ref())));
    let (all_ok, all_bad) = golden(hits());
    let set_aside = (all_ok + all_bad) - (ok + bad);
    let finding = if ok + bad == 0 {
        Finding::inconclusive("no hit answered a golden prompt of a version that is right by itself")
    } else {
        ratio(bad, ok + bad, limit, "golden hit", Rigour::Reaction)
    };
    let finding =
        finding.on("wire", format!("golden prompts answered from the cache: {ok} right, {bad} wrong"));
    match set_aside {
        0 => finding,
        n => finding.on("wire", format!("{n} more of versions that are wrong by themselves, not counted")),
    }
}
