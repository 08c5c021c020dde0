//! Times in which a source did not answer: what it says of them, nobody knows.

use super::{facts::Facts, states};
use crate::{
    journal::event::Signal,
    units::{RunTime, Seen},
};

/// The lab's gateway, which tells of its breakers.
const GATEWAY: &str = "gateway";

impl<'a> Facts<'a> {
    /// The first of these sources that did not answer at some time from `from` to
    /// `to`.
    pub(super) fn blind(
        &self,
        sources: impl Fn(&str) -> bool,
        (from, to): (RunTime, RunTime),
    ) -> Option<&'a str> {
        let told = self.signals.iter().filter_map(|(_, signal)| match signal {
            Signal::Source { source, .. } if sources(source) => Some(source.as_str()),
            _ => None,
        });
        told.into_iter().find(|source| self.was_down(source, (from, to)))
    }

    /// Whether this source did not answer at some time from `from` to `to`.
    pub(super) fn was_down(&self, source: &str, (from, to): (RunTime, RunTime)) -> bool {
        let told = self.signals.iter().filter_map(|(seen, signal)| match signal {
            Signal::Source { source: of, up, .. } if of == source => Some((*seen, !up)),
            _ => None,
        });
        let down: Vec<(Seen, bool)> = told.collect();
        states::met(&down, (from, to), self.end, |down| *down).is_some()
    }

    /// Whether a source may tell of breakers: it was declared, or is the lab's
    /// gateway. A pod that was killed is blind by the fault, and tells of none.
    pub(super) fn tells_of_breakers(&self, source: &str) -> bool {
        source == GATEWAY || self.plan.observe.iter().any(|one| one.name == source)
    }
}
