//! The gateway's circuit breakers, from its metrics: the state of each, and
//! counters of transitions so that an opening between two looks is not missed.

use indexmap::IndexMap;

use super::prometheus::Exposition;
use crate::journal::event::{BreakerKind, BreakerState, Signal};

const STATE: &str = "gateway_circuit_breaker_state";
const TRANSITIONS: &str = "gateway_circuit_breaker_transitions_total";

/// What is known of all breakers.
#[derive(Debug, Default)]
pub(super) struct Breakers {
    known: IndexMap<String, Known>,
    /// Whether there was a look before.
    looked: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) kind: BreakerKind,
    pub(super) state: BreakerState,
    pub(super) entered: Entered,
}

/// How often each state was entered.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Entered {
    pub(super) closed: u64,
    pub(super) open: u64,
    pub(super) half_open: u64,
}

impl Entered {
    fn of(&mut self, state: BreakerState) -> &mut u64 {
        match state {
            BreakerState::Closed => &mut self.closed,
            BreakerState::Open => &mut self.open,
            BreakerState::HalfOpen => &mut self.half_open,
        }
    }

    fn total(self) -> u64 {
        self.closed + self.open + self.half_open
    }

    /// None: the counters were set back, and say nothing.
    fn since(self, earlier: Self) -> Option<Self> {
        Some(Self {
            closed: self.closed.checked_sub(earlier.closed)?,
            open: self.open.checked_sub(earlier.open)?,
            half_open: self.half_open.checked_sub(earlier.half_open)?,
        })
    }
}

impl Breakers {
    /// What changed since the last look. The gateway's counters of a breaker begin
    /// with it.
    pub(super) fn changes(&mut self, metrics: &Exposition) -> Vec<Signal> {
        self.take(read(metrics), self.looked)
    }

    /// The same of breakers that were read elsewhere: what their counters say at the
    /// first look may be of long ago, whenever that is.
    pub(super) fn told(&mut self, found: IndexMap<String, Known>) -> Vec<Signal> {
        self.take(found, false)
    }

    fn take(&mut self, found: IndexMap<String, Known>, fresh: bool) -> Vec<Signal> {
        let mut signals = Vec::new();
        for (name, now) in found {
            let before = self.known.insert(name.clone(), now);
            let path = match before {
                Some(before) => match now.entered.since(before.entered) {
                    Some(entered) => path(before.state, now.state, entered),
                    None if before.state != now.state => vec![now.state],
                    None => vec![],
                },
                // It came since the last look, and so did its transitions.
                None if fresh && now.entered.total() > 0 => {
                    path(BreakerState::Closed, now.state, now.entered)
                }
                None => vec![now.state],
            };
            let kind = Some(now.kind);
            signals.extend(path.into_iter().map(|state| Signal::Breaker { name: name.clone(), state, kind }));
        }
        self.looked = true;
        signals
    }

    /// Whether any was not closed at the last look.
    pub(super) fn any_shut(&self) -> bool {
        self.known.values().any(|known| known.state != BreakerState::Closed)
    }
}

fn read(metrics: &Exposition) -> IndexMap<String, Known> {
    let mut breakers = IndexMap::new();
    for sample in metrics.named(STATE).filter(|sample| sample.value == 1.0) {
        if let (Some(name), Some(state)) = (sample.label("name"), sample.label("state").and_then(state)) {
            let kind = BreakerKind::StateMachine;
            breakers.insert(name.to_owned(), Known { kind, state, entered: Entered::default() });
        }
    }
    for sample in metrics.named(TRANSITIONS) {
        if let (Some(name), Some(state)) = (sample.label("name"), sample.label("to").and_then(state))
            && let Some(known) = breakers.get_mut(name)
        {
            *known.entered.of(state) = sample.value as u64;
        }
    }
    breakers
}

fn state(text: &str) -> Option<BreakerState> {
    match text.replace('_', "-").as_str() {
        "closed" => Some(BreakerState::Closed),
        "open" => Some(BreakerState::Open),
        "half-open" => Some(BreakerState::HalfOpen),
        _ => None,
    }
}

