//! What counts as seen, and the figures that it stands on.

use std::{net::SocketAddr, time::Duration};

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    chaos::proxy::api::{LinkStatus, Stream, Toxic, ToxicStatus},
    observe::prometheus::Exposition,
};

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

/// A toxic's figures in words.
pub(in crate::chaos) fn figures(status: &ToxicStatus) -> String {
    let ToxicStatus { affected, untouched, .. } = status;
    let asked = match status.toxic {
        Toxic::Latency { latency_ms, jitter_ms: 0, .. } => format!(" (asked for {latency_ms} ms)"),
        Toxic::Latency { latency_ms, jitter_ms, .. } => format!(" (asked for {latency_ms} ± {jitter_ms} ms)"),
        Toxic::Loss { .. }
        | Toxic::Bandwidth { .. }
        | Toxic::Partition
        | Toxic::ResetPeer { .. }
        | Toxic::LimitData { .. }
        | Toxic::Slicer { .. } => String::new(),
    };
    match status.toxic {
        Toxic::Partition => format!("held {affected} chunks and connections, let {untouched} pass"),
        Toxic::ResetPeer { .. } => format!("reset {affected} connections"),
        Toxic::LimitData { .. } => format!("cut {affected} connections, let {untouched} chunks pass"),
        Toxic::Latency { .. } | Toxic::Loss { .. } | Toxic::Bandwidth { .. } | Toxic::Slicer { .. } => {
            let mean =
                mean_ms(status).map_or(String::new(), |mean| format!(" by {mean:.1} ms on average{asked}"));
            let held = match status.held {
                0 => String::new(),
                held => format!(", {held} of them so far"),
            };
            format!("delayed {} chunks{mean}{held}, {untouched} not", affected + status.held)
        }
    }
}

/// The mean delay of what has passed, or of that and what waits still
/// (which will be longer), whichever says more.
fn mean_ms(status: &ToxicStatus) -> Option<f64> {
    let mean = |chunks: u64, us: u64| (chunks > 0).then(|| us as f64 / chunks as f64 / 1e3);
    let passed = mean(status.affected, status.added_delay_us);
    let all = mean(status.affected + status.held, status.added_delay_us + status.held_us);
    [passed, all].into_iter().flatten().max_by(f64::total_cmp)
}

/// Whether a toxic's figures show that it acts, or else what is missing.
pub(super) fn toxic_acts(link: &LinkStatus, status: &ToxicStatus) -> Result<(), String> {
    let stream = match status.stream {
        Stream::Upstream => "requests",
        Stream::Downstream => "answers",
    };
    if status.affected + status.held == 0 {
        return Err(format!("link {} carried no {stream} that it could affect", link.name));
    }
    match status.toxic {
        Toxic::Latency { latency_ms, .. } => match mean_ms(status) {
            Some(mean) if mean >= latency_ms as f64 / 2.0 => Ok(()),
            mean => Err(format!(
                "link {}: the delay measured is {:.1} ms, less than half of the {latency_ms} ms asked for",
                link.name,
                mean.unwrap_or_default()
            )),
        },
        Toxic::Bandwidth { .. } | Toxic::Slicer { .. } if status.added_delay_us + status.held_us == 0 => {
            Err(format!("link {}: it delayed nothing", link.name))
        }
        Toxic::Loss { .. }
        | Toxic::Bandwidth { .. }
        | Toxic::Partition
        | Toxic::ResetPeer { .. }
        | Toxic::LimitData { .. }
        | Toxic::Slicer { .. } => Ok(()),
    }
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

    fn latency(affected: u64, added_delay_us: u64) -> ToxicStatus {
        ToxicStatus {
            id: "t".to_owned(),
            stream: Stream::Downstream,
            toxic: Toxic::Latency { latency_ms: 100, jitter_ms: 0, correlation: 0.0 },
            affected,
            untouched: 3,
            added_delay_us,
            held: 0,
            held_us: 0,
            age_ms: 1000,
            first_affected_ms: Some(5),
        }
    }

    fn acts(status: &ToxicStatus) -> bool {
        let at = SocketAddr::from(([127, 0, 0, 1], 1));
        let link = LinkStatus {
            name: "pod".to_owned(),
            listen: at,
            upstream: at,
            connections: 1,
            bytes_up: 1,
            bytes_down: 1,
            toxics: vec![],
        };
        toxic_acts(&link, status).is_ok()
    }

    #[test]
    fn a_delay_counts_from_half_of_what_was_asked() {
        assert!(acts(&latency(4, 200_000)));
        assert!(!acts(&latency(4, 199_000)));
        assert!(!acts(&latency(0, 0)));
        // What waits still has waited at least so long.
        assert!(acts(&ToxicStatus { held: 2, held_us: 100_000, ..latency(0, 0) }));
        assert!(!acts(&ToxicStatus { held: 2, held_us: 90_000, ..latency(0, 0) }));
        assert_eq!(
            figures(&latency(4, 420_000)),
            "delayed 4 chunks by 105.0 ms on average (asked for 100 ms), 3 not"
        );
    }

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
