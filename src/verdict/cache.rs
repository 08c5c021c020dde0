//! Caches: they serve, fast, the right answer, of the right version, and do
//! not stampede.

use std::time::Duration;

use super::{
    facts::Facts,
    finding::{Finding, Rigour, counted, evidence, latency, ratio},
    judge::Title,
    likeness,
    model::{CheckKind, Verdict},
    rollback, speed_up, stale,
};
use crate::{
    journal::{
        Cell, Distribution,
        event::Evidence,
        interval::{CacheUse, Outcome},
    },
    plan::model::PlannedAction,
    scenario::model::CacheExpectation,
    units::{FaultId, LatencyThreshold, PhaseName, RatioThreshold, RunTime, Span, Version},
};

/// Answers without a word of a cache from which it is taken to be absent.
const ABSENT: u64 = 20;
/// An answer may be on its way from the cache while the rollback is done.
const GRACE: Duration = Duration::from_secs(1);

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

/// Requests by what a cache did with them.
#[derive(Default)]
pub(super) struct Uses {
    pub(super) hits: u64,
    pub(super) misses: u64,
    collapsed: u64,
    /// Answered `ok` without a word of a cache, or around it.
    silent: u64,
    overlapping: u64,
}

impl Uses {
    pub(super) fn of<'c>(cells: impl Iterator<Item = &'c Cell>) -> Self {
        let mut uses = Self::default();
        for cell in cells {
            match cell.key.served.cache {
                CacheUse::Hit => uses.hits += cell.count,
                CacheUse::Miss => {
                    uses.misses += cell.count;
                    uses.overlapping += cell.overlapping_misses;
                }
                CacheUse::Collapsed => uses.collapsed += cell.count,
                CacheUse::Unknown | CacheUse::Bypass if cell.key.outcome == Outcome::Ok => {
                    uses.silent += cell.count;
                }
                CacheUse::Unknown | CacheUse::Bypass => {}
            }
        }
        uses
    }

    fn asked(&self) -> u64 {
        self.hits + self.misses + self.collapsed
    }

    /// There was traffic enough to see a cache, and none showed itself.
    pub(super) fn absent(&self) -> bool {
        self.asked() == 0 && self.silent >= ABSENT
    }

    pub(super) fn evidence(&self) -> Evidence {
        evidence(
            "wire",
            format!(
                "{} hits, {} misses, {} collapsed, {} answers without a cache",
                self.hits, self.misses, self.collapsed, self.silent
            ),
        )
    }
}

