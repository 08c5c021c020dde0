//! What a mechanism reacts to: from when, until when, in which phases.

use crate::{
    units::{FaultId, PhaseName, RunTime, Seen},
    verdict::{
        facts::Facts,
        model::{Absence, Cause},
        windows,
    },
};

/// An act or a phase on the run's clock.
pub(super) struct Clock {
    /// When it was proven to act, or began.
    pub(super) t0: Seen,
    /// When it was over; of what has no end, `t0`.
    pub(super) end: Result<Seen, Absence>,
    /// Until when nothing else disturbs the run: since `t0`…
    pub(super) until: RunTime,
    /// …and since its end.
    pub(super) rest: RunTime,
    /// The phases in which it lasts.
    pub(super) phases: Vec<PhaseName>,
}

impl Clock {
    pub(super) fn of(facts: &Facts<'_>, cause: &Cause) -> Result<Self, Absence> {
        match cause {
            Cause::Act(id) => Self::of_act(facts, id),
            Cause::Phase(name) => {
                let (start, end) = facts.phase(name).ok_or(Absence::NotReached)?;
                Ok(Self {
                    t0: Seen::at(start),
                    end: Ok(Seen::at(end)),
                    until: facts.undisturbed_until(start, None),
                    rest: facts.undisturbed_until(end, None),
                    phases: vec![name.clone()],
                })
            }
        }
    }

    fn of_act(facts: &Facts<'_>, id: &FaultId) -> Result<Self, Absence> {
        let t0 = facts.effect(Some(id)).map_err(|_| Absence::NotProven)?;
        let end = facts.fault_end(Some(id)).map_err(|_| Absence::NotOver);
        // What it is asked to end in the last instant of a phase, it does not
        // do in the next one.
        let over = end.as_ref().map_or(facts.end, |end| end.not_before).max(t0.by);
        let lasts = facts.plan.phases.iter().filter(|phase| {
            let begun = phase.start < over || phase.start <= t0.by;
            begun && phase.end > t0.by
        });
        Ok(Self {
            t0,
            until: facts.undisturbed_until(t0.by, Some(id)),
            rest: facts.undisturbed_until(end.as_ref().map_or(t0.by, |end| end.by), Some(id)),
            end,
            phases: lasts.map(|phase| phase.name.clone()).collect(),
        })
    }

    /// The SLOs that are agreed for it: those of the phases in which it lasts.
    pub(super) fn degraded<'a>(&self, facts: &Facts<'a>) -> Vec<&'a crate::scenario::model::Slo> {
        self.phases.iter().flat_map(|phase| windows::objectives(facts, phase)).collect()
    }
}