/// The states that were gone through, the last being `to`. Closed leads to
/// open, open to half-open, half-open to either; where the counts leave a
/// choice, failed probes come first.
fn path(from: BreakerState, to: BreakerState, mut entered: Entered) -> Vec<BreakerState> {
    let mut path = Vec::new();
    let mut at = from;
    loop {
        let next: &[BreakerState] = match at {
            BreakerState::Closed => &[BreakerState::Open],
            BreakerState::Open => &[BreakerState::HalfOpen, BreakerState::Closed],
            BreakerState::HalfOpen if entered.half_open > 0 && entered.open > 0 => {
                &[BreakerState::Open, BreakerState::Closed]
            }
            BreakerState::HalfOpen => &[BreakerState::Closed, BreakerState::Open],
        };
        let Some(&state) = next.iter().find(|state| *entered.of(**state) > 0) else {
            // Who counts openings alone was closed between two of them.
            if at == BreakerState::Open && entered.open > 0 {
                entered.open -= 1;
                path.extend([BreakerState::Closed, BreakerState::Open]);
                continue;
            }
            break;
        };
        *entered.of(state) -= 1;
        path.push(state);
        at = state;
    }
    if at != to {
        path.push(to);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::{BreakerState::*, *};

    fn metrics(state: &str, opened: u64, probed: u64, closed: u64) -> Exposition {
        let mut text = String::new();
        for one in ["closed", "open", "half_open"] {
            let on = u8::from(one == state);
            text += &format!("{STATE}{{name=\"replica-0\",state=\"{one}\"}} {on}\n");
        }
        for (to, count) in [("open", opened), ("half_open", probed), ("closed", closed)] {
            text += &format!("{TRANSITIONS}{{name=\"replica-0\",to=\"{to}\"}} {count}\n");
        }
        Exposition::parse(&text)
    }

    fn states(signals: Vec<Signal>) -> Vec<BreakerState> {
        let state = |signal| match signal {
            Signal::Breaker { name, state, kind: Some(BreakerKind::StateMachine) } if name == "replica-0" => {
                state
            }
            other => panic!("{other:?}"),
        };
        signals.into_iter().map(state).collect()
    }

    #[test]
    fn the_first_look_and_every_change_are_told_once() {
        let mut breakers = Breakers::default();
        assert_eq!(states(breakers.changes(&metrics("closed", 3, 3, 3))), [Closed]);
        assert_eq!(states(breakers.changes(&metrics("closed", 3, 3, 3))), []);
        assert_eq!(states(breakers.changes(&metrics("open", 4, 3, 3))), [Open]);
        assert_eq!(states(breakers.changes(&metrics("half_open", 4, 4, 3))), [HalfOpen]);
        assert_eq!(states(breakers.changes(&metrics("closed", 4, 4, 4))), [Closed]);
    }

    #[test]
    fn an_opening_between_two_looks_is_not_missed() {
        let mut breakers = Breakers::default();
        breakers.changes(&metrics("closed", 0, 0, 0));
        let seen = states(breakers.changes(&metrics("closed", 2, 2, 1)));
        assert_eq!(seen, [Open, HalfOpen, Open, HalfOpen, Closed]);
    }

    #[test]
    fn a_gateway_that_restarted_is_believed_about_its_state_only() {
        let mut breakers = Breakers::default();
        breakers.changes(&metrics("open", 5, 4, 4));
        assert_eq!(states(breakers.changes(&metrics("closed", 0, 0, 0))), [Closed]);
        assert_eq!(states(breakers.changes(&metrics("closed", 0, 0, 0))), []);
    }

    #[test]
    fn a_breaker_that_is_new_brings_its_transitions() {
        let mut breakers = Breakers::default();
        breakers.changes(&Exposition::default());
        assert_eq!(states(breakers.changes(&metrics("half_open", 1, 1, 0))), [Open, HalfOpen]);
        let mut breakers = Breakers::default();
        breakers.changes(&Exposition::default());
        assert_eq!(states(breakers.changes(&metrics("closed", 0, 0, 0))), [Closed]);
    }
}