pub(super) fn absent(uses: &Uses) -> Finding {
    let said = format!("no cache showed itself in {}", counted(uses.silent, "answer"));
    Finding::fail(said).observed(0.0, "count").with([uses.evidence()])
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

/// Seconds of a phase in which its faults surely act; the whole of one that has
/// none. A finding: none of them was proven.
fn acting(facts: &Facts<'_>, phase: &PhaseName) -> Result<std::ops::Range<u32>, Finding> {
    let Some((start, end)) = facts.phase(phase) else {
        return Err(Finding::inconclusive("the phase was not reached"));
    };
    let faults = facts.plan.timeline.iter().filter(|act| !matches!(act.action, PlannedAction::Deploy(_)));
    let within: Vec<&FaultId> =
        faults.filter(|act| act.at >= start && act.at < end).map(|act| &act.id).collect();
    let acted: Vec<(RunTime, RunTime)> = within
        .iter()
        .filter_map(|id| {
            let over = facts.fault_end(Some(id)).ok().filter(|_| facts.lasts(Some(id)));
            Some((facts.effect(Some(id)).ok()?.by, over.map_or(end, |over| over.not_before)))
        })
        .collect();
    let (first, last) = (acted.iter().map(|times| times.0).min(), acted.iter().map(|times| times.1).max());
    match first.zip(last) {
        None if within.is_empty() => Ok(start.second()..end.second().saturating_add(1)),
        None => Err(Finding::inconclusive(format!("no fault was proven to act in {phase}"))),
        Some((first, last)) => Ok(first.second().saturating_add(1)..last.second()),
    }
}

fn serves(facts: &Facts<'_>, phase: &PhaseName) -> Finding {
    let acting = match acting(facts, phase) {
        Ok(acting) => acting,
        Err(finding) => return finding,
    };
    let uses = Uses::of(facts.cells_in(Some(phase)).filter(|cell| acting.contains(&cell.key.second)));
    if uses.absent() {
        return absent(&uses);
    }
    let finding = if uses.hits > 0 {
        Finding::pass(format!("{} in {phase}", counted(uses.hits, "hit")))
    } else if uses.asked() >= ABSENT {
        Finding::fail(format!("no hit among {}", counted(uses.asked(), "cacheable request")))
    } else {
        Finding::inconclusive(format!(
            "there were only {} in {phase}",
            counted(uses.asked(), "cacheable request")
        ))
    };
    finding.observed(uses.hits as f64, "count").with([uses.evidence()])
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

/// What `Age` says is in whole seconds, rounded as each cache likes.
const ROUNDING: f64 = 1.0;

fn age(facts: &Facts<'_>, limit: Span) -> Finding {
    let uses = Uses::of(facts.cells_in(None));
    if uses.absent() {
        return absent(&uses);
    }
    let hits = || facts.cells_in(None).filter(|cell| cell.key.served.cache == CacheUse::Hit);
    let stated: u64 = hits().map(|cell| cell.ages_stated).sum();
    let oldest = hits().filter(|cell| cell.ages_stated > 0).max_by_key(|cell| cell.oldest_hit);
    let Some(oldest) = oldest else {
        return Finding::inconclusive("no hit states its age (`Age`)").with([uses.evidence()]);
    };
    let age = f64::from(oldest.oldest_hit);
    let shown = format!("the oldest of {} was {age:.0} s old", counted(stated, "hit"));
    let limit_s = limit.as_secs_f64();
    let finding = if age + ROUNDING <= limit_s {
        Finding::pass(shown)
    } else if age - ROUNDING > limit_s {
        Finding::fail(format!("{shown}, due at {} s", oldest.key.second))
    } else {
        Finding::inconclusive(format!("{shown}: {limit} is within the rounding of `Age`"))
    };
    let finding = finding.observed(age, "s").error((age - ROUNDING).max(0.0), Some(age + ROUNDING));
    finding
        .on("wire", format!("{stated} of {} state their age", counted(uses.hits, "hit")))
        .with([uses.evidence()])
}

fn fresh(facts: &Facts<'_>, id: &FaultId) -> Result<Finding, Finding> {
    let rollout = rollback::Rollout::of(facts, Some(id))?;
    let Some(back) = rollout.rolled_back() else {
        return Err(Finding::inconclusive(format!("{} was not rolled back", rollout.candidate)));
    };
    let (late, last) = rollout.served_since(back.by + rollback::GRACE);
    if late > 0 {
        // The rollback's failure, not the cache's: what it stores is current.
        return Err(Finding::inconclusive(format!(
            "{} still served until {last}, so its hits say nothing of the cache",
            rollout.candidate
        )));
    }
    let since = back.by.max(rollout.last_served().unwrap_or(back.by)) + GRACE;
    let hits = facts.cells_in(None).filter(|cell| {
        let due_after = cell.key.due() >= since;
        cell.key.served.cache == CacheUse::Hit
            && (due_after || cell.first_end > since)
            && cell.first_end < rollout.until
    });
    let (mut stale, mut fresh) = (0, 0);
    for cell in hits {
        match &cell.key.served.version {
            Some(version) if version == rollout.candidate => stale += cell.count,
            Some(_) => fresh += cell.count,
            None => {}
        }
    }
    let shown =
        evidence("wire", format!("hits after {since}: {stale} of {}, {fresh} of others", rollout.candidate));
    let finding = match (stale, fresh) {
        (0, 0) => Finding::inconclusive("no hit named its version after the rollback"),
        (0, fresh) => Finding::pass(format!(
            "none of {} after the rollback was of {}",
            counted(fresh, "hit"),
            rollout.candidate
        )),
        (stale, _) => Finding::fail(format!(
            "{} after the rollback still carried what {} had said",
            counted(stale, "hit"),
            rollout.candidate
        )),
    };
    let finding = match finding.verdict {
        Verdict::Inconclusive => finding,
        Verdict::Pass | Verdict::Fail | Verdict::Aborted => finding.observed(stale as f64, "count"),
    };
    Ok(finding.with([shown]))
}

fn stampede(facts: &Facts<'_>, limit: &RatioThreshold) -> Finding {
    let uses = Uses::of(facts.cells_in(None));
    let finding = ratio(uses.overlapping, uses.misses, limit, "miss", Rigour::Reaction);
    finding
        .on(
            "wire",
            format!("{} while one for the same prompt was under way", counted(uses.overlapping, "miss")),
        )
        .with([uses.evidence()])
}
