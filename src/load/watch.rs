//! The limits of a request's time, watched with one timer for each user.

use std::{
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use tokio::time::Sleep;

use super::classify::End;

/// The limits of an attempt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// When the whole request must have ended.
    pub(crate) deadline: Instant,
    /// From sent to the first token, at most.
    pub(crate) first_token: Option<Duration>,
    /// From one event of a stream to the next, at most. None: no stream.
    pub(crate) idle: Option<Duration>,
}

/// The signs of life of an answer, for the watch over it.
#[derive(Debug)]
pub(crate) struct Pulse {
    sent: Instant,
    limits: Limits,
    /// Microseconds from `sent` to the last sign of life; 0: none yet.
    last: AtomicU64,
    /// The same, to the first token.
    token: AtomicU64,
}

impl Pulse {
    /// Nothing came yet of what was sent at `sent`.
    pub(crate) fn new(sent: Instant, limits: Limits) -> Self {
        Self { sent, limits, last: AtomicU64::new(0), token: AtomicU64::new(0) }
    }

    /// The head, or an event.
    pub(crate) fn beat(&self, at: Instant) {
        self.last.store(self.since(at), Ordering::Relaxed);
    }

    /// The first token.
    pub(crate) fn token(&self, at: Instant) {
        self.token.store(self.since(at), Ordering::Relaxed);
    }

    fn since(&self, at: Instant) -> u64 {
        let micros = at.saturating_duration_since(self.sent).as_micros().max(1);
        u64::try_from(micros).unwrap_or(u64::MAX)
    }

    /// The next limit, if nothing comes until then, and what it then was.
    fn next(&self) -> (Instant, End) {
        let Limits { deadline, first_token, idle } = self.limits;
        let last = self.last.load(Ordering::Relaxed);
        let quiet = idle
            .filter(|_| last > 0)
            .map(|idle| (self.sent + Duration::from_micros(last) + idle, End::Stalled));
        let silent = first_token
            .filter(|_| self.token.load(Ordering::Relaxed) == 0)
            .map(|limit| (self.sent + limit, End::NoToken));
        [silent, quiet]
            .into_iter()
            .flatten()
            .fold((deadline, End::Timeout), |first, next| if next.0 < first.0 { next } else { first })
    }
}

/// A user's timer. It is set again only when it fires or is set too late, not
/// for each request and each event: all timers share a lock.
#[derive(Debug)]
pub(crate) struct Timer {
    sleep: Pin<Box<Sleep>>,
    set: Instant,
}

impl Timer {
    /// A timer that is not set.
    pub(crate) fn new() -> Self {
        let set = Instant::now() + Duration::from_secs(60);
        Self { sleep: Box::pin(tokio::time::sleep_until(set.into())), set }
    }

    /// Resolves when `pulse` has been quiet for too long.
    pub(crate) async fn watch(&mut self, pulse: &Pulse) -> End {
        std::future::poll_fn(|cx| self.poll(pulse, cx)).await
    }

    fn poll(&mut self, pulse: &Pulse, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let (limit, end) = pulse.next();
            if limit < self.set {
                self.set(limit);
            }
            if self.sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if Instant::now() >= limit {
                return Poll::Ready(end);
            }
            self.set(limit);
        }
    }

    fn set(&mut self, at: Instant) {
        self.set = at;
        self.sleep.as_mut().reset(at.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_limit_counts() {
        let sent = Instant::now();
        let ms = Duration::from_millis;
        let limits = Limits { deadline: sent + ms(100), first_token: Some(ms(50)), idle: Some(ms(20)) };
        let pulse = Pulse::new(sent, limits);
        assert_eq!(pulse.next(), (sent + ms(50), End::NoToken));
        pulse.beat(sent + ms(10));
        assert_eq!(pulse.next(), (sent + ms(30), End::Stalled), "from the head on");
        pulse.beat(sent + ms(40));
        assert_eq!(pulse.next(), (sent + ms(50), End::NoToken));
        pulse.token(sent + ms(45));
        assert_eq!(pulse.next(), (sent + ms(60), End::Stalled));
        pulse.beat(sent + ms(90));
        assert_eq!(pulse.next(), (sent + ms(100), End::Timeout));
    }

    #[tokio::test]
    async fn a_timer_is_used_again() {
        let mut timer = Timer::new();
        for limit in [30_000, 10, 20] {
            let sent = Instant::now() - Duration::from_millis(limit);
            let limits = Limits { deadline: sent, first_token: None, idle: None };
            assert_eq!(timer.watch(&Pulse::new(sent, limits)).await, End::Timeout);
        }
    }
}
