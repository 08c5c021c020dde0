//! The run second by second as CSV, for a spreadsheet. Empty: no samples.

use std::fmt::Write as _;

use super::Input;

/// One line a second of the run's clock; latencies in ms.
pub fn csv(input: &Input<'_>) -> String {
    let series = input.series;
    let mut head: Vec<String> =
        ["second", "phase", "due", "sent", "done", "in_flight", "starved", "lag_p99_ms"]
            .map(str::to_owned)
            .to_vec();
    head.extend(series.outcomes.keys().map(|outcome| outcome.as_str().to_owned()));
    let latencies = [
        ("ttft_p50_ms", &series.ttft.p50),
        ("ttft_p95_ms", &series.ttft.p95),
        ("ttft_p99_ms", &series.ttft.p99),
        ("e2e_p50_ms", &series.e2e.p50),
        ("e2e_p95_ms", &series.e2e.p95),
        ("e2e_p99_ms", &series.e2e.p99),
        ("itl_p95_ms", &series.itl_p95),
    ];
    head.extend(latencies.iter().map(|(name, _)| (*name).to_owned()));
    head.extend(["cache_hits", "cache_misses", "fallback", "tokens"].map(str::to_owned));
    let mut out = head.join(",");
    out.push('\n');
    for second in 0..series.seconds as usize {
        let start = second as f64;
        let phase = series.phases.iter().rfind(|band| band.start <= start && start < band.end);
        let phase = phase.map_or("", |band| band.name.as_str());
        let count = |of: &[u64]| of.get(second).copied().unwrap_or_default().to_string();
        let figure = |of: &[Option<f64>]| {
            of.get(second).copied().flatten().map_or_else(String::new, |ms| format!("{ms:.3}"))
        };
        let mut row = vec![second.to_string(), phase.to_owned()];
        row.extend(
            [&series.due, &series.sent, &series.done, &series.in_flight, &series.starved].map(|s| count(s)),
        );
        row.push(figure(&series.lag_p99));
        row.extend(series.outcomes.values().map(|counts| count(counts)));
        row.extend(latencies.iter().map(|(_, values)| figure(values)));
        row.extend(
            [&series.cache_hits, &series.cache_misses, &series.fallback, &series.tokens].map(|s| count(s)),
        );
        // Writing to a String can't fail. Phases are identifiers: no commas.
        let _ = writeln!(out, "{}", row.join(","));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::testing::{Health, aborted, nothing, run};

    #[test]
    fn every_line_has_all_columns_and_the_outcomes_add_up() {
        for run in [run(Health::Well), run(Health::Ill), aborted(), nothing()] {
            let text = csv(&run.input());
            let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
            let head = lines.next().expect("a head");
            let rows: Vec<_> = lines.collect();
            assert_eq!(rows.len(), run.series.seconds as usize);
            assert!(rows.iter().all(|row| row.len() == head.len()));
            for (outcome, counts) in &run.series.outcomes {
                let column = head.iter().position(|name| *name == outcome.as_str()).expect("a column");
                let sum: u64 = rows.iter().map(|row| row[column].parse::<u64>().expect("a count")).sum();
                assert_eq!(sum, counts.iter().sum::<u64>());
            }
        }
    }
}
