//! How far the API server's clock is from ours, as an interval: its `Date`
//! tells whole seconds, so a few answers narrow it down.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{Request, header::DATE};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use super::{Cluster, ClusterError, call};

/// How often its clock is read.
const LOOKS: u32 = 12;
/// Between two of them; they must fall all over a second.
const BETWEEN: Duration = Duration::from_millis(90);

/// The API server's clock less ours lies in this interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockOffset {
    /// At least, in ms.
    pub from_ms: i64,
    /// At most, in ms.
    pub to_ms: i64,
}

impl std::fmt::Display for ClockOffset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:+} ms to {:+} ms", self.from_ms, self.to_ms)
    }
}

impl ClockOffset {
    /// What an answer says that was asked for at `sent` and came at `received`
    /// (ms of our clock), written in the whole second `date` of theirs.
    fn of(date: i64, sent: i64, received: i64) -> Self {
        Self { from_ms: date * 1000 - received, to_ms: date * 1000 + 1000 - sent }
    }

    /// Both hold. None: a clock was set in between.
    fn and(self, other: Self) -> Option<Self> {
        let both = Self { from_ms: self.from_ms.max(other.from_ms), to_ms: self.to_ms.min(other.to_ms) };
        (both.from_ms <= both.to_ms).then_some(both)
    }
}

/// Reads the API server's clock. None: it does not tell, or a clock was set
/// meanwhile. Takes about a second.
pub async fn estimate(cluster: &Cluster) -> Result<Option<ClockOffset>, ClusterError> {
    let mut offset: Option<ClockOffset> = None;
    for _ in 0..LOOKS {
        let request = Request::get("/version").body(kube::client::Body::empty());
        let Ok(request) = request else { return Ok(None) };
        let sent = now_ms();
        let answer = call("get /version", cluster.client().send(request)).await?;
        let received = now_ms();
        let date = answer.headers().get(DATE).and_then(|date| seconds(date.to_str().ok()?));
        let Some(date) = date else { return Ok(None) };
        let one = ClockOffset::of(date, sent, received);
        offset = match offset {
            None => Some(one),
            Some(before) => match before.and(one) {
                Some(both) => Some(both),
                None => return Ok(None),
            },
        };
        sleep(BETWEEN).await;
    }
    Ok(offset)
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`.
fn seconds(date: &str) -> Option<i64> {
    let at = httpdate::parse_http_date(date).ok()?;
    i64::try_from(at.duration_since(UNIX_EPOCH).ok()?.as_secs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_are_read() {
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("yesterday"), None);
    }

    #[test]
    fn answers_narrow_the_interval_and_contradict_when_a_clock_was_set() {
        // Theirs is 300 ms ahead: our 999.9 s are their 1000.2 s.
        let first = ClockOffset::of(1000, 999_900, 999_910);
        assert_eq!((first.from_ms, first.to_ms), (90, 1100));
        let second = ClockOffset::of(1000, 1_000_690, 1_000_699);
        let both = first.and(second).expect("they agree");
        assert_eq!((both.from_ms, both.to_ms), (90, 310));
        assert_eq!(both.and(ClockOffset::of(1010, 1_001_000, 1_001_010)), None);
    }
}
