//! The circuit breaker's state machine: closed admits, open rejects,
//! half-open probes. Pure: time is given to it.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::{journal::event::BreakerState, lab::config::BreakerMode};

/// So many failures in a row open it.
const CONSECUTIVE: u32 = 5;
/// Else half of the last so many calls…
const LAST: usize = 20;
/// …within this time…
const WITHIN: Duration = Duration::from_secs(10);
/// …if there were so many at least.
const AT_LEAST: usize = 8;
/// So many successful probes close it.
const PROBES: u32 = 3;
/// How much later than it should a breaker acts that opens late.
const LATE: Duration = Duration::from_secs(10);

/// How a call ended, for a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallEnd {
    /// As it should.
    Success,
    /// By the upstream's fault.
    Failure,
    /// It says nothing about the upstream: given up, or refused on purpose.
    Neither,
}

/// The right to make one call. Given back with its end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Permit {
    // A call that was let in under an earlier state says nothing about this one.
    epoch: u64,
}

/// A breaker.
#[derive(Debug)]
pub(super) struct Breaker {
    mode: BreakerMode,
    open_for: Duration,
    state: BreakerState,
    since: Instant,
    epoch: u64,
    // Closed:
    consecutive: u32,
    recent: VecDeque<(Instant, bool)>,
    late_at: Option<Instant>,
    // Half-open:
    probing: bool,
    probed: u32,
    /// How often it went into a state.
    transitions: [u64; 3],
    /// Calls that it did not let pass.
    not_permitted: u64,
    /// Calls that it let pass while it was half-open.
    let_in_half_open: u64,
}

/// All states.
pub(super) const STATES: [BreakerState; 3] =
    [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen];

/// A state's name in metrics, as Resilience4j has it.
pub(super) fn name(state: BreakerState) -> &'static str {
    match state {
        BreakerState::Closed => "closed",
        BreakerState::Open => "open",
        BreakerState::HalfOpen => "half_open",
    }
}

fn index(state: BreakerState) -> usize {
    match state {
        BreakerState::Closed => 0,
        BreakerState::Open => 1,
        BreakerState::HalfOpen => 2,
    }
}

impl Breaker {
    /// A closed one.
    pub(super) fn new(mode: BreakerMode, open_for: Duration, now: Instant) -> Self {
        Self {
            mode,
            open_for,
            state: BreakerState::Closed,
            since: now,
            epoch: 0,
            consecutive: 0,
            recent: VecDeque::with_capacity(LAST),
            late_at: None,
            probing: false,
            probed: 0,
            transitions: [0; 3],
            not_permitted: 0,
            let_in_half_open: 0,
        }
    }

    /// Its state at `now`.
    pub(super) fn state(&mut self, now: Instant) -> BreakerState {
        match self.state {
            BreakerState::Closed if self.late_at.is_some_and(|at| now >= at) => {
                self.go(BreakerState::Open, now)
            }
            BreakerState::Open if self.probes() && now >= self.since + self.open_for => {
                self.go(BreakerState::HalfOpen, now);
            }
            BreakerState::Closed | BreakerState::Open | BreakerState::HalfOpen => {}
        }
        self.state
    }

    /// Whether a call may be made at `now`.
    pub(super) fn permits(&mut self, now: Instant) -> bool {
        let leaks = matches!(self.mode, BreakerMode::Leaks);
        match self.state(now) {
            BreakerState::Closed => true,
            BreakerState::Open => leaks,
            BreakerState::HalfOpen => leaks || matches!(self.mode, BreakerMode::Floods) || !self.probing,
        }
    }

    /// Lets a call pass that [`Self::permits`].
    pub(super) fn admit(&mut self) -> Permit {
        self.probing = matches!(self.state, BreakerState::HalfOpen);
        self.let_in_half_open += u64::from(self.probing);
        Permit { epoch: self.epoch }
    }

    /// Counts a call that did not pass.
    pub(super) fn reject(&mut self) {
        self.not_permitted += 1;
    }

    /// A call that was let pass has ended.
    pub(super) fn record(&mut self, permit: Permit, end: CallEnd, now: Instant) {
        self.state(now);
        if permit.epoch != self.epoch {
            return;
        }
        match (self.state, end) {
            (BreakerState::Closed, CallEnd::Neither) | (BreakerState::Open, _) => {}
            (BreakerState::Closed, CallEnd::Success) => {
                self.consecutive = 0;
                self.remember(now, false);
            }
            (BreakerState::Closed, CallEnd::Failure) => {
                self.consecutive += 1;
                self.remember(now, true);
                self.trip(now);
            }
            (BreakerState::HalfOpen, CallEnd::Neither) => self.probing = false,
            (BreakerState::HalfOpen, CallEnd::Success) => {
                self.probing = false;
                self.probed += 1;
                if self.probed >= PROBES {
                    self.go(BreakerState::Closed, now);
                }
            }
            (BreakerState::HalfOpen, CallEnd::Failure) => self.go(BreakerState::Open, now),
        }
    }

    /// How often it went into `state`.
    pub(super) fn transitions(&self, state: BreakerState) -> u64 {
        self.transitions[index(state)]
    }

    /// How many calls it let pass while it was half-open.
    pub(super) fn let_in_half_open(&self) -> u64 {
        self.let_in_half_open
    }

    /// How many calls it did not let pass.
    pub(super) fn not_permitted(&self) -> u64 {
        self.not_permitted
    }

    /// Opens, if what it counted says so, as its mode does that.
    fn trip(&mut self, now: Instant) {
        let should = self.consecutive >= CONSECUTIVE || self.mostly_fails(now);
        match self.mode {
            BreakerMode::On
            | BreakerMode::NeverCloses
            | BreakerMode::Leaks
            | BreakerMode::Floods
            | BreakerMode::SlowRejections
                if should =>
            {
                self.go(BreakerState::Open, now);
            }
            BreakerMode::OpensLate if should => {
                self.late_at.get_or_insert(now + LATE);
            }
            BreakerMode::OpensForOne => self.go(BreakerState::Open, now),
            BreakerMode::On
            | BreakerMode::Off
            | BreakerMode::NeverOpens
            | BreakerMode::OpensLate
            | BreakerMode::NeverCloses
            | BreakerMode::Leaks
            | BreakerMode::Floods
            | BreakerMode::SlowRejections => {}
        }
    }

    fn mostly_fails(&self, now: Instant) -> bool {
        let recent = self.recent.iter().filter(|(at, _)| now.saturating_duration_since(*at) <= WITHIN);
        let (calls, failures) = recent
            .fold((0, 0), |(calls, failures), (_, failed)| (calls + 1, failures + usize::from(*failed)));
        calls >= AT_LEAST && failures * 2 >= calls
    }

    fn remember(&mut self, now: Instant, failed: bool) {
        if self.recent.len() == LAST {
            self.recent.pop_front();
        }
        self.recent.push_back((now, failed));
    }

    fn probes(&self) -> bool {
        !matches!(self.mode, BreakerMode::NeverCloses)
    }

    fn go(&mut self, state: BreakerState, now: Instant) {
        self.state = state;
        self.since = now;
        self.epoch += 1;
        self.consecutive = 0;
        self.recent.clear();
        self.late_at = None;
        self.probing = false;
        self.probed = 0;
        self.transitions[index(state)] += 1;
    }
}

#[cfg(test)]
mod tests;
