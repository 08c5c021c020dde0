//! The breaker and each of its defects, stepped by hand.

use proptest::prelude::*;

use super::*;

const OPEN_FOR: Duration = Duration::from_secs(3);

/// A breaker with a clock that the test moves.
struct Bench {
    breaker: Breaker,
    now: Instant,
}

impl Bench {
    fn of(mode: BreakerMode) -> Self {
        let now = Instant::now();
        Self { breaker: Breaker::new(mode, OPEN_FOR, now), now }
    }

    fn pass(&mut self, millis: u64) -> &mut Self {
        self.now += Duration::from_millis(millis);
        self
    }

    /// One call; false if it was not let pass.
    fn call(&mut self, end: CallEnd) -> bool {
        if !self.breaker.permits(self.now) {
            self.breaker.reject();
            return false;
        }
        let permit = self.breaker.admit();
        self.breaker.record(permit, end, self.now);
        true
    }

    fn fail(&mut self, times: usize) -> &mut Self {
        for _ in 0..times {
            self.call(CallEnd::Failure);
        }
        self
    }

    fn state(&mut self) -> BreakerState {
        self.breaker.state(self.now)
    }
}

#[test]
fn five_failures_in_a_row_open_it_and_four_do_not() {
    let mut bench = Bench::of(BreakerMode::On);
    assert_eq!(bench.fail(4).state(), BreakerState::Closed);
    bench.call(CallEnd::Success);
    assert_eq!(bench.fail(2).state(), BreakerState::Closed, "a success starts the row anew");
    let mut bench = Bench::of(BreakerMode::On);
    assert_eq!(bench.fail(5).state(), BreakerState::Open);
    assert!(!bench.call(CallEnd::Success));
    assert_eq!(bench.breaker.not_permitted(), 1);
}

#[test]
fn half_of_the_last_calls_failing_opens_it() {
    let mut bench = Bench::of(BreakerMode::On);
    for _ in 0..3 {
        bench.call(CallEnd::Success);
        bench.fail(1);
    }
    assert_eq!(bench.state(), BreakerState::Closed, "six calls are too few");
    bench.call(CallEnd::Success);
    assert_eq!(bench.fail(1).state(), BreakerState::Open);
}

#[test]
fn old_failures_do_not_count() {
    let mut bench = Bench::of(BreakerMode::On);
    for _ in 0..3 {
        bench.call(CallEnd::Success);
        bench.fail(1);
    }
    bench.pass(10_001).call(CallEnd::Success);
    assert_eq!(bench.fail(4).state(), BreakerState::Closed, "five calls in the window");
}

#[test]
fn it_probes_one_at_a_time_and_three_successes_close_it() {
    let mut bench = Bench::of(BreakerMode::On);
    bench.fail(5).pass(2_999);
    assert_eq!(bench.state(), BreakerState::Open);
    bench.pass(1);
    assert!(bench.breaker.permits(bench.now));
    let probe = bench.breaker.admit();
    assert_eq!(bench.state(), BreakerState::HalfOpen);
    assert!(!bench.call(CallEnd::Success), "one probe at a time");
    bench.breaker.record(probe, CallEnd::Success, bench.now);
    assert!(bench.call(CallEnd::Neither), "a probe that was given up leaves its place");
    assert!(bench.call(CallEnd::Success));
    assert_eq!(bench.state(), BreakerState::HalfOpen);
    assert!(bench.call(CallEnd::Success));
    assert_eq!(bench.state(), BreakerState::Closed);
    assert_eq!(STATES.map(|state| bench.breaker.transitions(state)), [1, 1, 1]);
}

#[test]
fn a_failed_probe_opens_it_again_for_as_long() {
    let mut bench = Bench::of(BreakerMode::On);
    bench.fail(5).pass(3_000);
    assert!(bench.call(CallEnd::Failure));
    assert_eq!(bench.state(), BreakerState::Open);
    bench.pass(2_999);
    assert_eq!(bench.state(), BreakerState::Open);
    bench.pass(1);
    assert_eq!(bench.state(), BreakerState::HalfOpen);
}

