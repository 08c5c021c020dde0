//! What counts as seen, and the figures that it stands on.

use std::{net::SocketAddr, time::Duration};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use tokio::{net::TcpStream, time::timeout};

use crate::observe::prometheus::Exposition;

/// The replica's own word for its slowdown.
pub(in crate::chaos) const SLOWDOWN: &str = "firedrill_lab_slowdown";
/// Steps that a mean must stand on.
const ENOUGH_STEPS: f64 = 5.0;
/// How long a connection may take on loopback.
const CONNECT_WITHIN: Duration = Duration::from_millis(500);

/// Whether there is such a process (also one that nobody has waited for).
pub(in crate::chaos) fn is_alive(pid: u32) -> bool {
    let Ok(pid) = i32::try_from(pid) else { return false };
    kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH)
}

/// Whether somebody accepts connections there.
pub(in crate::chaos) async fn accepts(address: SocketAddr) -> bool {
    matches!(timeout(CONNECT_WITHIN, TcpStream::connect(address)).await, Ok(Ok(_)))
}

/// Steps of a simulated GPU so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Steps {
    pub(super) count: f64,
    pub(super) seconds: f64,
}

impl Steps {
    fn mean_ms(self) -> Option<f64> {
        (self.count >= ENOUGH_STEPS).then(|| self.seconds / self.count * 1e3)
    }

    fn since(self, earlier: Self) -> Self {
        Self { count: self.count - earlier.count, seconds: self.seconds - earlier.seconds }
    }
}

/// A replica's steps, if it states them.
pub(super) fn steps(metrics: &Exposition) -> Option<Steps> {
    Some(Steps {
        count: metrics.value("firedrill_lab_steps_total", &[])?,
        seconds: metrics.value("firedrill_lab_step_seconds_total", &[])?,
    })
}

/// Whether steps take longer by at least half of what was asked, and the
/// figures. `Err`: what is missing.
pub(super) fn slow_acts(
    before: Option<Steps>,
    at: Option<Steps>,
    now: Option<Steps>,
    factor: f64,
) -> Result<String, String> {
    let (Some(before), Some(at), Some(now)) = (before, at, now) else {
        return Err("it does not state its steps".to_owned());
    };
    let during = now.since(at);
    let Some(usual) = before.mean_ms() else {
        return Err(format!("only {} steps before the fault, nothing to compare with", before.count));
    };
    let Some(slow) = during.mean_ms() else {
        return Err(format!("only {} steps since the fault", during.count));
    };
    let figures = format!(
        "steps take {slow:.1} ms ({} steps), before {usual:.1} ms ({} steps): {:.2}× (asked for {factor}×)",
        during.count,
        before.count,
        slow / usual
    );
    if slow / usual >= 1.0 + (factor - 1.0) / 2.0 { Ok(figures) } else { Err(figures) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_steps_are_compared_with_those_before() {
        let steps = |count, seconds| Some(Steps { count, seconds });
        let before = steps(100.0, 1.0);
        assert!(slow_acts(before, before, steps(110.0, 1.3), 4.0).is_ok(), "3×");
        assert!(slow_acts(before, before, steps(110.0, 1.2), 4.0).is_err(), "2×");
        assert!(slow_acts(before, before, steps(102.0, 2.0), 4.0).is_err(), "two steps are too few");
        assert!(
            slow_acts(steps(0.0, 0.0), steps(0.0, 0.0), steps(100.0, 9.0), 4.0).is_err(),
            "no usual pace"
        );
        assert!(slow_acts(before, None, before, 4.0).is_err());
    }

    #[test]
    fn a_process_is_alive_or_not() {
        assert!(is_alive(std::process::id()));
        assert!(!is_alive(i32::MAX as u32));
    }
}
