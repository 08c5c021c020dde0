//! Times in which a source did not answer: what it says of them, nobody knows.

use super::{facts::Facts, finding::Finding, model::Verdict, states};
use crate::{
    journal::event::Signal,
    units::{RunTime, Seen},
};

/// The lab's gateway, which counts what it sends and tells of its breakers.
pub(super) const GATEWAY: &str = "gateway";

/// Who tells of a lab's pods and rollouts.
const CONTROLLER: &str = "controller";

/// Whether a source tells of pods, or of a Service's endpoints.
pub(super) fn watches_pods(source: &str) -> bool {
    source == CONTROLLER || source.starts_with("pods in ") || source.starts_with("endpoints of ")
}

/// Whether a source tells of rollouts.
pub(super) fn watches_rollouts(source: &str) -> bool {
    source == CONTROLLER || source.starts_with("rollout of ") || source.starts_with("alias ")
}

impl<'a> Facts<'a> {
    /// The first source that may tell of breakers and did not answer at some time
    /// from `from` to `to`.
    pub(super) fn blind_to_breakers(&self, (from, to): (RunTime, RunTime)) -> Option<&'a str> {
        let mut told = self.signals.iter().filter_map(|(_, signal)| match signal {
            Signal::Source { source, .. } if self.tells_of_breakers(source) => Some(source.as_str()),
            _ => None,
        });
        told.find(|source| self.was_down(source, (from, to)))
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

    /// The same finding; but that something never came is not known where those who
    /// would have told of it did not answer to the end.
    pub(super) fn if_watched(
        &self,
        finding: Finding,
        tells: impl Fn(&str) -> bool,
        until: RunTime,
    ) -> Finding {
        let came = finding.error.is_some_and(|(_, high)| high.is_some());
        if finding.verdict != Verdict::Fail || came {
            return finding;
        }
        let mut sources = self.signals.iter().filter_map(|(_, signal)| match signal {
            Signal::Source { source, up: false, .. } if tells(source) => Some(source),
            _ => None,
        });
        match sources.find(|source| self.was_down(source, (until, until))) {
            Some(source) => {
                let why = format!("{}, but {source} did not answer to the end", finding.why);
                Finding { verdict: Verdict::Inconclusive, why, ..finding }
            }
            None => finding,
        }
    }

    /// Whether a source may tell of breakers: it was declared, or is the lab's
    /// gateway. A pod that was killed is blind by the fault, and tells of none.
    fn tells_of_breakers(&self, source: &str) -> bool {
        source == GATEWAY || self.plan.observe.iter().any(|one| one.name == source)
    }
}
