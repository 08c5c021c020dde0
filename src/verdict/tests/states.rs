//! States that come and go between two looks.

use crate::{
    journal::{
        Event,
        event::{BreakerState, Signal},
    },
    scenario::model::{BreakerExpectation, Expectation},
    units::Seen,
    verdict::{
        model::Verdict::*,
        testing::{Drill, at, drill},
    },
};

/// A breaker that opened and closed between these two looks, which has to be quiet in
/// a phase: `fault` begins at 20 s.
fn opened(from: f64, to: f64, phase: &str) -> Drill {
    let seen = Seen { not_before: at(from), by: at(to) };
    let drill = drill().healthy().breaker(1.0, "llm", BreakerState::Closed);
    let drill = [BreakerState::Open, BreakerState::Closed].into_iter().fold(drill, |drill, state| {
        let signal = Signal::Breaker { name: "llm".to_owned(), state, kind: None };
        drill.event(to, Event::Signal { seen, signal })
    });
    let quiet = BreakerExpectation { quiet_in: Some(phase.into()), ..Default::default() };
    drill.expect(Expectation::CircuitBreaker(quiet))
}

#[test]
fn what_was_over_in_one_look_may_have_been_before_the_phase() {
    opened(19.9, 20.1, "fault").gives(Inconclusive);
    opened(19.9, 20.1, "baseline").gives(Inconclusive);
    opened(20.0, 20.2, "fault").gives(Fail);
    opened(19.7, 19.9, "baseline").gives(Fail);
    opened(19.7, 19.9, "fault").gives(Pass);
}
