//! What else stands out in a run: spikes and shifts of its own series against
//! its baseline. Findings, never verdicts: no check looks at them.
//!
//! Few and useful is what they have to be, so much is left alone on purpose:
//!
//! * Only what is worse than the baseline, and by an amount that somebody
//!   would feel. Faster answers are no finding.
//! * Seconds with much more load than the baseline had, and shortly after,
//!   unless something was broken then: that more load takes longer is known.
//! * Seconds in which the generator itself was late: they tell of it.
//! * A capacity search, whose load is there to break something, and a run
//!   whose baseline was not steady.

mod acts;
mod episodes;
mod gauges;
mod measures;
mod requests;
mod robust;
mod tracks;
mod watched;
mod words;

use self::{
    acts::Acts, episodes::Stretch, measures::Measure, robust::Normal, tracks::Track, watched::Watched,
};
use super::{
    facts::Facts,
    model::{Anomaly, AnomalyKind, Circumstance},
};
use crate::journal::event::RunEnd;

/// Findings that are kept.
const MOST: usize = 8;
/// For how many seconds after an act was over what is seen may still be its
/// aftermath.
const LINGER: f64 = 15.0;

/// What stands out, the most telling first.
pub(super) fn find(facts: &Facts<'_>) -> Vec<Anomaly> {
    if facts.plan.search().is_some() || matches!(facts.run_end, Some(RunEnd::NotSteady)) {
        return Vec::new();
    }
    let acts = Acts::of(facts);
    let Some(watched) = Watched::of(facts, &acts) else { return Vec::new() };
    let mut found: Vec<Found<'_>> =
        watched.tracks.iter().flat_map(|track| of_track(&watched, &acts, track)).collect();
    found.sort_by(|a, b| a.rank().cmp(&b.rank()).then(b.deviations.total_cmp(&a.deviations)));
    let mut kept: Vec<Found<'_>> = Vec::new();
    for one in found {
        match kept.iter_mut().find(|other| other.explains(&one)) {
            Some(other) => other.also(&one),
            None => kept.push(one),
        }
    }
    kept.truncate(MOST);
    kept.into_iter().map(Found::told).collect()
}

/// What stands out in one series.
struct Found<'a> {
    kind: AnomalyKind,
    measure: &'static Measure,
    source: Option<&'a str>,
    start: f64,
    end: f64,
    /// Whether it lasts to the end of the load.
    to_the_end: bool,
    baseline: f64,
    observed: f64,
    deviations: f64,
    circumstance: Circumstance,
    load: Option<f64>,
    also: Vec<String>,
}

fn of_track<'a>(watched: &Watched<'_>, acts: &Acts<'_>, track: &Track<'a>) -> Vec<Found<'a>> {
    let baseline: Vec<f64> = track.baseline().map(|point| point.x).collect();
    let Some(normal) = Normal::of(&baseline, track.measure.floor) else { return Vec::new() };
    let found = |kind, stretch: &Stretch| {
        let (start, end) = track.seconds(stretch);
        let (circumstance, load) = (acts.around(start, end), watched.load(start, end));
        // More load takes longer, and it may be the load.
        if load.is_some() && !matches!(circumstance, Circumstance::During { .. }) {
            return None;
        }
        Some(Found {
            kind,
            measure: track.measure,
            source: track.source,
            start,
            end,
            to_the_end: end + track.width >= watched.end,
            baseline: robust::median(track.baseline().map(|point| point.value).collect())?,
            observed: match kind {
                AnomalyKind::Spike => track.points.get(stretch.worst).copied().flatten()?.value,
                AnomalyKind::Shift => {
                    robust::median(track.inside(stretch).map(|point| point.value).collect())?
                }
            },
            deviations: stretch.deviations,
            circumstance,
            load,
            also: Vec::new(),
        })
    };
    let open = |index: usize| {
        let (start, end) = track.second_of(index);
        start >= watched.baseline_end && !watched.is_late(start, end)
    };
    let calm = |index: usize| {
        let (start, end) = track.second_of(index);
        open(index) && !watched.is_busy(start, end) && acts.is_calm(start, end)
    };
    let shifts = episodes::shifts(track, &normal, calm);
    let spikes = episodes::spikes(track, &normal, |index| {
        let (start, end) = track.second_of(index);
        let told = shifts.iter().any(|shift| shift.holds(index));
        !told && open(index) && (acts.acting(start, end) || !watched.is_busy(start, end))
    });
    let spikes: Vec<Found<'a>> = spikes.iter().filter_map(|one| found(AnomalyKind::Spike, one)).collect();
    shifts.iter().filter_map(|one| found(AnomalyKind::Shift, one)).chain(spikes).collect()
}

impl Found<'_> {
    /// What is told first: what nobody caused, what stayed, then what the acts
    /// did; of users before what the system says of itself.
    fn rank(&self) -> (u8, u8) {
        let class = match (&self.circumstance, self.kind) {
            (Circumstance::Quiet | Circumstance::After { .. }, AnomalyKind::Shift) => 0,
            (Circumstance::Quiet, AnomalyKind::Spike) => 1,
            (Circumstance::After { seconds, .. }, AnomalyKind::Spike) if *seconds > LINGER => 1,
            (Circumstance::After { .. }, AnomalyKind::Spike) => 2,
            (Circumstance::During { .. }, _) => 3,
        };
        (class, self.measure.order)
    }

    /// Whether the other one is the same happening, seen in another series
    /// or a part of this one.
    fn explains(&self, other: &Self) -> bool {
        let same_gauge = self.measure.name == other.measure.name;
        let shared = self.end.min(other.end) - self.start.max(other.start);
        let shorter = (self.end - self.start).min(other.end - other.start);
        let overlap = shared >= shorter / 2.0;
        let one_act = match (&self.circumstance, &other.circumstance) {
            (Circumstance::During { acts: a }, Circumstance::During { acts: b }) => a == b,
            (Circumstance::During { .. }, _) | (_, Circumstance::During { .. }) => false,
            (Circumstance::Quiet | Circumstance::After { .. }, _) => true,
        };
        one_act && (overlap || same_gauge && matches!(self.circumstance, Circumstance::During { .. }))
    }

    fn also(&mut self, other: &Self) {
        let name = other.measure.at(other.source);
        if name != self.measure.at(self.source) && !self.also.contains(&name) {
            self.also.push(name);
        }
    }

    fn told(self) -> Anomaly {
        let text = words::of(&self);
        Anomaly {
            kind: self.kind,
            series: self.measure.name.to_owned(),
            source: self.source.map(str::to_owned),
            start: self.start,
            end: self.end,
            baseline: self.baseline,
            observed: self.observed,
            unit: self.measure.unit.to_owned(),
            deviations: self.deviations,
            circumstance: self.circumstance,
            load: self.load,
            also: self.also,
            text,
        }
    }
}
