//! Whether a toxic's own figures show that it acts, and these in words.

use super::api::{LinkStatus, Stream, Toxic, ToxicStatus};

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
pub(in crate::chaos) fn toxic_acts(link: &LinkStatus, status: &ToxicStatus) -> Result<(), String> {
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

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

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
}
