//! Which circuit breakers an expectation means: of any kind and name, or only
//! those that it says. What others do neither helps nor harms it.

use indexmap::IndexMap;

use super::{breaker, facts::Facts, finding::Finding, judge::Title, model::CheckKind, probing};
use crate::{
    journal::{
        Cell,
        event::{BreakerKind, BreakerState, Signal},
    },
    scenario::model::BreakerExpectation,
    units::Seen,
};

/// Whose rejections on the wire are those of the breakers that are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rejecting {
    /// Anybody's that is marked.
    Any,
    /// Those that are marked as of this kind.
    Kind(BreakerKind),
    /// Nobody's: a mark names no breaker.
    Nobody,
}

impl Facts<'_> {
    /// Whether these requests were rejected by a breaker that is meant, by
    /// their own marks.
    pub(super) fn rejects(&self, cell: &Cell) -> bool {
        let served = &cell.key.served;
        served.breaker_open
            && match self.rejecting {
                Rejecting::Any => true,
                Rejecting::Kind(kind) => served.breaker_kind == Some(kind),
                Rejecting::Nobody => false,
            }
    }
}

/// Judges the one demand that is set, of the breakers that are meant.
pub(super) fn judge(facts: &Facts<'_>, e: &BreakerExpectation) -> (Title, Finding) {
    let only = only(facts, e);
    let those = only.as_ref().ok().and_then(Option::as_ref).unwrap_or(facts);
    let (title, finding) = of_all(those, e);
    let title = match e.which() {
        None => title,
        Some(which) => Title { title: format!("{} ({which})", title.title), ..title },
    };
    (title, only.err().unwrap_or(finding))
}

fn of_all(facts: &Facts<'_>, e: &BreakerExpectation) -> (Title, Finding) {
    let Some(limit) = e.probes else { return breaker::judge(facts, e) };
    let title = Title::of(
        CheckKind::CircuitBreaker,
        "half-open breaker probes with few",
        format!("{limit} in each half-open period"),
    );
    (title, probing::judge(facts, e.after.as_ref(), limit).unwrap_or_else(|f| f))
}

/// Whether a breaker is the one that is called so: a capacity breaker has its
/// cluster's name and a word more, which its kind stands for.
fn is_named(name: &str, wanted: &str, kind: Option<BreakerKind>) -> bool {
    let rest = name.strip_prefix(wanted);
    let its_capacity = kind == Some(BreakerKind::Capacity) && matches!(rest, Some(" capacity" | " bulkhead"));
    rest == Some("") || its_capacity
}

/// The facts without the breakers that are not meant. None: all are. Or else
/// why nobody can tell them apart.
pub(super) fn only<'a>(facts: &Facts<'a>, e: &BreakerExpectation) -> Result<Option<Facts<'a>>, Finding> {
    if e.kind.is_none() && e.name.is_none() {
        return Ok(None);
    }
    let mut breakers: IndexMap<&str, Vec<(Seen, BreakerState)>> = IndexMap::new();
    let mut others = Vec::new();
    for &(seen, signal) in &facts.signals {
        let Signal::Breaker { name, state, kind } = signal else { continue };
        if e.name.as_ref().is_some_and(|wanted| !is_named(name, wanted, e.kind)) {
            others.push(name.as_str());
            continue;
        }
        match (e.kind, kind) {
            (Some(_), None) => {
                let why = format!("the record does not say of which kind breaker {name} is");
                return Err(Finding::inconclusive(why));
            }
            (Some(wanted), Some(kind)) if wanted != *kind => others.push(name.as_str()),
            (Some(_) | None, _) => breakers.entry(name).or_default().push((seen, *state)),
        }
    }
    if let (Some(name), true) = (&e.name, breakers.is_empty()) {
        others.sort_unstable();
        others.dedup();
        let there =
            if others.is_empty() { String::new() } else { format!("; there is {}", others.join(", ")) };
        return Err(Finding::inconclusive(format!("no breaker `{name}` showed itself{there}")));
    }
    let rejecting = match (&e.name, e.kind) {
        (Some(_), _) => Rejecting::Nobody,
        (None, Some(kind)) => Rejecting::Kind(kind),
        (None, None) => Rejecting::Any,
    };
    Ok(Some(Facts { breakers, rejecting, ..facts.clone() }))
}