#[test]
fn calls_from_before_it_opened_do_not_count_as_probes() {
    let mut bench = Bench::of(BreakerMode::On);
    let early = bench.breaker.admit();
    bench.fail(5).pass(3_000);
    assert_eq!(bench.state(), BreakerState::HalfOpen);
    bench.breaker.record(early, CallEnd::Failure, bench.now);
    assert_eq!(bench.state(), BreakerState::HalfOpen);
}

#[test]
fn defect_never_opens() {
    let mut bench = Bench::of(BreakerMode::NeverOpens);
    assert_eq!(bench.fail(100).pass(60_000).fail(100).state(), BreakerState::Closed);
}

#[test]
fn defect_opens_late() {
    let mut bench = Bench::of(BreakerMode::OpensLate);
    bench.fail(5).pass(5_000).fail(5).pass(4_999);
    assert_eq!(bench.state(), BreakerState::Closed);
    bench.pass(1);
    assert_eq!(bench.state(), BreakerState::Open);
    bench.pass(3_000);
    assert_eq!(bench.state(), BreakerState::HalfOpen);
}

#[test]
fn defect_never_closes() {
    let mut bench = Bench::of(BreakerMode::NeverCloses);
    bench.fail(5).pass(3_600_000);
    assert!(!bench.call(CallEnd::Success));
    assert_eq!(bench.state(), BreakerState::Open);
}

#[test]
fn defect_opens_for_one() {
    let mut bench = Bench::of(BreakerMode::OpensForOne);
    for _ in 0..50 {
        bench.call(CallEnd::Success);
    }
    assert_eq!(bench.fail(1).state(), BreakerState::Open);
    bench.pass(3_000);
    assert_eq!(bench.state(), BreakerState::HalfOpen);
}

#[test]
fn defect_leaks() {
    let mut bench = Bench::of(BreakerMode::Leaks);
    bench.fail(5);
    assert_eq!(bench.state(), BreakerState::Open);
    assert!(bench.call(CallEnd::Failure), "it says open and sends");
    assert_eq!(bench.state(), BreakerState::Open);
    bench.pass(3_000);
    assert_eq!(bench.state(), BreakerState::HalfOpen);
    bench.breaker.admit();
    assert!(bench.breaker.permits(bench.now), "more than one probe");
}

#[test]
fn defect_floods() {
    for (mode, let_in) in [(BreakerMode::On, 1), (BreakerMode::Floods, 9)] {
        let mut bench = Bench::of(mode);
        bench.fail(5);
        assert!(!bench.call(CallEnd::Success), "open, it lets nothing pass");
        bench.pass(3_000);
        for _ in 0..9 {
            if bench.breaker.permits(bench.now) {
                bench.breaker.admit();
            }
        }
        assert_eq!(bench.breaker.let_in_half_open(), let_in, "{mode:?}");
    }
}

proptest! {
    /// Whatever happens: an open breaker lets nothing pass, a half-open one
    /// never two at once, and fewer than five failures in a row with fewer
    /// than half failing never open it.
    #[test]
    fn invariants(steps in proptest::collection::vec((0_u64..1_500, 0_u8..4), 1..300)) {
        let mut bench = Bench::of(BreakerMode::On);
        let mut probes: Vec<Permit> = Vec::new();
        for (pause, what) in steps {
            bench.pass(pause);
            let state = bench.state();
            if state != BreakerState::HalfOpen {
                probes.clear();
            }
            let admitted = bench.breaker.permits(bench.now);
            match state {
                BreakerState::Closed => prop_assert!(admitted),
                BreakerState::Open => prop_assert!(!admitted),
                BreakerState::HalfOpen => prop_assert_eq!(admitted, probes.is_empty()),
            }
            let end = [CallEnd::Success, CallEnd::Failure, CallEnd::Neither][usize::from(what % 3)];
            if admitted {
                let permit = bench.breaker.admit();
                if state == BreakerState::HalfOpen && what == 3 {
                    probes.push(permit);
                    continue;
                }
                bench.breaker.record(permit, end, bench.now);
                let opened = bench.state() == BreakerState::Open;
                prop_assert!(!opened || end == CallEnd::Failure, "only a failure opens");
            } else if let Some(permit) = probes.pop() {
                bench.breaker.record(permit, end, bench.now);
            }
        }
    }
}
