//! A user as a client: its place among the connections, its timer, its ear for
//! the end; and how often it sends a request.

use std::{
    pin::Pin,
    time::{Duration, Instant},
};

use http::{HeaderName, HeaderValue};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::{
    connection::Seat,
    exchange::{Exchange, exchange},
    feed::{Ask, Feed},
    protocol::Protocol,
    watch::Timer,
};
use crate::{
    journal::interval::Outcome,
    scenario::model::{Retries, RetryOn},
};

/// What a user has to itself.
#[derive(Debug)]
pub(crate) struct Client {
    pub(super) seat: Seat,
    pub(super) timer: Timer,
    pub(super) stop: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Client {
    /// A client that gives up when `cancel` is cancelled. Its token is its own,
    /// so that users who listen don't wait for each other.
    pub(crate) fn new(seat: Seat, cancel: &CancellationToken) -> Self {
        Self { seat, timer: Timer::new(), stop: Box::pin(cancel.child_token().cancelled_owned()) }
    }

    /// Sends a request, again where the workload's `retries` say so, and reads
    /// the answer to an end of any kind. Never takes longer than the
    /// workload's timeout. The last attempt is the outcome; the first one is
    /// when it was sent.
    pub(crate) async fn ask(
        &mut self,
        protocol: &Protocol,
        feed: &Feed,
        ask: &Ask,
        extra: &[(HeaderName, HeaderValue)],
    ) -> Exchange {
        let deadline = Instant::now() + protocol.timeout;
        let mut exchange_ = exchange(self, protocol, feed, ask, extra, deadline).await;
        let Some(retries) = &protocol.retries else { return exchange_ };
        let sent = exchange_.sent;
        let mut attempts = 1;
        while attempts < retries.attempts && may_be_sent_again(retries, &exchange_) {
            let pause = pause(retries, attempts, exchange_.labels.retry_after_secs);
            // What could only end too late is not begun.
            if Instant::now() + pause >= deadline || !self.sleep(pause).await {
                break;
            }
            attempts += 1;
            exchange_ = exchange(self, protocol, feed, ask, extra, deadline).await;
        }
        Exchange { sent, attempts, ..exchange_ }
    }

    /// Whether it slept, and was not stopped.
    async fn sleep(&mut self, pause: Duration) -> bool {
        tokio::select! {
            biased;
            () = self.stop.as_mut() => false,
            () = tokio::time::sleep(pause) => true,
        }
    }
}

/// Whether its outcome is one of those, and no answer under way was lost: what
/// a user has seen a part of is not sent again.
fn may_be_sent_again(retries: &Retries, exchange: &Exchange) -> bool {
    let on = match exchange.outcome {
        Outcome::ConnectRefused => RetryOn::ConnectRefused,
        Outcome::ConnectTimeout => RetryOn::ConnectTimeout,
        Outcome::Reset if exchange.first_byte.is_none() => RetryOn::Reset,
        Outcome::Http5xx => RetryOn::Http5xx,
        Outcome::Shed => RetryOn::Shed,
        Outcome::Ok
        | Outcome::Http4xx
        | Outcome::Timeout
        | Outcome::Reset
        | Outcome::Truncated
        | Outcome::InBandError
        | Outcome::Stalled
        | Outcome::Short
        | Outcome::Discontinuous
        | Outcome::Malformed
        | Outcome::Mismatch
        | Outcome::Cancelled => return false,
    };
    retries.on.contains(&on)
}

/// The pause after so many attempts.
fn pause(retries: &Retries, attempts: u32, retry_after: Option<u64>) -> Duration {
    let backoff = retries.backoff.0.saturating_mul(2u32.saturating_pow(attempts - 1));
    match retry_after {
        Some(secs) if retries.honour_retry_after => backoff.max(Duration::from_secs(secs)),
        Some(_) | None => backoff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{scenario::model::default_retry_on, units::Span};

    #[test]
    fn pauses_double_and_heed_the_server_if_they_should() {
        let mut retries = Retries {
            attempts: 9,
            on: default_retry_on(),
            backoff: Span::millis(100),
            honour_retry_after: false,
        };
        let ms = Duration::from_millis;
        assert_eq!([1, 2, 3].map(|n| pause(&retries, n, Some(5))), [ms(100), ms(200), ms(400)]);
        retries.honour_retry_after = true;
        assert_eq!(pause(&retries, 1, Some(5)), ms(5000));
        assert_eq!(pause(&retries, 9, Some(1)), ms(25_600));
        assert_eq!(pause(&retries, 1, None), ms(100));
        assert!(pause(&retries, u32::MAX, None) > ms(1_000_000), "no overflow");
    }
}
