//! States that something was seen to enter, one after the other.

use std::time::Duration;

use crate::units::{RunTime, Seen};

/// The state at an instant, as far as was seen by then.
pub(super) fn at<S: Copy>(states: &[(Seen, S)], at: RunTime) -> Option<S> {
    states.iter().rev().find(|(seen, _)| seen.by <= at).map(|(_, state)| *state)
}

/// When a state of `rest` was entered after `since` that no other follows
/// before `until`.
pub(super) fn settled<S>(
    states: &[(Seen, S)],
    since: RunTime,
    until: RunTime,
    rest: impl Fn(&S) -> bool,
) -> Option<Seen> {
    states.iter().enumerate().find_map(|(i, (seen, state))| {
        let again = states[i + 1..].iter().any(|(next, state)| !rest(state) && next.by <= until);
        (rest(state) && seen.by > since && !again).then_some(*seen)
    })
}

/// How long a state must last to have come to stay: who falls over again at once
/// never stood.
pub(super) const STAYS: Duration = Duration::from_secs(10);

/// When a state of `rest` was entered after `since` that came to stay: no other
/// follows it soon, or before `until`.
pub(super) fn stays<S>(
    states: &[(Seen, S)],
    since: RunTime,
    until: RunTime,
    rest: impl Fn(&S) -> bool,
) -> Option<Seen> {
    states.iter().enumerate().find_map(|(i, (seen, state))| {
        let soon = until.min(seen.by + STAYS);
        let left = states[i + 1..].iter().any(|(next, state)| !rest(state) && next.by <= soon);
        (rest(state) && seen.by > since && !left).then_some(*seen)
    })
}

/// A state that was met in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// It was on then; entered when.
    Surely(Seen),
    /// It may have been on then.
    Perhaps(Seen),
}

/// Whether a state that is `on` was met from `start` to `end`. `last`: when the
/// record ends.
pub(super) fn met<S>(
    states: &[(Seen, S)],
    (start, end): (RunTime, RunTime),
    last: RunTime,
    on: impl Fn(&S) -> bool,
) -> Option<Met> {
    let mut maybe = None;
    for (i, (seen, _)) in states.iter().enumerate().filter(|(_, (_, state))| on(state)) {
        let next = states.get(i + 1).map(|(next, _)| *next);
        // Where one look saw it come and go, it may have gone as soon as it came.
        let (sure_until, perhaps_until) =
            next.map_or((last, last), |next| (next.not_before.max(seen.not_before), next.by));
        if seen.by <= end && sure_until >= start {
            return Some(Met::Surely(*seen));
        }
        if seen.not_before < end && perhaps_until > start {
            maybe = Some(Met::Perhaps(*seen));
        }
    }
    maybe
}
